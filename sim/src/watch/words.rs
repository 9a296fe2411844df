//! The watch's book of words: what one machine says to another comes in the order of its turns.
//!
//! An older word that comes after a newer one is believed, and little later the harm is hard to
//! see.

use std::collections::{BTreeMap, VecDeque};

use ibora_domain::facts::Entity;
use ibora_domain::machines::{DriverInput, Envelope, Output, PassengerInput, RideInput};

use super::ORDER;
use crate::people;
use crate::world::World;

/// What a life of a machine decided to say, to whom, and has not said yet.
#[derive(Default)]
pub struct Words(BTreeMap<Entity, VecDeque<&'static str>>);

impl Words {
    /// A turn ends with these outputs.
    pub fn decided<R>(&mut self, outputs: &[Output<R>]) {
        for output in outputs {
            if let Output::Send(envelope) = output {
                self.0.entry(envelope.entity()).or_default().push_back(input_name(envelope));
            }
        }
    }

    /// What was to be said now, in place of what is.
    fn next(&mut self, to: Entity) -> Option<&'static str> {
        let waiting = self.0.get_mut(&to)?;
        let next = waiting.pop_front();
        if waiting.is_empty() {
            self.0.remove(&to);
        }
        next
    }
}

impl World {
    /// A machine says something to another.
    pub fn watch_word<R>(&mut self, from: Entity, words: &mut Words, envelope: &Envelope<R>) {
        let (to, said) = (envelope.entity(), input_name(envelope));
        let next = words.next(to);
        self.watch.checks += 1;
        if next != Some(said) {
            let (from, to) = (people::name(from.id()), people::name(to.id()));
            let what = format!("{from} says `{said}` to {to}, and {next:?} was to come first");
            self.watch.check(self.now, ORDER, (false, what));
        }
    }
}

/// A message in a word, for a trace.
#[must_use]
pub fn input_name<R>(input: &Envelope<R>) -> &'static str {
    match input {
        Envelope::Ride(_, input) => match input {
            RideInput::Request { .. } => "request",
            RideInput::Accept { .. } => "accept",
            RideInput::Decline { .. } => "decline",
            RideInput::Drive { .. } => "drive",
            RideInput::Cancel { .. } => "cancel",
            RideInput::Rate { .. } => "rate",
            RideInput::Read { .. } => "read",
            RideInput::Offers { .. } => "offers",
            RideInput::OfferUnwanted { .. } => "offer unwanted",
            RideInput::SlotUnused { .. } => "slot unused",
            RideInput::Position { .. } => "position",
            RideInput::Ahead { .. } => "ahead",
            RideInput::PaymentMoved { .. } => "payment moved",
            RideInput::WhoseIsIt { .. } => "whose is it",
            RideInput::Precedes { .. } => "precedes",
            RideInput::PrecedingEnded { .. } => "preceding ended",
            RideInput::DoesItExist { .. } => "does it exist",
            RideInput::Tip { .. } => "tip",
            RideInput::Alarm => "alarm",
        },
        Envelope::Driver(_, input) => match input {
            DriverInput::Online { .. } => "online",
            DriverInput::Offline { .. } => "offline",
            DriverInput::Accept { .. } => "accept",
            DriverInput::PassOn { command, .. } => input_name(command),
            DriverInput::Claim { .. } => "claim",
            DriverInput::Unused { .. } => "unused",
            DriverInput::Slot { .. } => "slot",
            DriverInput::Offered { .. } => "offered",
            DriverInput::OfferClosed { .. } => "offer closed",
            DriverInput::Won { .. } => "won",
            DriverInput::NotWon { .. } => "not won",
            DriverInput::Ended { .. } => "ended",
            DriverInput::SessionOpened => "session opened",
            DriverInput::SessionClosed => "session closed",
            DriverInput::Seen => "seen",
            DriverInput::Profile(_) => "profile",
            DriverInput::Rated(_) => "rated",
            DriverInput::Stand { .. } => "stand",
            DriverInput::Read { .. } => "read",
            DriverInput::Alarm => "alarm",
        },
        Envelope::Passenger(_, input) => match input {
            PassengerInput::Request { .. } => "request",
            PassengerInput::Opened { .. } => "opened",
            PassengerInput::Ended { .. } => "ended",
            PassengerInput::Active { .. } => "active",
            PassengerInput::Unpriced { .. } => "unpriced",
            PassengerInput::Settled { .. } => "settled",
            PassengerInput::TopUp { .. } => "top up",
            PassengerInput::TopUpEnded { .. } => "top-up ended",
            PassengerInput::GiveCredit { .. } => "give credit",
            PassengerInput::Credit(_) => "credit",
            PassengerInput::UseCredit { .. } => "use credit",
            PassengerInput::Alarm => "alarm",
        },
        Envelope::Dispatcher(..) => "dispatch",
        Envelope::Payment(..) => "payment",
        Envelope::Wallet(..) => "wallet",
        Envelope::PayoutLine(_) => "payout line",
    }
}
