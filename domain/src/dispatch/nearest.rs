//! The policy `nearest`: every second, the oldest ride first, the nearest free car.

use std::collections::BTreeSet;

use super::{Again, NEAR, Offer, Plan, Policy, PolicyKind, Reach, Rules, SECOND, View, ranked};
use crate::units::Millis;

/// Serves in the order of asking. Fair by the clock; when cars are few it sends them far.
pub(super) struct Nearest {
    pub(super) rules: Rules,
}

impl Policy for Nearest {
    fn kind(&self) -> PolicyKind {
        PolicyKind::Nearest
    }

    fn decide(&self, view: &View<'_>) -> Plan {
        let mut taken = BTreeSet::new();
        let mut offers = Vec::new();
        for ride in view.waiting {
            // Those taken in this very plan are still among the nearest: look past them.
            let wave = usize::from(ride.offers.max(1));
            let reach = Reach { free: NEAR.max(wave) + taken.len(), soon: 0 };
            let mut cars = ranked(view, ride, reach, self.rules.pickup_max);
            cars.retain(|car| !taken.contains(&car.driver));
            cars.truncate(wave);
            if !cars.is_empty() {
                taken.extend(cars.iter().map(|car| car.driver));
                offers.push(Offer { ride: ride.ride, cars });
            }
        }
        Plan { offers, again: Again::After(SECOND) }
    }
    fn pickup_max(&self, _waited: Millis) -> Millis {
        self.rules.pickup_max
    }
}
