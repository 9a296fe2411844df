//! A grid of things on the Earth, for "the nearest few of many that move".
//!
//! Only this room uses it: the driver index keeps free drivers in one, the road graph its nodes.
//!
//! Locks: the map of blocks, and in it one lock a block. A thing that moves within its block holds
//! the map shared and that block alone; a thing that changes its block holds the map alone. A
//! search holds the map shared from start to end and reads one block at a time, each once. Hence
//! what always holds: locks are taken map first, then one block, so nobody waits in a circle; and
//! a search sees everything that is in the grid throughout exactly once, however it moves.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use ibora_domain::place::Coordinates;
use parking_lot::RwLock;

use super::sphere::{self, BlockKey, CellBounds, Layout, Origin, SIDE, Spot, UnitVector};

/// Searches reach no further than this, so that an absurd radius costs bounded work.
const REACH_MAX_M: u32 = 100_000;

/// What can lie in a grid. Its key tells it apart from all others there.
pub(super) trait Item: Copy {
    type Key: Ord;

    fn key(&self) -> Self::Key;
}

/// Where the grid put an item; the owner keeps it and hands it back at the next move.
#[derive(Clone, Copy)]
pub(super) struct Place {
    spot: Spot,
    /// Where it was put. Others that leave may have shifted it since, so it is only a first guess.
    index: u32,
}

/// What a search found.
#[derive(Clone, Copy)]
pub(super) struct Hit<T> {
    pub(super) item: T,
    pub(super) position: Coordinates,
    chord: f64,
}

pub(super) struct Grid<T> {
    layout: Layout,
    blocks: RwLock<HashMap<BlockKey, RwLock<Block<T>>, MixedHash>>,
}

struct Block<T> {
    cells: Box<[Vec<Entry<T>>; SIDE * SIDE]>,
    count: usize,
}

struct Entry<T> {
    vector: UnitVector,
    position: Coordinates,
    item: T,
}

impl<T> Hit<T> {
    /// Great-circle distance to where the search began.
    pub(super) fn metres(&self) -> f64 {
        sphere::metres(self.chord)
    }
}

impl<T: Item> Hit<T> {
    /// Nearest first, ties by key.
    fn rank(&self, other: &Self) -> Ordering {
        let tie = || self.item.key().cmp(&other.item.key());
        self.chord.total_cmp(&other.chord).then_with(tie)
    }
}

impl<T: Item> Grid<T> {
    pub(super) fn new(cell_m: u32) -> Self {
        Self { layout: Layout::new(cell_m), blocks: RwLock::default() }
    }

    /// Puts an item at a position, or moves it there from its `old` place.
    ///
    /// Calls for one item must not overlap; those for different items may.
    pub(super) fn put(&self, old: Option<Place>, position: Coordinates, item: T) -> Place {
        let spot = self.layout.spot(position);
        let entry = Entry { vector: UnitVector::of(position), position, item };
        if old.is_none_or(|old| old.spot.block == spot.block) {
            let blocks = self.blocks.read();
            if let Some(block) = blocks.get(&spot.block) {
                return block.write().put(old, spot, entry);
            }
        }
        let mut blocks = self.blocks.write();
        if let Some(old) = old
            && let Some(block) = blocks.get_mut(&old.spot.block)
        {
            block.get_mut().take(old, &item.key());
            if block.get_mut().count == 0 {
                blocks.remove(&old.spot.block);
            }
        }
        blocks.entry(spot.block).or_default().get_mut().put(None, spot, entry)
    }

    /// Takes an item out.
    pub(super) fn take(&self, place: Place, key: &T::Key) {
        let key_of_block = place.spot.block;
        {
            let blocks = self.blocks.read();
            let Some(block) = blocks.get(&key_of_block) else {
                return;
            };
            let mut block = block.write();
            block.take(place, key);
            if block.count > 0 {
                return;
            }
        }
        let mut blocks = self.blocks.write();
        // Someone may have come in between the two locks.
        if blocks.get_mut(&key_of_block).is_some_and(|block| block.get_mut().count == 0) {
            blocks.remove(&key_of_block);
        }
    }

    /// The `limit` items nearest to `at` that `accept` lets pass, nearest first, ties by key.
    ///
    /// `accept` runs under locks of this grid and must not call it. A radius above 100 km counts
    /// as 100 km.
    pub(super) fn nearest(
        &self,
        at: Coordinates,
        radius_m: u32,
        limit: usize,
        mut accept: impl FnMut(&T) -> bool,
    ) -> impl Iterator<Item = Hit<T>> {
        let origin = self.layout.origin(at);
        let reach = sphere::chord_squared(f64::from(radius_m.min(REACH_MAX_M)));
        let mut best = Best::new(limit, reach);
        let blocks = self.blocks.read();
        let mut within_reach = limit > 0;
        for ring in 0.. {
            if !within_reach {
                break;
            }
            within_reach = false;
            self.layout.ring(&origin, ring, |key, bound| {
                if bound > best.reach {
                    return;
                }
                within_reach = true;
                if let Some(block) = blocks.get(&key) {
                    let bounds = self.layout.cell_bounds(&origin, key);
                    block.read().search(&origin, &bounds, &mut best, &mut accept);
                }
            });
        }
        drop(blocks);
        best.into_hits()
    }
}

