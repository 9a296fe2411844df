//! How single values are read: amounts and rates from text, `""` as nothing, secrets unseen.
//!
//! Only `sections` uses it. What must hold: an error made here says what is expected and never
//! repeats what was given, which may be a secret in the wrong place.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use ibora_domain::ledger::Rate;
use ibora_domain::money::Centavos;
use ibora_domain::pix::PixKey;
use rust_decimal::Decimal;
use secrecy::SecretString;
use serde::de::{Deserialize, Deserializer, Error};

/// An amount in reais, `"5.00"`.
pub(super) fn amount<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Centavos, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
}

/// A rate in reais or a multiplier, `"1.60"`: digits and at most one point, never negative.
pub(super) fn rate<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Decimal, D::Error> {
    let text = String::deserialize(deserializer)?;
    let plain = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let rate = if plain { Decimal::from_str_exact(&text).ok() } else { None };
    rate.ok_or_else(|| D::Error::custom("a rate is written like \"1.60\""))
}

/// A share of a whole, `"0.20"`.
pub(super) fn share<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Rate, D::Error> {
    let share = rate(deserializer).ok().and_then(Rate::new);
    share.ok_or_else(|| D::Error::custom("a share is written like \"0.20\", 1 at most"))
}

/// Any text-like value; `""` is none.
pub(super) fn optional<'de, T, D>(deserializer: D) -> Result<Option<T>, D::Error>
where
    T: FromStr<Err: fmt::Display>,
    D: Deserializer<'de>,
{
    let text = String::deserialize(deserializer)?;
    if text.is_empty() {
        return Ok(None);
    }
    text.parse().map(Some).map_err(D::Error::custom)
}

/// A path; `""` is none.
pub(super) fn path<'de, D: Deserializer<'de>>(d: D) -> Result<Option<PathBuf>, D::Error> {
    optional(d)
}

/// A list of texts, each read as what it means.
pub(super) fn list<'de, T, D>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    T: FromStr<Err: fmt::Display>,
    D: Deserializer<'de>,
{
    let texts = Vec::<String>::deserialize(deserializer)?;
    texts.iter().map(|text| text.parse().map_err(D::Error::custom)).collect()
}

/// A Pix key, kept from sight; `""` is none.
pub(super) fn pix_key<'de, D: Deserializer<'de>>(d: D) -> Result<Option<PixKey>, D::Error> {
    let text = String::deserialize(d)?;
    if text.is_empty() {
        return Ok(None);
    }
    PixKey::parse(&text).map(Some).map_err(D::Error::custom)
}

/// A secret text; `""` is none.
pub(super) fn secret<'de, D>(deserializer: D) -> Result<Option<SecretString>, D::Error>
where
    D: Deserializer<'de>,
{
    let text = String::deserialize(deserializer)?;
    Ok((!text.is_empty()).then(|| SecretString::from(text)))
}
