//! The payment's machine: has its charge made, watches it, takes in what comes, gives back what
//! nobody asked for.
//!
//! Whatever moves value rests on the provider's own answer; a hint only makes it ask. What must
//! hold: nothing is ordered that is not recorded; what was ordered is asked for under its own id
//! until its end is known, also by the next life of this machine.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::effect::{Effect, PaymentEffect, PaymentSeen, Said};
use super::known::{Known, PastCommand, done};
use super::{Ask, Machine, Outputs, PassengerInput, ReadAs, RideInput, Turn, WalletInput};
use crate::dispute::{Opening, Status};
use crate::facts::{Decision, Entity, EventRow, HoldRow, Row, Timer};
use crate::ids::{DisputeId, PaymentId};
use crate::ledger::{Hold, Trip};
use crate::money::Centavos;
use crate::mutants::{Mutant, is};
use crate::payment::{
    BankSays, BorneBy, ChargeSeen, Incoming, Payment, PaymentEvent, PaymentPolicy, Receipt,
    RefundStage, Stage, TopUp,
};
use crate::pix::{EndToEndId, RefundId};
use crate::provider::Backoff;
use crate::refusal::Refusal;
use crate::ride::json_text;
use crate::units::{Millis, UnixMillis};

mod against;
#[cfg(test)]
mod court;
#[cfg(test)]
mod court_tests;
mod credit;
#[cfg(test)]
mod credit_desk;
#[cfg(test)]
mod credit_tests;
mod incoming;
mod refunds;
mod relief;
#[cfg(test)]
mod tests;
mod tip;
mod watch;

use watch::Watch;

/// Bytes that an event as JSON usually takes at most.
const EVENT_JSON: usize = 512;
/// A live charge is looked at now and then, whether or not anybody told of a payment.
const LOOKS: Backoff = Backoff { first: Millis::from_secs(10), longest: Millis::from_secs(60) };
/// An order that has no end yet is asked for.
const TRIES: Backoff = Backoff { first: Millis::from_secs(2), longest: Millis::from_secs(60) };
/// A wallet that waits for a ruling is asked for it, should the word of it be lost.
const RULINGS: Backoff =
    Backoff { first: Millis::from_secs(3600), longest: Millis::from_secs(3600) };
/// A refund that the provider could not pay is tried again.
const FAILED: Backoff = Backoff { first: Millis::from_secs(60), longest: Millis::from_secs(3600) };
/// Hints that are followed at once; a forged one costs a question.
const HINTS_MAX: usize = 16;
/// Questions that a hint is worth.
const HINT_TRIES: u32 = 8;
const PASSIVATE_BUSY: Millis = Millis::from_secs(300);
const PASSIVATE_IDLE: Millis = Millis::from_secs(5);

/// What a payment's machine reacts to.
#[derive(Debug)]
pub enum PaymentInput<R> {
    /// From the ride, whose commit holds it already.
    Opened(Box<Payment>),
    /// Its passenger wants to pay: answered once there is a charge.
    Intent {
        ask: Ask<R>,
    },
    Read {
        by: ReadAs,
        reply: R,
    },
    /// An admin gives money back.
    GiveBack {
        ask: Ask<R>,
        amount: Centavos,
        borne_by: BorneBy,
        reason: String,
    },
    /// From the ride, which its passenger may tip: answered once there is a charge.
    Tip {
        ask: Ask<R>,
        trip: Trip,
        amount: Centavos,
    },
    /// From its passenger's machine, for whom this is a new id: answered once there is a charge.
    TopUp {
        ask: Ask<R>,
        top_up: TopUp,
    },
    /// His credit has paid so much, by the answer to the question of this number.
    Credited {
        number: u16,
        amount: Centavos,
    },
    /// An admin lets the passenger off a fee.
    Waive {
        ask: Ask<R>,
        reason: String,
    },
    /// It may be time to write it off.
    WriteOff,
    /// One of the ride's people contests it; the driver's wallet answers.
    Contest {
        ask: Ask<R>,
        opening: Opening,
    },
    /// The driver's wallet says where a dispute stands.
    Wallet {
        dispute: DisputeId,
        status: Status,
    },
    /// What the provider says of a claim of fraud.
    Bank(BankSays),
    /// Somebody says that this Pix came in, or that something of it went back under this id.
    Hint {
        pix: EndToEndId,
        refund: Option<RefundId>,
    },
    /// A Pix that names a charge which its payment does not know, from that payment.
    Unclaimed(Incoming),
    /// A Pix that names a charge of this payment.
    Claimed(Incoming),
    Seen(PaymentSeen),
    Alarm,
}

