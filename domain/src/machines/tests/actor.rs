//! A machine of any kind, with what its interpreter keeps for it.

use std::collections::VecDeque;

use crate::machines::{
    DispatcherMachine, DriverInput, Driving, Envelope, Machine, Output, Outputs, PassengerInput,
    RideInput, RideMachine, Riding,
};
use crate::units::UnixMillis;

pub(super) enum Body {
    Ride(Box<RideMachine<u64>>),
    Driver(Box<Driving<u64>>),
    Passenger(Box<Riding<u64>>),
    Dispatcher(DispatcherMachine<u64>),
}

pub(super) struct Actor {
    pub(super) body: Body,
    pub(super) alarm: Option<UnixMillis>,
    pub(super) life: u32,
    pub(super) submitted: u32,
    pub(super) durable: u32,
    /// What may not leave before so many decisions are durable.
    pub(super) held: VecDeque<(u32, Output<u64>)>,
}

impl Body {
    pub(super) fn step(&mut self, now: UnixMillis, input: Envelope<u64>, out: &mut Outputs<u64>) {
        match (self, input) {
            (Self::Ride(machine), Envelope::Ride(_, input)) => machine.step(now, input, out),
            (Self::Driver(machine), Envelope::Driver(_, input)) => machine.step(now, input, out),
            (Self::Passenger(machine), Envelope::Passenger(_, input)) => {
                machine.step(now, input, out);
            }
            (Self::Dispatcher(machine), Envelope::Dispatcher(_, input)) => {
                machine.step(now, input, out);
            }
            (_, other) => unreachable!("misdelivered: {other:?}"),
        }
    }

    pub(super) fn settle(&mut self, now: UnixMillis, recording: bool, out: &mut Outputs<u64>) {
        match self {
            Self::Ride(machine) => machine.settle(now, recording, out),
            Self::Driver(machine) => machine.settle(now, recording, out),
            Self::Passenger(machine) => machine.settle(now, recording, out),
            Self::Dispatcher(machine) => machine.settle(now, recording, out),
        }
    }
}

/// Where the command in `envelope` is answered.
pub(super) fn reply_of(envelope: &Envelope<u64>) -> Option<u64> {
    match envelope {
        Envelope::Ride(_, RideInput::Request { ask, .. })
        | Envelope::Ride(_, RideInput::Accept { ask, .. })
        | Envelope::Ride(_, RideInput::Decline { ask, .. })
        | Envelope::Ride(_, RideInput::Drive { ask, .. })
        | Envelope::Ride(_, RideInput::Cancel { ask, .. })
        | Envelope::Driver(_, DriverInput::Online { ask, .. })
        | Envelope::Driver(_, DriverInput::Offline { ask })
        | Envelope::Driver(_, DriverInput::Accept { ask, .. })
        | Envelope::Passenger(_, PassengerInput::Request { ask, .. }) => Some(ask.reply),
        _ => None,
    }
}
