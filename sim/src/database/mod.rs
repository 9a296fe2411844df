//! The model of the database: the tables that the journal writes, their keys, and one call.
//!
//! Used by the simulated engines, and held to the truth by `tests/it/model.rs`, which runs the same
//! histories here and on PostgreSQL. What must hold: [`Database::write`] says and keeps what the
//! SQL function `journal_write` would, in the same order of checks; a refused one leaves no trace.

mod disputes;
mod inbox;
mod ledger;
mod money;
mod read;
mod tenure;

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;

use ibora_domain::facts::{
    Answer, AttemptsRow, Decision, DriverRow, Entity, EventRow, ResultRow, RideRow, Row, StreamRow,
    Timer, WaveRow,
};
use ibora_domain::ids::{DriverId, PassengerId, RideId, SHARDS, UserId};
use ibora_domain::journal::seal_of;
use ibora_domain::mutants::{Mutant, is};
use ibora_domain::ride::Status;
use ibora_domain::units::UnixMillis;
use uuid::Uuid;

pub use disputes::Disputes;
pub use inbox::{Inbox, NoticeRec};
pub use ledger::Ledger;
pub use money::{Money, is_of_ride};
pub use read::OpenOffer;
pub use tenure::{Fence, Took};

/// What one call wants written: the decisions of a batch, numbered.
#[derive(Debug, Clone)]
pub struct Write {
    pub id: Uuid,
    pub lane: u16,
    pub fence: Rc<Fence>,
    pub decisions: Vec<Rc<Decision>>,
    /// The `seq` of each stream row of the decisions, in their order.
    pub seqs: Vec<i64>,
    pub new_streams: Vec<(Uuid, String)>,
    /// Seals the batch instead: records its id and its seal, and nothing else.
    pub seal: bool,
}

impl Write {
    /// What makes sure that `write` can never be written.
    #[must_use]
    pub fn seal(write: &Self) -> Self {
        let (id, lane, fence) = (write.id, write.lane, Rc::clone(&write.fence));
        let (decisions, seqs, new_streams) = (Vec::new(), Vec::new(), Vec::new());
        Self { id, lane, fence, decisions, seqs, new_streams, seal: true }
    }
}

/// What a call says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wrote {
    Written,
    /// An earlier call under this id had done so.
    Already,
    /// `IB001`.
    Fenced,
    Refused {
        constraint: &'static str,
    },
}

/// An event as recorded.
#[derive(Debug, Clone)]
pub struct EventRec {
    pub row: EventRow,
    pub epoch: i64,
}

/// A stored result.
#[derive(Debug, Clone)]
pub struct ResultRec {
    pub owner: Uuid,
    pub fingerprint: i64,
    pub answer: Answer,
}

/// A key of a stored result.
pub type ResultKey = (UserId, Arc<str>);

/// Who owns a shard, and the how manieth owner that is.
#[derive(Debug, Clone, Default)]
pub struct Owner {
    pub node: Option<Arc<str>>,
    pub epoch: i64,
}

/// The tables.
#[derive(Debug)]
pub struct Database {
    pub batches: BTreeSet<Uuid>,
    pub fences: BTreeMap<(Arc<str>, u16), i64>,
    pub shards: Vec<Owner>,
    pub leases: BTreeMap<Arc<str>, tenure::LeaseRow>,
    pub events: BTreeMap<Uuid, Vec<EventRec>>,
    pub rides: BTreeMap<RideId, RideRow>,
    pub active_passengers: BTreeMap<PassengerId, RideId>,
    pub active_drivers: BTreeMap<DriverId, RideId>,
    pub chained_drivers: BTreeMap<DriverId, RideId>,
    pub waves: BTreeMap<RideId, Vec<WaveRow>>,
    pub attempts: BTreeMap<RideId, Vec<AttemptsRow>>,
    pub drivers: BTreeMap<DriverId, DriverRow>,
    pub timers: BTreeMap<Uuid, (Entity, UnixMillis)>,
    pub results: BTreeMap<ResultKey, ResultRec>,
    results_of: BTreeMap<Uuid, Vec<ResultKey>>,
    pub streams: BTreeMap<Uuid, Arc<str>>,
    pub stream_events: BTreeMap<Uuid, Vec<(i64, StreamRow)>>,
    pub ledger: Ledger,
    pub money: Money,
    pub inbox: Inbox,
}

