//! What must hold after every step. The watch sees what really was committed, told and taken, and
//! keeps books of its own: it believes neither a machine nor the model of the database.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;

use ibora_domain::facts::{Answer, Decision, Entity, Row, Timer};
use ibora_domain::ids::{DriverId, OfferId, PassengerId, RideId, UserId};
use ibora_domain::invariants::{
    ACK_1, FENCE_1, Invariant, RESULT_1, RIDE_1, RIDE_2, RIDE_3, RIDE_4, RIDE_7, STREAM_1, TIMER_1,
};
use ibora_domain::journal::CommitError;
use ibora_domain::refusal::Refusal;
use ibora_domain::ride::{Ride, Status};
use ibora_domain::units::{Millis, UnixMillis};
use uuid::Uuid;

use crate::command::{Command, Snapshot};
use crate::database::{Write, Wrote};
use crate::engine::{Asked, Engine};
use crate::faults::Kind;
use crate::node::SIMULATED;
use crate::people;
use crate::queue::{Micros, SECOND};
use crate::world::World;

mod court;
mod money;
mod rest;
mod rides;
mod words;

pub use rest::unrest_of_money;
pub use words::{Words, input_name};

/// A machine built this lately may not have known of what is under way for its person: only then
/// may the database's own indexes be needed.
const NEWLY_BUILT: Micros = 60 * SECOND;

/// Promises that are not the database's to prove.
pub const LEASE: &str = "LEASE";
pub const LIVENESS: &str = "LIVENESS";
pub const SESSION: &str = "SESSION";
pub const ORDER: &str = "ORDER";
pub const ZONE: &str = "ZONE";

/// A promise that did not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    pub promise: &'static str,
    pub what: String,
    pub at: Micros,
}

/// The books.
#[derive(Default)]
pub struct Watch {
    pub checks: u64,
    pub broken: Option<Violation>,
    pub faults: BTreeMap<&'static str, u64>,
    rides: BTreeMap<RideId, Ride>,
    /// Offers that may be accepted, by what was said of them and not by what a ride makes of it.
    offers: BTreeMap<RideId, BTreeMap<DriverId, OfferId>>,
    active_drivers: BTreeMap<DriverId, RideId>,
    chained_drivers: BTreeMap<DriverId, RideId>,
    active_passengers: BTreeMap<PassengerId, RideId>,
    /// Who was ever assigned what.
    assigned: BTreeSet<(DriverId, RideId)>,
    intents: BTreeMap<(PassengerId, String), RideId>,
    epochs: BTreeMap<Uuid, i64>,
    seqs: BTreeMap<Uuid, i64>,
    /// Keys under which something was recorded, and those of which somebody was told to ask again.
    results: BTreeSet<(UserId, Arc<str>)>,
    in_doubt: BTreeSet<(UserId, Arc<str>)>,
    said: BTreeMap<(UserId, Arc<str>), (i64, Answer)>,
    money: money::MoneyBooks,
    /// What no callback told.
    pub missed: u64,
}

impl Watch {
    /// How many rides there were.
    #[must_use]
    pub fn rides(&self) -> usize {
        self.rides.len()
    }

    /// What was committed of a ride.
    #[must_use]
    pub fn ride(&self, id: RideId) -> Option<&Ride> {
        self.rides.get(&id)
    }

    /// Rides that have not ended.
    pub fn open_rides(&self) -> impl Iterator<Item = &Ride> {
        self.rides.values().filter(|ride| !ride.status.is_final())
    }

    /// Counts a fault.
    pub fn count(&mut self, fault: &'static str) {
        *self.faults.entry(fault).or_default() += 1;
    }

    /// Notes that a promise is broken, the first time.
    pub fn check(&mut self, now: Micros, promise: &'static str, (holds, what): (bool, String)) {
        if !holds && self.broken.is_none() {
            self.broken = Some(Violation { promise, what, at: now });
        }
    }

    fn holds(&mut self, invariant: Invariant, holds: bool, what: impl FnOnce() -> String) {
        self.checks += 1;
        if !holds && self.broken.is_none() {
            let promise = invariant.id();
            self.broken = Some(Violation { promise, what: what(), at: 0 });
        }
    }

    /// A batch in a few words, for a trace.
    #[must_use]
    pub fn describe(&self, write: &Write) -> String {
        let seal = if write.seal { " sealed" } else { "" };
        let mut text = format!("batch {}{seal}:", write.id.as_u128());
        for decision in &write.decisions {
            let events: Vec<_> = decision.events.iter().map(|event| event.kind).collect();
            let others = [
                ("attempts", decision.rows.iter().any(|row| matches!(row, Row::Attempts(_)))),
                ("results", !decision.results.is_empty()),
                ("streams", !decision.streams.is_empty()),
            ];
            let others = others.iter().filter(|(_, is)| *is).map(|(name, _)| *name);
            let what: Vec<_> = events.into_iter().chain(others).collect();
            let who = people::name(decision.entity.id());
            write!(text, " {who}[{}]", what.join(" ")).ok();
        }
        text
    }

