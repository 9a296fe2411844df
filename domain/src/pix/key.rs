//! The five kinds of Pix keys, how people write them, and whom a driver is paid to.
//!
//! The directory knows to whom a key belongs; here is only told what cannot be one, so that a
//! mistyped key is refused when it is registered and not when somebody waits for his money.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{PixError, PixKey};
use crate::person::{Cpf, Email, Phone};
use crate::units::UnixMillis;

/// What a key is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PixKeyKind {
    Cpf,
    Cnpj,
    Email,
    Phone,
    Random,
}

impl PixKeyKind {
    /// Every kind.
    pub const ALL: [Self; 5] = [Self::Cpf, Self::Cnpj, Self::Email, Self::Phone, Self::Random];

    /// The public name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cpf => "cpf",
            Self::Cnpj => "cnpj",
            Self::Email => "email",
            Self::Phone => "phone",
            Self::Random => "random",
        }
    }
}

impl FromStr for PixKeyKind {
    type Err = PixError;

    fn from_str(text: &str) -> Result<Self, PixError> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text).ok_or(PixError::Kind)
    }
}

impl PixKey {
    /// Reads a key as a person writes it, in the one form that the directory has: without
    /// punctuation, letters of an email and a random key small, those of a CNPJ capital.
    ///
    /// # Errors
    /// [`PixError::Kind`] for what is none of the five.
    pub fn of_person(text: &str) -> Result<(Self, PixKeyKind), PixError> {
        let text = text.trim();
        let (plain, kind) = if text.contains('@') {
            (Email::parse(text).ok().map(|email| email.as_str().to_owned()), PixKeyKind::Email)
        } else if text.starts_with('+') {
            (Phone::parse(text).ok().map(|phone| phone.as_str().to_owned()), PixKeyKind::Phone)
        } else if text.len() == 36 {
            (Uuid::try_parse(text).ok().map(|id| id.to_string()), PixKeyKind::Random)
        } else if let Ok(cpf) = Cpf::parse(text) {
            // A key of this kind is this number.
            (Some(cpf.expose()), PixKeyKind::Cpf)
        } else {
            (cnpj(text), PixKeyKind::Cnpj)
        };
        let key = plain.and_then(|plain| Self::try_from(plain).ok());
        key.map(|key| (key, kind)).ok_or(PixError::Kind)
    }
}

/// Characters of a CNPJ, of which the last two check the others.
const CNPJ: usize = 14;

/// A CNPJ without punctuation, if it is one: `12.ABC.345/01DE-35` or its 14 characters.
fn cnpj(text: &str) -> Option<String> {
    let mut plain = String::with_capacity(CNPJ);
    let punctuated = text.len() == CNPJ + 4;
    for (position, symbol) in text.char_indices() {
        let separator = match position {
            2 | 6 if punctuated => Some('.'),
            10 if punctuated => Some('/'),
            15 if punctuated => Some('-'),
            _ => None,
        };
        match separator {
            Some(expected) if symbol == expected => {}
            None if symbol.is_ascii_alphanumeric() => plain.push(symbol.to_ascii_uppercase()),
            Some(_) | None => return None,
        }
    }
    let all_equal = plain.bytes().all(|byte| plain.as_bytes().first() == Some(&byte));
    if plain.len() != CNPJ || all_equal {
        return None;
    }
    let first = check_digit(&plain.as_bytes()[..CNPJ - 2]);
    let second = check_digit(&plain.as_bytes()[..CNPJ - 1]);
    (plain.as_bytes()[CNPJ - 2..] == [first, second]).then_some(plain)
}

/// The check digit of these characters, modulo 11 with weights 2 to 9 from the right, each counted
/// as its ASCII code less that of `0`.
///
/// Source: Receita Federal, the alphanumeric CNPJ (Instrução Normativa 2.229/2024).
fn check_digit(characters: &[u8]) -> u8 {
    let weights = (2_u32..=9).cycle();
    let sum: u32 = characters
        .iter()
        .rev()
        .zip(weights)
        .map(|(character, weight)| u32::from(character - b'0') * weight)
        .sum();
    match sum % 11 {
        0 | 1 => b'0',
        rest => b'0' + u8::try_from(11 - rest).unwrap_or(0),
    }
}

/// Whom a driver is paid to.
#[derive(Clone, PartialEq, Eq)]
pub struct Payee {
    pub key: PixKey,
    /// Before it nothing is sent there: who stole an account shall not be paid at once.
    pub usable_from: UnixMillis,
    /// Checked when he was taken on, so that the provider refuses a key that is not his. None of
    /// a simulated driver.
    pub cpf: Option<Cpf>,
}

impl Payee {
    /// Whether a change of the key is too fresh to pay to it.
    #[must_use]
    pub fn is_cooling(&self, now: UnixMillis) -> bool {
        now < self.usable_from
    }
}

impl fmt::Debug for Payee {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Payee(from {})", self.usable_from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_as_people_write_it_and_kept_as_the_directory_has_it() {
        for (written, kept, kind) in [
            (" Maria@Example.com ", "maria@example.com", PixKeyKind::Email),
            ("+55 (11) 98765-4321", "+5511987654321", PixKeyKind::Phone),
            ("529.982.247-25", "52998224725", PixKeyKind::Cpf),
            ("52998224725", "52998224725", PixKeyKind::Cpf),
            ("11.222.333/0001-81", "11222333000181", PixKeyKind::Cnpj),
            ("12.ABC.345/01DE-35", "12ABC34501DE35", PixKeyKind::Cnpj),
            ("12abc34501de35", "12ABC34501DE35", PixKeyKind::Cnpj),
            (
                "123E4567-E12B-12D1-A456-426655440000",
                "123e4567-e12b-12d1-a456-426655440000",
                PixKeyKind::Random,
            ),
        ] {
            let (key, of) = PixKey::of_person(written).expect(written);
            assert_eq!((key.expose(), of), (kept, kind), "{written}");
            assert_eq!(of.as_str().parse(), Ok(kind));
        }
    }

    #[test]
    fn what_is_none_of_the_five_is_refused() {
        let long = format!("{}@example.com", "x".repeat(70));
        for bad in [
            "",
            "maria",
            "maria@",
            "529.982.247-26",
            "11111111111",
            "11.222.333/0001-82",
            "12.ABC.345/01DE-3A",
            "00000000000000",
            "11 98765-4321",
            "+55",
            "123e4567-e12b-12d1-a456-42665544000g",
            "١٢٣٤٥٦٧٨٩٠١",
            "11.222.333/0001é81",
            &long,
        ] {
            assert_eq!(PixKey::of_person(bad), Err(PixError::Kind), "{bad}");
        }
    }

    #[test]
    fn a_change_cools_until_its_moment_exactly() {
        let (key, _) = PixKey::of_person("maria@example.com").expect("a key");
        let payee = Payee { key, usable_from: UnixMillis(10), cpf: None };
        assert!(payee.is_cooling(UnixMillis(9)) && !payee.is_cooling(UnixMillis(10)));
        assert!(!format!("{payee:?}").contains("maria"));
    }
}
