//! The passenger's machine: at most one active ride, reserved before it is requested.

use super::{Ask, Envelope, Known, Machine, Output, Outputs, PastCommand, RideInput, answer};
use crate::facts::{CommandKey, Decision, Entity};
use crate::ids::{PassengerId, RideId};
use crate::refusal::Refusal;
use crate::ride::Order;
use crate::units::{Millis, UnixMillis};

/// After this long without word of a request's outcome, the ride is asked.
const OUTCOME_WITHIN: Millis = Millis::from_secs(3);

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
    Ended {
        ride: RideId,
    },
    /// Asks for the passenger's active ride; answered with its id as JSON text, or `null`.
    Active {
        reply: R,
    },
    Alarm,
}

/// The actor's inside.
pub struct PassengerMachine {
    id: PassengerId,
    active: Option<RideId>,
    /// A request on its way, and since when.
    reserved: Option<(RideId, UnixMillis)>,
    known: Known,
    passivate_after: Millis,
}

impl PassengerMachine {
    /// Builds the machine of passenger `id` from what the records say.
    #[must_use]
    pub fn new(
        id: PassengerId,
        active: Option<RideId>,
        commands: Vec<PastCommand>,
        passivate_after: Millis,
    ) -> Self {
        let known = commands.into_iter().collect();
        Self { id, active, reserved: None, known, passivate_after }
    }

    fn request<R>(
        &mut self,
        now: UnixMillis,
        ask: Ask<R>,
        (ride, order): (RideId, Box<Order>),
        out: &mut Outputs<R>,
    ) {
        if self.active.is_some() || self.reserved.is_some() {
            let mut decision = Decision::new(Entity::Passenger(self.id), now);
            let refusal = Err(Refusal::ActiveRideExists);
            answer(ask, refusal, &mut self.known, &mut decision, out);
            if !decision.is_empty() {
                out.push(Output::Persist(Box::new(decision)));
            }
            return;
        }
        self.reserved = Some((ride, now));
        out.push(Output::Send(Envelope::Ride(ride, RideInput::Request { ask, order })));
        out.push(Output::Alarm(Some(now + OUTCOME_WITHIN)));
    }

    fn opened<R>(&mut self, ride: RideId, key: Option<&CommandKey>, out: &mut Outputs<R>) {
        if let Some(key) = key {
            self.known.remember(key, None);
        }
        self.reserved = None;
        self.active = Some(ride);
        out.push(Output::Alarm(None));
    }

    fn ended<R>(&mut self, ride: RideId, out: &mut Outputs<R>) {
        if self.active == Some(ride) {
            self.active = None;
        }
        if self.reserved.is_some_and(|(reserved, _)| reserved == ride) {
            self.reserved = None;
            out.push(Output::Alarm(None));
        }
    }

    fn alarm<R>(&mut self, now: UnixMillis, out: &mut Outputs<R>) {
        if let Some((ride, _)) = self.reserved {
            let question = RideInput::DoesItExist { passenger: self.id };
            out.push(Output::Send(Envelope::Ride(ride, question)));
            out.push(Output::Alarm(Some(now + OUTCOME_WITHIN)));
        }
    }
}

/// A passenger's machine answers to `R`, of which it holds none.
pub struct Riding<R>(pub PassengerMachine, pub std::marker::PhantomData<fn() -> R>);

impl<R> Machine for Riding<R> {
    type Input = PassengerInput<R>;
    type Reply = R;

    fn step(&mut self, now: UnixMillis, input: PassengerInput<R>, out: &mut Outputs<R>) {
        let machine = &mut self.0;
        match input {
            PassengerInput::Request { ask, ride, order } => {
                if let Some(ask) = machine.known.replay(ask, out) {
                    machine.request(now, ask, (ride, order), out);
                }
            }
            PassengerInput::Opened { ride, key } => machine.opened(ride, key.as_ref(), out),
            PassengerInput::Ended { ride } => machine.ended(ride, out),
            PassengerInput::Active { reply } => {
                let body = serde_json::to_string(&machine.active).unwrap_or_default();
                out.push(Output::Reply(reply, Ok(super::done(0, body))));
            }
            PassengerInput::Alarm => machine.alarm(now, out),
        }
    }

    fn settle(&mut self, _now: UnixMillis, _recording: bool, _out: &mut Outputs<R>) {}

    fn passivate_after(&self) -> Millis {
        self.0.passivate_after
    }
}