    fn streams_have_no_gap(&mut self, write: &Write) {
        let rows = write.decisions.iter().flat_map(|decision| &decision.streams);
        for (row, seq) in rows.zip(&write.seqs) {
            let user = row.stream.user().0;
            let last = self.seqs.insert(user, *seq).unwrap_or(0);
            self.holds(STREAM_1, *seq == last + 1, || {
                format!("{} has {last}, then {seq}", people::name(user))
            });
        }
    }

    fn results_are_one_a_key(&mut self, decision: &Decision) {
        let results = decision.results.iter().map(|result| &result.key);
        let attempts = decision.rows.iter().filter_map(|row| match row {
            Row::Attempts(row) => Some(row.attempts.iter()),
            _ => None,
        });
        let attempts = attempts.flatten().filter_map(|attempt| attempt.command.as_ref());
        for key in results.chain(attempts) {
            let new = self.results.insert((key.principal, Arc::clone(&key.id)));
            self.holds(RESULT_1, new, || {
                format!("{} {} has two results", people::name(key.principal.0), key.id)
            });
        }
    }

    fn epochs_never_decrease(&mut self, decision: &Decision, epoch: i64) {
        let id = decision.entity.id();
        let before = self.epochs.insert(id, epoch).unwrap_or(0);
        self.holds(FENCE_1, epoch >= before, || {
            format!("{} is written under {epoch} after {before}", people::name(id))
        });
    }
}

impl World {
    /// A batch was, or was not, committed.
    pub fn watch_write(&mut self, write: &Write, said: &Wrote) {
        if *said != Wrote::Written {
            return;
        }
        let now = self.now;
        for decision in &write.decisions {
            let shard = decision.entity.shard().number();
            let (epoch, owned) =
                (write.fence.epoch(shard), self.db.shards[usize::from(shard)].epoch);
            self.watch.holds(FENCE_1, epoch == owned, || {
                format!("a commit under {epoch} in a shard of {owned}")
            });
            self.watch.epochs_never_decrease(decision, epoch);
            self.watch.results_are_one_a_key(decision);
            self.watch.ride_decided(decision);
            self.watch_timer(decision);
            self.watch_chain(decision);
            self.watch_zone(decision);
        }
        self.watch.streams_have_no_gap(write);
        self.watch_offers(write);
        self.watch_money(write);
        if let Some(broken) = self.watch.broken.as_mut().filter(|broken| broken.at == 0) {
            broken.at = now;
        }
    }

    /// A ride that searches has a deadline on disk, one that ended has none. A batch may hold a
    /// later decision, so what is looked at is what the batch left behind.
    fn watch_timer(&mut self, decision: &Decision) {
        let Entity::Ride(id) = decision.entity else { return };
        let Some(row) = self.db.rides.get(&id) else { return };
        let (status, timer) = (row.status, self.db.timers.get(&id.0).copied());
        let holds = match status {
            Status::Searching => timer.is_some(),
            status => !status.is_final() || timer.is_none(),
        };
        let said = decision.timer.unwrap_or(Timer::Off);
        self.watch.holds(TIMER_1, holds, || {
            format!("{} is {status:?} with {timer:?}, last {said:?}", people::name(id.0))
        });
    }

    /// The commit that ends a driver's ride makes the one that is chained to it his active one.
    fn watch_chain(&mut self, decision: &Decision) {
        let Entity::Ride(id) = decision.entity else { return };
        let ends = decision.events.iter().any(|row| matches!(row.kind, "completed" | "canceled"));
        let ride = self.watch.rides.get(&id).filter(|ride| ends && ride.started_at.is_some());
        let driver = ride.and_then(Ride::driver_id);
        let next = driver.and_then(|driver| self.db.chained_drivers.get(&driver).copied());
        let waits = next.is_some_and(|next| next != id);
        self.watch.holds(RIDE_7, !waits, || {
            format!("{} ended, and {next:?} is chained still", people::name(id.0))
        });
    }

