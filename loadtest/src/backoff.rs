//! When a client that lost its session comes back: soon, then later and later, never all at once.

use std::time::Duration;

/// The first pause and the longest, before chance takes up to half of it off.
const FIRST: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(20);

/// Counts failures in a row.
#[derive(Default)]
pub(crate) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// A session was welcomed: the next failure is the first.
    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }

    /// How long to wait after one more failure.
    pub(crate) fn pause(&mut self) -> Duration {
        let doubled = FIRST.saturating_mul(1 << self.failures.min(10));
        self.failures += 1;
        doubled.min(LONGEST).mul_f64(rand::random_range(0.5..1.0))
    }
}