impl Default for Database {
    fn default() -> Self {
        Self {
            batches: BTreeSet::new(),
            fences: BTreeMap::new(),
            shards: vec![Owner::default(); usize::from(SHARDS)],
            leases: BTreeMap::new(),
            events: BTreeMap::new(),
            rides: BTreeMap::new(),
            active_passengers: BTreeMap::new(),
            active_drivers: BTreeMap::new(),
            chained_drivers: BTreeMap::new(),
            waves: BTreeMap::new(),
            attempts: BTreeMap::new(),
            drivers: BTreeMap::new(),
            timers: BTreeMap::new(),
            results: BTreeMap::new(),
            results_of: BTreeMap::new(),
            streams: BTreeMap::new(),
            stream_events: BTreeMap::new(),
            ledger: Ledger::default(),
            money: Money::default(),
            inbox: Inbox::default(),
        }
    }
}

/// What a step changed, to take it back.
enum Undo {
    Batch(Uuid),
    Event(Uuid),
    Ride(RideId, Option<RideRow>),
    Wave(RideId),
    Attempts(RideId),
    Driver(DriverId, Option<DriverRow>),
    Timer(Uuid, Option<(Entity, UnixMillis)>),
    Result(ResultKey, Uuid),
    Stream(Uuid),
    StreamEvent(Uuid),
    Money(Arc<str>),
    Rows(money::MoneyUndo),
}

type Step = Result<(), &'static str>;

/// Whether the database counts this ride as its passenger's.
#[must_use]
pub const fn is_active(status: Status) -> bool {
    !status.is_final()
}

/// The column `active_driver_id`.
fn active_driver(row: &RideRow) -> Option<DriverId> {
    row.driver.filter(|_| row.status.has_driver() && !row.chained)
}

/// The column `chained_driver_id`.
fn chained_driver(row: &RideRow) -> Option<DriverId> {
    row.driver.filter(|_| row.status == Status::Accepted && row.chained)
}

/// The column `chained`: of what is accepted what its state says, unless the end of the other ride
/// was faster; of what is driven no; of all else what it was.
fn is_chained(row: &RideRow, before: Option<&RideRow>) -> bool {
    let Some(before) = before else { return false };
    let (was, new) = (before.chained, before.status != Status::Accepted);
    match row.status {
        Status::Accepted if new || was => row.chained,
        Status::Arriving | Status::Arrived | Status::Started => false,
        _ => was,
    }
}

impl Database {
    /// Calls `journal_write`: one transaction, whole or not at all.
    pub fn write(&mut self, write: &Write) -> Wrote {
        if self.batches.contains(&write.id) {
            let sealed = write.seal && self.batches.contains(&seal_of(write.id));
            return if sealed { Wrote::Written } else { Wrote::Already };
        }
        if !self.owns(write) && !is(Mutant::FenceRemoved) {
            return Wrote::Fenced;
        }
        let mut undo = vec![Undo::Batch(write.id)];
        self.batches.insert(write.id);
        if write.seal {
            self.batches.insert(seal_of(write.id));
        }
        match self.insert(write, &mut undo) {
            Ok(()) => Wrote::Written,
            Err(constraint) => {
                for step in undo.into_iter().rev() {
                    self.take_back(step);
                }
                Wrote::Refused { constraint }
            }
        }
    }

    fn owns(&self, write: &Write) -> bool {
        let fence = &write.fence;
        let incarnation = self.fences.get(&(Arc::clone(&fence.node), write.lane));
        let owned = |decision: &Rc<Decision>| {
            let shard = decision.entity.shard().number();
            let owner = &self.shards[usize::from(shard)];
            owner.epoch == fence.epoch(shard) && owner.node.as_ref() == Some(&fence.node)
        };
        incarnation == Some(&fence.incarnation) && write.decisions.iter().all(owned)
    }

