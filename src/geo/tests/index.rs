//! The live index against a list that is searched from end to end, and its small promises.

use std::collections::BTreeMap;

use ibora_domain::ids::DriverId;
use ibora_domain::place::Coordinates;
use ibora_domain::units::{Metres, Millis, UnixMillis};

use super::{Lcg, driver, place};
use crate::geo::{CategoryBits, Counts, IndexOptions, LiveIndex, Query};

/// Praça da Sé.
fn se() -> Coordinates {
    place(-23.5503, -46.6339)
}

fn everyone() -> Query<'static> {
    Query {
        at: se(),
        radius: Metres(1500),
        limit: 10,
        category: CategoryBits::ALL,
        now: UnixMillis(0),
        excluded: &[],
    }
}

/// The middle of a region, its size in degrees, and how many drivers it has.
struct Region {
    lat: f64,
    lng: f64,
    height: f64,
    width: f64,
    drivers: u32,
}

const REGIONS: [Region; 7] = [
    Region { lat: -23.55, lng: -46.63, height: 0.3, width: 0.3, drivers: 800 },
    Region { lat: 40.75, lng: -73.98, height: 0.01, width: 0.01, drivers: 600 },
    Region { lat: 0.0, lng: 0.0, height: 0.1, width: 0.1, drivers: 300 },
    Region { lat: -17.0, lng: 180.0, height: 0.2, width: 0.2, drivers: 500 },
    Region { lat: 71.3, lng: -180.0, height: 0.2, width: 0.6, drivers: 300 },
    Region { lat: 89.97, lng: 0.0, height: 0.06, width: 360.0, drivers: 300 },
    Region { lat: -89.95, lng: 100.0, height: 0.1, width: 360.0, drivers: 300 },
];

impl Region {
    fn somewhere(&self, chance: &mut Lcg) -> Coordinates {
        let lat = self.lat + self.height * (chance.unit() - 0.5);
        let lng = self.lng + self.width * (chance.unit() - 0.5);
        let lng = if lng > 180.0 { lng - 360.0 } else { lng };
        place(lat.clamp(-90.0, 90.0), if lng < -180.0 { lng + 360.0 } else { lng })
    }
}

/// The same promises as the index, kept by a list.
#[derive(Default)]
struct Twin(BTreeMap<DriverId, TwinSlot>);

/// The last position, and the categories of one who is free.
type TwinSlot = (Option<(Coordinates, UnixMillis)>, Option<CategoryBits>);

impl Twin {
    fn nearest(&self, query: &Query<'_>) -> Vec<(DriverId, Metres)> {
        let oldest = query.now - Millis::from_secs(45);
        let mut found = Vec::new();
        for (&driver, &(last, categories)) in &self.0 {
            if let (Some((position, at)), Some(categories)) = (last, categories)
                && at >= oldest
                && categories.meets(query.category)
                && !query.excluded.contains(&driver)
                && haversine_m(query.at, position) <= f64::from(query.radius.0)
            {
                found.push((haversine_m(query.at, position), driver, position));
            }
        }
        found.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        found.truncate(query.limit);
        found.into_iter().map(|(_, driver, at)| (driver, query.at.distance_to(at))).collect()
    }
}

fn haversine_m(a: Coordinates, b: Coordinates) -> f64 {
    let half_lat = ((b.lat() - a.lat()).to_radians() / 2.0).sin();
    let half_lng = ((b.lng() - a.lng()).to_radians() / 2.0).sin();
    let cosines = a.lat().to_radians().cos() * b.lat().to_radians().cos();
    let chord = half_lat * half_lat + cosines * half_lng * half_lng;
    2.0 * 6_371_008.8 * chord.sqrt().min(1.0).asin()
}

/// Lets one of the region's drivers do something, in the index and in its twin.
fn happen(region: &Region, chance: &mut Lcg, now: UnixMillis, index: &LiveIndex, twin: &mut Twin) {
    let driver = driver(chance.below(region.drivers));
    match chance.below(100) {
        0..3 => {
            index.forget(driver);
            twin.0.remove(&driver);
        }
        3..8 => {
            index.set_unavailable(driver);
            twin.0.entry(driver).and_modify(|slot| slot.1 = None);
        }
        8..30 => {
            let categories = CategoryBits::one(0).with(CategoryBits(1 << chance.below(3)));
            index.set_available(driver, categories);
            twin.0.entry(driver).or_default().1 = Some(categories);
        }
        dice => {
            let slot = twin.0.entry(driver).or_default();
            // Most drive on a little, some turn up elsewhere.
            let position = match slot.0 {
                Some((last, _)) if dice < 85 => {
                    let lat = last.lat() + chance.between(-0.002, 0.002);
                    let lng = last.lng() + chance.between(-0.002, 0.002);
                    place(lat.clamp(-90.0, 90.0), lng.clamp(-180.0, 180.0))
                }
                _ => region.somewhere(chance),
            };
            assert!(index.update(driver, position, now));
            slot.0 = Some((position, now));
        }
    }
}

