//! Machines: what an actor runs. `step` takes the time and an input and says what to do about it.
//!
//! The rules that every interpreter of outputs keeps, in production as in simulation:
//! 1. outputs are carried out in order;
//! 2. what leaves ([`Output::Reply`], [`Output::Repeat`], [`Output::Send`], [`Output::Push`]) waits
//!    until every decision that this machine has made is durable, those of the same turn included;
//!    memory may run ahead of disk, an answer may not;
//! 3. a decision that could not be made durable ends the machine. It is rebuilt from the records.
//!
//! `R` is a place to answer to: opaque here, a channel in production, a number in a simulation.

mod dispatcher;
mod driver;
mod passenger;
mod ride;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::hash::BuildHasherDefault;
use std::sync::Arc;

use uuid::Uuid;

use crate::category::Category;
use crate::facts::{Answer, CommandKey, Decision, Done, Entity, ResultRow, Zone};
use crate::ids::{DriverId, PassengerId, RideId, UserId};
use crate::refusal::Refusal;
use crate::units::{Millis, UnixMillis};

pub use dispatcher::{Candidate, DispatcherInput, DispatcherMachine, Seek};
pub use driver::{
    DriverInput, DriverMachine, DriverPolicy, DriverProfile, DriverRecords, Driving, OnlineAs,
};
pub use passenger::{PassengerInput, PassengerMachine, Riding};
pub use ride::{DriverCommand, ReadAs, RideInput, RideMachine, RideRecords};

/// Something that decides.
pub trait Machine {
    /// What it reacts to.
    type Input;
    /// Where it answers to.
    type Reply;

    /// Reacts to `input` at `now`.
    fn step(&mut self, now: UnixMillis, input: Self::Input, out: &mut Outputs<Self::Reply>);

    /// Called when nothing more waits in the mailbox, before the decisions of this turn are handed
    /// over. `recording`: an earlier decision of this machine is still on its way to disk. A
    /// machine may gather small facts and record them together here.
    fn settle(&mut self, now: UnixMillis, recording: bool, out: &mut Outputs<Self::Reply>);

    /// How long it may stay idle before it is dropped; it is rebuilt when next needed.
    fn passivate_after(&self) -> Millis;
}

/// What a machine wants done.
#[derive(Debug)]
pub enum Output<R> {
    /// Record this, in one transaction.
    Persist(Box<Decision>),
    /// Answer a command.
    Reply(R, Answer),
    /// Answer with the stored result of this command.
    Repeat(R, CommandKey),
    /// Tell another machine.
    Send(Envelope<R>),
    /// Show a person something that is not worth recording; the newest wins.
    Push(Ephemeral),
    /// Call again at this time, instead of any time named before; `None`: not at all.
    Alarm(Option<UnixMillis>),
    /// Change what the live index says of a driver.
    Market(DriverId, Market),
    /// Look for drivers near a place; answered by [`DispatcherInput::Found`].
    Find(Seek),
    /// Count this, for the metrics.
    Note(Note),
}

/// A happening that operators count.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Note {
    RideMoved { from: Option<&'static str>, to: &'static str, category: Category },
    RideCanceled { by: &'static str, reason: &'static str },
    RideEnded { category: Category, lasted: Millis },
    Accepted { waited: Millis },
    Attempt { outcome: &'static str },
    OffersMade { count: usize },
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
}

impl<R> Envelope<R> {
    /// To whom it goes.
    #[must_use]
    pub fn entity(&self) -> Entity {
        match self {
            Self::Ride(id, _) => Entity::Ride(*id),
            Self::Driver(id, _) => Entity::Driver(*id),
            Self::Passenger(id, _) => Entity::Passenger(*id),
            Self::Dispatcher(zone, _) => Entity::Dispatcher(*zone),
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
    pub reply: R,
}

/// A frame that is shown and forgotten.
#[derive(Debug, Clone, PartialEq)]
pub struct Ephemeral {
    pub to: UserId,
    pub op: &'static str,
    pub key: Uuid,
    /// JSON.
    pub body: Arc<str>,
}

/// What the live index shall know of a driver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Market {
    /// May be offered rides of this category.
    Available(Category),
    /// Online, but not to be offered anything now.
    Busy,
    Offline,
}

/// An offer slot that a driver's machine keeps for a ride.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slot {
    pub ride: RideId,
    pub wave: u16,
    pub until: UnixMillis,
}

