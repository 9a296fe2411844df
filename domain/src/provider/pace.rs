//! A limit on calls over time, kept by the caller so that the provider need not refuse.
//!
//! A token bucket in the form of one number: the moment at which the bucket is full again. Turns
//! are given out in order, each with the time until it comes; one that would come too late is not
//! given. `now` is the time since a moment of the owner's choice, by a clock that never goes back.

use crate::units::Millis;

/// The turns of one kind of call.
#[derive(Debug, Clone)]
pub struct Pace {
    /// Microseconds between turns in the long run.
    interval_us: u64,
    /// How far ahead of that the turns of a burst may be.
    ahead_us: u64,
    /// When the bucket is full again.
    full_at_us: u64,
    /// The provider asked for silence until then.
    paused_until_us: u64,
}

impl Pace {
    /// `per_s` turns a second, `burst` of them at once. Zero counts as one.
    #[must_use]
    pub fn new(per_s: u32, burst: u32) -> Self {
        let interval_us = 1_000_000 / u64::from(per_s.max(1));
        let ahead_us = interval_us * u64::from(burst.max(1) - 1);
        Self { interval_us, ahead_us, full_at_us: 0, paused_until_us: 0 }
    }

    /// Takes a turn: the time until it comes. `None`, and none is taken, where that is above
    /// `wait_max`.
    pub fn turn(&mut self, now: Millis, wait_max: Millis) -> Option<Millis> {
        let now_us = now.0.saturating_mul(1000);
        let at_us = self.full_at_us.saturating_sub(self.ahead_us);
        let at_us = at_us.max(now_us).max(self.paused_until_us);
        let wait = Millis((at_us - now_us).div_ceil(1000));
        if wait > wait_max {
            return None;
        }
        self.full_at_us = self.full_at_us.max(now_us).saturating_add(self.interval_us);
        Some(wait)
    }

    /// No turn comes for so long, and no burst after it: the provider said that it was too much.
    pub fn pause(&mut self, now: Millis, length: Millis) {
        let until_us = now.plus(length).0.saturating_mul(1000);
        self.paused_until_us = self.paused_until_us.max(until_us);
        self.full_at_us = self.full_at_us.max(until_us.saturating_add(self.ahead_us));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVER: Millis = Millis(u64::MAX);

    fn waits(pace: &mut Pace, now: u64, turns: usize) -> Vec<u64> {
        (0..turns).filter_map(|_| pace.turn(Millis(now), EVER)).map(|wait| wait.0).collect()
    }

    #[test]
    fn a_burst_goes_at_once_and_the_rest_in_step() {
        let mut pace = Pace::new(10, 3);
        assert_eq!(waits(&mut pace, 5000, 5), [0, 0, 0, 100, 200]);
        assert_eq!(waits(&mut pace, 5200, 1), [100], "in the order in which they were taken");
        assert_eq!(waits(&mut pace, 9000, 4), [0, 0, 0, 100], "silence fills the bucket, not more");
    }

    #[test]
    fn a_turn_that_would_come_too_late_is_not_taken() {
        let mut pace = Pace::new(10, 1);
        assert_eq!(waits(&mut pace, 0, 2), [0, 100]);
        assert_eq!(pace.turn(Millis(0), Millis(199)), None);
        assert_eq!(pace.turn(Millis(0), Millis(200)), Some(Millis(200)));
    }

    #[test]
    fn after_a_pause_calls_go_in_step_without_a_burst() {
        let mut pace = Pace::new(10, 5);
        pace.pause(Millis(1000), Millis(2000));
        assert_eq!(pace.turn(Millis(1000), Millis(1999)), None);
        assert_eq!(waits(&mut pace, 1000, 3), [2000, 2100, 2200]);
        pace.pause(Millis(1000), Millis(1));
        assert_eq!(waits(&mut pace, 3000, 1), [300], "a shorter pause does not shorten one");
    }
}