impl<T> Default for Block<T> {
    fn default() -> Self {
        Self { cells: Box::new([const { Vec::new() }; SIDE * SIDE]), count: 0 }
    }
}

impl<T: Item> Block<T> {
    fn put(&mut self, old: Option<Place>, spot: Spot, entry: Entry<T>) -> Place {
        if let Some(old) = old {
            if old.spot.cell == spot.cell
                && let Some(index) = self.find(old, &entry.item.key())
            {
                self.cells[usize::from(spot.cell)][index] = entry;
                return Place { spot, index: short(index) };
            }
            self.take(old, &entry.item.key());
        }
        let cell = &mut self.cells[usize::from(spot.cell)];
        cell.push(entry);
        self.count += 1;
        Place { spot, index: short(cell.len() - 1) }
    }

    fn take(&mut self, place: Place, key: &T::Key) {
        if let Some(index) = self.find(place, key) {
            self.cells[usize::from(place.spot.cell)].swap_remove(index);
            self.count -= 1;
        }
    }

    fn find(&self, place: Place, key: &T::Key) -> Option<usize> {
        let cell = &self.cells[usize::from(place.spot.cell)];
        let guess = place.index as usize;
        if cell.get(guess).is_some_and(|entry| entry.item.key() == *key) {
            return Some(guess);
        }
        cell.iter().position(|entry| entry.item.key() == *key)
    }

    /// Looks through the cells in square rings around the one nearest to the origin.
    fn search(
        &self,
        origin: &Origin,
        bounds: &CellBounds,
        best: &mut Best<T>,
        accept: &mut impl FnMut(&T) -> bool,
    ) {
        let (home_row, home_column) = (lowest(&bounds.rows), lowest(&bounds.columns));
        for ring in 0..SIDE {
            let rows = home_row.saturating_sub(ring)..=(home_row + ring).min(SIDE - 1);
            let west = home_column.saturating_sub(ring);
            let east = (home_column + ring).min(SIDE - 1);
            for row in rows {
                if bounds.rows[row] > best.reach {
                    continue;
                }
                let edge = row.abs_diff(home_row) == ring;
                for column in west..=east {
                    let on_ring = edge || column.abs_diff(home_column) == ring;
                    if !on_ring || bounds.rows[row] + bounds.columns[column] > best.reach {
                        continue;
                    }
                    for entry in &self.cells[row * SIDE + column] {
                        best.consider(origin, entry, accept);
                    }
                }
            }
        }
    }
}

fn lowest(bounds: &[f64; SIDE]) -> usize {
    (1..SIDE).fold(0, |low, at| if bounds[at] < bounds[low] { at } else { low })
}

/// A position in a cell's list; one that does not fit is only a wrong guess.
fn short(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

/// The best hits so far.
struct Best<T> {
    limit: usize,
    /// Whoever is further than this is of no interest.
    reach: f64,
    /// Numbers of the hits, best first once there are as many as asked for; apart from the hits,
    /// so that little is moved.
    order: Vec<usize>,
    hits: Vec<Hit<T>>,
}

impl<T: Item> Best<T> {
    fn new(limit: usize, reach: f64) -> Self {
        let capacity = limit.min(64);
        let (order, hits) = (Vec::with_capacity(capacity), Vec::with_capacity(capacity));
        Self { limit, reach, order, hits }
    }

    fn consider(&mut self, origin: &Origin, entry: &Entry<T>, accept: &mut impl FnMut(&T) -> bool) {
        let chord = origin.vector.chord_squared(entry.vector);
        if chord > self.reach || !accept(&entry.item) {
            return;
        }
        let hit = Hit { item: entry.item, position: entry.position, chord };
        if self.hits.len() < self.limit {
            self.order.push(self.hits.len());
            self.hits.push(hit);
            if self.hits.len() < self.limit {
                return;
            }
            self.sort();
        } else if let Some(number) = self.order.pop_if(|worst| hit.rank(&self.hits[*worst]).is_lt())
        {
            let rank = self.order.partition_point(|&other| self.hits[other].rank(&hit).is_lt());
            self.hits[number] = hit;
            self.order.insert(rank, number);
        }
        if let Some(&worst) = self.order.last() {
            self.reach = self.hits[worst].chord;
        }
    }

    fn sort(&mut self) {
        let hits = &self.hits;
        self.order.sort_unstable_by(|&a, &b| hits[a].rank(&hits[b]));
    }

    fn into_hits(mut self) -> impl Iterator<Item = Hit<T>> {
        self.sort();
        let Self { order, hits, .. } = self;
        order.into_iter().map(move |number| hits[number])
    }
}

/// A hash for keys that nobody outside chooses: block numbers and UUIDs made by the engine.
pub(super) type MixedHash = BuildHasherDefault<Mixer>;

#[derive(Default)]
pub(super) struct Mixer(u64);

impl Hasher for Mixer {
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.write_u64(u64::from_le_bytes(word));
        }
    }

    fn write_u32(&mut self, number: u32) {
        self.write_u64(u64::from(number));
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = (self.0.rotate_left(5) ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn write_usize(&mut self, _length: usize) {
        // Keys are of one fixed size, so their length tells nothing.
    }

    fn finish(&self) -> u64 {
        self.0 ^ (self.0 >> 32)
    }
}
