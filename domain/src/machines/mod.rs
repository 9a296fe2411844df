//! Machines: what an actor runs. `step` takes the time and an input and says what to do about it.
//!
//! The rules that every interpreter of outputs keeps, in production as in simulation:
//! 1. outputs are carried out in order;
//! 2. what leaves ([`Output::Reply`], [`Output::Repeat`], [`Output::Send`], [`Output::Push`],
//!    [`Output::Rated`], [`Output::Effect`]) waits until every decision that this machine has made
//!    is durable, those of the same turn included; memory may run ahead of disk, an answer may not;
//! 3. a decision that could not be made durable ends the machine. It is rebuilt from the records.
//!
//! `R` is a place to answer to: opaque here, a channel in production, a number in a simulation.

mod dispatcher;
mod driver;
mod effect;
mod known;
mod passenger;
mod payment;
mod payout_line;
mod ride;
#[cfg(test)]
pub(crate) mod tests;
mod turns;
mod under_way;
mod wallet;

use std::fmt;
use std::sync::Arc;

use uuid::Uuid;

use crate::category::Category;
use crate::dispatch::Merits;
use crate::facts::{Answer, CommandKey, Decision, Entity, Origin, StreamId, Zone};
use crate::ids::{DriverId, PassengerId, PaymentId, RideId, UserId};
use crate::payout::Cleared;
use crate::place::Coordinates;
use crate::ride::{Rater, Stars};
use crate::units::{Millis, UnixMillis};

pub use dispatcher::{Candidate, DispatcherInput, DispatcherMachine, Seek};
pub use driver::{
    DriverInput, DriverMachine, DriverPolicy, DriverProfile, DriverRecords, Driving, Held,
    MeanRating, NotWon, OnlineAs, PixKeyStand,
};
pub use effect::{Effect, EffectEnded, PaymentEffect, PaymentSeen, RefundSeen, Said};
pub(crate) use known::KeyHasher;
pub use known::{PastCommand, UsedId};
pub use passenger::{PassengerInput, PassengerMachine, PassengerRecords, Riding};
pub use payment::{PaymentInput, PaymentMachine, PaymentRecords};
pub use payout_line::{LineInput, LinePolicy, PayoutLineMachine, Resumed};
pub use ride::{Ahead, DriverCommand, ReadAs, RideInput, RideMachine, RideRecords};
pub use turns::{Act, Leave, Lost, TurnEnd, Turns, lose};
pub use under_way::{UnderWay, Waited};
pub use wallet::{
    LineNews, Sweep, Verdict, WalletInput, WalletMachine, WalletPolicy, WalletRecords, Wanted,
    day_of, start_of_day,
};

/// Something that decides.
pub trait Machine {
    /// What it reacts to.
    type Input;
    /// Where it answers to.
    type Reply;

    /// Reacts to `input` at `now`.
    fn step(&mut self, now: UnixMillis, input: Self::Input, out: &mut Outputs<Self::Reply>);

    /// Called when nothing more waits in the mailbox, before the decisions of this turn are handed
    /// over, and once more when the last of them has become durable. `recording`: a decision of an
    /// earlier turn is still on its way to disk. A machine may gather small facts and record them
    /// together here.
    fn settle(&mut self, now: UnixMillis, recording: bool, out: &mut Outputs<Self::Reply>);

    /// How many inputs that belong to this turn may be on their way, as when a race was just won.
    /// A hint only: it may be asked for a moment's patience, or not.
    fn expected_company(&self) -> usize {
        0
    }

    /// How long it may stay idle before it is dropped; it is rebuilt when next needed.
    fn passivate_after(&self) -> Millis;
}

