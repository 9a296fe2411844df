//! The cars of a run, and the candidate index over them that policies ask.

use ibora_domain::dispatch::{Car, Merits, Reach, Supply, Waiting};
use ibora_domain::ids::DriverId;
use ibora_domain::units::{Metres, Millis};

use super::balance::Balance;
use super::city::{Request, index};
use super::near::{Near, driver, number};
use super::streets::{Spot, Streets};

/// A car that drops off within this time is a candidate already.
const SOON_MS: u32 = 120_000;

/// All cars of a run.
pub(super) struct Fleet<'a> {
    streets: &'a Streets,
    requests: &'a [Request],
    cars: Vec<CarState>,
    /// Free cars where they wait, and those soon free where they drop off.
    free: Near,
    soon: Near,
    /// Cars that can be had, beside what was asked for lately.
    pub(super) balance: Balance,
    pub(super) now: u32,
}

#[derive(Clone, Copy)]
enum Phase {
    Free {
        since: u32,
    },
    /// Drops off at `until`.
    Busy {
        until: u32,
    },
    /// Drops off at `until`, which is soon: a candidate.
    Soon {
        until: u32,
    },
    /// Drops off at `until` and has its next ride, which ends at `then`, at that spot.
    Chained {
        until: u32,
        then: u32,
        there: Spot,
    },
}

pub(super) struct CarState {
    phase: Phase,
    /// Where it waits, or drops off.
    spot: Spot,
    pub(super) rides: u32,
    pub(super) fares: i64,
}

/// What a car was sent to do.
pub(super) struct Drive {
    pub(super) car: u32,
    /// From the assignment to the pickup, the rest of a ride before it included.
    pub(super) pickup_ms: u32,
    pub(super) trip_ms: u32,
    pub(super) empty: Metres,
    pub(super) trip: Metres,
    /// When something of this car ends next.
    pub(super) next: Option<u32>,
    pub(super) chained: bool,
}

impl<'a> Fleet<'a> {
    pub(super) fn new(streets: &'a Streets, spots: &[Spot], requests: &'a [Request]) -> Self {
        let phase = Phase::Free { since: 0 };
        let car = |spot: &Spot| CarState { phase, spot: *spot, rides: 0, fares: 0 };
        let mut fleet = Self {
            streets,
            requests,
            cars: spots.iter().map(car).collect(),
            free: Near::new(spots.len()),
            soon: Near::new(spots.len()),
            balance: Balance::default(),
            now: 0,
        };
        for (car, spot) in (0..).zip(spots) {
            fleet.free.put(car, spot.at);
            fleet.balance.car(spot.at, 1);
        }
        fleet
    }

    pub(super) fn cars(&self) -> &[CarState] {
        &self.cars
    }

    /// How many cars are free.
    pub(super) fn free(&self) -> usize {
        self.free.len()
    }

    /// Something of this car ends; returns when the next thing of it does.
    pub(super) fn end(&mut self, car: u32, at: u32) -> Option<u32> {
        let state = &mut self.cars[car as usize];
        match state.phase {
            Phase::Busy { until } if at < until => {
                state.phase = Phase::Soon { until };
                self.soon.put(car, state.spot.at);
                self.balance.car(state.spot.at, 1);
                Some(until)
            }
            Phase::Busy { .. } | Phase::Soon { .. } => {
                if matches!(state.phase, Phase::Busy { .. }) {
                    self.balance.car(state.spot.at, 1);
                }
                state.phase = Phase::Free { since: at };
                self.soon.take(car);
                self.free.put(car, state.spot.at);
                None
            }
            Phase::Chained { until, then, there } if at >= until => {
                state.spot = there;
                state.phase = Phase::Busy { until: then };
                Some(then.saturating_sub(SOON_MS).max(at))
            }
            Phase::Chained { until, .. } => Some(until),
            Phase::Free { .. } => None,
        }
    }

    /// Sends a candidate to a ride; none where it is no candidate or no way leads.
    pub(super) fn send(&mut self, driver: DriverId, ride: &Request, now: u32) -> Option<Drive> {
        let car = number(driver)?;
        let state = self.cars.get_mut(car as usize)?;
        let empty_ms = self.streets.ms(&state.spot, &ride.pickup)?;
        let trip_ms = self.streets.ms(&ride.pickup, &ride.dropoff)?;
        let empty = self.streets.metres(&state.spot, &ride.pickup);
        let trip = self.streets.metres(&ride.pickup, &ride.dropoff);
        let (rest, chained) = match state.phase {
            Phase::Free { .. } => (0, false),
            Phase::Soon { until } => (until.saturating_sub(now), true),
            Phase::Busy { .. } | Phase::Chained { .. } => return None,
        };
        self.balance.car(state.spot.at, -1);
        let pickup_ms = rest.saturating_add(empty_ms);
        let end = now.saturating_add(pickup_ms).saturating_add(trip_ms);
        let next = if chained {
            self.soon.take(car);
            let there = ride.dropoff;
            state.phase = Phase::Chained { until: now.saturating_add(rest), then: end, there };
            None // The end of the present ride is expected already.
        } else {
            self.free.take(car);
            state.phase = Phase::Busy { until: end };
            state.spot = ride.dropoff;
            Some(end.saturating_sub(SOON_MS).max(now))
        };
        state.rides += 1;
        Some(Drive { car, pickup_ms, trip_ms, empty, trip, next, chained })
    }

    pub(super) fn earn(&mut self, car: u32, centavos: i64) {
        self.cars[car as usize].fares += centavos;
    }

    fn candidate(&self, driver: DriverId, pickup: &Spot) -> Option<Car> {
        let state = self.cars.get(number(driver)? as usize)?;
        let (rest, idle) = match state.phase {
            Phase::Free { since } => (None, self.now.saturating_sub(since)),
            Phase::Soon { until } => (Some(until.saturating_sub(self.now)), 0),
            Phase::Busy { .. } | Phase::Chained { .. } => return None,
        };
        let ms = self.streets.ms(&state.spot, pickup)?.saturating_add(rest.unwrap_or(0));
        let spare = self.balance.spare(state.spot.at);
        let merits = Merits { idle: Millis(idle.into()), spare, ..Merits::default() };
        let free_in = rest.map(|rest| Millis(rest.into()));
        Some(Car { driver, pickup_in: Millis(ms.into()), free_in, merits })
    }
}

impl Supply for Fleet<'_> {
    fn near(&self, ride: &Waiting, reach: Reach) -> Vec<Car> {
        let Some(request) = self.requests.get(index(ride.ride)) else {
            return Vec::new();
        };
        let mut cars = Vec::with_capacity(reach.free + reach.soon);
        for (index, limit) in [(&self.free, reach.free), (&self.soon, reach.soon)] {
            if limit == 0 {
                continue;
            }
            let found = index.nearest(ride.pickup, limit).into_iter();
            let candidate = found.filter_map(|car| self.candidate(driver(car), &request.pickup));
            cars.extend(candidate);
        }
        cars
    }

    fn is_candidate(&self, ride: &Waiting, driver: DriverId) -> bool {
        let request = self.requests.get(index(ride.ride));
        request.is_some_and(|request| self.candidate(driver, &request.pickup).is_some())
    }
}
