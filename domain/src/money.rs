//! Money: whole centavos of Brazilian reais. No floats, no overflow, no silent sign.

use std::fmt;
use std::str::FromStr;

use rust_decimal::prelude::{Decimal, RoundingStrategy, ToPrimitive};
use serde::{Deserialize, Serialize, Serializer};
use thiserror::Error;

/// An amount in centavos.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Centavos(pub i64);

/// Why a text or a sum is no amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum MoneyError {
    #[error("an amount is written like \"23.50\"")]
    Malformed,
    #[error("amount out of range")]
    OutOfRange,
}

impl Centavos {
    pub const ZERO: Self = Self(0);

    /// The sum.
    ///
    /// # Errors
    /// [`MoneyError::OutOfRange`] on overflow.
    pub fn checked_add(self, other: Self) -> Result<Self, MoneyError> {
        self.0.checked_add(other.0).map(Self).ok_or(MoneyError::OutOfRange)
    }

    /// Rounds reais half-even to the centavo.
    ///
    /// # Errors
    /// [`MoneyError::OutOfRange`] where the centavos do not fit `i64`.
    pub fn from_reais(reais: Decimal) -> Result<Self, MoneyError> {
        reais
            .checked_mul(Decimal::ONE_HUNDRED)
            .map(|c| c.round_dp_with_strategy(0, RoundingStrategy::MidpointNearestEven))
            .and_then(|c| c.to_i64())
            .map(Self)
            .ok_or(MoneyError::OutOfRange)
    }

    /// The same amount in reais, exact.
    #[must_use]
    pub fn to_reais(self) -> Decimal {
        Decimal::new(self.0, 2)
    }
}

impl fmt::Display for Centavos {
    /// Reais with two places, `23.50`, the form of the public contract.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let centavos = self.0.unsigned_abs();
        write!(f, "{sign}{}.{:02}", centavos / 100, centavos % 100)
    }
}

impl FromStr for Centavos {
    type Err = MoneyError;

    /// Exactly `digits.dd`: no sign, no exponent, no third place, ASCII digits only.
    fn from_str(text: &str) -> Result<Self, MoneyError> {
        let (reais, centavos) = text.split_once('.').ok_or(MoneyError::Malformed)?;
        let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        if !digits(reais) || !digits(centavos) || centavos.len() != 2 {
            return Err(MoneyError::Malformed);
        }
        let reais: i64 = reais.parse().map_err(|_| MoneyError::OutOfRange)?;
        let centavos: i64 = centavos.parse().map_err(|_| MoneyError::Malformed)?;
        reais
            .checked_mul(100)
            .and_then(|amount| amount.checked_add(centavos))
            .map(Self)
            .ok_or(MoneyError::OutOfRange)
    }
}

/// Serializes an amount as text in reais, the form of the public contract.
///
/// # Errors
/// Whatever the serializer reports.
pub fn reais<S: Serializer>(amount: &Centavos, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(amount)
}

/// As [`reais`], `null` where there is no amount.
///
/// # Errors
/// Whatever the serializer reports.
pub fn reais_option<S: Serializer>(
    amount: &Option<Centavos>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match amount {
        Some(amount) => serializer.serialize_some(&amount.to_string()),
        None => serializer.serialize_none(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_written_in_reais_and_read_back() {
        for (centavos, text) in [(0, "0.00"), (5, "0.05"), (2350, "23.50"), (100_000, "1000.00")] {
            assert_eq!(Centavos(centavos).to_string(), text);
            assert_eq!(text.parse(), Ok(Centavos(centavos)));
        }
        assert_eq!(Centavos(-705).to_string(), "-7.05");
    }

    #[test]
    fn what_is_no_amount_is_refused() {
        for bad in ["", "1", "1.5", "1.500", "-1.00", "+1.00", "1e3.00", "١.00", "NaN", ".50", "1."]
        {
            assert_eq!(bad.parse::<Centavos>(), Err(MoneyError::Malformed), "{bad}");
        }
        let huge = "92233720368547758.08";
        assert_eq!(huge.parse::<Centavos>(), Err(MoneyError::OutOfRange));
        assert_eq!(Centavos(i64::MAX).checked_add(Centavos(1)), Err(MoneyError::OutOfRange));
    }

    #[test]
    fn halves_of_a_centavo_round_to_even() {
        for (milli, centavos) in [(10_005, 1000), (10_015, 1002), (10_025, 1002), (10_026, 1003)] {
            assert_eq!(Centavos::from_reais(Decimal::new(milli, 3)), Ok(Centavos(centavos)));
        }
    }
}
