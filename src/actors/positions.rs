//! Positions: straight into the live index, and to the ride of a driver who is on one.
//!
//! They pass no mailbox on their way to the index, so a flood of them delays no command.

use std::collections::HashMap;

use ibora_domain::ids::{DriverId, RideId};
use ibora_domain::ride::Status;
use parking_lot::RwLock;

/// Locks over which drivers are spread.
const STRIPES: usize = 64;

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
