//! How an amount is shared. The parts always sum to the whole, and a part of a centavo goes to the
//! driver.

use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;
use serde::{Deserialize, Serialize};

use super::event::LedgerError;
use crate::money::Centavos;

/// A share of a whole, from nothing to all of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate(Decimal);

impl Rate {
    /// `None` where it is no share: below 0 or above 1.
    #[must_use]
    pub fn new(rate: Decimal) -> Option<Self> {
        (Decimal::ZERO..=Decimal::ONE).contains(&rate).then_some(Self(rate))
    }

    /// So many hundredths, 100 at most.
    #[must_use]
    pub fn percent(hundredths: u8) -> Self {
        Self(Decimal::new(i64::from(hundredths.min(100)), 2))
    }

    /// What is left of the whole.
    #[must_use]
    pub fn rest(self) -> Self {
        Self(Decimal::ONE - self.0)
    }

    /// This share of `amount`, rounded down to the centavo. `amount` must not be negative.
    fn of(self, amount: Centavos) -> Result<Centavos, LedgerError> {
        let share = Decimal::from(amount.0).checked_mul(self.0);
        let share = share.and_then(|share| share.floor().to_i64());
        share.map(Centavos).ok_or(LedgerError::OutOfRange)
    }
}

/// What a driver and the platform get of an amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shares {
    pub driver: Centavos,
    pub platform: Centavos,
}

impl Shares {
    /// Shares `amount`: `platform` of it, rounded down, to the platform.
    ///
    /// # Errors
    /// [`LedgerError::OutOfRange`] for a negative amount.
    pub fn of(amount: Centavos, platform: Rate) -> Result<Self, LedgerError> {
        if amount.0 < 0 {
            return Err(LedgerError::OutOfRange);
        }
        let platform = platform.of(amount)?;
        Ok(Self { driver: Centavos(amount.0 - platform.0), platform })
    }

    /// The whole.
    ///
    /// # Errors
    /// [`LedgerError::OutOfRange`] on overflow.
    pub fn whole(self) -> Result<Centavos, LedgerError> {
        self.driver.checked_add(self.platform).map_err(|_| LedgerError::OutOfRange)
    }

    /// How the next `amount` given back is shared, where `before` of it was given back already.
    /// However often it is cut, all of it given back is each one's share, to the centavo; until
    /// then the driver bears what is rounded down.
    ///
    /// # Errors
    /// [`LedgerError::OutOfRange`] where more is given back than there was.
    pub fn given_back(self, before: Centavos, amount: Centavos) -> Result<Self, LedgerError> {
        let after = before.checked_add(amount).map_err(|_| LedgerError::OutOfRange)?;
        let whole = self.whole()?;
        if before.0 < 0 || amount.0 < 0 || after > whole {
            return Err(LedgerError::OutOfRange);
        }
        let of_driver = |back: Centavos| match whole.0 {
            0 => Ok(0),
            whole => {
                i64::try_from(i128::from(self.driver.0) * i128::from(back.0) / i128::from(whole))
                    .map_err(|_| LedgerError::OutOfRange)
            }
        };
        let driver = Centavos(of_driver(after)? - of_driver(before)?);
        Ok(Self { driver, platform: Centavos(amount.0 - driver.0) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Amounts without a pattern, up to `i64::MAX`.
    fn large() -> impl Iterator<Item = i64> {
        let mut state = 0x9E37_79B9_7F4A_7C15_u64;
        std::iter::repeat_with(move || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            i64::try_from(state >> 1).expect("63 bits") >> (state % 40)
        })
        .take(10_000)
    }

    #[test]
    fn the_parts_sum_to_the_whole_and_a_part_of_a_centavo_goes_to_the_driver() {
        for amount in (1..=1000).chain(large()) {
            for rate in [0, 1, 5, 15, 20, 25, 33, 99, 100] {
                let shares = Shares::of(Centavos(amount), Rate::percent(rate)).expect("fits");
                assert_eq!(shares.whole(), Ok(Centavos(amount)), "{amount} at {rate} %");
                let hundredths = i128::from(shares.platform.0) * 100;
                let exact = i128::from(amount) * i128::from(rate);
                assert!(hundredths <= exact && exact < hundredths + 100, "{amount} at {rate} %");
            }
        }
    }

    #[test]
    fn however_a_refund_is_cut_everybody_gives_back_his_share() {
        for amount in 1..=1000_i64 {
            let shares = Shares::of(Centavos(amount), Rate::percent(25)).expect("fits");
            for cuts in 1..=5.min(amount) {
                let (mut before, mut driver, mut platform) = (0, 0, 0);
                for cut in 1..=cuts {
                    let upto = amount * cut / cuts;
                    let back = shares
                        .given_back(Centavos(before), Centavos(upto - before))
                        .expect("not more than there was");
                    assert!(back.driver.0 >= 0 && back.platform.0 >= 0);
                    driver += back.driver.0;
                    platform += back.platform.0;
                    before = upto;
                }
                assert_eq!((driver, platform), (shares.driver.0, shares.platform.0));
            }
        }
    }

    #[test]
    fn what_is_no_share_and_what_was_not_there_is_refused() {
        assert_eq!(Rate::new(Decimal::new(101, 2)), None);
        assert_eq!(Rate::new(Decimal::NEGATIVE_ONE), None);
        let negative = Shares::of(Centavos(-1), Rate::percent(20));
        assert_eq!(negative, Err(LedgerError::OutOfRange));
        let shares = Shares::of(Centavos(1000), Rate::percent(20)).expect("fits");
        let more = shares.given_back(Centavos(600), Centavos(401));
        assert_eq!(more, Err(LedgerError::OutOfRange));
    }
}
