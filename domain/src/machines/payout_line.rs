//! The payout line: sends the payouts of one paying key, one after the other. It decides nothing
//! that is recorded: wallets tell it what to send, again after a restart, and record how it ended.
//!
//! What always holds: a payout goes out only after its wallet has recorded that it may have, and
//! under the one id that it has for ever; none is sent while another is on its way, but for one
//! whose outcome nobody could learn for [`LinePolicy::held`], which is set aside and asked about
//! until it is known.

mod head;
#[cfg(test)]
mod tests;
mod way;

use std::collections::{BTreeMap, VecDeque};
use std::marker::PhantomData;

use super::{Effect, LineNews, Machine, Note, Outputs, Turn, WalletInput};
use crate::ids::{DriverId, PayoutId};
use crate::money::Centavos;
use crate::payout::{Heard, PayoutCall, SendOrder};
use crate::provider::{Backoff, Ending, Patience};
use crate::units::{Millis, UnixMillis};
use head::Head;
use way::{Stage, Way};

/// An answer that comes later than this does not come: a call of the client ends long before.
const ANSWER_WITHIN: Millis = Millis::from_secs(120);

/// How often one that was set aside is asked about in the end.
const ASIDE_EVERY: Millis = Millis::from_secs(300);

/// By what rules the line works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinePolicy {
    /// How long an outcome is waited for before the next payout goes out.
    pub held: Millis,
    /// When nothing found means nothing there.
    pub patience: Patience,
    /// How often it is looked whether there is money again, or payouts go on.
    pub looked_every: Millis,
}

impl Default for LinePolicy {
    fn default() -> Self {
        Self {
            held: Millis::from_secs(120),
            patience: Patience::SEND,
            looked_every: Millis::from_secs(30),
        }
    }
}

/// What the line reacts to.
#[derive(Debug)]
pub enum LineInput {
    /// A payout that was never sent waits for its turn.
    Queue {
        payout: PayoutId,
        driver: DriverId,
        amount: Centavos,
    },
    /// It is recorded as sent just now, and was not: send it.
    Go {
        order: Box<SendOrder>,
        driver: DriverId,
    },
    /// It may have been sent at any time since then; `aside`: nobody waits for it.
    Resume {
        order: Box<SendOrder>,
        driver: DriverId,
        since: UnixMillis,
        aside: bool,
    },
    /// It is not to be sent.
    Drop {
        payout: PayoutId,
    },
    /// Something may have happened to it: ask.
    Look {
        order: Box<SendOrder>,
        driver: DriverId,
    },
    /// What came of a call.
    Heard {
        call: u64,
        heard: Heard,
    },
    Alarm,
}

/// A payout that waits for its turn.
#[derive(Debug, Clone, Copy)]
struct Waiting {
    payout: PayoutId,
    driver: DriverId,
    amount: Centavos,
}

/// What is recorded as under way when the line starts.
#[derive(Debug)]
pub struct Resumed {
    pub order: SendOrder,
    pub driver: DriverId,
    pub since: UnixMillis,
    pub aside: bool,
}

/// The actor's inside.
pub struct PayoutLineMachine<R> {
    policy: LinePolicy,
    waiting: VecDeque<Waiting>,
    /// What comes before the send of the first that waits.
    head: Option<Head>,
    /// Nothing is begun before this.
    pauses_until: Option<UnixMillis>,
    /// All that may be with the provider.
    ways: BTreeMap<PayoutId, Way>,
    /// Who holds the line, and since when.
    holder: Option<(PayoutId, UnixMillis)>,
    /// Others that were on their way when the line started. They hold it after the holder.
    beside: Vec<(PayoutId, UnixMillis)>,
    calls: u64,
    replies: PhantomData<fn() -> R>,
}

impl<R> PayoutLineMachine<R> {
    /// The line, with `resumed` on it.
    #[must_use]
    pub fn new(policy: LinePolicy, resumed: Vec<Resumed>, now: UnixMillis) -> Self {
        let mut line = Self {
            policy,
            waiting: VecDeque::new(),
            head: None,
            pauses_until: None,
            ways: BTreeMap::new(),
            holder: None,
            beside: Vec::new(),
            calls: 0,
            replies: PhantomData,
        };
        for Resumed { order, driver, since, aside } in resumed {
            line.resume(now, order, driver, (since, aside));
        }
        line
    }

