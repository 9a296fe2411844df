//! Signs of life: a driver's REST call is one, but his actor need not hear of each.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use ibora_domain::ids::DriverId;
use parking_lot::Mutex;

/// A driver is said to be there at most this often; well below the time after which he is not.
const SAID_EVERY: Duration = Duration::from_secs(5);

/// When each driver was last said to be there.
#[derive(Default)]
pub(super) struct Seen {
    last: Mutex<HashMap<DriverId, Instant>>,
}

impl Seen {
    /// Whether this call of `driver` is worth saying.
    pub(super) fn is_news(&self, driver: DriverId, now: Instant) -> bool {
        let mut last = self.last.lock();
        let said = last.get(&driver).is_some_and(|at| now.duration_since(*at) < SAID_EVERY);
        if !said {
            last.insert(driver, now);
        }
        !said
    }

    /// Forgets those whose next call is news anyway.
    pub(super) fn sweep(&self) {
        let now = Instant::now();
        let mut last = self.last.lock();
        last.retain(|_, at| now.duration_since(*at) < SAID_EVERY);
        last.shrink_to_fit();
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_busy_driver_is_said_to_be_there_every_few_seconds() {
        let seen = Seen::default();
        let (one, other) = (DriverId(Uuid::from_u128(1)), DriverId(Uuid::from_u128(2)));
        let now = Instant::now();
        assert!(seen.is_news(one, now) && seen.is_news(other, now));
        assert!(!seen.is_news(one, now + Duration::from_millis(4999)));
        assert!(seen.is_news(one, now + SAID_EVERY));
    }
}