/// What is known of a payment when its machine is built.
#[derive(Debug, Default)]
pub struct PaymentRecords {
    pub payment: Option<Payment>,
    pub commands: Vec<PastCommand>,
}

/// The actor's inside.
pub struct PaymentMachine<R> {
    id: PaymentId,
    policy: PaymentPolicy,
    payment: Option<Payment>,
    known: Known,
    /// Those who wait for a charge.
    waiting: Vec<Ask<R>>,
    charge: Option<Watch>,
    /// What credit pays of it is awaited.
    credit: Option<Watch>,
    refunds: BTreeMap<RefundId, Watch>,
    hints: BTreeMap<EndToEndId, Watch>,
    /// Claims that were granted and whose time is over, by the Pix that is looked at for them.
    over: BTreeSet<(EndToEndId, String)>,
    /// What the driver's wallet is waited for, and as what it was told.
    wallets: BTreeMap<(DisputeId, &'static str), Watch>,
    /// The deadline last handed over to be recorded.
    timer: Option<Timer>,
}

impl<R> fmt::Debug for PaymentMachine<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PaymentMachine").field("id", &self.id).finish_non_exhaustive()
    }
}

impl<R> PaymentMachine<R> {
    /// Builds the machine of payment `id` from what the records say. Whatever was under way may
    /// have been sent by an earlier life.
    #[must_use]
    pub fn new(id: PaymentId, policy: PaymentPolicy, records: PaymentRecords) -> Self {
        Self {
            id,
            policy,
            payment: records.payment,
            known: records.commands.into_iter().collect(),
            waiting: Vec::new(),
            charge: None,
            credit: None,
            refunds: BTreeMap::new(),
            hints: BTreeMap::new(),
            over: BTreeSet::new(),
            wallets: BTreeMap::new(),
            timer: None,
        }
    }

    /// What a machine that was just built wants done.
    pub fn wake(&mut self, now: UnixMillis, out: &mut Outputs<R>) {
        let turn = &mut Turn::new(now, out);
        self.tell_credit_again(turn);
        self.attend(turn, true);
    }

    /// The payment, if it is recorded.
    #[must_use]
    pub fn payment(&self) -> Option<&Payment> {
        self.payment.as_ref()
    }

    fn decision(&self, turn: &Turn<'_, R>) -> Decision {
        Decision::new(Entity::Payment(self.id), turn.now)
    }

    fn opened(&mut self, payment: Payment) {
        if self.payment.is_none() {
            // Its ride's commit has set it.
            self.timer = payment.is_busy().then_some(Timer::Due(payment.opened_at));
            self.payment = Some(payment);
        }
    }

    fn intent(&mut self, turn: &mut Turn<'_, R>, ask: Ask<R>) {
        let is_his = |payment: &&Payment| payment.passenger().is_some_and(|id| id.0 == ask.by.0);
        let Some(payment) = self.payment.as_ref().filter(is_his) else {
            turn.reply(ask.reply, Err(Refusal::NotFound));
            return;
        };
        let asked = payment.ask_credit();
        let ordered = asked.or_else(|| payment.order_charge(turn.now, &self.policy));
        let mut decision = self.decision(turn);
        if let Some(event) = ordered {
            self.record(turn, &event, &mut decision);
        }
        self.answer_with_charge(turn, ask, &mut decision);
        self.finish(turn, decision);
    }

    /// Answers with the payment, once it can be paid, or has no need to be.
    fn answer_with_charge(&mut self, turn: &mut Turn<'_, R>, ask: Ask<R>, decision: &mut Decision) {
        let no_code = |payment: &Payment| payment.copy_paste().is_none();
        let waits = |payment: &Payment| payment.status.is_payable() && no_code(payment);
        if self.policy.charges && self.payment.as_ref().is_some_and(waits) {
            // Asked again under its id, the earlier asker has gone.
            self.waiting.retain(|earlier| ask.key.is_none() || earlier.key != ask.key);
            self.waiting.push(ask);
        } else {
            self.answer(turn, ask, decision);
        }
    }

    /// Answers with the payment as it is.
    fn answer(&mut self, turn: &mut Turn<'_, R>, ask: Ask<R>, decision: &mut Decision) {
        let shown = self.payment.as_ref().map(|payment| done(payment.version, payment.json()));
        self.known.answer(turn, ask, shown.ok_or(Refusal::NotFound), decision);
    }

