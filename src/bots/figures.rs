//! What bots count and time. One for a whole run, shared by all of them.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

/// Counts of a run.
#[derive(Default)]
pub struct Figures {
    /// Sockets that are open now.
    pub sockets: Gauge,
    pub connects: Count,
    pub frames_in: Count,
    pub frames_out: Count,
    pub offers: Count,
    pub accepts_won: Count,
    pub accepts_lost: Count,
    pub declines: Count,
    pub requested: Count,
    pub accepted: Count,
    pub completed: Count,
    pub canceled: Count,
    pub no_driver: Count,
    /// Payouts that drivers were told are done, and how much came in.
    pub payouts: Count,
    pub paid_out_centavos: Count,
    /// Commands that never got an answer.
    pub unanswered: Count,
    /// Refusals that no healthy run has.
    pub odd_refusals: Count,
    /// From sending `ride.accept` to its answer. Real microseconds.
    pub accept_us: Samples,
    /// From sending `ride.request` to its answer. Real microseconds.
    pub request_us: Samples,
    /// From a ride's request to its acceptance. Domain milliseconds.
    pub wait_ms: Samples,
    /// From a ride's acceptance to the driver's arrival. Domain milliseconds.
    pub pickup_ms: Samples,
}

/// A number that grows.
#[derive(Default)]
pub struct Count(AtomicU64);

impl Count {
    pub(super) fn add(&self) {
        self.add_many(1);
    }

    pub(super) fn add_many(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    /// The number now.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A number that goes up and down.
#[derive(Default)]
pub struct Gauge(AtomicI64);

impl Gauge {
    pub(super) fn move_by(&self, change: i64) {
        self.0.fetch_add(change, Ordering::Relaxed);
    }

    /// The number now.
    #[must_use]
    pub fn get(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Lengths of time in one unit. Beyond [`SAMPLES_MAX`] the oldest are overwritten.
#[derive(Default)]
pub struct Samples(Mutex<Ring>);

#[derive(Default)]
struct Ring {
    values: Vec<u32>,
    next: usize,
}

/// Samples kept; an hour of a busy city has fewer.
const SAMPLES_MAX: usize = 200_000;

impl Samples {
    pub(super) fn add(&self, value: u64) {
        let value = u32::try_from(value).unwrap_or(u32::MAX);
        let mut ring = self.0.lock();
        let at = ring.next;
        match ring.values.get_mut(at) {
            Some(oldest) => *oldest = value,
            None => ring.values.push(value),
        }
        ring.next = (at + 1) % SAMPLES_MAX;
    }

    pub(super) fn add_micros(&self, length: Duration) {
        self.add(u64::try_from(length.as_micros()).unwrap_or(u64::MAX));
    }

    /// Everything kept, unsorted.
    #[must_use]
    pub fn values(&self) -> Vec<u32> {
        self.0.lock().values.clone()
    }

    /// The newest `count` samples' quantiles, each `0.0..=1.0`; `None` without samples.
    #[must_use]
    pub fn quantiles<const N: usize>(&self, count: usize, wanted: [f64; N]) -> Option<[u32; N]> {
        let mut newest: Vec<u32> = {
            let ring = self.0.lock();
            let (newer, older) = ring.values.split_at(ring.next.min(ring.values.len()));
            newer.iter().rev().chain(older.iter().rev()).take(count).copied().collect()
        };
        if newest.is_empty() {
            return None;
        }
        newest.sort_unstable();
        Some(wanted.map(|quantile| newest[rank(newest.len(), quantile)]))
    }
}

/// The nearest rank of a quantile.
fn rank(len: usize, quantile: f64) -> usize {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a rank below the number of samples"
    )]
    let rank = (quantile.clamp(0.0, 1.0) * len as f64).ceil() as usize;
    rank.clamp(1, len) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_of_the_newest_samples() {
        let samples = Samples::default();
        assert_eq!(samples.quantiles(10, [0.5]), None);
        for value in 1..=100 {
            samples.add(value);
        }
        assert_eq!(samples.quantiles(1000, [0.5, 0.99, 1.0]), Some([50, 99, 100]));
        assert_eq!(samples.quantiles(10, [0.0, 0.5]), Some([91, 95]));
    }

    #[test]
    fn memory_is_bounded_and_the_oldest_go() {
        let samples = Samples::default();
        for value in 0..SAMPLES_MAX as u64 + 5 {
            samples.add(value);
        }
        assert_eq!(samples.values().len(), SAMPLES_MAX);
        let last = u32::try_from(SAMPLES_MAX + 4).expect("small");
        assert_eq!(samples.quantiles(1, [0.5]), Some([last]));
    }
}
