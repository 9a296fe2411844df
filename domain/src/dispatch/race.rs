//! The policy `race`: the nearest few are asked at once, and the first tap wins.

use std::collections::BTreeSet;

use super::{Again, NEAR, Offer, Plan, Policy, PolicyKind, Reach, Rules, SECOND, View, ranked};
use crate::units::Millis;

/// Fair to the fastest thumb. It is here to be compared with, and for who must have it.
pub(super) struct Race {
    pub(super) rules: Rules,
}

impl Policy for Race {
    fn kind(&self) -> PolicyKind {
        PolicyKind::Race
    }

    fn decide(&self, view: &View<'_>) -> Plan {
        let mut taken = BTreeSet::new();
        let mut offers = Vec::new();
        let mut again = Again::After(SECOND);
        for ride in view.waiting {
            let size = usize::from(self.rules.race.max(ride.offers));
            let reach = Reach { free: NEAR.max(size), soon: 0 };
            let mut cars = ranked(view, ride, reach, self.rules.pickup_max);
            cars.truncate(size);
            if cars.is_empty() {
                continue;
            }
            // Whoever loses the earlier race is free for this one, so it waits for its end.
            if cars.iter().any(|car| taken.contains(&car.driver)) {
                again = Again::AtOnce;
                continue;
            }
            taken.extend(cars.iter().map(|car| car.driver));
            offers.push(Offer { ride: ride.ride, cars });
        }
        Plan { offers, again }
    }
    fn pickup_max(&self, _waited: Millis) -> Millis {
        self.rules.pickup_max
    }
}
