//! Who wants to go where, and when: a seeded stream of trips.
//!
//! Fitted to the figures of a recorded hour of taxi trips, not to its rows: crow distances are
//! log-normal with a mean of 2.23 km and a spread of 0.68. Arrivals are a Poisson process whose
//! rate follows the hour of the day; places lie around the spots where people gather.

use ibora_domain::place::Coordinates;
use ibora_domain::units::{Millis, UnixMillis};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::city::{City, Spot};
use crate::bots::Trip;

/// Mean of the crow distance, in metres, and the spread of its logarithm.
const CROW_MEAN_M: f64 = 2230.0;
const CROW_SPREAD: f64 = 0.68;
/// Trips shorter than this are walked; longer ones leave the city.
const CROW_M: std::ops::Range<u32> = 350..14_000;
/// Directions tried before the trip's end may lie anywhere.
const TRIES: u32 = 40;
/// A drop-off may miss its distance by this share: crossings are where they are.
const MISS: f64 = 0.12;

/// Demand by the hour of the day, in tenths of the mean: low at four, peaks at eight and eighteen.
const BY_HOUR: [u32; 24] =
    [6, 4, 3, 2, 2, 4, 8, 13, 15, 12, 10, 10, 11, 11, 10, 11, 13, 15, 16, 15, 13, 12, 10, 8];
/// The hour at which the demo opens, whatever the clock on the wall says.
const OPENING_HOUR: i64 = 17;
const HOUR_MS: i64 = 3_600_000;

/// The stream of trips.
pub(super) struct Demand {
    rng: StdRng,
    spots: Vec<Spot>,
    per_hour: f64,
    opened_at: UnixMillis,
}

impl Demand {
    /// Trips at a mean rate, in trips an hour of the engine's clock, from `opened_at` on.
    #[must_use]
    pub(super) fn new(seed: u64, per_hour: f64, opened_at: UnixMillis) -> Self {
        Self { rng: StdRng::seed_from_u64(seed), spots: City::spots(), per_hour, opened_at }
    }

    /// When the next trip after `now` is asked for, by thinning: at the highest rate, of which the
    /// hour takes its share.
    pub(super) fn next_at(&mut self, now: UnixMillis) -> UnixMillis {
        let highest = f64::from(BY_HOUR.into_iter().max().unwrap_or(10));
        let mut at = now;
        loop {
            let rate_per_ms = self.per_hour * highest / 10.0 / 3_600_000.0;
            let pause = -(1.0 - self.rng.random::<f64>()).ln() / rate_per_ms;
            at = at + Millis(u64::from(ibora_domain::place::whole(pause)).max(1));
            let hours = (at.0 - self.opened_at.0).div_euclid(HOUR_MS);
            let hour = usize::try_from((OPENING_HOUR + hours).rem_euclid(24));
            let share = BY_HOUR[hour.unwrap_or(0)];
            if self.rng.random::<f64>() * highest < f64::from(share) {
                return at;
            }
        }
    }

    /// A trip: from around one spot, over a distance drawn from the fitted law, to dry land.
    pub(super) fn trip(&mut self, city: &City) -> Option<Trip> {
        let pickup = self.place(city)?;
        let wanted = loop {
            let metres = self.crow_m();
            if CROW_M.contains(&ibora_domain::place::whole(metres)) {
                break metres;
            }
        };
        for _ in 0..TRIES {
            let (sin, cos) = self.rng.random_range(0.0..std::f64::consts::TAU).sin_cos();
            let dropoff = city.near(pickup, (wanted * sin, wanted * cos))?;
            let found = f64::from(pickup.distance_to(dropoff).0);
            if (found - wanted).abs() <= MISS * wanted {
                return Some(Trip { pickup, dropoff });
            }
        }
        let dropoff = self.place(city)?;
        (dropoff != pickup).then_some(Trip { pickup, dropoff })
    }

    /// A place where somebody may be: around one of the spots.
    pub(super) fn place(&mut self, city: &City) -> Option<Coordinates> {
        let total: u32 = self.spots.iter().map(|spot| spot.weight).sum();
        let mut drawn = self.rng.random_range(0..total.max(1));
        let spot = *self.spots.iter().find(|spot| {
            let found = drawn < spot.weight;
            drawn = drawn.saturating_sub(spot.weight);
            found
        })?;
        let offset = (spot.radius_m * self.normal(), spot.radius_m * self.normal());
        city.near(spot.centre, offset)
    }

    fn crow_m(&mut self) -> f64 {
        // The mean of a log-normal is exp(mu + sigma^2 / 2).
        let mu = CROW_MEAN_M.ln() - CROW_SPREAD * CROW_SPREAD / 2.0;
        (mu + CROW_SPREAD * self.normal()).exp()
    }

    /// A draw from the normal distribution (Box and Muller).
    fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.rng.random::<f64>()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.rng.random::<f64>()).cos()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trips_have_the_distances_of_the_fitted_law() {
        let city = City::draw(1);
        let mut demand = Demand::new(3, 100.0, UnixMillis(0));
        let trips: Vec<Trip> = (0..600).filter_map(|_| demand.trip(&city)).collect();
        assert!(trips.len() > 590);
        let metres = trips.iter().map(|trip| f64::from(trip.pickup.distance_to(trip.dropoff).0));
        let mut metres: Vec<f64> = metres.collect();
        let mean = metres.iter().sum::<f64>() / 600.0;
        assert!((1950.0..2500.0).contains(&mean), "mean {mean}");
        metres.sort_by(f64::total_cmp);
        assert!((1500.0..2050.0).contains(&metres[300]), "median {}", metres[300]);
    }

    #[test]
    fn arrivals_keep_the_mean_rate_over_a_day_and_sleep_at_four() {
        let start = UnixMillis(1_763_780_400_000);
        let mut demand = Demand::new(4, 60.0, start);
        let (mut now, mut by_hour) = (start, [0_u32; 24]);
        while now.since(start).0 < 86_400_000 {
            now = demand.next_at(now);
            let hour = usize::try_from(now.since(start).0 / 3_600_000).expect("small");
            by_hour[hour.min(23)] += 1;
        }
        let total: u32 = by_hour.iter().sum();
        assert!((1300..1500).contains(&total), "{total} trips in a day of 60 an hour");
        // Hour 1 of the run is 18:00, hour 11 is 4:00.
        assert!(by_hour[1] > 3 * by_hour[11], "{by_hour:?}");
    }

    #[test]
    fn the_same_seed_wants_the_same_trips() {
        let city = City::draw(1);
        let trips = |seed| {
            let mut demand = Demand::new(seed, 100.0, UnixMillis(0));
            (0..20).filter_map(|_| demand.trip(&city)).collect::<Vec<_>>()
        };
        assert_eq!(trips(5), trips(5));
        assert_ne!(trips(5), trips(6));
    }
}
