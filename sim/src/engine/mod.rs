//! An engine at work: actors, lanes, alarms and sessions of one process, as `src/` has them.
//!
//! Machines, turns, numbers, lives and lease are the domain's own types. What is written anew here
//! is what the process around them does: mailboxes, activation, death, passivation, the lanes'
//! loops. It keeps the rules of `src/actors` and `src/journal`, and leaves the rest to chance.

mod actors;
mod door;
mod effects;
mod inbox;
mod lane;
mod purse;
mod sessions;
mod turns;

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use ibora_domain::facts::{CommandKey, Entity, RideRow};
use ibora_domain::ids::{DriverId, RideId, UserId};
use ibora_domain::journal::{Lease, Numbers};
use ibora_domain::machines::{
    DispatcherMachine, DriverRecords, Driving, Envelope, Machine, Market, Outputs, PaymentMachine,
    PayoutLineMachine, RideMachine, Riding, Turns, UnderWay, WalletMachine,
};
use ibora_domain::money::Centavos;
use ibora_domain::ride::Status;
use ibora_domain::units::UnixMillis;
use uuid::Uuid;

use crate::command::Command;
use crate::database::Fence;
use crate::queue::Micros;
use crate::watch::Words;

pub use door::{Pending, Target};
pub use lane::{Append, Done, Lane, Writing};
pub use sessions::Session;

/// Lanes of decisions.
pub const LANES: usize = 2;

/// A place to answer to. Dropped without one, its asker hears `unavailable`.
#[derive(Debug)]
pub struct Reply {
    id: u64,
    dropped: Option<Rc<RefCell<Vec<u64>>>>,
}

impl Reply {
    #[must_use]
    pub fn new((id, dropped): (u64, Rc<RefCell<Vec<u64>>>)) -> Self {
        Self { id, dropped: Some(dropped) }
    }

    /// It is about to be answered.
    #[must_use]
    pub fn take(mut self) -> u64 {
        self.dropped = None;
        self.id
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        if let Some(dropped) = self.dropped.take() {
            dropped.borrow_mut().push(self.id);
        }
    }
}

/// A machine of any kind.
pub enum Body {
    Ride(Box<RideMachine<Reply>>),
    Driver(Box<Driving<Reply>>),
    Passenger(Box<Riding<Reply>>),
    Dispatcher(DispatcherMachine<Reply>),
    Payment(Box<PaymentMachine<Reply>>),
    Wallet(Box<WalletMachine<Reply>>),
    PayoutLine(Box<PayoutLineMachine<Reply>>),
}

impl Body {
    /// Lets the machine step.
    pub fn step(&mut self, now: UnixMillis, input: Envelope<Reply>, out: &mut Outputs<Reply>) {
        match (self, input) {
            (Self::Ride(machine), Envelope::Ride(_, input)) => machine.step(now, input, out),
            (Self::Driver(machine), Envelope::Driver(_, input)) => machine.step(now, input, out),
            (Self::Passenger(machine), Envelope::Passenger(_, input)) => {
                machine.step(now, input, out);
            }
            (Self::Dispatcher(machine), Envelope::Dispatcher(_, input)) => {
                machine.step(now, input, out);
            }
            (Self::Payment(machine), Envelope::Payment(_, input)) => machine.step(now, input, out),
            (Self::Wallet(machine), Envelope::Wallet(_, input)) => machine.step(now, input, out),
            (Self::PayoutLine(machine), Envelope::PayoutLine(input)) => {
                machine.step(now, input, out);
            }
            // An entity's kind is part of its name.
            (
                Self::Ride(_)
                | Self::Driver(_)
                | Self::Passenger(_)
                | Self::Dispatcher(_)
                | Self::Payment(_)
                | Self::Wallet(_)
                | Self::PayoutLine(_),
                _,
            ) => {}
        }
    }

    fn machine(&mut self) -> &mut dyn Settle {
        match self {
            Self::Ride(machine) => &mut **machine,
            Self::Driver(machine) => &mut **machine,
            Self::Passenger(machine) => &mut **machine,
            Self::Dispatcher(machine) => machine,
            Self::Payment(machine) => &mut **machine,
            Self::Wallet(machine) => &mut **machine,
            Self::PayoutLine(machine) => &mut **machine,
        }
    }

    fn idle_for(&mut self) -> u64 {
        self.machine().passivate_after()
    }
}

/// What is the same for all machines.
trait Settle {
    fn settle(&mut self, now: UnixMillis, recording: bool, out: &mut Outputs<Reply>);
    fn passivate_after(&self) -> u64;
}

impl<M: Machine<Reply = Reply>> Settle for M {
    fn settle(&mut self, now: UnixMillis, recording: bool, out: &mut Outputs<Reply>) {
        Machine::settle(self, now, recording, out);
    }

    fn passivate_after(&self) -> u64 {
        Machine::passivate_after(self).0
    }
}

/// A machine with what its process keeps for it.
pub struct Actor {
    pub body: Body,
    pub life: u64,
    turns: Turns<Reply>,
    /// What it is to say to others, for who watches.
    words: Words,
    out: Outputs<Reply>,
    mailbox: VecDeque<Envelope<Reply>>,
    /// It is told to look into its mailbox.
    awake: bool,
    /// Commits on their way, and when the word of the last one comes.
    recording: u32,
    settled_at: Micros,
    /// A commit was lost: nothing more is handed over.
    broken: bool,
    last_active: UnixMillis,
    passivate_after: u64,
    pub built_at: Micros,
}

