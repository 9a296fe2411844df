//! Fares: from a tariff, a distance and a duration to centavos, rounded once, at the end.

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::money::{Centavos, MoneyError, reais};
use crate::units::{Metres, Seconds};

/// What a category costs. Rates are reais.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tariff {
    pub base: Decimal,
    pub per_km: Decimal,
    pub per_min: Decimal,
    pub minimum: Decimal,
    /// The highest multiplier that demand may reach.
    pub surge_cap: Decimal,
}

/// A price and how it came about. The lines of the breakdown sum to `estimated`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fare {
    pub estimated: Centavos,
    pub breakdown: Breakdown,
}

/// The lines of a price.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Breakdown {
    pub base: Centavos,
    pub distance: Centavos,
    pub time: Centavos,
    /// What the minimum fare, the surge and the one rounding add to the lines above.
    pub adjustment: Centavos,
}

/// The form of a breakdown in the public contract.
#[derive(Serialize)]
pub struct BreakdownView {
    #[serde(serialize_with = "reais")]
    pub base: Centavos,
    #[serde(serialize_with = "reais")]
    pub distance: Centavos,
    #[serde(serialize_with = "reais")]
    pub time: Centavos,
    #[serde(serialize_with = "reais")]
    pub adjustment: Centavos,
}

impl From<Breakdown> for BreakdownView {
    fn from(lines: Breakdown) -> Self {
        let Breakdown { base, distance, time, adjustment } = lines;
        Self { base, distance, time, adjustment }
    }
}

/// Prices a route: base, kilometres and minutes, at least the minimum, times the capped surge.
///
/// # Errors
/// [`MoneyError::OutOfRange`] for a tariff or a surge whose product does not fit.
pub fn price(
    tariff: &Tariff,
    distance: Metres,
    duration: Seconds,
    surge: Decimal,
) -> Result<Fare, MoneyError> {
    let times =
        |rate: Decimal, amount: Decimal| rate.checked_mul(amount).ok_or(MoneyError::OutOfRange);
    let by_distance = times(tariff.per_km, Decimal::new(i64::from(distance.0), 3))?;
    let by_time = times(tariff.per_min, Decimal::from(duration.0) / Decimal::from(60))?;
    let sum = tariff
        .base
        .checked_add(by_distance)
        .and_then(|sum| sum.checked_add(by_time))
        .ok_or(MoneyError::OutOfRange)?;
    let surge = surge.clamp(Decimal::ONE, tariff.surge_cap.max(Decimal::ONE));
    let estimated = Centavos::from_reais(times(sum.max(tariff.minimum), surge)?)?;
    let (base, distance, time) = (
        Centavos::from_reais(tariff.base)?,
        Centavos::from_reais(by_distance)?,
        Centavos::from_reais(by_time)?,
    );
    let adjustment = Centavos(estimated.0 - base.0 - distance.0 - time.0);
    Ok(Fare { estimated, breakdown: Breakdown { base, distance, time, adjustment } })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn economy() -> Tariff {
        Tariff {
            base: Decimal::new(400, 2),
            per_km: Decimal::new(160, 2),
            per_min: Decimal::new(25, 2),
            minimum: Decimal::new(700, 2),
            surge_cap: Decimal::TWO,
        }
    }

    #[test]
    fn fares_by_table() {
        let cases = [
            // metres, seconds, surge in tenths, centavos
            (0, 0, 10, 700),
            (5000, 600, 10, 1450),
            (5000, 600, 15, 2175),
            (5000, 600, 99, 2900),
            (1234, 61, 10, 700),
            (2345, 421, 10, 951),
            (5000, 600, 1, 1450),
        ];
        for (metres, seconds, surge, centavos) in cases {
            let surge = Decimal::new(surge, 1);
            let fare = price(&economy(), Metres(metres), Seconds(seconds), surge).expect("fits");
            assert_eq!(fare.estimated, Centavos(centavos), "{metres} m, {seconds} s");
            let Breakdown { base, distance, time, adjustment } = fare.breakdown;
            assert_eq!(base.0 + distance.0 + time.0 + adjustment.0, centavos, "lines sum up");
        }
    }

    #[test]
    fn a_price_that_does_not_fit_is_refused() {
        let tariff = Tariff { per_km: Decimal::MAX, ..economy() };
        let price = price(&tariff, Metres(u32::MAX), Seconds(0), Decimal::ONE);
        assert_eq!(price, Err(MoneyError::OutOfRange));
    }
}
