//! A circuit breaker: who failed a few times in a row is left alone for a while.
//!
//! Whoever calls a neighbour over a network may own one, behind a lock. Then one call tries again:
//! the others wait for its outcome. What must hold: a call whose outcome nobody tells, because it
//! was given up, costs one more pause and never all later calls.
//!
//! `now` is the time since a moment of the owner's choice, by a clock that never goes back.

use crate::units::Millis;

/// The breaker of one neighbour.
#[derive(Debug, Clone)]
pub struct Breaker {
    failures_max: u32,
    pause: Millis,
    failures: u32,
    paused_until: Option<Millis>,
}

impl Breaker {
    /// Closed: `failures_max` failures in a row, and nobody calls for `pause`.
    #[must_use]
    pub const fn new(failures_max: u32, pause: Millis) -> Self {
        Self { failures_max, pause, failures: 0, paused_until: None }
    }

    /// Whether a call may be made. The first one after a pause is the one that tries.
    pub fn admits(&mut self, now: Millis) -> bool {
        match self.paused_until {
            Some(until) if now < until => false,
            Some(_) => {
                self.paused_until = Some(now.plus(self.pause));
                true
            }
            None => true,
        }
    }

    /// A call came back.
    pub const fn succeeded(&mut self) {
        self.failures = 0;
        self.paused_until = None;
    }

    /// A call failed, or its answer was of a kind that says: not now.
    pub fn failed(&mut self, now: Millis) {
        self.failures = self.failures.saturating_add(1);
        if self.failures >= self.failures_max {
            self.paused_until = Some(now.plus(self.pause));
        }
    }

    /// Whether nobody calls for now.
    #[must_use]
    pub fn is_paused(&self, now: Millis) -> bool {
        self.paused_until.is_some_and(|until| now < until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAUSE: Millis = Millis(1000);

    fn opened_at(now: Millis) -> Breaker {
        let mut breaker = Breaker::new(3, PAUSE);
        for _ in 0..3 {
            assert!(breaker.admits(now));
            breaker.failed(now);
        }
        breaker
    }

    #[test]
    fn only_failures_in_a_row_open_it() {
        let mut breaker = Breaker::new(3, PAUSE);
        for _ in 0..5 {
            breaker.failed(Millis(0));
            breaker.failed(Millis(0));
            breaker.succeeded();
        }
        assert!(breaker.admits(Millis(0)));
        assert!(!opened_at(Millis(0)).admits(Millis(0)));
    }

    #[test]
    fn after_the_pause_one_call_tries_and_its_outcome_decides() {
        let mut breaker = opened_at(Millis(50));
        assert!(!breaker.admits(Millis(1049)));
        assert!(breaker.admits(Millis(1050)));
        assert!(!breaker.admits(Millis(1051)), "one call, not two");
        breaker.failed(Millis(1500));
        assert!(!breaker.admits(Millis(2499)), "one failure is enough now");
        assert!(breaker.admits(Millis(2500)));
        breaker.succeeded();
        assert!(breaker.admits(Millis(2501)) && breaker.admits(Millis(2501)));
        assert!(!breaker.is_paused(Millis(2501)));
    }

    #[test]
    fn a_try_that_is_given_up_costs_one_more_pause() {
        let mut breaker = opened_at(Millis(0));
        assert!(breaker.admits(Millis(1000)));
        assert!(breaker.is_paused(Millis(1999)) && !breaker.admits(Millis(1999)));
        assert!(breaker.admits(Millis(2000)));
    }
}