    fn read(&self, turn: &mut Turn<'_, R>, by: ReadAs, reply: R) {
        let may = |payment: &&Payment| match by {
            ReadAs::Admin => true,
            ReadAs::User(user) => payment.passenger().is_some_and(|id| id.0 == user.0),
        };
        let shown = self.payment.as_ref().filter(may);
        let shown = shown.map(|payment| done(payment.version, payment.json()));
        turn.reply(reply, shown.ok_or(Refusal::NotFound));
    }

    fn seen(&mut self, turn: &mut Turn<'_, R>, seen: PaymentSeen) {
        match seen {
            PaymentSeen::Charge { txid, said } => {
                let open = self.payment.as_ref().and_then(|payment| {
                    let charge = payment.open_charge()?;
                    (payment.txid(charge.number) == txid).then_some(charge.number)
                });
                if let Some(number) = open {
                    self.charge_said(turn, number, said);
                }
            }
            PaymentSeen::Confirm { pix, said } => self.confirmed(turn, &pix, said),
            PaymentSeen::Refund { id, said } => self.refund_said(turn, &id, &said),
        }
    }

    fn charge_said(&mut self, turn: &mut Turn<'_, R>, number: u16, said: Said<ChargeSeen>) {
        let mut decision = self.decision(turn);
        let event = match said {
            Said::Found(seen) => {
                self.charge.iter_mut().for_each(Watch::is_found);
                for incoming in &seen.paid_by {
                    self.take_in(turn, incoming, &mut decision);
                }
                self.payment.as_ref().and_then(|payment| payment.charge_seen(number, &seen))
            }
            Said::Refused { code } => Some(PaymentEvent::ChargeRefused { number, code }),
            Said::Mismatched => {
                Some(PaymentEvent::ChargeRefused { number, code: "mismatched".to_owned() })
            }
            // One that the provider does not know nobody can pay. It may show late what is new.
            Said::Absent if self.charge.as_mut().is_none_or(|watch| watch.is_absent(turn.now)) => {
                Some(PaymentEvent::ChargeEnded { number })
            }
            Said::Absent => None,
            Said::Unfinished { in_doubt } => {
                if let Some(watch) = &mut self.charge {
                    watch.again(turn.now, TRIES, in_doubt);
                }
                None
            }
        };
        if let Some(event) = &event {
            self.record(turn, event, &mut decision);
            self.charge = None;
        } else if let Some(watch) = self.charge.as_mut().filter(|watch| watch.is_out()) {
            watch.again(turn.now, LOOKS, true);
        }
        self.answer_waiting(turn, &mut decision);
        self.finish(turn, decision);
    }

    /// Answers those who wait for a charge, once there is one, or there will be none.
    fn answer_waiting(&mut self, turn: &mut Turn<'_, R>, decision: &mut Decision) {
        let Some(payment) = &self.payment else { return };
        if payment.status.is_payable() && payment.copy_paste().is_none() {
            if payment.open_charge().is_none() && !payment.by_credit.waits {
                for ask in self.waiting.drain(..) {
                    turn.reply(ask.reply, Err(Refusal::Unavailable));
                }
            }
            return;
        }
        for ask in std::mem::take(&mut self.waiting) {
            self.answer(turn, ask, decision);
        }
    }

    /// Applies `event` and adds it to `decision`: its row, what is booked, whom it is told.
    fn record(&mut self, turn: &mut Turn<'_, R>, event: &PaymentEvent, decision: &mut Decision) {
        let Some(payment) = self.payment.as_mut() else { return };
        let payable = payment.status.is_payable();
        payment.apply(event, turn.now);
        let body = json_text(event, EVENT_JSON).into();
        let (seq, kind, at) = (payment.version, event.kind(), turn.now);
        decision.events.push(EventRow { seq, kind, at, body });
        let rows = payment.rows_of(event, turn.now, &self.policy);
        for hold in rows.iter().filter_map(Row::as_hold) {
            hand_on(turn, decision, hold);
        }
        for lot in rows.iter().filter_map(Row::as_credit) {
            turn.tell_passenger(lot.passenger, PassengerInput::Credit(*lot));
        }
        decision.rows.extend(rows);
        // What the provider confirmed is an amount, so there is nothing that could not be booked.
        decision.money.extend(payment.booked(event, turn.now).into_iter().flatten());
        if let Some(top_up) = payment.top_up.filter(|_| payable && !payment.status.is_payable()) {
            let ended = PassengerInput::TopUpEnded { payment: self.id };
            turn.tell_passenger(top_up.passenger, ended);
        }
        // A ride's own payment, and what its passenger must pay: a tip is neither.
        if let Some(trip) = payment.debt.filter(|_| !payment.is_tip()).map(|debt| debt.trip) {
            let (id, status) = (self.id, payment.status);
            let version = payment.version;
            turn.tell_ride(trip.ride, RideInput::PaymentMoved { status, version });
            if payable && !status.is_payable() {
                turn.tell_passenger(trip.passenger, PassengerInput::Settled { payment: id });
            }
        }
    }

