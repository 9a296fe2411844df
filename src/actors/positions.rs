//! Positions: straight into the live index, and to the ride of a driver who is on one.
//!
//! They pass no mailbox on their way to the index, so a flood of them delays no command.

use std::collections::HashMap;

use ibora_domain::ids::{DriverId, PassengerId, RideId, Shard};
use ibora_domain::ride::Status;
use parking_lot::RwLock;
use prometheus::IntCounter;
use uuid::Uuid;

use crate::journal::InFlight;
use crate::obs::Metrics;

/// Locks over which drivers are spread.
const STRIPES: usize = 64;

/// How many positions were taken, looked up once: no label is looked up for a position.
pub(super) struct Counts {
    applied: IntCounter,
    stale: IntCounter,
    shed: IntCounter,
}

impl Counts {
    pub(super) fn new(metrics: &Metrics) -> Self {
        let count = |outcome| metrics.positions.with_label_values(&[outcome]);
        Self { applied: count("applied"), stale: count("stale"), shed: count("shed") }
    }

    /// Counts one that its driver's ride is not told of, for the journal is nearly full.
    pub(super) fn shed(&self) {
        self.shed.inc();
    }

    /// Counts one; `fresh` if it told anything new.
    pub(super) fn count(&self, fresh: bool) {
        if fresh { self.applied.inc() } else { self.stale.inc() }
    }
}

/// Who has which ride, as last decided: its driver, and its passenger.
pub(super) struct OnRide {
    stripes: Vec<RwLock<HashMap<Uuid, Had>>>,
    /// Chained rides, which their drivers do next.
    next: RwLock<HashMap<DriverId, RideId>>,
}

/// Where a ride stands, as far as it makes it somebody's.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stands {
    pub(super) status: Status,
    /// Its driver is still on another.
    pub(super) chained: bool,
}

impl Stands {
    /// Whether it is what its driver does next.
    fn is_next(self) -> bool {
        self.status.has_driver() && self.chained
    }

    /// Whether it is what its driver does now.
    fn is_driven(self) -> bool {
        self.status.has_driver() && !self.chained
    }
}

/// What is known of a person's ride. Who has no entry has no ride.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Had {
    Ride(RideId),
    /// A decision about it was lost: only the records know.
    Unsure,
}

impl OnRide {
    /// Who has which ride by the records.
    pub(super) fn new(in_flight: &InFlight) -> Self {
        let InFlight { driven, asked, next, .. } = in_flight;
        let stripes = (0..STRIPES).map(|_| RwLock::default()).collect();
        let on_ride = Self { stripes, next: RwLock::new(next.clone()) };
        let drivers = driven.iter().map(|(driver, ride)| (driver.0, *ride));
        for (person, ride) in drivers.chain(asked.iter().map(|(by, ride)| (by.0, *ride))) {
            on_ride.stripe(person).write().insert(person, Had::Ride(ride));
        }
        on_ride
    }

    fn stripe(&self, person: Uuid) -> &RwLock<HashMap<Uuid, Had>> {
        &self.stripes[usize::from(Shard::of(person).number()) % STRIPES]
    }

    /// Takes note of a ride's new state that is decided and not recorded yet: who has it is asked
    /// of the ride, which answers with the record; that somebody has it no more is said only after.
    pub(super) fn decided(
        &self,
        (driver, passenger): (Option<DriverId>, PassengerId),
        ride: RideId,
        stands: Stands,
    ) {
        if let Some(driver) = driver.filter(|_| stands.is_driven()) {
            self.note(driver.0, ride, true);
        } else if let Some(driver) = driver.filter(|_| stands.is_next()) {
            self.note_next(driver, ride, stands);
        }
        if !stands.status.is_final() {
            self.note(passenger.0, ride, true);
        }
    }

    /// Takes note of a ride's new state, which is recorded.
    pub(super) fn set(
        &self,
        (driver, passenger): (Option<DriverId>, PassengerId),
        ride: RideId,
        stands: Stands,
    ) {
        if let Some(driver) = driver {
            self.note(driver.0, ride, stands.is_driven());
            self.note_next(driver, ride, stands);
        }
        self.note(passenger.0, ride, !stands.status.is_final());
    }

    fn note_next(&self, driver: DriverId, ride: RideId, stands: Stands) {
        if stands.is_next() {
            self.next.write().insert(driver, ride);
        } else if self.next_of(driver) == Some(ride) {
            self.next.write().remove(&driver);
        }
    }

    /// The chained ride that `driver` does next.
    pub(super) fn next_of(&self, driver: DriverId) -> Option<RideId> {
        self.next.read().get(&driver).copied()
    }

    fn note(&self, person: Uuid, ride: RideId, has_it: bool) {
        let mut stripe = self.stripe(person).write();
        if has_it {
            stripe.insert(person, Had::Ride(ride));
        } else if stripe.get(&person) == Some(&Had::Ride(ride)) {
            stripe.remove(&person);
        }
    }

    /// A decision about a ride of these people was lost.
    pub(super) fn lose(&self, driver: Option<DriverId>, passenger: PassengerId) {
        for person in driver.map(|driver| driver.0).into_iter().chain([passenger.0]) {
            self.stripe(person).write().insert(person, Had::Unsure);
        }
    }

    /// The ride that `driver` is on.
    pub(super) fn of(&self, driver: DriverId) -> Option<RideId> {
        match self.had_by(driver.0)? {
            Had::Ride(ride) => Some(ride),
            Had::Unsure => None,
        }
    }

    /// What is known of a person's ride.
    pub(super) fn had_by(&self, person: Uuid) -> Option<Had> {
        self.stripe(person).read().get(&person).copied()
    }
}