    /// A driver has at most three open offers, unless his machine is new.
    fn watch_offers(&mut self, write: &Write) {
        let rows = write.decisions.iter().flat_map(|decision| &decision.rows);
        let drivers: BTreeSet<DriverId> = rows
            .filter_map(|row| match row {
                Row::Wave(row) => Some(row.offers.iter().map(|offer| offer.driver)),
                _ => None,
            })
            .flatten()
            .collect();
        let offer_ttl = self.rides.offer_ttl;
        for driver in drivers {
            let open = self.watch.open_rides().filter_map(|ride| ride.open_offer_to(driver));
            let ends: Vec<UnixMillis> = open.map(|offer| offer.expires_at).collect();
            // By the moments at which they were made: a write may come long after that of a later
            // one. One whose time is over, and whose end is not recorded yet, takes no slot.
            let at_once = |at: UnixMillis| {
                let lasts = |end: UnixMillis| self.rides.accepts_until(end) >= at;
                ends.iter().filter(|end| **end - offer_ttl <= at && lasts(**end)).count()
            };
            let count = ends.iter().map(|end| at_once(*end - offer_ttl)).max().unwrap_or(0);
            let many = count > self.drivers.offers_max;
            // By clocks that disagree, what is over for one is not for the other.
            let skewed = self.plan.iter().any(|fault| fault.kind == Kind::Skew);
            if many && !skewed && !self.is_newly_built(Entity::Driver(driver)) {
                self.watch.holds(RIDE_2, false, || {
                    format!("{} has {count} open offers", people::name(driver.0))
                });
            }
        }
    }

    fn is_newly_built(&self, entity: Entity) -> bool {
        let engines = self.nodes.iter().filter_map(|node| node.engine.as_ref());
        // An engine that was replaced may still have an old one.
        let built = engines.filter_map(|engine| engine.built_at(entity)).max();
        built.is_none_or(|built| self.now.saturating_sub(built) < NEWLY_BUILT)
    }

    /// A decision was refused: only where its person's machine could not know is an index needed,
    /// and the keys of events and streams never are.
    pub fn watch_refused(
        &mut self,
        engine: &Engine,
        decision: Option<&Decision>,
        error: &CommitError,
    ) {
        let (Some(decision), Some(constraint)) = (decision, error.constraint()) else { return };
        let row = decision.rows.iter().rev().find_map(|row| match row {
            Row::Ride(row) => Some(row),
            _ => None,
        });
        let (invariant, person) = match (constraint, row) {
            ("rides_one_active_per_driver" | "rides_one_chained_per_driver", Some(row)) => {
                (RIDE_2, row.driver.map(Entity::Driver))
            }
            ("rides_one_active_per_passenger", Some(row)) => {
                (RIDE_3, Some(Entity::Passenger(row.passenger)))
            }
            ("command_results_pkey" | SIMULATED, _) => return,
            ("stream_events_pkey", _) => (STREAM_1, None),
            _ => (RIDE_4, None),
        };
        let new = person.is_some_and(|person| {
            let built = engine.built_at(person);
            built.is_none_or(|built| self.now.saturating_sub(built) < NEWLY_BUILT)
        });
        let what = || {
            let who = people::name(decision.entity.id());
            format!("{who}: {constraint} was needed, and nobody is new")
        };
        self.watch.holds(invariant, new, what);
        self.date();
    }

    fn date(&mut self) {
        let now = self.now;
        if let Some(broken) = self.watch.broken.as_mut().filter(|broken| broken.at == 0) {
            broken.at = now;
        }
    }

    /// An answer leaves: it rests on what is recorded, and is what it was before.
    pub fn watch_answer(&mut self, asked: &Asked, answer: &Answer) {
        let key = &asked.key;
        let id = (asked.user, Arc::clone(&key.id));
        match answer {
            Err(Refusal::Unavailable | Refusal::Overloaded | Refusal::NotOwner) => {
                self.watch.in_doubt.insert(id);
                return;
            }
            Err(Refusal::IdempotencyKeyReused) => {
                let used = self.watch.results.contains(&id) || self.watch.in_doubt.contains(&id);
                self.watch.holds(RESULT_1, used, || {
                    format!("{} {} is of no command", people::name(asked.user.0), key.id)
                });
                return self.date();
            }
            Err(refusal) if !refusal.is_result() => {
                let told = self.watch.said.get(&id);
                let told = told.is_some_and(|(first, _)| *first == key.fingerprint);
                self.watch.holds(RESULT_1, !told || !refusal.is_of_nothing(), || {
                    let (who, what) = (people::name(asked.user.0), asked.command.name());
                    format!("{who} {} {what}: of nothing, and before it was answered", key.id)
                });
                return self.date();
            }
            Ok(_) | Err(_) => {}
        }
        let recorded = match (self.db.result(key), &*asked.command, answer) {
            (Some(result), _, _) => result.answer == *answer,
            (None, Command::Accept { ride, .. }, Err(refusal)) => {
                self.db.refused_attempt(*ride, key) == Some(*refusal)
            }
            (None, _, _) => false,
        };
        let who = || {
            let said = answer.as_ref().map_or_else(|refusal| refusal.code(), |_| "ok");
            format!("{} {} {}: {said}", people::name(asked.user.0), key.id, asked.command.name())
        };
        self.watch.holds(ACK_1, recorded, || format!("{} is not recorded", who()));
        if let (Command::Request { intent, .. }, Err(_)) = (&*asked.command, answer) {
            let wish = (PassengerId::from(asked.user), intent.to_string());
            let granted = self.watch.intents.get(&wish).copied();
            self.watch.holds(RIDE_3, granted.is_none(), || {
                format!("{}, and {granted:?} is what was wished", who())
            });
        }
        if let (Command::Accept { ride, .. }, Ok(_)) = (&*asked.command, answer) {
            let his = self.watch.assigned.contains(&(asked.user.into(), *ride));
            self.watch.holds(RIDE_1, his, || format!("{}, and it is not his", who()));
        }
        let earlier = self.watch.said.entry(id);
        let (fingerprint, first) =
            earlier.or_insert_with(|| (key.fingerprint, answer.clone())).clone();
        let same = fingerprint == key.fingerprint && first == *answer;
        self.watch.holds(RESULT_1, same, || format!("{}, and before {first:?}", who()));
        self.date();
    }