    /// Goes on with what the records say is under way.
    pub fn wake(&mut self, now: UnixMillis, out: &mut Outputs<R>) {
        self.go_on(&mut Turn::new(now, out));
    }

    fn queue(&mut self, waiting: Waiting) {
        let id = waiting.payout;
        let known = self.ways.contains_key(&id) || self.waiting.iter().any(|w| w.payout == id);
        if !known {
            self.waiting.push_back(waiting);
        }
    }

    /// The word of a wallet that nothing of this payout was sent, and may be now.
    fn go(&mut self, now: UnixMillis, order: SendOrder, driver: DriverId) {
        let id = order.payout;
        if self.ways.contains_key(&id) {
            return;
        }
        self.leave_queue(id);
        let stage = Stage::fresh(&self.policy, &order, now);
        let way = Way::new(order, driver, stage);
        self.begin(now, id, way);
    }

    fn resume(
        &mut self,
        now: UnixMillis,
        order: SendOrder,
        driver: DriverId,
        (since, aside): (UnixMillis, bool),
    ) {
        let id = order.payout;
        if let Some(way) = self.ways.get_mut(&id) {
            // Its wallet does not know yet that it was set aside: the word was lost.
            way.tells_aside |= way.aside && !aside;
            return;
        }
        self.leave_queue(id);
        let stage = Stage::in_doubt(&self.policy, &order, now);
        let mut way = Way::new(order, driver, stage);
        if aside || now >= since + self.policy.held {
            (way.aside, way.tells_aside) = (true, !aside);
        } else if self.holder.is_some() {
            self.beside.push((id, since));
        } else {
            self.holder = Some((id, since));
        }
        self.ways.insert(id, way);
    }

    /// Lets `way` hold the line, or wait for it.
    fn begin(&mut self, now: UnixMillis, id: PayoutId, way: Way) {
        if self.holder.is_none() {
            self.holder = Some((id, now));
        } else {
            let waiting = Waiting { payout: id, driver: way.driver, amount: way.order.amount };
            self.waiting.push_front(waiting);
        }
        self.ways.insert(id, way);
    }

    fn leave_queue(&mut self, id: PayoutId) {
        if self.waiting.front().is_some_and(|first| first.payout == id) {
            self.head = None;
        }
        self.waiting.retain(|waiting| waiting.payout != id);
    }

    /// Its wallet has recorded its end: it is not sent any more, whoever said so before.
    fn drop_out(&mut self, id: PayoutId) {
        self.leave_queue(id);
        if self.ways.get(&id).is_some_and(|way| !way.stage.is_look()) {
            self.ways.remove(&id);
            self.holder.take_if(|(holder, _)| *holder == id);
        }
    }

    fn look(&mut self, now: UnixMillis, order: SendOrder, driver: DriverId) {
        let way = self.ways.entry(order.payout);
        way.or_insert_with(|| Way::new(order, driver, Stage::Look)).hurry(now);
    }

    fn heard(&mut self, turn: &mut Turn<'_, R>, call: u64, heard: Heard) {
        if let Heard::Cleared(cleared) = heard {
            self.cleared(turn, call, cleared);
            return;
        }
        let called = self.ways.iter_mut().find(|(_, way)| way.is_called(call));
        // The answer to a call that was given up: what it says is asked for again.
        let Some((id, way)) = called else { return };
        let id = *id;
        way.call = None;
        let patience = if way.aside { ASIDE_EVERY } else { self.policy.patience.backoff.longest };
        let backoff = Backoff { first: self.policy.patience.backoff.first, longest: patience };
        let dice = id.0.as_u64_pair().1.wrapping_add(call);
        match way.stage.heard(turn.now, heard, &way.order, (backoff, dice)) {
            way::Turned::Goes => {}
            way::Turned::Says(sent) => tell(turn, id, way, LineNews::Found(sent)),
            way::Turned::Ends(ending) => {
                let news = match ending {
                    Some(Ending::Done(sent)) => Some(LineNews::Found(sent)),
                    Some(Ending::Refused(error)) => Some(LineNews::Refused { code: error.code }),
                    Some(Ending::Mismatched(_)) => {
                        turn.note(Note::PayoutOdd);
                        None
                    }
                    None => None,
                };
                if let Some(news) = news {
                    tell(turn, id, way, news);
                    self.ways.remove(&id);
                } else if way.stage.is_look() {
                    self.ways.remove(&id);
                }
                self.holder.take_if(|(holder, _)| *holder == id && !self.ways.contains_key(&id));
            }
        }
    }

