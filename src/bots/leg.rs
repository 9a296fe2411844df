//! A drive from one place to another, as a line in domain time: where a bot is at any moment.

use std::sync::Arc;

use ibora_domain::place::Coordinates;
use ibora_domain::units::{Millis, UnixMillis};

use crate::geo::{Router, Waypoint};

/// A drive under way. Cheap to clone.
#[derive(Clone)]
pub struct Leg {
    start: UnixMillis,
    path: Arc<[Waypoint]>,
}

/// Where a leg is at a moment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Motion {
    pub place: Coordinates,
    pub speed_mps: f64,
    /// Clockwise from north.
    pub bearing_deg: f64,
}

impl Leg {
    /// A drive along the router's path that begins at `start`.
    #[must_use]
    pub fn drive(
        router: &dyn Router,
        (from, to): (Coordinates, Coordinates),
        start: UnixMillis,
    ) -> Self {
        let mut path = router.path(from, to);
        if path.is_empty() {
            path.push(Waypoint { position: to, after: Millis(0) });
        }
        Self { start, path: path.into() }
    }

    /// When it began.
    #[must_use]
    pub fn start(&self) -> UnixMillis {
        self.start
    }

    /// When it ends.
    #[must_use]
    pub fn ends(&self) -> UnixMillis {
        self.start + self.path.last().map_or(Millis(0), |last| last.after)
    }

    /// Its points with their times since the start.
    #[must_use]
    pub fn path(&self) -> &[Waypoint] {
        &self.path
    }

    /// Where it is at a moment: at its first point before, at its last point after.
    #[must_use]
    pub fn at(&self, now: UnixMillis) -> Motion {
        let after = now.since(self.start);
        let next = self.path.partition_point(|point| point.after <= after);
        let still = |place| Motion { place, speed_mps: 0.0, bearing_deg: 0.0 };
        let last = self.path[self.path.len() - 1];
        match (next.checked_sub(1).map(|at| self.path[at]), self.path.get(next)) {
            (None, _) => still(self.path[0].position),
            (Some(_), None) => still(last.position),
            (Some(from), Some(to)) => between(from, *to, after),
        }
    }
}

fn between(from: Waypoint, to: Waypoint, after: Millis) -> Motion {
    let seconds = Millis(to.after.0 - from.after.0).as_secs_f64();
    let share = Millis(after.0 - from.after.0).as_secs_f64() / seconds;
    let (a, b) = (from.position, to.position);
    let mid = |a: f64, b: f64| a + (b - a) * share;
    // Between two places on Earth is a place on Earth.
    let place = Coordinates::new(mid(a.lat(), b.lat()), mid(a.lng(), b.lng())).unwrap_or(b);
    let east = (b.lng() - a.lng()) * a.lat().to_radians().cos();
    let bearing_deg = east.atan2(b.lat() - a.lat()).to_degrees().rem_euclid(360.0);
    Motion { place, speed_mps: f64::from(a.distance_to(b).0) / seconds, bearing_deg }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geo::PowerLaw;

    fn place(lat: f64, lng: f64) -> Coordinates {
        Coordinates::new(lat, lng).expect("a place")
    }

    #[test]
    fn a_leg_is_at_its_ends_before_and_after_and_between_in_between() {
        let (from, to) = (place(-22.90, -43.20), place(-22.92, -43.20));
        let leg = Leg::drive(&PowerLaw::default(), (from, to), UnixMillis(1000));
        assert_eq!(leg.at(UnixMillis(0)).place, from);
        assert_eq!(leg.at(leg.ends()).place, to);
        assert_eq!(leg.at(leg.ends() + Millis(1)).speed_mps.to_bits(), 0);
        let half = UnixMillis(1000) + Millis(leg.ends().since(leg.start()).0 / 2);
        let motion = leg.at(half);
        assert!((motion.place.lat() + 22.91).abs() < 1e-4);
        assert!((motion.bearing_deg - 180.0).abs() < 1e-9, "due south");
        assert!((3.0..15.0).contains(&motion.speed_mps), "{motion:?}");
    }

    #[test]
    fn a_drive_to_where_one_is_ends_at_once() {
        let here = place(-22.90, -43.20);
        let leg = Leg::drive(&PowerLaw::default(), (here, here), UnixMillis(5));
        assert_eq!((leg.ends(), leg.at(UnixMillis(5)).place), (UnixMillis(5), here));
    }
}
