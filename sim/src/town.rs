//! The town: where rides begin, and by which policy drivers are asked there.
//!
//! All places are a few steps from each other, so that every driver is near all of them and the
//! dispatchers of all zones choose from the same ones; some are at a zone's very border.

use ibora_domain::dispatch::PolicyKind;
use ibora_domain::place::Coordinates;
use ibora_domain::units::{Metres, Millis};
use ibora_domain::zones::{Circle, ZoneRules, Zones};

use crate::chance::Chance;
use crate::people::north_of_pickup;

/// Where rides begin, in metres north of the first place, and the zone that has it where there are
/// both: told by hand, because the books do not believe the sums of the domain.
const PLACES: [(u32, usize); 6] = [(0, 1), (49, 1), (50, 1), (51, 2), (100, 2), (130, 0)];

/// The zones, by centre and radius: they share the metre at 50, which is the first one's.
const CIRCLES: [(u32, Metres); 2] = [(0, Metres(50)), (80, Metres(30))];

/// Which policy holds where.
#[derive(Debug, Clone, Copy)]
pub struct Town {
    /// Of the town, and of each zone.
    policies: [PolicyKind; 3],
    zones: usize,
}

impl Town {
    /// One without zones.
    pub const PLAIN: Self = Self { policies: [PolicyKind::Default; 3], zones: 0 };

    /// One as it comes; half of them have zones.
    #[must_use]
    pub fn drawn(chance: &mut Chance) -> Self {
        let zones = [0, 0, 1, 2][chance.index(4)];
        let mut policy = || match chance.percent(40) {
            true => PolicyKind::Default,
            false => PolicyKind::ALL[chance.index(PolicyKind::ALL.len())],
        };
        Self { policies: [policy(), policy(), policy()], zones }
    }

    /// As an engine is configured for it.
    #[must_use]
    pub fn zones(&self) -> Zones {
        let rules = |zone: usize| ZoneRules {
            policy: self.policies[zone],
            race_size: 5,
            batch_window: Millis::from_secs(2),
        };
        let parts = CIRCLES.into_iter().take(self.zones).enumerate();
        let part = |(at, (metres, radius))| {
            let circle = Circle { centre: north_of_pickup(metres), radius };
            (circle, rules(at + 1))
        };
        Zones::new(rules(0), parts.map(part).collect())
    }

    /// Where a ride begins, in metres north of the first place.
    pub fn somewhere(chance: &mut Chance) -> u32 {
        PLACES[chance.index(PLACES.len())].0
    }

    /// The policy that must hold at a pickup.
    #[must_use]
    pub fn policy_at(&self, pickup: Coordinates) -> Option<PolicyKind> {
        let place = PLACES.into_iter().find(|(metres, _)| north_of_pickup(*metres) == pickup);
        let zone = place.map(|(_, zone)| if zone <= self.zones { zone } else { 0 });
        zone.map(|zone| self.policies[zone])
    }
}