#[test]
fn nearest_agrees_with_a_search_of_the_whole_list_anywhere_on_earth() {
    let mut chance = Lcg(2026);
    for (number, region) in REGIONS.iter().enumerate() {
        let index = LiveIndex::new(IndexOptions::default());
        let mut twin = Twin::default();
        let mut now = UnixMillis(1_800_000_000_000);
        let mut named = 0;
        for round in 0..300 {
            for _ in 0..50 {
                now = now + Millis(1 + u64::from(chance.below(20)));
                happen(region, &mut chance, now, &index, &mut twin);
            }
            let mut excluded: Vec<_> =
                (0..chance.below(6)).map(|_| driver(chance.below(region.drivers))).collect();
            excluded.sort_unstable();
            let query = Query {
                at: region.somewhere(&mut chance),
                radius: Metres([0, 300, 1500, 5000, 60_000][chance.below(5) as usize]),
                limit: [0, 1, 3, 10, 1000][chance.below(5) as usize],
                category: CategoryBits::one(if chance.below(2) == 0 { 0 } else { 2 }),
                now,
                excluded: &excluded,
            };
            let found = index.nearest(&query);
            let found: Vec<_> = found.iter().map(|near| (near.driver, near.distance)).collect();
            assert_eq!(found, twin.nearest(&query), "region {number}, round {round}");
            named += found.len();
        }
        assert!(named > 1000, "region {number} named only {named}: it tests too little");
    }
}

#[test]
fn a_position_from_before_the_announcement_counts() {
    let index = LiveIndex::new(IndexOptions::default());
    assert!(index.update(driver(1), se(), UnixMillis(0)));
    assert!(index.nearest(&everyone()).is_empty(), "nobody announced him");
    index.set_available(driver(1), CategoryBits::one(0));
    let found = index.nearest(&everyone());
    assert_eq!((found.len(), found[0].driver, found[0].position), (1, driver(1), se()));
}

#[test]
fn whoever_becomes_unavailable_is_gone_at_once_and_keeps_his_position() {
    let index = LiveIndex::new(IndexOptions::default());
    index.update(driver(1), se(), UnixMillis(0));
    index.set_available(driver(1), CategoryBits::ALL);
    index.set_unavailable(driver(1));
    assert!(index.nearest(&everyone()).is_empty());
    assert!(index.update(driver(1), place(-23.551, -46.634), UnixMillis(5)));
    assert!(index.nearest(&everyone()).is_empty(), "a position alone makes no candidate");
    index.set_available(driver(1), CategoryBits::ALL);
    assert_eq!(index.nearest(&everyone())[0].position, place(-23.551, -46.634));
    index.forget(driver(1));
    assert_eq!(index.position(driver(1)), None);
    assert!(index.nearest(&everyone()).is_empty());
}

#[test]
fn a_late_position_does_not_move_a_driver_back() {
    let index = LiveIndex::new(IndexOptions::default());
    assert!(index.update(driver(1), se(), UnixMillis(1000)));
    assert!(!index.update(driver(1), place(0.0, 0.0), UnixMillis(999)));
    assert_eq!(index.position(driver(1)), Some((se(), UnixMillis(1000))));
    assert!(index.update(driver(1), place(0.0, 0.0), UnixMillis(1000)), "a repetition is fine");
}

#[test]
fn a_position_counts_for_45_seconds() {
    let index = LiveIndex::new(IndexOptions::default());
    index.set_available(driver(1), CategoryBits::ALL);
    index.update(driver(1), se(), UnixMillis(1000));
    index.set_available(driver(2), CategoryBits::ALL);
    index.update(driver(3), se(), UnixMillis(1000));
    let at = |now| Query { now: UnixMillis(now), ..everyone() };
    assert_eq!(index.nearest(&at(46_000)).len(), 1);
    let counts = Counts { known: 3, available: 2, candidates: 1 };
    assert_eq!(index.counts(UnixMillis(46_000)), counts);
    assert!(index.nearest(&at(46_001)).is_empty());
    assert_eq!(index.counts(UnixMillis(46_001)), Counts { candidates: 0, ..counts });
}

#[test]
fn a_new_announcement_replaces_the_categories() {
    let index = LiveIndex::new(IndexOptions::default());
    index.update(driver(1), se(), UnixMillis(0));
    let found = |category| index.nearest(&Query { category, ..everyone() }).len();
    index.set_available(driver(1), CategoryBits::one(0));
    assert_eq!((found(CategoryBits::one(0)), found(CategoryBits::one(7))), (1, 0));
    index.set_available(driver(1), CategoryBits::one(7));
    assert_eq!((found(CategoryBits::one(0)), found(CategoryBits::one(7))), (0, 1));
    assert_eq!(found(CategoryBits::one(8)), 0, "there is no ninth category");
}

#[test]
fn any_cell_size_finds_the_same_drivers() {
    for cell_m in [0, 50, 1000, u32::MAX] {
        let index = LiveIndex::new(IndexOptions { cell_m, ..IndexOptions::default() });
        for number in 0..200 {
            let step = f64::from(number) * 0.001;
            index.set_available(driver(number), CategoryBits::ALL);
            index.update(driver(number), place(-23.5503, -46.6339 + step), UnixMillis(0));
        }
        let found = index.nearest(&Query { radius: Metres(50_000), ..everyone() });
        let found: Vec<_> = found.iter().map(|near| near.driver).collect();
        assert_eq!(found, (0..10).map(driver).collect::<Vec<_>>(), "cells of {cell_m} m");
    }
}
