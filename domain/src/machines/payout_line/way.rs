//! The way of one payout that may be with the provider: sent or asked for until it has ended.

use uuid::Uuid;

use super::{ANSWER_WITHIN, LinePolicy};
use crate::ids::{DriverId, PayoutId};
use crate::mutants::{Mutant, is};
use crate::payout::{Heard, SendOrder, SendState, SentPayout};
use crate::provider::{Backoff, Ending, Errand, Outcome, Seen, Step, Why};
use crate::units::UnixMillis;

pub(super) struct Way {
    pub(super) order: SendOrder,
    pub(super) driver: DriverId,
    pub(super) stage: Stage,
    /// The call that is being made, and since when.
    pub(super) call: Option<(u64, UnixMillis)>,
    /// Nobody waits for it.
    pub(super) aside: bool,
    /// Its wallet is still to be told that.
    pub(super) tells_aside: bool,
}

pub(super) enum Stage {
    /// It is not known yet whether the provider has it.
    Errand(Box<Errand>),
    /// The provider has it, and it has not ended.
    Polled { at: UnixMillis, tries: u32 },
    /// Something else lies under its id: a matter for people.
    Odd,
    /// It has ended as far as we know. It is asked for once.
    Look,
}

/// What a way wants next.
pub(super) enum Next {
    Send,
    Ask,
    Wait(UnixMillis),
    Never,
}

/// What an answer makes of a way.
pub(super) enum Turned {
    Goes,
    /// Worth telling, and it goes on.
    Says(SentPayout),
    /// Whatever it was for has ended.
    Ends(Option<Ending<SentPayout>>),
}

impl Way {
    pub(super) const fn new(order: SendOrder, driver: DriverId, stage: Stage) -> Self {
        Self { order, driver, stage, call: None, aside: false, tells_aside: false }
    }

    /// The order, under its one id.
    pub(super) fn to_send(&self) -> SendOrder {
        let mut order = self.order.clone();
        if is(Mutant::PayoutNewId) && self.stage.is_in_doubt() {
            order.payout = PayoutId(Uuid::from_u128(order.payout.0.as_u128() ^ 1));
        }
        order
    }

    pub(super) fn is_called(&self, call: u64) -> bool {
        self.call.is_some_and(|(known, _)| known == call)
    }

    /// Asks at once where it would have been asked later.
    pub(super) const fn hurry(&mut self, now: UnixMillis) {
        if let Stage::Polled { at, .. } = &mut self.stage {
            *at = now;
        }
    }

    /// An answer that has not come by now does not come. What was sent is then in doubt.
    pub(super) fn give_up(&mut self, now: UnixMillis) {
        if self.call.take_if(|(_, since)| now >= *since + ANSWER_WITHIN).is_some()
            && let Stage::Errand(errand) = &mut self.stage
            && errand.step(now) == Step::Send
        {
            errand.sent::<SentPayout>(now, Outcome::Unclear(Why::TimedOut), 0);
        }
    }
}

impl Stage {
    /// Of one that was never sent.
    pub(super) fn fresh(policy: &LinePolicy, order: &SendOrder, now: UnixMillis) -> Self {
        Self::Errand(Box::new(Errand::new(order.order(), policy.patience, now)))
    }

    /// Of one that may have been.
    pub(super) fn in_doubt(policy: &LinePolicy, order: &SendOrder, now: UnixMillis) -> Self {
        Self::Errand(Box::new(Errand::in_doubt(order.order(), policy.patience, now)))
    }

    fn is_in_doubt(&self) -> bool {
        matches!(self, Self::Errand(errand) if errand.is_in_doubt())
    }

    pub(super) const fn is_look(&self) -> bool {
        matches!(self, Self::Look)
    }

    pub(super) fn next(&self, now: UnixMillis) -> Next {
        match self {
            Self::Errand(errand) => match errand.step(now) {
                Step::Send => Next::Send,
                Step::Ask => Next::Ask,
                Step::Wait { until } => Next::Wait(until),
            },
            Self::Polled { at, .. } if now < *at => Next::Wait(*at),
            Self::Polled { .. } | Self::Look => Next::Ask,
            Self::Odd => Next::Never,
        }
    }

    /// Takes in what came of its call.
    pub(super) fn heard(
        &mut self,
        now: UnixMillis,
        heard: Heard,
        order: &SendOrder,
        (backoff, dice): (Backoff, u64),
    ) -> Turned {
        let errand = match self {
            Self::Errand(errand) => errand,
            Self::Polled { at, tries } => {
                *tries += 1;
                *at = now + backoff.after(*tries, dice);
                return match found(heard) {
                    Some(sent) if differs(&sent, order) => self.is_odd(sent),
                    Some(sent) if sent.state == SendState::Pending => Turned::Goes,
                    Some(sent) => Turned::Ends(Some(Ending::Done(sent))),
                    None => Turned::Goes,
                };
            }
            Self::Look => return Turned::Ends(found(heard).map(Ending::Done)),
            Self::Odd => return Turned::Goes,
        };
        let ending = match heard {
            Heard::Sent(outcome) => errand.sent(now, outcome, dice),
            Heard::Asked(outcome) => errand.asked(now, outcome, dice),
            Heard::Cleared(_) => None,
        };
        match ending {
            None => Turned::Goes,
            Some(Ending::Done(sent)) if sent.state == SendState::Pending => {
                *self = Self::Polled { at: now + backoff.after(1, dice), tries: 1 };
                Turned::Says(sent)
            }
            Some(Ending::Mismatched(sent)) => self.is_odd(sent),
            Some(ending @ (Ending::Done(_) | Ending::Refused(_))) => Turned::Ends(Some(ending)),
        }
    }

    fn is_odd(&mut self, sent: SentPayout) -> Turned {
        *self = Self::Odd;
        Turned::Ends(Some(Ending::Mismatched(sent)))
    }
}

fn found(heard: Heard) -> Option<SentPayout> {
    match heard {
        Heard::Sent(outcome) | Heard::Asked(outcome) => outcome.done(),
        Heard::Cleared(_) => None,
    }
}

fn differs(sent: &SentPayout, order: &SendOrder) -> bool {
    sent.amount() != order.amount || sent.key().is_some_and(|key| *key != order.key)
}
