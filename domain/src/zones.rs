//! Zones: parts of the area whose rides are dispatched by rules of their own.
//!
//! Which zone a ride is in is a function of its pickup and of the configuration, so that a ride
//! whose machine is built anew asks the same dispatcher. Drivers are in no zone: all dispatchers
//! choose from one index, and a driver's slots keep two of them from asking him too often.

use crate::dispatch::PolicyKind;
use crate::facts::Zone;
use crate::place::Coordinates;
use crate::units::{Metres, Millis};

/// The zone of all pickups that lie in no other.
const ELSEWHERE: Zone = Zone(0);

/// By which rules a zone's drivers are asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ZoneRules {
    /// Who is asked for a wave, and when.
    pub policy: PolicyKind,
    /// How many drivers the policy `race` asks at once.
    pub race_size: u16,
    /// How long the policy `batch` gathers.
    pub batch_window: Millis,
}

/// A round part of the area.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Circle {
    pub centre: Coordinates,
    /// A place so far away still belongs to it, by whole metres.
    pub radius: Metres,
}

impl Circle {
    fn holds(&self, place: Coordinates) -> bool {
        place.distance_to(self.centre) <= self.radius
    }
}

/// All zones of an engine.
#[derive(Debug, Clone, PartialEq)]
pub struct Zones {
    /// Where there is no other.
    elsewhere: ZoneRules,
    parts: Vec<(Circle, ZoneRules)>,
}

impl Zones {
    /// Zones in the order in which they are looked at, and the rules of the rest of the world.
    #[must_use]
    pub fn new(elsewhere: ZoneRules, parts: Vec<(Circle, ZoneRules)>) -> Self {
        Self { elsewhere, parts }
    }

    /// The zone of a ride with this pickup: the first that holds it.
    #[must_use]
    pub fn of(&self, pickup: Coordinates) -> Zone {
        let first = self.parts.iter().position(|(circle, _)| circle.holds(pickup));
        first.and_then(|at| u16::try_from(at + 1).ok()).map_or(ELSEWHERE, Zone)
    }

    /// The rules of a zone.
    #[must_use]
    pub fn rules(&self, zone: Zone) -> ZoneRules {
        let part = usize::from(zone.0).checked_sub(1).and_then(|at| self.parts.get(at));
        part.map_or(self.elsewhere, |(_, rules)| *rules)
    }
}

impl Default for Zones {
    /// One zone with the defaults of the design, for tests.
    fn default() -> Self {
        let policy = PolicyKind::Default;
        let rules = ZoneRules { policy, race_size: 5, batch_window: Millis::from_secs(2) };
        Self::new(rules, vec![])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(lat: f64, lng: f64) -> Coordinates {
        Coordinates::new(lat, lng).expect("a place")
    }

    fn zones(parts: &[(Coordinates, u32, PolicyKind)]) -> Zones {
        let default = Zones::default();
        let part = |&(centre, radius, policy): &(_, u32, _)| {
            let rules = ZoneRules { policy, ..default.elsewhere };
            (Circle { centre, radius: Metres(radius) }, rules)
        };
        Zones::new(default.elsewhere, parts.iter().map(part).collect())
    }

    #[test]
    fn a_pickup_belongs_to_the_zone_up_to_its_border() {
        let (centre, at) = (place(-22.81, -43.25), place(-22.83, -43.25));
        let radius = at.distance_to(centre).0;
        let of = |radius| zones(&[(centre, radius, PolicyKind::Race)]).of(at);
        assert_eq!(of(radius - 1), Zone(0));
        assert_eq!(of(radius), Zone(1), "the border is inside");
        assert_eq!(zones(&[(centre, 1, PolicyKind::Race)]).of(centre), Zone(1));
    }

    #[test]
    fn a_zone_may_lie_across_the_line_where_days_begin() {
        let fiji = zones(&[(place(-17.0, 179.99), 5000, PolicyKind::Race)]);
        assert_eq!(fiji.of(place(-17.0, -179.99)), Zone(1));
    }

    #[test]
    fn of_zones_that_overlap_the_first_has_the_pickup() {
        let (centre, near) = (place(-22.81, -43.25), place(-22.82, -43.25));
        let (race, batch) = (PolicyKind::Race, PolicyKind::Batch);
        let small_first = zones(&[(centre, 500, race), (centre, 5000, batch)]);
        assert_eq!((small_first.of(centre), small_first.of(near)), (Zone(1), Zone(2)));
        let large_first = zones(&[(centre, 5000, batch), (centre, 500, race)]);
        assert_eq!((large_first.of(centre), large_first.of(near)), (Zone(1), Zone(1)));
    }

    #[test]
    fn each_zone_has_its_rules_and_the_rest_of_the_world_the_others() {
        let (here, there) = (place(-22.81, -43.25), place(-22.91, -43.25));
        let both = zones(&[(here, 500, PolicyKind::Race), (there, 500, PolicyKind::Nearest)]);
        let policy = |at| both.rules(both.of(at)).policy;
        assert_eq!(policy(here), PolicyKind::Race);
        assert_eq!(policy(there), PolicyKind::Nearest);
        assert_eq!(policy(place(0.0, 0.0)), PolicyKind::Default);
        assert_eq!(both.rules(Zone(9)).policy, PolicyKind::Default, "there is none of this number");
    }
}
