//! The passenger's machine: at most one active ride, reserved before it is requested, and his
//! credit, from which nobody else takes.

mod credit;
#[cfg(test)]
mod credit_tests;

use std::collections::{BTreeMap, BTreeSet};

use super::known::{Known, PastCommand, done};
use super::{Ask, Machine, Outputs, RideInput, Turn};
use crate::credit::{Credit, CreditLot, CreditPolicy, CreditUse};
use crate::facts::{CommandKey, Decision, Entity};
use crate::ids::{CreditId, PassengerId, PaymentId, RideId};
use crate::money::Centavos;
use crate::mutants::{Mutant, is};
use crate::payment::PaymentPolicy;
use crate::refusal::Refusal;
use crate::ride::Order;
use crate::units::{Millis, UnixMillis};

/// After this long without word of a request's outcome, the ride is asked.
const OUTCOME_WITHIN: Millis = Millis::from_secs(3);

/// How often an active ride is asked whether it still is: the word of its end may have been lost.
const RIDE_ASKED_EVERY: Millis = Millis::from_secs(60);

/// What a passenger's machine reacts to.
#[derive(Debug)]
pub enum PassengerInput<R> {
    /// `ride` is a new id, to be used if the request goes through.
    Request {
        ask: Ask<R>,
        ride: RideId,
        order: Box<Order>,
    },
    /// The ride is recorded.
    Opened {
        ride: RideId,
        key: Option<CommandKey>,
    },
    /// The ride is over, or was never recorded.
    Ended {
        ride: RideId,
        /// What is to be paid for it.
        owes: Option<PaymentId>,
    },
    /// A payment of his is owed no more.
    Settled {
        payment: PaymentId,
    },
    /// He puts money in, by this payment: of a command that is sent again it is the same one.
    TopUp {
        ask: Ask<R>,
        payment: PaymentId,
        amount: Centavos,
    },
    /// A top-up was paid, or cannot be paid any more.
    TopUpEnded {
        payment: PaymentId,
    },
    /// An admin gives him credit, under a new id.
    GiveCredit {
        ask: Ask<R>,
        credit: CreditId,
        amount: Centavos,
        reason: String,
    },
    /// Credit of his that is recorded.
    Credit(CreditLot),
    /// A payment of his asks how much of this his credit pays: its question of this number.
    UseCredit {
        payment: PaymentId,
        number: u16,
        upto: Centavos,
    },
    /// A request without a price, or with none any more: an earlier sending of it comes first.
    Unpriced {
        ask: Ask<R>,
        refusal: Refusal,
    },
    /// Asks for the passenger's active ride; answered with its id as JSON text, or `null`.
    Active {
        reply: R,
    },
    Alarm,
}

/// What is known of a passenger when his machine is built.
#[derive(Debug, Clone, Default)]
pub struct PassengerRecords {
    pub active: Option<RideId>,
    pub commands: Vec<PastCommand>,
    /// What he has to pay, where it can be paid.
    pub owed: Vec<PaymentId>,
    /// All of his credit, what is used up too.
    pub lots: Vec<CreditLot>,
    /// What was answered to payments that may ask again.
    pub uses: Vec<CreditUse>,
    /// What he is about to put in.
    pub top_ups: Vec<(PaymentId, Centavos)>,
}

/// The actor's inside.
pub struct PassengerMachine {
    id: PassengerId,
    /// Whether there is a provider to charge by, and what he may put in.
    charges: bool,
    limits: CreditPolicy,
    active: Option<RideId>,
    /// When the active ride was last heard of or asked.
    heard_at: Option<UnixMillis>,
    reserved: Option<Reserved>,
    /// What he has to pay before he may request another ride.
    owed: BTreeSet<PaymentId>,
    credit: Credit,
    /// Payments that are owed no more: the end of their ride may be heard after that, and again.
    settled: BTreeSet<PaymentId>,
    /// What he is about to put in.
    top_ups: BTreeMap<PaymentId, Centavos>,
    known: Known,
    passivate_after: Millis,
}

