//! Positions: straight into the live index, and to the ride of a driver who is on one.
//!
//! They pass no mailbox on their way to the index, so a flood of them delays no command.

use std::collections::HashMap;

use ibora_domain::ids::{DriverId, RideId};
use ibora_domain::ride::Status;
use parking_lot::RwLock;
use prometheus::IntCounter;

use crate::obs::Metrics;

/// Locks over which drivers are spread.
const STRIPES: usize = 64;

/// How many positions were taken, looked up once: no label is looked up for a position.
pub(super) struct Counts {
    applied: IntCounter,
    stale: IntCounter,
}

impl Counts {
    pub(super) fn new(metrics: &Metrics) -> Self {
        let count = |outcome| metrics.positions.with_label_values(&[outcome]);
        Self { applied: count("applied"), stale: count("stale") }
    }

    /// Counts one; `fresh` if it told anything new.
    pub(super) fn count(&self, fresh: bool) {
        if fresh { self.applied.inc() } else { self.stale.inc() }
    }
}

/// Which driver is on which ride, as last decided.
pub(super) struct OnRide {
    stripes: Vec<RwLock<HashMap<DriverId, RideId>>>,
}

impl OnRide {
    pub(super) fn new() -> Self {
        Self { stripes: (0..STRIPES).map(|_| RwLock::default()).collect() }
    }

    fn stripe(&self, driver: DriverId) -> &RwLock<HashMap<DriverId, RideId>> {
        &self.stripes[usize::from(driver.shard().number()) % STRIPES]
    }

    /// Takes note of a ride's new row.
    pub(super) fn set(&self, driver: Option<DriverId>, ride: RideId, status: Status) {
        let Some(driver) = driver else { return };
        let mut stripe = self.stripe(driver).write();
        if status.has_driver() {
            stripe.insert(driver, ride);
        } else if stripe.get(&driver) == Some(&ride) {
            stripe.remove(&driver);
        }
    }

    /// The ride that `driver` is on.
    pub(super) fn of(&self, driver: DriverId) -> Option<RideId> {
        self.stripe(driver).read().get(&driver).copied()
    }
}
