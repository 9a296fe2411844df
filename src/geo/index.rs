//! The live driver index: who is free, where, and who of them is nearest.
//!
//! Web workers report positions, driver actors report who is free, dispatchers ask. All of them
//! share one [`LiveIndex`] behind an `Arc` and call it from any thread; no call waits for more
//! than a few microseconds of others' work.
//!
//! What always holds: a query names a driver at most once, never one who was taken out before it
//! began, and it misses none who was a candidate throughout, even while drivers move.
//!
//! Locks: a driver's slot is locked first and the grid after it, never the other way round; a
//! query takes no slot lock at all.

use std::collections::HashMap;

use ibora_domain::ids::DriverId;
use ibora_domain::machines::Standing;
use ibora_domain::place::{Coordinates, whole};
use ibora_domain::units::{Metres, Millis, UnixMillis};
use parking_lot::Mutex;

use super::grid::{Grid, Item, MixedHash, Place};

/// Slots are spread over this many locks.
const STRIPES: u16 = 64;

/// How an index is built.
#[derive(Debug, Clone, Copy)]
pub struct IndexOptions {
    /// Length of a cell's side in metres, from 50 to 10,000; what lies outside is clamped.
    pub cell_m: u32,
    /// A driver whose last position is older than this is no candidate.
    pub stale_after: Millis,
}

impl Default for IndexOptions {
    /// Cells of 250 m; positions count for 45 s.
    fn default() -> Self {
        Self { cell_m: 250, stale_after: Millis::from_secs(45) }
    }
}

/// A set of up to eight service categories, one bit each; the caller numbers them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct CategoryBits(pub u8);

impl CategoryBits {
    /// Every category.
    pub const ALL: Self = Self(u8::MAX);

    /// The set of the one category with this number; empty from 8 on.
    #[must_use]
    pub const fn one(number: u8) -> Self {
        Self(match 1_u8.checked_shl(number as u32) {
            Some(bit) => bit,
            None => 0,
        })
    }

    /// The categories of both sets together.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether the two sets share a category.
    #[must_use]
    pub const fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

/// A question for the nearest candidates.
#[derive(Debug, Clone, Copy)]
pub struct Query<'a> {
    pub at: Coordinates,
    /// How far to look, along the great circle; above 100 km it counts as 100 km.
    pub radius: Metres,
    /// How many drivers to name at most.
    pub limit: usize,
    /// A candidate serves at least one of these.
    pub category: CategoryBits,
    pub now: UnixMillis,
    /// Drivers not to name, in ascending order.
    pub excluded: &'a [DriverId],
}

/// A candidate that a query found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Nearby {
    pub driver: DriverId,
    pub position: Coordinates,
    /// Great-circle distance to the place that was asked for.
    pub distance: Metres,
    pub standing: Option<Standing>,
}

/// How many drivers the index holds, for gauges.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Announced or with a position, and not forgotten.
    pub known: usize,
    /// Announced as free.
    pub available: usize,
    /// Free, with a position that is fresh enough: these can be found.
    pub candidates: usize,
}

/// Positions and availability of all drivers, in memory.
pub struct LiveIndex {
    stale_after: Millis,
    stripes: Box<[Stripe]>,
    /// Only who is free and has a position; the rest is known by slot alone.
    grid: Grid<Candidate>,
}

type Stripe = Mutex<HashMap<DriverId, Slot, MixedHash>>;

#[derive(Default)]
struct Slot {
    last: Option<(Coordinates, UnixMillis)>,
    /// Some while the driver is free, or about to be.
    categories: Option<CategoryBits>,
    /// What speaks for him; none of whom nothing was said.
    standing: Option<Standing>,
    /// Where he will be free; none where he is free already.
    free_at: Option<Coordinates>,
    /// Some while the driver is in the grid.
    place: Option<Place>,
}

#[derive(Clone, Copy)]
struct Candidate {
    driver: DriverId,
    at: UnixMillis,
    categories: CategoryBits,
    standing: Option<Standing>,
    /// Where one is who is not free yet: his place in the grid is where he will be.
    on_the_way: Option<Coordinates>,
}

impl Item for Candidate {
    type Key = DriverId;

    fn key(&self) -> DriverId {
        self.driver
    }
}

impl LiveIndex {
    #[must_use]
    pub fn new(options: IndexOptions) -> Self {
        Self {
            stale_after: options.stale_after,
            stripes: (0..STRIPES).map(|_| Stripe::default()).collect(),
            grid: Grid::new(options.cell_m),
        }
    }

    /// Makes a driver a candidate for these categories, from his last known position on.
    pub fn set_available(&self, driver: DriverId, categories: CategoryBits) {
        let mut slots = self.stripe(driver).lock();
        let slot = slots.entry(driver).or_default();
        slot.categories = Some(categories);
        slot.free_at = None;
        self.show(driver, slot);
    }

    /// Keeps what speaks for a driver, from when he is next shown on.
    pub fn set_standing(&self, driver: DriverId, standing: Standing) {
        self.stripe(driver).lock().entry(driver).or_default().standing = Some(standing);
    }

