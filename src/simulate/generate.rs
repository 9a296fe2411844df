//! Made-up demand: a town with busy quarters, drawn from a seed.

use ibora_domain::place::{Coordinates, whole};

use super::chance::Chance;
use super::demand::{Ask, Demand};
use super::streets::Streets;

/// Quarters of a town, and how wide each is beside the whole.
const QUARTERS: u32 = 6;
const QUARTER_WIDTH: f64 = 0.18;

/// How often a place that is off the streets is drawn anew.
const TRIES: u32 = 50;

/// Metres of a degree of latitude.
const DEGREE_M: f64 = 111_195.0;

/// What is made up.
#[derive(Debug, Clone, Copy)]
pub struct Town {
    pub centre: Coordinates,
    pub radius_m: u32,
    /// Within [`Town::length_s`].
    pub requests: u32,
    pub cars: u32,
    pub length_s: u32,
    pub seed: u64,
}

impl Demand {
    /// Draws a town: most trips begin and end in its quarters, and times are spread evenly.
    #[must_use]
    pub fn generate(town: &Town, streets: &Streets) -> Self {
        let mut chance = Chance::new(town.seed, 7);
        let quarters: Vec<_> =
            (0..QUARTERS).filter_map(|_| around(&mut chance, town.centre, town.reach())).collect();
        let place = |chance: &mut Chance| {
            let drawn = (0..TRIES).find_map(|_| {
                let quarter = quarters.get(chance.below(QUARTERS * 3 / 2) as usize);
                let (middle, reach) = match quarter {
                    Some(middle) => (*middle, town.reach() * QUARTER_WIDTH),
                    None => (town.centre, town.reach()),
                };
                around(chance, middle, reach).filter(|at| streets.spot(*at).is_some())
            });
            drawn.unwrap_or(town.centre)
        };
        let mut demand = Self::default();
        for _ in 0..town.requests {
            let at_ms = whole(chance.unit() * f64::from(town.length_s) * 1000.0);
            let (pickup, dropoff) = (place(&mut chance), place(&mut chance));
            demand.asks.push(Ask::new(at_ms, pickup, dropoff));
        }
        demand.asks.sort_by_key(|ask| ask.at_ms);
        demand.cars = (0..town.cars).map(|_| place(&mut chance)).collect();
        demand
    }
}

impl Town {
    fn reach(&self) -> f64 {
        f64::from(self.radius_m)
    }
}

/// A place within `reach` metres, denser towards the middle.
fn around(chance: &mut Chance, middle: Coordinates, reach: f64) -> Option<Coordinates> {
    let (distance, angle) = (chance.unit() * reach, chance.unit() * std::f64::consts::TAU);
    let north = distance * angle.sin() / DEGREE_M;
    let east = distance * angle.cos() / (DEGREE_M * middle.lat().to_radians().cos().max(0.01));
    Coordinates::new(middle.lat() + north, middle.lng() + east).ok()
}
