//! The policy `default`: the least total pickup time of all that wait.
//!
//! It looks at all waiting rides and all cars near them together, so a car that has become free
//! goes to the ride that it reaches soonest, not to the oldest at the other end of town (two-sided
//! dispatch). Cars that finish a ride soon count with the time they still need (forward dispatch).
//! While cars are ample it acts at once; while rides wait it gathers, the longer the more of them.
//!
//! What always holds: a ride is not sent a far car while it is young, since a nearer one may come
//! free; the older it is, the farther a car may be, up to the longest pickup.

use super::matching::Table;
use super::{Again, Car, Plan, Policy, PolicyKind, Reach, Rules, View, Waiting, ranked};
use crate::units::Millis;

/// What it looks at for each ride.
const REACH: Reach = Reach { free: 24, soon: 24 };

/// The longest pickup of a ride that was just asked for. It grows up to the longest of all, which
/// it reaches when half the passenger's patience is over.
const PICKUP_FIRST: Millis = Millis::from_secs(450);

/// A car that is still on a ride counts as farther by this: it may yet be late, and where it drops
/// off somebody may be waiting then.
const SOON_HANDICAP: Millis = Millis::from_secs(20);

/// How long it gathers while rides wait: normally, and at most.
const WINDOW: Millis = Millis::from_secs(2);
const WINDOW_MAX: Millis = Millis::from_secs(10);

/// How long it may be left alone while nothing waits.
const IDLE: Millis = Millis::from_secs(60);

/// Above any pickup, so that a bonus never makes a cost negative.
const COST_BASE: u64 = 10_000_000;

/// Kind to passengers, and to drivers who have waited.
pub(super) struct Adaptive {
    pub(super) rules: Rules,
}

impl Policy for Adaptive {
    fn kind(&self) -> PolicyKind {
        PolicyKind::Default
    }

    fn decide(&self, view: &View<'_>) -> Plan {
        let cars = view
            .waiting
            .iter()
            .map(|ride| ranked(view, ride, REACH, self.pickup_max(view.now.since(ride.since))));
        let table = Table { waiting: view.waiting, cars: cars.collect() };
        let offers = table.waves(cost);
        // Where no car is near, gathering brings none: those rides lengthen nobody's wait.
        let reached = table.cars.iter().filter(|cars| !cars.is_empty()).count();
        let again = match table.drivers() {
            _ if offers.len() == view.waiting.len() => Again::OnChange(IDLE),
            cars if offers.len() == reached || cars >= reached => Again::OnChange(WINDOW),
            cars => Again::After(window(reached, cars)),
        };
        Plan { offers, again }
    }

    /// How far a car may be of a ride that has waited so long.
    fn pickup_max(&self, waited: Millis) -> Millis {
        let Rules { pickup_max, patience, .. } = self.rules;
        let half = (patience.0 / 2).max(1);
        let more = pickup_max.0.saturating_sub(PICKUP_FIRST.0);
        let grown = u128::from(more) * u128::from(waited.0.min(half)) / u128::from(half);
        let grown = u64::try_from(grown).unwrap_or(more);
        Millis(pickup_max.0.min(PICKUP_FIRST.0.saturating_add(grown)))
    }
}

/// What sending this car costs: its pickup time, and what speaks for or against it.
fn cost(_ride: &Waiting, car: &Car) -> Millis {
    let handicap = if car.free_in.is_some() { SOON_HANDICAP.0 } else { 0 };
    Millis(COST_BASE + car.pickup_in.0 + handicap - car.merits.bonus().0)
}

/// The more rides there are for a car, the longer it pays to gather.
fn window(rides: usize, cars: usize) -> Millis {
    let rides_a_car = rides / cars.max(1);
    let window = WINDOW.0.saturating_mul(u64::try_from(rides_a_car).unwrap_or(u64::MAX));
    Millis(window.clamp(WINDOW.0, WINDOW_MAX.0))
}
