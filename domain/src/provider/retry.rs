//! When a call is repeated: whether it is safe, after how long, and whether the budget allows it.
//!
//! A budget keeps repeats to a part of all calls, so that a provider in trouble is not sent
//! several times its traffic.

use super::outcome::{Hindrance, Outcome, Why};
use crate::units::Millis;

/// What one repeat costs.
const REPEAT: u64 = 1000;

/// Repeats that are left, earned by calls.
#[derive(Debug, Clone)]
pub struct Budget {
    per_call: u64,
    reserve: u64,
    left: u64,
}

impl Budget {
    /// A tenth of a percent of a repeat earned by each call: 100 is one in ten calls. `reserve`
    /// repeats are there from the start, and never more.
    #[must_use]
    pub fn new(permille: u32, reserve: u32) -> Self {
        let reserve = u64::from(reserve) * REPEAT;
        Self { per_call: permille.into(), reserve, left: reserve }
    }

    /// A call is made for the first time.
    pub fn called(&mut self) {
        self.left = self.reserve.min(self.left + self.per_call);
    }

    /// Whether one may be repeated, which is then taken from the budget.
    pub const fn spend(&mut self) -> bool {
        let enough = self.left >= REPEAT;
        if enough {
            self.left -= REPEAT;
        }
        enough
    }
}

impl<T> Outcome<T> {
    /// Whether the same call may be made again at once, and the least wait before it. `harmless`:
    /// to be carried out twice changes nothing, as of a question.
    #[must_use]
    pub fn repeat_after(&self, harmless: bool) -> Option<Millis> {
        match self {
            Self::Unclear(why) if harmless && *why != Why::TooLong => Some(Millis(0)),
            // It was not looked at, whatever it was.
            Self::Refused(error) if error.status == 429 => {
                Some(error.retry_after.unwrap_or_default())
            }
            Self::NotSent(Hindrance::Connect) => Some(Millis(0)),
            // The rest does not get better within one call.
            Self::Done(_) | Self::Refused(_) | Self::NotSent(_) | Self::Unclear(_) => None,
        }
    }
}

/// How long to wait before the next try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// Before the second try, at most.
    pub first: Millis,
    /// Before any.
    pub longest: Millis,
}

impl Backoff {
    /// The wait after `tries` failures: doubled each time, and a part between a half and all of it
    /// by `dice`, any random number, so that those who failed together do not come back together.
    #[must_use]
    pub fn after(&self, tries: u32, dice: u64) -> Millis {
        let doubled = 1_u64.checked_shl(tries.saturating_sub(1)).unwrap_or(u64::MAX);
        let whole = self.first.0.saturating_mul(doubled).min(self.longest.0);
        let half = whole / 2;
        Millis(half + dice % (whole - half + 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::{ProviderError, TlsFault};

    #[test]
    fn only_what_cannot_happen_twice_is_repeated() {
        let slow = ProviderError { retry_after: Some(Millis(700)), ..ProviderError::bare(429) };
        let cases: [(Outcome<()>, Option<u64>, Option<u64>); 9] = [
            (Outcome::Done(()), None, None),
            (Outcome::Unclear(Why::TimedOut), Some(0), None),
            (Outcome::Unclear(Why::TooLong), None, None),
            (Outcome::Unclear(Why::Failed { status: 500, code: None }), Some(0), None),
            (Outcome::Refused(slow), Some(700), Some(700)),
            (Outcome::Refused(ProviderError::bare(404)), None, None),
            (Outcome::NotSent(Hindrance::Connect), Some(0), Some(0)),
            (Outcome::NotSent(Hindrance::Paused), None, None),
            (Outcome::NotSent(Hindrance::Tls(TlsFault::Expired)), None, None),
        ];
        for (outcome, question, order) in cases {
            assert_eq!(outcome.repeat_after(true), question.map(Millis), "{outcome:?}");
            assert_eq!(outcome.repeat_after(false), order.map(Millis), "{outcome:?}");
        }
    }

    #[test]
    fn repeats_are_a_part_of_calls_beyond_a_small_reserve() {
        let mut budget = Budget::new(100, 3);
        let spent = |budget: &mut Budget| (0..10).filter(|_| budget.spend()).count();
        assert_eq!(spent(&mut budget), 3);
        for _ in 0..19 {
            budget.called();
        }
        assert_eq!(spent(&mut budget), 1, "one in ten");
        for _ in 0..1000 {
            budget.called();
        }
        assert_eq!(spent(&mut budget), 3, "a quiet day saves up no storm");
    }

    #[test]
    fn waits_double_up_to_the_longest_and_are_spread() {
        let backoff = Backoff { first: Millis(100), longest: Millis(1000) };
        let bounds = |tries| (backoff.after(tries, 0).0, backoff.after(tries, 50).0);
        assert_eq!((bounds(1), bounds(2).0, bounds(3).0), ((50, 100), 100, 200));
        assert_eq!(backoff.after(5, 500), Millis(1000));
        assert_eq!(backoff.after(u32::MAX, 501), Millis(500), "the dice wrap around");
        let none = Backoff { first: Millis(0), longest: Millis(0) };
        assert_eq!(none.after(1, 7), Millis(0));
    }
}
