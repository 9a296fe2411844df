//! One order (a charge, a refund, a payout) carried to its end under one id.
//!
//! Whoever carries it asks for the next [`Step`], does it, and says what came of it. An answer that
//! was lost leaves a doubt: the order may be carried out, or will be, or never came. Only a
//! question with our id ends the doubt. That there is nothing under it is no answer at first, for
//! the order may not be visible yet; it counts after [`Patience`], and then the same order goes out
//! again under the same id, which the provider takes once. A refusal in doubt says nothing of the
//! call before it, and counts only once nothing is found for as long.
//!
//! What must hold: [`Ending::Refused`] means that nothing was carried out, [`Ending::Done`] that
//! just what was ordered was. A doubt has no deadline here: whoever waits may stop waiting, and
//! goes on later with [`Errand::in_doubt`].

use super::outcome::{Hindrance, Kind, Outcome, ProviderError, Why};
use super::retry::Backoff;
use crate::money::Centavos;
use crate::mutants::{Mutant, is};
use crate::pix::PixKey;
use crate::units::{Millis, UnixMillis};

/// What was ordered, as far as it is compared with what the provider has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    pub amount: Centavos,
    /// Who is paid; none for a refund, which knows its payer.
    pub key: Option<PixKey>,
}

/// What the provider has under our id.
pub trait Seen {
    fn amount(&self) -> Centavos;
    /// None where the provider does not say.
    fn key(&self) -> Option<&PixKey>;
}

/// When nothing found means nothing there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// So long after the call whose outcome is not known, and
    pub absent_for: Millis,
    /// after so many answers that there is nothing.
    pub absences: u32,
    /// Between calls.
    pub backoff: Backoff,
}

impl Patience {
    /// Sent twice, a charge is a new revision of itself: nothing is lost by little patience, and a
    /// passenger waits.
    pub const CHARGE: Self = Self::of(Millis(2000), 2, Millis(250), Millis(5000));
    /// A refund has time, and its payer's bank is asked in between.
    pub const REFUND: Self = Self::of(Millis(10_000), 3, Millis(500), Millis(30_000));
    /// Nothing may be paid twice by a provider that forgets an id, so that a payout waits longest;
    /// still it is sent again within the time for which it holds the line.
    pub const SEND: Self = Self::send(Millis(60_000));

    /// As [`Patience::SEND`], where what is not found counts after another time.
    #[must_use]
    pub const fn send(absent_for: Millis) -> Self {
        Self::of(absent_for, 5, Millis(500), Millis(absent_for.0 / 4))
    }

    const fn of(absent_for: Millis, absences: u32, first: Millis, longest: Millis) -> Self {
        Self { absent_for, absences, backoff: Backoff { first, longest } }
    }
}

/// How long a refund is carried on in one go. In doubt, a refusal counts only when it was said for
/// long enough, and twice, that there is nothing: before the order went out again and after it was
/// refused. In less time nobody would ever learn of it.
pub const REFUND_CARRIED_FOR: Millis = Millis::from_secs(60);

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Send the order, under its id.
    Send,
    /// Ask what there is under its id.
    Ask,
    /// Nothing before this moment.
    Wait { until: UnixMillis },
}

/// How it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending<S> {
    /// The provider has the order. What became of it since, it says itself.
    Done(S),
    /// It was not carried out, and will not be.
    Refused(ProviderError),
    /// Something else lies under our id: nobody may guess on, somebody has to look.
    Mismatched(S),
}

/// What keeps an order that nobody refused from going out, or a doubt from ending.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Obstacle {
    NotSent(Hindrance),
    Refused(ProviderError),
    Unclear(Why),
}

/// The way of one order.
#[derive(Debug, Clone)]
pub struct Errand {
    order: Order,
    patience: Patience,
    /// Whether the next call is a question.
    asks: bool,
    doubt: Option<Doubt>,
    /// Heard while in doubt.
    refused: Option<ProviderError>,
    /// Calls in a row that led nowhere.
    tries: u32,
    heard_at: UnixMillis,
    ready_at: UnixMillis,
    obstacle: Option<Obstacle>,
}

#[derive(Debug, Clone, Copy)]
struct Doubt {
    since: UnixMillis,
    absences: u32,
    /// The provider said that there is something under our id.
    there: bool,
}

impl Errand {
    /// An order that was never sent.
    #[must_use]
    pub const fn new(order: Order, patience: Patience, now: UnixMillis) -> Self {
        Self {
            order,
            patience,
            asks: false,
            doubt: None,
            refused: None,
            tries: 0,
            heard_at: now,
            ready_at: now,
            obstacle: None,
        }
    }

    /// An order that may have been sent, at `now` at the latest: what is left after a crash.
    #[must_use]
    pub fn in_doubt(order: Order, patience: Patience, now: UnixMillis) -> Self {
        let doubt = Some(Doubt { since: now, absences: 0, there: false });
        Self { asks: true, doubt, ..Self::new(order, patience, now) }
    }

