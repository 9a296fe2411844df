//! What a client does when its socket closes: the range of the code says it.

use std::time::Duration;

use rand::{Rng, RngExt};

/// The first pause of a back-off, and the longest.
const FIRST: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(20);
/// "At once" for thousands at the same time is no time for anybody.
const AT_ONCE: Duration = Duration::from_millis(250);

/// What to do after a close.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// 40xx: stop, and tell the user.
    Stop,
    /// Connect again after this long.
    After(Duration),
}

/// Counts failures in a row.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// A session was welcomed: the next failure is the first.
    pub(super) fn reset(&mut self) {
        self.failures = 0;
    }

    /// Decides about a close. `None`: the connection ended without a code, or was never made.
    pub(super) fn closed(&mut self, code: Option<u16>, rng: &mut impl Rng) -> Next {
        match code {
            Some(4000..=4099) => Next::Stop,
            Some(4200..=4299) if self.failures == 0 => {
                self.failures += 1;
                Next::After(AT_ONCE.mul_f64(rng.random()))
            }
            // 41xx, a second 42xx in a row, a proxy's own codes, and no code at all.
            Some(_) | None => {
                let doubled = FIRST.saturating_mul(1 << self.failures.min(10));
                self.failures += 1;
                let pause = doubled.min(LONGEST);
                Next::After(pause.mul_f64(rng.random_range(0.5..1.0)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    #[test]
    fn the_range_of_a_code_decides() {
        let mut rng = StdRng::seed_from_u64(1);
        let mut backoff = Backoff::default();
        for code in [4000, 4002, 4004, 4007] {
            assert_eq!(backoff.closed(Some(code), &mut rng), Next::Stop, "{code}");
        }
        let at_once = backoff.closed(Some(4200), &mut rng);
        assert!(matches!(at_once, Next::After(pause) if pause <= AT_ONCE), "{at_once:?}");
        let again = backoff.closed(Some(4200), &mut rng);
        assert!(matches!(again, Next::After(pause) if pause >= FIRST / 2), "{again:?}");
    }

    #[test]
    fn pauses_double_up_to_a_bound_and_begin_anew_after_a_welcome() {
        let mut rng = StdRng::seed_from_u64(2);
        let mut backoff = Backoff::default();
        let mut pause = || match backoff.closed(None, &mut rng) {
            Next::After(pause) => pause,
            Next::Stop => Duration::ZERO,
        };
        let pauses: Vec<_> = (0..8).map(|_| pause()).collect();
        assert!(pauses[0] <= FIRST && pauses[3] > FIRST, "{pauses:?}");
        assert!(pauses.iter().all(|pause| *pause <= LONGEST));
        backoff.reset();
        let first = backoff.closed(Some(4104), &mut rng);
        assert!(matches!(first, Next::After(pause) if pause <= FIRST), "{first:?}");
    }
}
