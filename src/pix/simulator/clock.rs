//! The provider's clock: it may run faster than the real one, and be moved ahead by hand.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use ibora_domain::units::{Millis, UnixMillis};

pub(super) struct Clock {
    base: UnixMillis,
    since: Instant,
    speed: u32,
}

impl Clock {
    pub(super) fn new(speed: u32) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let base = UnixMillis(i64::try_from(now.as_millis()).unwrap_or(i64::MAX));
        Self { base, since: Instant::now(), speed: speed.max(1) }
    }

    pub(super) fn now(&self) -> UnixMillis {
        let real = u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.base + Millis(real.saturating_mul(u64::from(self.speed)))
    }

    /// The real time until a moment.
    pub(super) fn until(&self, at: UnixMillis) -> Duration {
        Duration::from_millis(at.since(self.now()).0.div_ceil(u64::from(self.speed)))
    }

    pub(super) const fn speed(&self) -> u32 {
        self.speed
    }

    pub(super) fn set_speed(&mut self, speed: u32) {
        (self.base, self.since) = (self.now(), Instant::now());
        self.speed = speed.max(1);
    }

    pub(super) fn advance(&mut self, length: Millis) {
        self.base = self.base + length;
    }
}
