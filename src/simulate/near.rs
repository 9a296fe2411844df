//! The candidate index of a run: the engine's own live index, and a plain list while there are few.
//!
//! What always holds: both name the same cars.

use ibora_domain::ids::DriverId;
use ibora_domain::place::Coordinates;
use ibora_domain::units::{Metres, Millis, UnixMillis};
use uuid::Uuid;

use crate::geo::{CategoryBits, IndexOptions, LiveIndex, Query};

/// A city is smaller than this.
const EVERYWHERE: Metres = Metres(50_000);

/// Up to so many cars a look at each is quicker than a search over empty blocks.
const FEW: usize = 300;

/// Cars at places.
pub(super) struct Near {
    index: LiveIndex,
    /// Each car that is in, once.
    list: Vec<(u32, Coordinates)>,
    /// Where a car is in the list.
    at: Vec<Option<usize>>,
}

impl Near {
    /// Room for so many cars, none of them in.
    pub(super) fn new(cars: usize) -> Self {
        let options = IndexOptions { stale_after: Millis(u64::MAX), ..IndexOptions::default() };
        Self { index: LiveIndex::new(options), list: Vec::new(), at: vec![None; cars] }
    }

    pub(super) fn len(&self) -> usize {
        self.list.len()
    }

    /// Puts a car in that is not.
    pub(super) fn put(&mut self, car: u32, place: Coordinates) {
        self.index.update(driver(car), place, UnixMillis(0));
        self.index.set_available(driver(car), CategoryBits::ALL);
        self.at[car as usize] = Some(self.list.len());
        self.list.push((car, place));
    }

    /// Takes a car out, if it is in.
    pub(super) fn take(&mut self, car: u32) {
        let Some(at) = self.at[car as usize].take() else { return };
        self.index.set_unavailable(driver(car));
        self.list.swap_remove(at);
        if let Some((moved, _)) = self.list.get(at) {
            self.at[*moved as usize] = Some(at);
        }
    }

    /// The nearest cars by straight line, nearest first, equally near ones by number.
    pub(super) fn nearest(&self, at: Coordinates, limit: usize) -> Vec<u32> {
        if self.list.len() > FEW {
            let (category, excluded) = (CategoryBits::ALL, &[][..]);
            let (radius, now) = (EVERYWHERE, UnixMillis(0));
            let found = self.index.nearest(&Query { at, radius, limit, category, now, excluded });
            return found.into_iter().filter_map(|near| number(near.driver)).collect();
        }
        let shrink = at.lat().to_radians().cos();
        let mut cars: Vec<(f64, u32)> = Vec::with_capacity(self.list.len());
        for (car, place) in &self.list {
            let (north, east) = (place.lat() - at.lat(), (place.lng() - at.lng()) * shrink);
            cars.push((north * north + east * east, *car));
        }
        let order = |a: &(f64, u32), b: &(f64, u32)| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1));
        if cars.len() > limit && limit > 0 {
            cars.select_nth_unstable_by(limit - 1, order);
        }
        cars.truncate(limit);
        cars.sort_unstable_by(order);
        cars.into_iter().map(|(_, car)| car).collect()
    }
}

pub(super) fn driver(car: u32) -> DriverId {
    DriverId(Uuid::from_u128(u128::from(car)))
}

pub(super) fn number(driver: DriverId) -> Option<u32> {
    u32::try_from(driver.0.as_u128()).ok()
}