    /// Makes a driver one who will be free at `free_at`, for [`LiveIndex::finishing`] to name.
    pub fn set_finishing(&self, driver: DriverId, categories: CategoryBits, free_at: Coordinates) {
        let mut slots = self.stripe(driver).lock();
        let slot = slots.entry(driver).or_default();
        slot.categories = Some(categories);
        slot.free_at = Some(free_at);
        self.show(driver, slot);
    }

    /// Takes a driver out of every later query: reserved, on a ride or offline. His position is
    /// kept.
    pub fn set_unavailable(&self, driver: DriverId) {
        if let Some(slot) = self.stripe(driver).lock().get_mut(&driver) {
            slot.categories = None;
            self.hide(driver, slot);
        }
    }

    /// Drops everything about a driver.
    pub fn forget(&self, driver: DriverId) {
        let mut slots = self.stripe(driver).lock();
        if let Some(mut slot) = slots.remove(&driver) {
            self.hide(driver, &mut slot);
        }
    }

    /// Records where a driver is. False, and nothing changed, where a later position is known.
    ///
    /// The position of a driver who was never announced is kept as well, so that it is there
    /// when he is; whoever lets drivers report owes a [`LiveIndex::forget`] when they leave.
    /// `at` is trusted: a time from a phone is for the caller to clamp.
    pub fn update(&self, driver: DriverId, position: Coordinates, at: UnixMillis) -> bool {
        let mut slots = self.stripe(driver).lock();
        let slot = slots.entry(driver).or_default();
        if slot.last.is_some_and(|(_, known)| at < known) {
            return false;
        }
        slot.last = Some((position, at));
        self.show(driver, slot);
        true
    }

    /// The last known position of a driver, free or not, and its time.
    #[must_use]
    pub fn position(&self, driver: DriverId) -> Option<(Coordinates, UnixMillis)> {
        self.stripe(driver).lock().get(&driver)?.last
    }

    /// The nearest candidates, nearest first; equally near ones by id.
    #[must_use]
    pub fn nearest(&self, query: &Query<'_>) -> Vec<Nearby> {
        debug_assert!(query.excluded.is_sorted(), "excluded drivers come in ascending order");
        let hits = self.grid.nearest(query.at, query.radius.0, query.limit, |candidate| {
            candidate.on_the_way.is_none() && self.fits(candidate, query)
        });
        let named = hits.map(|hit| Nearby {
            driver: hit.item.driver,
            position: hit.position,
            distance: Metres(whole(hit.metres())),
            standing: hit.item.standing,
        });
        named.collect()
    }

    /// Those who will be free nearest to a place, `position` being where that is; with where each
    /// is now.
    #[must_use]
    pub fn finishing(&self, query: &Query<'_>) -> Vec<(Nearby, Coordinates)> {
        debug_assert!(query.excluded.is_sorted(), "excluded drivers come in ascending order");
        let hits = self.grid.nearest(query.at, query.radius.0, query.limit, |candidate| {
            candidate.on_the_way.is_some() && self.fits(candidate, query)
        });
        let named = hits.filter_map(|hit| {
            let near = Nearby {
                driver: hit.item.driver,
                position: hit.position,
                distance: Metres(whole(hit.metres())),
                standing: hit.item.standing,
            };
            Some((near, hit.item.on_the_way?))
        });
        named.collect()
    }

    fn fits(&self, candidate: &Candidate, query: &Query<'_>) -> bool {
        candidate.categories.meets(query.category)
            && self.is_fresh(candidate.at, query.now)
            && query.excluded.binary_search(&candidate.driver).is_err()
    }

    /// Counts drivers at `now`. It looks at every slot: for a gauge, not for a decision.
    #[must_use]
    pub fn counts(&self, now: UnixMillis) -> Counts {
        let mut counts = Counts::default();
        for stripe in &self.stripes {
            for slot in stripe.lock().values() {
                counts.known += 1;
                let free = slot.categories.is_some() && slot.free_at.is_none();
                counts.available += usize::from(free);
                let fresh = slot.last.is_some_and(|(_, at)| self.is_fresh(at, now));
                counts.candidates += usize::from(free && slot.place.is_some() && fresh);
            }
        }
        counts
    }

    fn stripe(&self, driver: DriverId) -> &Stripe {
        &self.stripes[usize::from(driver.shard().number() % STRIPES)]
    }

    fn is_fresh(&self, at: UnixMillis, now: UnixMillis) -> bool {
        now.since(at) <= self.stale_after
    }

    /// Brings the grid in step with a slot, where there is something to show.
    fn show(&self, driver: DriverId, slot: &mut Slot) {
        if let (Some((position, at)), Some(categories)) = (slot.last, slot.categories) {
            let on_the_way = slot.free_at.map(|_| position);
            let standing = slot.standing;
            let candidate = Candidate { driver, at, categories, standing, on_the_way };
            let place = slot.free_at.unwrap_or(position);
            slot.place = Some(self.grid.put(slot.place, place, candidate));
        }
    }

    fn hide(&self, driver: DriverId, slot: &mut Slot) {
        if let Some(place) = slot.place.take() {
            self.grid.take(place, &driver);
        }
    }
}
