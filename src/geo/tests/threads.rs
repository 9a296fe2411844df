//! The live index under threads: a query sees every driver once, however they move meanwhile.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;

use ibora_domain::units::{Metres, UnixMillis};

use super::{Lcg, driver, place};
use crate::geo::{CategoryBits, Counts, IndexOptions, LiveIndex, Query};

const DRIVERS: u32 = 60;
const QUERIES: u32 = 3000;

/// Moves its share of the drivers all over four blocks and more until told to stop.
fn roam(index: &LiveIndex, share: u32, stop: &AtomicBool, moves: &AtomicU32) {
    let mut chance = Lcg(u64::from(share));
    let mut now = 0;
    while !stop.load(Ordering::Relaxed) {
        now += 1;
        let number = chance.below(DRIVERS / 2) * 2 + share;
        let at = place(chance.between(-0.03, 0.03), chance.between(-0.03, 0.03));
        assert!(index.update(driver(number), at, UnixMillis(now)));
        moves.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn moving_drivers_are_neither_lost_nor_seen_twice() {
    let index = LiveIndex::new(IndexOptions::default());
    for number in 0..DRIVERS {
        index.update(driver(number), place(0.0, 0.0), UnixMillis(0));
        index.set_available(driver(number), CategoryBits::ALL);
    }
    let (stop, moves) = (AtomicBool::new(false), AtomicU32::new(0));
    thread::scope(|scope| {
        for share in 0..2 {
            let (index, stop, moves) = (&index, &stop, &moves);
            scope.spawn(move || roam(index, share, stop, moves));
        }
        let mut asked = 0;
        // On one core the movers may start late; ask until they have moved plenty.
        while asked < QUERIES || moves.load(Ordering::Relaxed) < QUERIES {
            asked += 1;
            let found = index.nearest(&Query {
                at: place(0.01, 0.01),
                radius: Metres(20_000),
                limit: 1000,
                category: CategoryBits::ALL,
                now: UnixMillis(0),
                excluded: &[],
            });
            let distinct: BTreeSet<_> = found.iter().map(|near| near.driver).collect();
            if (found.len(), distinct.len()) != (DRIVERS as usize, DRIVERS as usize) {
                stop.store(true, Ordering::Relaxed);
                panic!("{} found, {} of them distinct", found.len(), distinct.len());
            }
            assert!(found.is_sorted_by_key(|near| near.distance));
        }
        stop.store(true, Ordering::Relaxed);
    });
}

#[test]
fn coming_and_going_from_many_threads_leaves_no_trace() {
    let index = LiveIndex::new(IndexOptions::default());
    thread::scope(|scope| {
        for share in 0..4 {
            let index = &index;
            scope.spawn(move || {
                let mut chance = Lcg(u64::from(share));
                for round in 0..5000 {
                    let driver = driver(chance.below(50) * 4 + share);
                    let at = place(chance.between(-0.05, 0.05), 180.0);
                    index.set_available(driver, CategoryBits::ALL);
                    index.update(driver, at, UnixMillis(round));
                    if chance.below(2) == 0 {
                        index.set_unavailable(driver);
                    }
                    index.forget(driver);
                }
            });
        }
    });
    assert_eq!(index.counts(UnixMillis(5000)), Counts::default());
    let query = Query {
        at: place(0.0, 180.0),
        radius: Metres(50_000),
        limit: 1000,
        category: CategoryBits::ALL,
        now: UnixMillis(5000),
        excluded: &[],
    };
    assert!(index.nearest(&query).is_empty());
}