/// A request on its way.
struct Reserved {
    ride: RideId,
    since: UnixMillis,
    key: Option<CommandKey>,
}

impl PassengerMachine {
    /// Builds the machine of passenger `id` from what the records say.
    #[must_use]
    pub fn new(
        id: PassengerId,
        policy: &PaymentPolicy,
        records: PassengerRecords,
        passivate_after: Millis,
    ) -> Self {
        Self {
            id,
            charges: policy.charges,
            limits: policy.credit,
            active: records.active,
            heard_at: None,
            reserved: None,
            owed: records.owed.into_iter().collect(),
            credit: Credit::restore(records.lots, records.uses),
            settled: BTreeSet::new(),
            top_ups: records.top_ups.into_iter().collect(),
            known: records.commands.into_iter().collect(),
            passivate_after,
        }
    }

    fn request<R>(
        &mut self,
        turn: &mut Turn<'_, R>,
        ask: Ask<R>,
        ride: RideId,
        mut order: Box<Order>,
    ) {
        if let Some(refusal) = self.still_running(ask.key.as_ref()) {
            turn.reply(ask.reply, Err(refusal));
            return;
        }
        let bound = self.active.is_some() || self.reserved.is_some();
        if bound && !is(Mutant::PassengerNotReserved) {
            let mut decision = Decision::new(Entity::Passenger(self.id), turn.now);
            let refusal = Err(Refusal::ActiveRideExists);
            self.known.answer(turn, ask, refusal, &mut decision);
            turn.persist(decision);
            // Should the word of that ride's end have been lost, the next request goes through.
            self.ask_active(turn);
            return;
        }
        if !self.owed.is_empty() {
            let mut decision = Decision::new(Entity::Passenger(self.id), turn.now);
            self.known.answer(turn, ask, Err(Refusal::DebtOutstanding), &mut decision);
            turn.persist(decision);
            return;
        }
        self.reserved = Some(Reserved { ride, since: turn.now, key: ask.key.clone() });
        order.prepaid = self.credit.left() > Centavos::ZERO;
        turn.tell_ride(ride, RideInput::Request { ask, order });
    }

    fn ask_active<R>(&mut self, turn: &mut Turn<'_, R>) {
        if let Some(active) = self.active {
            self.heard_at = Some(turn.now);
            let passenger = self.id;
            turn.tell_ride(active, RideInput::DoesItExist { passenger });
        }
    }

    /// What a command is told whose first sending has no answer yet.
    fn still_running(&self, key: Option<&CommandKey>) -> Option<Refusal> {
        let key = key?;
        let running = self.reserved.as_ref()?.key.as_ref()?;
        if (running.principal, &running.id) != (key.principal, &key.id) {
            None
        } else if running.fingerprint == key.fingerprint {
            Some(Refusal::IdempotencyInProgress)
        } else {
            Some(Refusal::IdempotencyKeyReused)
        }
    }

    fn opened<R>(&mut self, turn: &mut Turn<'_, R>, ride: RideId, key: Option<CommandKey>) {
        let reserved = self.reserved.take_if(|reserved| reserved.ride == ride);
        let key = key.or(reserved.and_then(|reserved| reserved.key));
        if let Some(key) = key {
            self.known.remember(&key, None);
        }
        // The word of an earlier ride may come late; its end then follows it.
        if self.active.is_none_or(|active| active == ride) {
            self.active = Some(ride);
            self.heard_at = Some(turn.now);
        }
    }

    fn ended(&mut self, ride: RideId, owes: Option<PaymentId>) {
        self.owed.extend(owes.filter(|payment| !self.settled.contains(payment)));
        self.active.take_if(|active| *active == ride);
        self.reserved.take_if(|reserved| reserved.ride == ride);
    }

    fn is_settled(&mut self, payment: PaymentId) {
        self.owed.remove(&payment);
        self.settled.insert(payment);
    }

