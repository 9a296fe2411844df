//! For how long an access token is used.
//!
//! It is renewed at 80 % of its life, beside the work, so that no call waits for it and none is
//! under way with a token that ends; past its end nobody uses it. `now` is the time since a moment
//! of the owner's choice, by a clock that never goes back.

use crate::units::Millis;

/// The life of one token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    renew_at: Millis,
    ends_at: Millis,
}

/// What a token is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    Good,
    /// Good, and time for the next one.
    Renew,
    Over,
}

impl Lease {
    /// Of a token that was asked for at `asked`: the provider's count may have begun then.
    #[must_use]
    pub const fn new(asked: Millis, expires_in: Millis) -> Self {
        let renew_after = Millis(expires_in.0 / 5 * 4);
        Self { renew_at: asked.plus(renew_after), ends_at: asked.plus(expires_in) }
    }

    /// What it is good for at `now`.
    #[must_use]
    pub fn state(&self, now: Millis) -> State {
        if now >= self.ends_at {
            State::Over
        } else if now >= self.renew_at {
            State::Renew
        } else {
            State::Good
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_renewed_at_four_fifths_of_its_life_and_not_used_past_its_end() {
        let lease = Lease::new(Millis(1000), Millis::from_secs(3600));
        let at = |seconds, ms| lease.state(Millis::from_secs(seconds).plus(Millis(ms)));
        assert_eq!((at(1, 0), at(2880, 999)), (State::Good, State::Good));
        assert_eq!((at(2881, 0), at(3600, 999)), (State::Renew, State::Renew));
        assert_eq!(at(3601, 0), State::Over);
        assert_eq!(Lease::new(Millis(5), Millis(0)).state(Millis(5)), State::Over);
    }
}