    /// A snapshot tells of all events up to where it says its person's stream was.
    pub fn watch_snapshot(&mut self, user: UserId, seq: u64, snapshot: &Snapshot) {
        let Some(row) = self.db.last_told(user.0, seq, "ride.updated") else { return };
        let (ride, version) = (RideId(row.key), row.version);
        let mut shown = snapshot.ride.into_iter().chain(snapshot.next);
        let holds = match shown.find(|seen| seen.ride == ride) {
            Some(seen) => seen.version >= version,
            // It has another ride, or none: this one ended, or is not his any more.
            None => self.watch.rides.get(&ride).is_none_or(|ride| {
                let his = !people::is_driver(user) || ride.is_driven_by(user.into());
                ride.status.is_final() || !his
            }),
        };
        let (now, who) = (self.now, people::name(user.0));
        self.watch.checks += 1;
        let what =
            format!("{who}'s snapshot at {seq} is older than {} {version}", people::name(ride.0));
        self.watch.check(now, SESSION, (holds, what));
    }

    /// Those who may act are one at most.
    pub fn watch_standings(&mut self) {
        let now = self.steady();
        self.watch.checks += 1;
        let mut acting = self.nodes.iter().filter(|node| node.acts(now));
        if let (Some(one), Some(other)) = (acting.next(), acting.next()) {
            let what = format!("{} and {} act at once", one.name, other.name);
            let now = self.now;
            self.watch.check(now, LEASE, (false, what));
        }
    }

    /// Shards may have changed hands: their epochs have not gone down.
    pub fn watch_take(&mut self, before: i64) {
        let after = self.db.shards.first().map_or(0, |owner| owner.epoch);
        self.watch.holds(FENCE_1, after >= before, || format!("epoch {after} after {before}"));
        self.date();
    }

    /// What is armed at a start rings when its row says.
    pub fn watch_rearmed(&mut self, engine: &Engine) {
        let timers: Vec<_> = self.db.timers.values().copied().collect();
        for (entity, due) in timers {
            let rings = engine.alarms.get(&entity).and_then(|alarm| alarm.rings);
            self.watch.holds(TIMER_1, rings.is_some_and(|rings| rings <= due), || {
                format!("{} is due at {due} and rings {rings:?}", people::name(entity.id()))
            });
        }
        for (driver, ends) in self.db.next_releases() {
            let alarm = engine.alarms.get(&Entity::Wallet(driver));
            let rings = alarm.and_then(|alarm| alarm.rings);
            self.watch.holds(TIMER_1, rings.is_some_and(|rings| rings <= ends), || {
                format!("a hold of {} ends at {ends}, {rings:?} rings", people::name(driver.0))
            });
        }
        self.date();
    }

    /// A ride that searches is looked at again, not later than is due.
    pub fn watch_turn(&mut self, engine: &Engine, entity: Entity) {
        let Some(machine) = engine.ride_machine(entity) else { return };
        let ride = machine.ride().filter(|ride| ride.status == Status::Searching);
        let due = ride.and_then(|ride| ride.deadline(&self.rides));
        // An alarm that has rung may wait in the mailbox.
        let Some(due) = due.filter(|_| !engine.has_mail(entity)) else { return };
        // A ride asks for a wave again after 2 s, by a clock that may have been set back since.
        let skewed = self.plan.iter().any(|fault| fault.kind == Kind::Skew);
        let slack = Millis(if skewed { 10_000 } else { 2000 });
        let latest = due.max(self.clock(engine.node)) + slack;
        let rings = engine.alarms.get(&entity).and_then(|alarm| alarm.rings);
        self.watch.holds(TIMER_1, rings.is_some_and(|rings| rings <= latest), || {
            format!("{} is due at {due} and rings {rings:?}", people::name(entity.id()))
        });
        self.date();
    }
}