/// Commands already answered, by id. What was answered is read from the records when needed.
#[derive(Debug, Default)]
pub(crate) struct Known {
    by_id: HashMap<(UserId, Arc<str>), KnownAnswer, BuildHasherDefault<KeyHasher>>,
}

#[derive(Debug, Clone, Copy)]
struct KnownAnswer {
    fingerprint: i64,
    /// A refusal needs no reading. `None`: the stored body must be read.
    refusal: Option<Refusal>,
}

/// FNV-1a: fixed, so that a replay is the same everywhere. Keys come from authenticated people.
#[derive(Debug, Clone, Copy)]
pub(crate) struct KeyHasher(u64);

impl Default for KeyHasher {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl std::hash::Hasher for KeyHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}

/// What a known command is answered with.
enum Replay {
    Refuse(Refusal),
    FromRecords,
}

impl Known {
    fn remember(&mut self, key: &CommandKey, refusal: Option<Refusal>) {
        let known = KnownAnswer { fingerprint: key.fingerprint, refusal };
        self.by_id.insert((key.principal, Arc::clone(&key.id)), known);
    }

    fn find(&self, key: Option<&CommandKey>) -> Option<Replay> {
        if self.by_id.is_empty() {
            return None;
        }
        let key = key?;
        let known = self.by_id.get(&(key.principal, Arc::clone(&key.id)))?;
        Some(match known.refusal {
            _ if known.fingerprint != key.fingerprint => {
                Replay::Refuse(Refusal::IdempotencyKeyReused)
            }
            Some(refusal) => Replay::Refuse(refusal),
            None => Replay::FromRecords,
        })
    }

    /// Answers `ask` if its command is known; gives it back if not.
    fn replay<R>(&self, ask: Ask<R>, out: &mut Outputs<R>) -> Option<Ask<R>> {
        match (self.find(ask.key.as_ref()), ask.key.clone()) {
            (Some(Replay::FromRecords), Some(key)) => out.push(Output::Repeat(ask.reply, key)),
            (Some(Replay::Refuse(refusal)), _) => {
                out.push(Output::Reply(ask.reply, Err(refusal)));
            }
            (None | Some(Replay::FromRecords), _) => return Some(ask),
        }
        None
    }
}

/// A command answered earlier, as the records hold it.
#[derive(Debug, Clone)]
pub struct PastCommand {
    pub key: CommandKey,
    pub refusal: Option<Refusal>,
}

impl FromIterator<PastCommand> for Known {
    fn from_iter<T: IntoIterator<Item = PastCommand>>(past: T) -> Self {
        let mut known = Self::default();
        for command in past {
            known.remember(&command.key, command.refusal);
        }
        known
    }
}

/// Records the answer of a command, remembers it, and says it.
fn answer<R>(
    ask: Ask<R>,
    answer: Answer,
    known: &mut Known,
    decision: &mut Decision,
    out: &mut Outputs<R>,
) {
    let stored = answer.as_ref().map_or_else(|refusal| refusal.is_result(), |_| true);
    if let Some(key) = ask.key.filter(|_| stored) {
        known.remember(&key, answer.as_ref().err().copied());
        let owner = decision.entity.id();
        decision.results.push(ResultRow { key, owner, answer: answer.clone() });
    }
    out.push(Output::Reply(ask.reply, answer));
}

/// An answer that goes well.
fn done(version: u64, body: String) -> Done {
    Done { version, body: body.into() }
}