/// What a machine wants done.
#[derive(Debug)]
pub enum Output<R> {
    /// Record this, in one transaction.
    Persist(Box<Decision>),
    /// Answer a command. The key: a decision of this turn holds the answer as its result.
    Reply(R, Answer, Option<CommandKey>),
    /// Answer with the stored result of this command.
    Repeat(R, CommandKey),
    /// Tell another machine.
    Send(Envelope<R>),
    /// Show a person something that is not worth recording; the newest wins.
    Push(Ephemeral),
    /// This person was rated: what is known of his mean is old.
    Rated(StreamId),
    /// Call the payment provider. What comes of it is told by [`EffectEnded`]; it may be lost, so
    /// whoever needs it asks again.
    Effect(Effect),
    /// Call again at this time, instead of any time named before; `None`: not at all.
    Alarm(Option<UnixMillis>),
    /// Change what the live index says of a driver.
    Market(DriverId, Market),
    /// Look for drivers near a place; answered by [`DispatcherInput::Found`].
    Find(Seek),
    /// Say how long a way takes; answered by [`RideInput::Ahead`], or not at all under load.
    Route(Ahead),
    /// Count this, for the metrics.
    Note(Note),
}

/// A happening that operators count.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Note {
    RideMoved {
        from: Option<&'static str>,
        to: &'static str,
        category: Category,
    },
    RideCanceled {
        by: &'static str,
        reason: &'static str,
    },
    /// `drive`: where it began and ended, where it had no stops between.
    RideEnded {
        category: Category,
        lasted: Millis,
        drive: Option<(Coordinates, Coordinates)>,
    },
    Accepted {
        waited: Millis,
    },
    Attempt {
        outcome: &'static str,
    },
    OffersMade {
        count: usize,
    },
    /// A dispatch policy said what cannot be carried out.
    PlanRefused,
    /// Something happened to a payout.
    Payout {
        event: &'static str,
    },
    /// Something happened to what stands against a driver's share.
    Dispute {
        event: &'static str,
    },
    /// Payouts wait for something.
    PayoutsWait {
        why: Cleared,
    },
    /// The provider says of a payout what cannot be: people have to look.
    PayoutOdd,
    Rated {
        by: Rater,
        stars: Stars,
    },
}

/// The outputs of a turn.
pub type Outputs<R> = Vec<Output<R>>;

/// A message for a machine.
#[derive(Debug)]
pub enum Envelope<R> {
    Ride(RideId, RideInput<R>),
    Driver(DriverId, DriverInput<R>),
    Passenger(PassengerId, PassengerInput<R>),
    Dispatcher(Zone, DispatcherInput),
    Wallet(DriverId, WalletInput<R>),
    PayoutLine(LineInput),
    Payment(PaymentId, PaymentInput<R>),
}

impl<R> From<EffectEnded> for Envelope<R> {
    fn from(ended: EffectEnded) -> Self {
        match ended {
            EffectEnded::Payout(call, heard) => Self::PayoutLine(LineInput::Heard { call, heard }),
            EffectEnded::Payment(id, seen) => Self::Payment(id, PaymentInput::Seen(seen)),
        }
    }
}

impl<R> Envelope<R> {
    /// Whether this opens an entity that cannot have records.
    #[must_use]
    pub const fn opens(&self) -> bool {
        matches!(
            self,
            Self::Ride(_, RideInput::Request { .. })
                | Self::Dispatcher(..)
                | Self::Payment(_, PaymentInput::Opened(_))
        )
    }

    /// Whether this is only news: an actor that is built later reads it.
    #[must_use]
    pub const fn is_news(&self) -> bool {
        matches!(
            self,
            Self::Ride(_, RideInput::PaymentMoved { .. })
                | Self::Passenger(
                    _,
                    PassengerInput::Settled { .. }
                        | PassengerInput::TopUpEnded { .. }
                        | PassengerInput::Credit(_)
                )
        )
    }

