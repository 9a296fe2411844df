//! Domain time as a client knows it: what the server said, and how fast it runs since.

use std::time::{Duration, Instant};

use ibora_domain::units::{Millis, UnixMillis};

/// A client's idea of the engine's clock.
#[derive(Debug, Clone, Copy)]
pub struct EngineClock {
    heard: Instant,
    said: UnixMillis,
    speed: u32,
}

impl EngineClock {
    /// A clock set by what the server just said. `speed`: domain seconds a real second.
    #[must_use]
    pub fn set(said: UnixMillis, speed: u32) -> Self {
        Self { heard: Instant::now(), said, speed: speed.max(1) }
    }

    /// The present moment in domain time.
    #[must_use]
    pub fn now(&self) -> UnixMillis {
        self.said + self.domain(self.heard.elapsed())
    }

    /// When, in real time, domain time will be `at`.
    #[must_use]
    pub fn when(&self, at: UnixMillis) -> Instant {
        self.heard + self.real(at.since(self.said))
    }

    /// How long a length of domain time takes.
    #[must_use]
    pub fn real(&self, length: Millis) -> Duration {
        Duration::from_millis(length.0).div_f64(f64::from(self.speed))
    }

    fn domain(&self, real: Duration) -> Millis {
        let ms = u64::try_from(real.as_millis()).unwrap_or(u64::MAX);
        Millis(ms.saturating_mul(self.speed.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fast_clock_reaches_a_moment_sooner() {
        let clock = EngineClock::set(UnixMillis(1_000_000), 60);
        let at = UnixMillis(1_000_000) + Millis::from_secs(60);
        assert_eq!(clock.when(at) - clock.heard, Duration::from_secs(1));
        assert_eq!(clock.when(UnixMillis(0)), clock.heard, "what is past is due now");
        assert_eq!(clock.real(Millis::from_secs(120)), Duration::from_secs(2));
        assert!(clock.now() >= UnixMillis(1_000_000));
    }
}