    /// What to do at `now`. A clock that went back shortens a wait, and never makes it longer.
    #[must_use]
    pub fn step(&self, now: UnixMillis) -> Step {
        if (self.heard_at..self.ready_at).contains(&now) {
            return Step::Wait { until: self.ready_at };
        }
        if self.asks { Step::Ask } else { Step::Send }
    }

    /// Whether the order may be with the provider. Where it is not, it may be dropped.
    #[must_use]
    pub const fn is_in_doubt(&self) -> bool {
        self.doubt.is_some()
    }

    /// What the last call met, for those who watch.
    #[must_use]
    pub const fn obstacle(&self) -> Option<&Obstacle> {
        self.obstacle.as_ref()
    }

    /// Takes in what came of [`Step::Send`]; `dice` is any random number. `None`: go on.
    pub fn sent<S: Seen>(
        &mut self,
        now: UnixMillis,
        outcome: Outcome<S>,
        dice: u64,
    ) -> Option<Ending<S>> {
        match outcome {
            Outcome::Done(seen) => return Some(self.judge(seen)),
            Outcome::NotSent(hindrance) => {
                self.wait(now, Obstacle::NotSent(hindrance), dice);
            }
            Outcome::Unclear(why) => {
                self.doubts(now);
                self.wait(now, Obstacle::Unclear(why), dice);
            }
            Outcome::Refused(error) => match error.kind() {
                Kind::NotNow => self.wait(now, Obstacle::Refused(error), dice),
                Kind::Duplicate if !is(Mutant::DuplicateRefused) => {
                    self.doubts(now).there = true;
                    self.wait(now, Obstacle::Refused(error), dice);
                }
                Kind::NotFound | Kind::Rejected if self.doubt.is_some() => {
                    self.doubts(now);
                    self.refused = Some(error.clone());
                    self.wait(now, Obstacle::Refused(error), dice);
                }
                Kind::NotFound | Kind::Rejected | Kind::Duplicate => {
                    return Some(Ending::Refused(error));
                }
            },
        }
        None
    }

    /// Takes in what came of [`Step::Ask`]; `dice` is any random number. `None`: go on.
    pub fn asked<S: Seen>(
        &mut self,
        now: UnixMillis,
        outcome: Outcome<S>,
        dice: u64,
    ) -> Option<Ending<S>> {
        let obstacle = match outcome {
            Outcome::Done(seen) => return Some(self.judge(seen)),
            Outcome::NotSent(hindrance) => Obstacle::NotSent(hindrance),
            Outcome::Unclear(why) => Obstacle::Unclear(why),
            Outcome::Refused(error) => {
                if error.kind() == Kind::NotFound && self.is_absent(now) {
                    if let Some(refused) = self.refused.take() {
                        return Some(Ending::Refused(refused));
                    }
                    (self.asks, self.tries, self.ready_at) = (false, 0, now);
                    return None;
                }
                Obstacle::Refused(error)
            }
        };
        self.wait(now, obstacle, dice);
        None
    }

    fn judge<S: Seen>(&self, seen: S) -> Ending<S> {
        let same_key = match (&self.order.key, seen.key()) {
            (Some(ordered), Some(found)) => ordered == found,
            _ => true,
        };
        let same = same_key && self.order.amount == seen.amount();
        if same { Ending::Done(seen) } else { Ending::Mismatched(seen) }
    }

    /// From now on only the provider knows.
    fn doubts(&mut self, now: UnixMillis) -> &mut Doubt {
        if !self.asks {
            (self.asks, self.tries) = (true, 0);
        }
        let there = self.doubt.is_some_and(|doubt| doubt.there);
        self.doubt.insert(Doubt { since: now, absences: 0, there })
    }

    /// Counts an answer that there is nothing: whether that is believed now.
    fn is_absent(&mut self, now: UnixMillis) -> bool {
        let Some(doubt) = &mut self.doubt else {
            return true;
        };
        doubt.absences = doubt.absences.saturating_add(1);
        !doubt.there
            && doubt.absences >= self.patience.absences
            && now.since(doubt.since) >= self.patience.absent_for
    }

    fn wait(&mut self, now: UnixMillis, obstacle: Obstacle, dice: u64) {
        self.tries = self.tries.saturating_add(1);
        let asked_for = match &obstacle {
            Obstacle::Refused(error) => error.retry_after.unwrap_or_default(),
            Obstacle::NotSent(_) | Obstacle::Unclear(_) => Millis(0),
        };
        let length = self.patience.backoff.after(self.tries, dice).max(asked_for);
        (self.heard_at, self.ready_at) = (now, now + length);
        self.obstacle = Some(obstacle);
    }
}

#[cfg(test)]
#[path = "errand_tests.rs"]
mod tests;