    /// Statement by statement, as the function has them.
    fn insert(&mut self, write: &Write, undo: &mut Vec<Undo>) -> Step {
        let decisions = || write.decisions.iter().map(|decision| &**decision);
        for decision in decisions() {
            self.insert_events(decision, &write.fence, undo)?;
        }
        self.upsert_rides(decisions(), undo)?;
        for row in decisions().flat_map(|decision| &decision.rows) {
            if let Row::Wave(row) = row {
                self.insert_wave(row, undo)?;
            }
        }
        for row in decisions().flat_map(|decision| &decision.rows) {
            match row {
                Row::Attempts(row) => {
                    self.attempts.entry(row.ride).or_default().push(row.clone());
                    undo.push(Undo::Attempts(row.ride));
                }
                Row::Driver(row) => {
                    let before = self.drivers.insert(row.id, row.clone());
                    undo.push(Undo::Driver(row.id, before));
                }
                // Those of money come last.
                _ => {}
            }
        }
        for decision in decisions() {
            self.set_timer(decision, undo);
        }
        for result in decisions().flat_map(|decision| &decision.results) {
            self.insert_result(result, undo)?;
        }
        for (user, epoch) in &write.new_streams {
            if !self.streams.contains_key(user) {
                self.streams.insert(*user, Arc::from(epoch.as_str()));
                undo.push(Undo::Stream(*user));
            }
        }
        let rows = decisions().flat_map(|decision| &decision.streams);
        for (row, seq) in rows.zip(&write.seqs) {
            self.insert_stream_event(row, *seq, undo)?;
        }
        self.insert_money(&decisions().flat_map(|decision| &decision.money), undo)?;
        self.write_payments(&decisions(), undo)
    }

    fn insert_events(&mut self, decision: &Decision, fence: &Fence, undo: &mut Vec<Undo>) -> Step {
        let id = decision.entity.id();
        for row in &decision.events {
            let recorded = self.events.entry(id).or_default();
            if recorded.iter().rev().any(|event| event.row.seq == row.seq) {
                return Err("events_pkey");
            }
            let epoch = fence.epoch(decision.entity.shard().number());
            recorded.push(EventRec { row: row.clone(), epoch });
            undo.push(Undo::Event(id));
        }
        Ok(())
    }