    fn alarm<R>(&mut self, turn: &mut Turn<'_, R>) {
        if let Some(reserved) = &mut self.reserved
            && turn.now >= reserved.since + OUTCOME_WITHIN
        {
            reserved.since = turn.now;
            let passenger = self.id;
            turn.tell_ride(reserved.ride, RideInput::DoesItExist { passenger });
        }
        let heard_at = self.heard_at.unwrap_or(turn.now);
        if turn.now >= heard_at + RIDE_ASKED_EVERY {
            self.ask_active(turn);
        }
    }

    /// Sets the alarm, as every step does at its end.
    fn watch<R>(&mut self, turn: &mut Turn<'_, R>) {
        self.heard_at = self.active.and(self.heard_at.or(Some(turn.now)));
        let outcome = self.reserved.as_ref();
        let outcome = outcome.map(|reserved| reserved.since + OUTCOME_WITHIN);
        let ride = self.heard_at.map(|at| at + RIDE_ASKED_EVERY);
        turn.alarm(outcome.into_iter().chain(ride).min());
    }

    /// What he has to pay, as far as he knows. For those who watch machines.
    #[must_use]
    pub const fn owes(&self) -> &BTreeSet<PaymentId> {
        &self.owed
    }

    /// His credit. For those who watch machines.
    #[must_use]
    pub const fn credit(&self) -> &Credit {
        &self.credit
    }

    /// The ride that he has, or is about to have. For those who watch machines.
    #[must_use]
    pub fn bound_to(&self) -> Option<RideId> {
        self.active.or(self.reserved.as_ref().map(|reserved| reserved.ride))
    }
}

/// A passenger's machine answers to `R`, of which it holds none.
pub struct Riding<R>(pub PassengerMachine, pub std::marker::PhantomData<fn() -> R>);

impl<R> Machine for Riding<R> {
    type Input = PassengerInput<R>;
    type Reply = R;

    fn step(&mut self, now: UnixMillis, input: PassengerInput<R>, out: &mut Outputs<R>) {
        let machine = &mut self.0;
        let turn = &mut Turn::new(now, out);
        match input {
            PassengerInput::Request { ask, ride, order } => {
                if let Some(ask) = machine.known.replay(turn, ask) {
                    machine.request(turn, ask, ride, order);
                }
            }
            PassengerInput::Unpriced { ask, refusal } => {
                if let Some(ask) = machine.known.replay(turn, ask) {
                    let running = machine.still_running(ask.key.as_ref());
                    turn.reply(ask.reply, Err(running.unwrap_or(refusal)));
                }
            }
            PassengerInput::Opened { ride, key } => machine.opened(turn, ride, key),
            PassengerInput::Ended { ride, owes } => machine.ended(ride, owes),
            PassengerInput::Settled { payment } => machine.is_settled(payment),
            PassengerInput::TopUp { ask, payment, amount } => {
                if let Some(ask) = machine.known.replay(turn, ask) {
                    machine.top_up(turn, ask, (payment, amount));
                }
            }
            PassengerInput::TopUpEnded { payment } => {
                machine.top_ups.remove(&payment);
            }
            PassengerInput::GiveCredit { ask, credit, amount, reason } => {
                if let Some(ask) = machine.known.replay(turn, ask) {
                    machine.give_credit(turn, ask, (credit, amount, &reason));
                }
            }
            PassengerInput::Credit(lot) => machine.credit.add(lot),
            PassengerInput::UseCredit { payment, number, upto } => {
                machine.use_credit(turn, (payment, number), upto);
            }
            PassengerInput::Active { reply } => {
                let body = serde_json::to_string(&machine.active).unwrap_or_default();
                turn.reply(reply, Ok(done(0, body)));
            }
            PassengerInput::Alarm => machine.alarm(turn),
        }
        machine.watch(turn);
    }

    fn settle(&mut self, _now: UnixMillis, _recording: bool, _out: &mut Outputs<R>) {}

    fn passivate_after(&self) -> Millis {
        self.0.passivate_after
    }
}