    /// To whom it goes.
    #[must_use]
    pub fn entity(&self) -> Entity {
        match self {
            Self::Ride(id, _) => Entity::Ride(*id),
            Self::Driver(id, _) => Entity::Driver(*id),
            Self::Passenger(id, _) => Entity::Passenger(*id),
            Self::Dispatcher(zone, _) => Entity::Dispatcher(*zone),
            Self::Wallet(id, _) => Entity::Wallet(*id),
            Self::PayoutLine(_) => Entity::PayoutLine,
            Self::Payment(id, _) => Entity::Payment(*id),
        }
    }

    /// The way of a command of `driver` that somebody else decides: past his own machine, which
    /// knows what he has used its id for.
    #[must_use]
    pub fn past(self, driver: DriverId, key: Option<CommandKey>) -> Self {
        match (self, key) {
            (command @ Self::Driver(..), _) | (command, None) => command,
            (command, Some(key)) => {
                Self::Driver(driver, DriverInput::PassOn { key, command: Box::new(command) })
            }
        }
    }

    /// Who waits for an answer to it.
    #[must_use]
    pub fn into_reply(self) -> Option<R> {
        match self {
            Self::Ride(_, input) => match input {
                RideInput::Request { ask, .. }
                | RideInput::Accept { ask, .. }
                | RideInput::Drive { ask, .. }
                | RideInput::Cancel { ask, .. }
                | RideInput::Rate { ask, .. }
                | RideInput::Tip { ask, .. }
                | RideInput::Decline { ask, .. } => Some(ask.reply),
                RideInput::Read { reply, .. } => Some(reply),
                _ => None,
            },
            Self::Driver(_, input) => match input {
                DriverInput::Accept { ask, .. }
                | DriverInput::Online { ask, .. }
                | DriverInput::Offline { ask } => Some(ask.reply),
                DriverInput::PassOn { command, .. } => command.into_reply(),
                DriverInput::Claim { reply, .. }
                | DriverInput::Read { reply }
                | DriverInput::Stand { reply } => Some(reply),
                _ => None,
            },
            Self::Passenger(_, input) => match input {
                PassengerInput::Request { ask, .. }
                | PassengerInput::TopUp { ask, .. }
                | PassengerInput::GiveCredit { ask, .. }
                | PassengerInput::Unpriced { ask, .. } => Some(ask.reply),
                PassengerInput::Active { reply } => Some(reply),
                _ => None,
            },
            Self::Payment(_, input) => match input {
                PaymentInput::Intent { ask }
                | PaymentInput::Tip { ask, .. }
                | PaymentInput::TopUp { ask, .. }
                | PaymentInput::Waive { ask, .. }
                | PaymentInput::Contest { ask, .. }
                | PaymentInput::GiveBack { ask, .. } => Some(ask.reply),
                PaymentInput::Read { reply, .. } => Some(reply),
                _ => None,
            },
            Self::Wallet(_, input) => match input {
                WalletInput::Payout { ask, .. }
                | WalletInput::Review { ask, .. }
                | WalletInput::Evidence { ask, .. }
                | WalletInput::Rule { ask, .. } => Some(ask.reply),
                _ => None,
            },
            Self::Dispatcher(..) | Self::PayoutLine(_) => None,
        }
    }
}

/// A command's sender, id and place to answer to.
#[derive(Debug)]
pub struct Ask<R> {
    pub by: UserId,
    /// `None`: each sending is a new command, and its answer is not stored.
    pub key: Option<CommandKey>,
    /// The version that the sender thinks the entity has.
    pub if_version: Option<u64>,
    /// From where, for what the audit trail keeps.
    pub origin: Option<Arc<Origin>>,
    pub reply: R,
}

/// A frame that is shown and forgotten.
#[derive(Clone, PartialEq)]
pub struct Ephemeral {
    pub to: UserId,
    pub op: &'static str,
    pub key: Uuid,
    /// JSON.
    pub body: Arc<str>,
}

impl fmt::Debug for Ephemeral {
    /// Without the body: it may say where a person is.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ephemeral({} of {} to {})", self.op, self.key, self.to)
    }
}