    /// The last row of each ride, in the order in which the rides first come.
    fn upsert_rides<'a>(
        &mut self,
        decisions: impl Iterator<Item = &'a Decision>,
        undo: &mut Vec<Undo>,
    ) -> Step {
        let mut rows: Vec<&RideRow> = Vec::new();
        for row in decisions.flat_map(|decision| &decision.rows) {
            if let Row::Ride(row) = row {
                match rows.iter_mut().find(|earlier| earlier.id == row.id) {
                    Some(earlier) => *earlier = row,
                    None => rows.push(row),
                }
            }
        }
        let mut ended = Vec::new();
        for row in rows {
            let before = self.rides.get(&row.id).cloned();
            let chained = is_chained(row, before.as_ref());
            let row = RideRow { chained, ..row.clone() };
            self.check_indexes(&row)?;
            let drove = before.as_ref().and_then(active_driver);
            let ends = matches!(row.status, Status::Completed | Status::Canceled);
            ended.extend(drove.filter(|_| ends));
            undo.push(Undo::Ride(row.id, before));
            self.put_ride(row.id, Some(row));
        }
        for driver in ended {
            self.next_is_active(driver, undo)?;
        }
        Ok(())
    }

    /// The end of a driver's ride makes the one that is chained to it his active ride.
    fn next_is_active(&mut self, driver: DriverId, undo: &mut Vec<Undo>) -> Step {
        let next = self.chained_drivers.get(&driver).filter(|_| !is(Mutant::ChainKept));
        let Some(before) = next.and_then(|next| self.rides.get(next)).cloned() else {
            return Ok(());
        };
        let row = RideRow { chained: false, ..before.clone() };
        self.check_indexes(&row)?;
        undo.push(Undo::Ride(row.id, Some(before)));
        self.put_ride(row.id, Some(row));
        Ok(())
    }

    /// The partial unique indexes, in the order in which the database has them.
    fn check_indexes(&self, row: &RideRow) -> Step {
        let other = |held: Option<&RideId>| held.is_some_and(|ride| *ride != row.id);
        if is_active(row.status) && other(self.active_passengers.get(&row.passenger)) {
            return Err("rides_one_active_per_passenger");
        }
        if active_driver(row).is_some_and(|driver| other(self.active_drivers.get(&driver))) {
            return Err("rides_one_active_per_driver");
        }
        if chained_driver(row).is_some_and(|driver| other(self.chained_drivers.get(&driver))) {
            return Err("rides_one_chained_per_driver");
        }
        Ok(())
    }

    fn put_ride(&mut self, id: RideId, row: Option<RideRow>) {
        if let Some(before) = self.rides.remove(&id) {
            if self.active_passengers.get(&before.passenger) == Some(&id) {
                self.active_passengers.remove(&before.passenger);
            }
            if let Some(driver) = before.driver {
                for index in [&mut self.active_drivers, &mut self.chained_drivers] {
                    if index.get(&driver) == Some(&id) {
                        index.remove(&driver);
                    }
                }
            }
        }
        let Some(row) = row else { return };
        if is_active(row.status) {
            self.active_passengers.insert(row.passenger, id);
        }
        if let Some(driver) = active_driver(&row) {
            self.active_drivers.insert(driver, id);
        }
        if let Some(driver) = chained_driver(&row) {
            self.chained_drivers.insert(driver, id);
        }
        self.rides.insert(id, row);
    }

    fn insert_wave(&mut self, row: &WaveRow, undo: &mut Vec<Undo>) -> Step {
        let waves = self.waves.entry(row.ride).or_default();
        if waves.iter().any(|wave| (wave.search, wave.wave) == (row.search, row.wave)) {
            return Err("ride_offers_pkey");
        }
        waves.push(row.clone());
        undo.push(Undo::Wave(row.ride));
        Ok(())
    }

    fn set_timer(&mut self, decision: &Decision, undo: &mut Vec<Undo>) {
        let id = decision.entity.id();
        let before = match decision.timer {
            Some(Timer::Due(at)) => self.timers.insert(id, (decision.entity, at)),
            Some(Timer::Off) => self.timers.remove(&id),
            None => return,
        };
        undo.push(Undo::Timer(id, before));
    }

    fn insert_result(&mut self, result: &ResultRow, undo: &mut Vec<Undo>) -> Step {
        let key = (result.key.principal, Arc::clone(&result.key.id));
        if self.results.contains_key(&key) {
            return Err("command_results_pkey");
        }
        let rec = ResultRec {
            owner: result.owner,
            fingerprint: result.key.fingerprint,
            answer: result.answer.clone(),
        };
        self.results.insert(key.clone(), rec);
        self.results_of.entry(result.owner).or_default().push(key.clone());
        undo.push(Undo::Result(key, result.owner));
        Ok(())
    }

    fn insert_stream_event(&mut self, row: &StreamRow, seq: i64, undo: &mut Vec<Undo>) -> Step {
        let user = row.stream.user().0;
        let events = self.stream_events.entry(user).or_default();
        if events.iter().rev().any(|(known, _)| *known == seq) {
            return Err("stream_events_pkey");
        }
        events.push((seq, row.clone()));
        undo.push(Undo::StreamEvent(user));
        Ok(())
    }

    fn take_back(&mut self, step: Undo) {
        match step {
            Undo::Money(key) => self.ledger.take_back(&key),
            Undo::Rows(step) => self.money.take_back(step),
            Undo::Batch(id) => drop(self.batches.remove(&id)),
            Undo::Event(id) => pop(&mut self.events, &id),
            Undo::Ride(id, before) => self.put_ride(id, before),
            Undo::Wave(id) => pop(&mut self.waves, &id),
            Undo::Attempts(id) => pop(&mut self.attempts, &id),
            Undo::Driver(id, before) => put_back(&mut self.drivers, id, before),
            Undo::Timer(id, before) => put_back(&mut self.timers, id, before),
            Undo::Result(key, owner) => {
                self.results.remove(&key);
                pop(&mut self.results_of, &owner);
            }
            Undo::Stream(user) => drop(self.streams.remove(&user)),
            Undo::StreamEvent(user) => pop(&mut self.stream_events, &user),
        }
    }
}

fn pop<K: Ord, T>(table: &mut BTreeMap<K, Vec<T>>, key: &K) {
    if let Some(rows) = table.get_mut(key) {
        rows.pop();
    }
}

fn put_back<K: Ord, T>(table: &mut BTreeMap<K, T>, key: K, before: Option<T>) {
    match before {
        Some(row) => drop(table.insert(key, row)),
        None => drop(table.remove(&key)),
    }
}
