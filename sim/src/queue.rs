//! What is to happen, in the order of virtual time; at the same time, in the order of the telling.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

/// Microseconds of virtual time.
pub type Micros = u64;

/// A millisecond and a second of it.
pub const MS: Micros = 1000;
pub const SECOND: Micros = 1000 * MS;

struct Due<T> {
    at: Micros,
    number: u64,
    what: T,
}

impl<T> PartialEq for Due<T> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl<T> Eq for Due<T> {}

impl<T> PartialOrd for Due<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Due<T> {
    /// The earliest is the greatest, as the heap wants it.
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.number).cmp(&(self.at, self.number))
    }
}

/// The future.
pub struct Queue<T> {
    heap: BinaryHeap<Due<T>>,
    told: u64,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self { heap: BinaryHeap::new(), told: 0 }
    }
}

impl<T> Queue<T> {
    /// Tells that `what` happens at `at`.
    pub fn push(&mut self, at: Micros, what: T) {
        self.told += 1;
        self.heap.push(Due { at, number: self.told, what });
    }

    /// What happens next, if it is not after `end`.
    pub fn pop_until(&mut self, end: Micros) -> Option<(Micros, T)> {
        if self.heap.peek()?.at > end {
            return None;
        }
        self.heap.pop().map(|due| (due.at, due.what))
    }
}