/// What the live index shall know of a driver.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Market {
    /// May be offered rides of this category.
    Available(Category, Standing),
    /// On his way to this drop-off; near it, he may be offered his next ride.
    Finishing(Category, Coordinates, Standing),
    /// Online, but not to be offered anything now.
    Busy,
    Offline,
}

/// What speaks for a driver whom rides are offered to, beside where he is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Standing {
    /// Since when he has had no ride; none while he has one.
    pub free_since: Option<UnixMillis>,
    /// Share of his late offers that he wanted, 0 to 1.
    pub acceptance: f32,
    /// Stars, 1 to 5.
    pub rating: f32,
}

impl Standing {
    /// As a policy weighs it at `now`. How many cars are around him is not known here.
    #[must_use]
    pub fn merits(&self, now: UnixMillis) -> Merits {
        let idle = self.free_since.map_or(Millis(0), |since| now.since(since));
        Merits { acceptance: self.acceptance, rating: self.rating, idle, spare: 0.0 }
    }
}

/// Which wave of which search of a ride; each search numbers its waves from 1. In their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct WaveId {
    pub search: u8,
    pub wave: u16,
}

impl WaveId {
    /// Of an offer whose wave is not known any more.
    pub const UNKNOWN: Self = Self { search: 0, wave: 0 };
    /// After all others.
    pub const LAST: Self = Self { search: u8::MAX, wave: u16::MAX };

    /// Whether `other` is this one, as far as is known.
    #[must_use]
    pub fn may_be(self, other: Self) -> bool {
        self == other || self == Self::UNKNOWN || other == Self::UNKNOWN
    }
}

/// An offer slot that a driver's machine keeps for a ride.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slot {
    pub ride: RideId,
    /// For which of its waves.
    pub of: WaveId,
    pub until: UnixMillis,
}

/// The step that a machine is making: what time it is, and what it wants done so far.
pub(crate) struct Turn<'a, R> {
    now: UnixMillis,
    out: &'a mut Outputs<R>,
}

impl<'a, R> Turn<'a, R> {
    fn new(now: UnixMillis, out: &'a mut Outputs<R>) -> Self {
        Self { now, out }
    }

    fn reply(&mut self, to: R, answer: Answer) {
        self.out.push(Output::Reply(to, answer, None));
    }

    fn tell_ride(&mut self, id: RideId, input: RideInput<R>) {
        self.out.push(Output::Send(Envelope::Ride(id, input)));
    }

    fn tell_driver(&mut self, id: DriverId, input: DriverInput<R>) {
        self.out.push(Output::Send(Envelope::Driver(id, input)));
    }

    fn tell_passenger(&mut self, id: PassengerId, input: PassengerInput<R>) {
        self.out.push(Output::Send(Envelope::Passenger(id, input)));
    }

    fn tell_wallet(&mut self, id: DriverId, input: WalletInput<R>) {
        self.out.push(Output::Send(Envelope::Wallet(id, input)));
    }

    fn tell_line(&mut self, input: LineInput) {
        self.out.push(Output::Send(Envelope::PayoutLine(input)));
    }

    fn tell_payment(&mut self, id: PaymentId, input: PaymentInput<R>) {
        self.out.push(Output::Send(Envelope::Payment(id, input)));
    }

    fn effect(&mut self, effect: Effect) {
        self.out.push(Output::Effect(effect));
    }

    fn tell_dispatcher(&mut self, zone: Zone, input: DispatcherInput) {
        self.out.push(Output::Send(Envelope::Dispatcher(zone, input)));
    }

    /// Records `decision`, unless it says nothing.
    fn persist(&mut self, decision: Decision) {
        if !decision.is_empty() {
            self.out.push(Output::Persist(Box::new(decision)));
        }
    }

    fn alarm(&mut self, at: Option<UnixMillis>) {
        self.out.push(Output::Alarm(at));
    }

    fn note(&mut self, note: Note) {
        self.out.push(Output::Note(note));
    }
}