    /// Completes a decision with the current row, the deadline and the event for the passenger, and
    /// hands it over.
    fn finish(&mut self, turn: &mut Turn<'_, R>, mut decision: Decision) {
        if let Some(lapses) = self.payment.as_ref().and_then(Payment::lapse) {
            self.record(turn, &lapses, &mut decision);
        }
        if let Some(payment) = &self.payment
            && !decision.events.is_empty()
        {
            decision.rows.push(Row::Payment(payment.row()));
            decision.streams.extend(payment.news().map(|(row, _)| row));
            // Due at once: a life that follows this one goes on with what is under way.
            let timer = match payment.is_busy() {
                true => Timer::Due(payment.opened_at),
                false => Timer::Off,
            };
            decision.timer = Some(timer).filter(|timer| self.timer != Some(*timer));
            self.timer = Some(timer);
        }
        self.own_results(&mut decision);
        turn.persist(decision);
    }
}

/// Tells a driver's wallet what he has earned; should the word be lost, it wakes at the hold's end.
fn hand_on<R>(turn: &mut Turn<'_, R>, decision: &mut Decision, hold: &HoldRow) {
    let earned = Hold::of(hold.amount, hold.release_at);
    if !is(Mutant::HoldNotWoken) {
        decision.wakes.push((Entity::Wallet(hold.driver), hold.release_at));
    }
    turn.tell_wallet(hold.driver, WalletInput::Earned { earning: hold.earning, hold: earned });
}

impl<R> Machine for PaymentMachine<R> {
    type Input = PaymentInput<R>;
    type Reply = R;

    fn step(&mut self, now: UnixMillis, input: PaymentInput<R>, out: &mut Outputs<R>) {
        let turn = &mut Turn::new(now, out);
        match input {
            PaymentInput::Opened(payment) => self.opened(*payment),
            PaymentInput::Intent { ask } => {
                if let Some(ask) = self.known.replay(turn, ask) {
                    self.intent(turn, ask);
                }
            }
            PaymentInput::Read { by, reply } => self.read(turn, by, reply),
            PaymentInput::GiveBack { ask, amount, borne_by, reason } => {
                if let Some(ask) = self.known.replay(turn, ask) {
                    self.give_back(turn, ask, (amount, borne_by, reason));
                }
            }
            PaymentInput::Tip { ask, trip, amount } => {
                if let Some(ask) = self.known.replay(turn, ask) {
                    self.tip(turn, ask, (trip, amount));
                }
            }
            PaymentInput::TopUp { ask, top_up } => {
                if let Some(ask) = self.known.replay(turn, ask) {
                    self.top_up(turn, ask, top_up);
                }
            }
            PaymentInput::Credited { number, amount } => self.credited(turn, number, amount),
            PaymentInput::Waive { ask, reason } => {
                if let Some(ask) = self.known.replay(turn, ask) {
                    self.waive(turn, ask, &reason);
                }
            }
            PaymentInput::WriteOff => self.write_off(turn),
            PaymentInput::Contest { ask, opening } => {
                if let Some(ask) = self.known.replay(turn, ask) {
                    self.contest(turn, ask, opening);
                }
            }
            PaymentInput::Wallet { dispute, status } => self.wallet(turn, dispute, status),
            PaymentInput::Bank(says) => self.bank(turn, &says),
            PaymentInput::Hint { pix, .. } if is(Mutant::HintBelieved) => self.believe(turn, pix),
            PaymentInput::Hint { pix, refund } => self.hint(now, pix, refund.as_ref()),
            PaymentInput::Claimed(incoming) => self.came_in(turn, incoming),
            PaymentInput::Unclaimed(incoming) => self.unclaimed(turn, &incoming),
            PaymentInput::Seen(seen) => self.seen(turn, seen),
            PaymentInput::Alarm => {}
        }
        self.attend(turn, false);
    }

    fn settle(&mut self, _now: UnixMillis, _recording: bool, _out: &mut Outputs<R>) {}

    fn passivate_after(&self) -> Millis {
        let busy = self.payment.as_ref().is_some_and(Payment::is_busy);
        if busy || !self.waiting.is_empty() || !self.hints.is_empty() {
            PASSIVATE_BUSY
        } else {
            PASSIVATE_IDLE
        }
    }
}