/// An entity as the registry has it.
pub enum Entry {
    /// Being built, with what waits for it and what was read so far.
    Activating {
        life: u64,
        waiting: Vec<Envelope<Reply>>,
        read: Read,
    },
    Live(Box<Actor>),
    /// Panicked too often; nothing more is asked of it.
    Quarantined,
}

/// What the first statements of an activation read: the later ones may see more.
pub enum Read {
    Nothing,
    Driver(Box<DriverRecords>),
    Passenger(Option<RideId>),
    Wallet(Centavos, Centavos),
}

/// From what an actor is built.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Build {
    /// A new entity: there is nothing to read.
    New,
    Read,
    /// After a death: its last appends must have their outcome before anything is read.
    Again {
        after: Micros,
    },
}

/// An alarm, and the place in the order where it is looked at: not later than it rings.
#[derive(Clone, Copy)]
pub struct Alarm {
    pub place: UnixMillis,
    pub rings: Option<UnixMillis>,
}

/// What the live index knows of a driver.
#[derive(Clone, Copy)]
pub struct Place {
    pub market: Market,
    pub metres: u32,
    pub at: UnixMillis,
}

/// Where a ride stands, as far as it makes it somebody's.
#[derive(Clone, Copy)]
pub struct Stands {
    pub status: Status,
    /// Its driver is still on another.
    pub chained: bool,
}

impl Stands {
    /// Of a row.
    #[must_use]
    pub fn of(row: &RideRow) -> Self {
        Self { status: row.status, chained: row.chained }
    }

    /// Whether it is what its driver does next.
    fn is_next(self) -> bool {
        self.status.has_driver() && self.chained
    }

    fn is_driven(self) -> bool {
        self.status.has_driver() && !self.chained
    }
}

/// What is known of a person's ride.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Had {
    Ride(RideId),
    /// A decision about it was lost: only the records know.
    Unsure,
}

/// The process.
pub struct Engine {
    pub node: usize,
    pub fence: Rc<Fence>,
    pub lease: Lease,
    pub entries: BTreeMap<Entity, Entry>,
    panics: BTreeMap<Entity, u32>,
    lives: u64,
    pub alarms: BTreeMap<Entity, Alarm>,
    pub lanes: Vec<Lane>,
    pub numbers: Numbers,
    pub index: BTreeMap<DriverId, Place>,
    pub on_ride: BTreeMap<Uuid, Had>,
    /// Chained rides, which their drivers do next.
    pub next_ride: BTreeMap<DriverId, RideId>,
    /// Commands that are not answered yet, or nobody knows how.
    under_way: UnderWay,
    pub sessions: BTreeMap<u64, Session>,
    pub hub: BTreeMap<UserId, Vec<u64>>,
    openings: sessions::Openings,
    /// Calls to the provider that are out.
    carrying: BTreeMap<u64, effects::Carrying>,
    /// When it next looks at what the provider told.
    inbox_at: Option<Micros>,
    /// What was in flight is loaded.
    pub serving: bool,
    /// It stops in order: takes no new command, lets no deadline ring.
    pub closed: bool,
    pub began: Micros,
}

impl Engine {
    /// An engine that took the shards, and has read nothing yet.
    #[must_use]
    pub fn new(node: usize, fence: Fence, lease: Lease, began: Micros) -> Self {
        Self {
            node,
            fence: Rc::new(fence),
            lease,
            entries: BTreeMap::new(),
            panics: BTreeMap::new(),
            lives: 0,
            alarms: BTreeMap::new(),
            lanes: (0..LANES).map(|_| Lane::default()).collect(),
            numbers: Numbers::default(),
            index: BTreeMap::new(),
            on_ride: BTreeMap::new(),
            next_ride: BTreeMap::new(),
            under_way: UnderWay::default(),
            sessions: BTreeMap::new(),
            hub: BTreeMap::new(),
            openings: sessions::Openings::new(),
            carrying: BTreeMap::new(),
            inbox_at: None,
            serving: false,
            closed: false,
            began,
        }
    }

    fn lane_of(entity: Entity) -> usize {
        usize::from(entity.shard().number()) % LANES
    }

    fn actor(&mut self, entity: Entity) -> Option<&mut Actor> {
        match self.entries.get_mut(&entity)? {
            Entry::Live(actor) => Some(actor),
            Entry::Activating { .. } | Entry::Quarantined => None,
        }
    }

    /// Everyone who lives.
    pub fn actors(&self) -> impl Iterator<Item = (Entity, &Actor)> {
        self.entries.iter().filter_map(|(entity, entry)| match entry {
            Entry::Live(actor) => Some((*entity, &**actor)),
            Entry::Activating { .. } | Entry::Quarantined => None,
        })
    }

    /// Whether all that was decided has its outcome.
    #[must_use]
    pub fn is_flushed(&self) -> bool {
        self.lanes.iter().all(Lane::is_idle)
    }
}

/// What was asked, for whoever judges the answer.
#[derive(Debug, Clone)]
pub struct Asked {
    pub user: UserId,
    pub key: CommandKey,
    pub command: Rc<Command>,
}

impl Engine {
    /// When the machine of an entity was built, if it lives.
    #[must_use]
    pub fn built_at(&self, entity: Entity) -> Option<Micros> {
        match self.entries.get(&entity)? {
            Entry::Live(actor) => Some(actor.built_at),
            Entry::Activating { .. } | Entry::Quarantined => None,
        }
    }

    /// Whether messages wait for an entity.
    #[must_use]
    pub fn has_mail(&self, entity: Entity) -> bool {
        match self.entries.get(&entity) {
            Some(Entry::Live(actor)) => !actor.mailbox.is_empty(),
            Some(Entry::Activating { waiting, .. }) => !waiting.is_empty(),
            Some(Entry::Quarantined) | None => false,
        }
    }
}
