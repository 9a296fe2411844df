//! What speaks for a driver when several could take a ride. It lives in memory: a machine that is
//! built anew begins with the benefit of the doubt.

use super::{DriverMachine, Standing};
use crate::units::UnixMillis;

/// So many offers, all wanted, everybody begins with: one refusal does not brand a newcomer.
const TRUSTED: u16 = 10;

/// Past so many offers all counts are halved: what was long ago fades.
const REMEMBERED: u16 = 64;

/// The rating of one who was never rated.
const UNRATED: f32 = 5.0;

/// Offers that a driver got, and those that he wanted.
#[derive(Default)]
pub(super) struct Answers {
    offered: u16,
    wanted: u16,
}

impl Answers {
    pub(super) fn offered(&mut self) {
        if self.offered >= REMEMBERED {
            self.offered /= 2;
            self.wanted /= 2;
        }
        self.offered += 1;
    }

    /// He tapped, whether he won or not.
    pub(super) fn wanted(&mut self) {
        self.wanted = (self.wanted + 1).min(self.offered);
    }

    fn rate(&self) -> f32 {
        f32::from(self.wanted + TRUSTED) / f32::from(self.offered + TRUSTED)
    }
}

impl DriverMachine {
    pub(super) fn standing(&self) -> Standing {
        let free_since: Option<UnixMillis> =
            Some(self.free_since).filter(|_| self.active.is_none());
        Standing { free_since, acceptance: self.answers.rate(), rating: self.stars() }
    }

    /// His rating, as his account has it.
    fn stars(&self) -> f32 {
        let hundredths = self.profile.as_ref().map_or(0, |profile| profile.rating.hundredths);
        if hundredths == 0 { UNRATED } else { f32::from(hundredths) / 100.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_lets_offers_pass_counts_for_less_and_what_was_long_ago_fades() {
        let mut answers = Answers::default();
        assert!((answers.rate() - 1.0).abs() < f32::EPSILON, "the benefit of the doubt");
        (0..10).for_each(|_| answers.offered());
        assert!((answers.rate() - 0.5).abs() < 0.01, "ten of twenty");
        for _ in 0..500 {
            answers.offered();
            answers.wanted();
        }
        assert!(answers.rate() > 0.95, "{}", answers.rate());
    }
}
