//! Texts that mean something else: amounts and moments. Only `wire` uses it, and `moment_of`.

use ibora_domain::money::{Centavos, MoneyError};
use ibora_domain::units::UnixMillis;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Digits of an amount before its point.
const REAIS_DIGITS_MAX: usize = 10;

/// The moment that an RFC 3339 text means, in whatever offset it is written.
#[must_use]
pub fn moment_of(text: &str) -> Option<UnixMillis> {
    let parsed = OffsetDateTime::parse(text, &Rfc3339).ok()?;
    let millis = parsed.unix_timestamp_nanos().div_euclid(1_000_000);
    i64::try_from(millis).ok().map(UnixMillis)
}

/// An amount as the provider writes it: by split, never through a float.
fn amount_of(text: &str) -> Result<Centavos, MoneyError> {
    let reais = text.split_once('.').map_or(text, |(reais, _)| reais);
    if reais.len() > REAIS_DIGITS_MAX {
        return Err(MoneyError::OutOfRange);
    }
    text.parse()
}

pub(super) mod amount {
    //! `"23.50"`: a field of type `Centavos`.

    use serde::Serializer;

    use super::*;

    pub(in super::super) fn serialize<S: Serializer>(
        amount: &Centavos,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        ibora_domain::money::reais(amount, serializer)
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Centavos, D::Error> {
        let text = String::deserialize(deserializer)?;
        amount_of(&text).map_err(D::Error::custom)
    }
}

pub(super) mod amount_option {
    //! An amount that may be absent or `null`.

    use serde::Serializer;

    use super::*;

    pub(in super::super) fn serialize<S: Serializer>(
        amount: &Option<Centavos>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        ibora_domain::money::reais_option(amount, serializer)
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Centavos>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        text.map(|text| amount_of(&text).map_err(D::Error::custom)).transpose()
    }
}

pub(super) mod moment {
    //! RFC 3339: a field of type `UnixMillis`.

    use serde::Serializer;

    use super::*;

    pub(in super::super) fn serialize<S: Serializer>(
        at: &UnixMillis,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        ibora_domain::units::rfc3339(at, serializer)
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<UnixMillis, D::Error> {
        let text = String::deserialize(deserializer)?;
        moment_of(&text).ok_or_else(|| D::Error::custom("not a moment of RFC 3339"))
    }
}

pub(super) mod moment_option {
    //! A moment that may be absent or `null`.

    use serde::Serializer;

    use super::*;

    pub(in super::super) fn serialize<S: Serializer>(
        at: &Option<UnixMillis>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        ibora_domain::units::rfc3339_option(at, serializer)
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<UnixMillis>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        let read = |text: String| {
            moment_of(&text).ok_or_else(|| D::Error::custom("not a moment of RFC 3339"))
        };
        text.map(read).transpose()
    }
}

/// A list that may be `null`, or one thing without its list, as a published example has it.
pub(super) fn list<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Shape<T> {
        Many(Vec<T>),
        One(Box<T>),
        None,
    }
    Ok(match Shape::deserialize(deserializer)? {
        Shape::Many(many) => many,
        Shape::One(one) => vec![*one],
        Shape::None => Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_have_one_to_ten_digits_a_point_and_two() {
        assert_eq!(amount_of("9999999999.99"), Ok(Centavos(999_999_999_999)));
        assert_eq!(amount_of("0.00"), Ok(Centavos::ZERO));
        for bad in ["1", "1.5", "1e2", " 1.00", "1.00 ", "-1.00", "+1.00", "1,00", "", ".00"] {
            assert_eq!(amount_of(bad), Err(MoneyError::Malformed), "{bad}");
        }
        assert_eq!(amount_of("10000000000.00"), Err(MoneyError::OutOfRange));
    }

    #[test]
    fn moments_are_read_in_any_offset() {
        let at = moment_of("2020-09-09T20:15:00.358Z");
        assert_eq!(at, Some(UnixMillis(1_599_682_500_358)));
        assert_eq!(moment_of("2020-09-09T17:15:00.358-03:00"), at);
        assert_eq!(moment_of("2020-09-09T20:15:00.358999Z"), at);
        for bad in ["", "2020-09-09", "2020-09-09T20:15:00", "now"] {
            assert_eq!(moment_of(bad), None, "{bad}");
        }
    }
}