    /// Whatever there is to do now.
    fn go_on(&mut self, turn: &mut Turn<'_, R>) {
        self.set_aside(turn);
        let mut next = self.advance(turn);
        next = earlier(next, self.start_next(turn));
        let held = self.holder.map(|(_, since)| since + self.policy.held);
        turn.alarm(earlier(next, held));
    }

    /// Whoever is still on its way since before the line started holds it next.
    fn find_holder(&mut self) {
        self.beside.retain(|(id, _)| self.ways.contains_key(id));
        if self.holder.is_none() && !self.beside.is_empty() {
            let (id, since) = self.beside.remove(0);
            self.leave_queue(id);
            self.holder = Some((id, since));
        }
    }

    /// Nobody waits any longer for who has held the line too long.
    fn set_aside(&mut self, turn: &mut Turn<'_, R>) {
        let held = self.policy.held;
        self.find_holder();
        while let Some((id, _)) = self.holder.take_if(|(_, since)| turn.now >= *since + held) {
            if let Some(way) = self.ways.get_mut(&id) {
                (way.aside, way.tells_aside) = (true, true);
            }
            self.find_holder();
        }
        for (id, way) in &mut self.ways {
            if std::mem::take(&mut way.tells_aside) {
                tell(turn, *id, way, LineNews::SetAside);
            }
        }
    }

    /// Makes the calls that are due. When the next one is.
    fn advance(&mut self, turn: &mut Turn<'_, R>) -> Option<UnixMillis> {
        let mut next = None;
        let mut sends = Vec::new();
        for (id, way) in &mut self.ways {
            way.give_up(turn.now);
            let step = match way.call {
                Some((_, since)) => way::Next::Wait(since + ANSWER_WITHIN),
                None => way.stage.next(turn.now),
            };
            let call = match step {
                way::Next::Never => continue,
                way::Next::Wait(until) => {
                    next = earlier(next, Some(until));
                    continue;
                }
                way::Next::Send if self.holder.is_some_and(|(holder, _)| holder == *id) => {
                    PayoutCall::Send(Box::new(way.to_send()))
                }
                way::Next::Send => {
                    sends.push(Waiting {
                        payout: *id,
                        driver: way.driver,
                        amount: way.order.amount,
                    });
                    continue;
                }
                way::Next::Ask => PayoutCall::Ask(way.order.id()),
            };
            self.calls += 1;
            way.call = Some((self.calls, turn.now));
            next = earlier(next, Some(turn.now + ANSWER_WITHIN));
            turn.effect(Effect::Payout(self.calls, call));
        }
        // What was set aside and never came goes out again when the line is free.
        for waiting in sends {
            if !self.waiting.iter().any(|known| known.payout == waiting.payout) {
                self.waiting.push_back(waiting);
            }
        }
        next
    }
}

fn tell<R>(turn: &mut Turn<'_, R>, payout: PayoutId, way: &Way, news: LineNews) {
    turn.tell_wallet(way.driver, WalletInput::Line { payout, news });
}

fn earlier(one: Option<UnixMillis>, other: Option<UnixMillis>) -> Option<UnixMillis> {
    one.into_iter().chain(other).min()
}

impl<R> Machine for PayoutLineMachine<R> {
    type Input = LineInput;
    type Reply = R;

    fn step(&mut self, now: UnixMillis, input: LineInput, out: &mut Outputs<R>) {
        let turn = &mut Turn::new(now, out);
        match input {
            LineInput::Queue { payout, driver, amount } => {
                self.queue(Waiting { payout, driver, amount });
            }
            LineInput::Go { order, driver } => self.go(now, *order, driver),
            LineInput::Resume { order, driver, since, aside } => {
                self.resume(now, *order, driver, (since, aside));
            }
            LineInput::Drop { payout } => self.drop_out(payout),
            LineInput::Look { order, driver } => self.look(now, *order, driver),
            LineInput::Heard { call, heard } => self.heard(turn, call, heard),
            LineInput::Alarm => {}
        }
        self.go_on(turn);
    }

    fn settle(&mut self, _now: UnixMillis, _recording: bool, _out: &mut Outputs<R>) {}

    fn passivate_after(&self) -> Millis {
        // Longer than between two looks at what is under way: while there is any it stays.
        ASIDE_EVERY.plus(ASIDE_EVERY)
    }
}
