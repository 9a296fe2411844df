//! The domain clock: real time, or real time made faster so that a day of rides fits an hour.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use ibora_domain::units::{Millis, UnixMillis};

/// Tells domain time. Heartbeats, limits and deadlines of callers stay in real time.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    started: Instant,
    started_at: UnixMillis,
    speed: u32,
}

impl Clock {
    /// A clock that starts at the wall clock's time and runs `speed` times as fast.
    #[must_use]
    pub fn new(speed: u32) -> Self {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let started_at = UnixMillis(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX));
        Self { started: Instant::now(), started_at, speed: speed.max(1) }
    }

    /// The present moment in domain time. Never goes back while the engine runs.
    #[must_use]
    pub fn now(&self) -> UnixMillis {
        let passed = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.started_at + Millis(passed.saturating_mul(u64::from(self.speed)))
    }

    /// How long to wait, in real time, until domain time is `at`.
    #[must_use]
    pub fn until(&self, at: UnixMillis) -> Duration {
        Duration::from_millis(at.since(self.now()).0.div_ceil(u64::from(self.speed)))
    }

    /// A length of real time as domain time.
    #[must_use]
    pub fn stretched(&self, real: Millis) -> Millis {
        Millis(real.0.saturating_mul(u64::from(self.speed)))
    }
}
