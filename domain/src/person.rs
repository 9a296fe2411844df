//! What identifies a person or a vehicle: CPF, phone, email, name, plate.
//!
//! A value that exists is or was valid: `parse` refuses, and nobody checks again. All of it is
//! personal data, so `Debug` masks it. Phone and email are shown by `Serialize` because their owner
//! may read them back; a CPF leaves only by [`Cpf::expose`].

use std::fmt;

use serde::{Serialize, Serializer};
use thiserror::Error;

pub use crate::role::{Approval, ReviewRefused, Role, Scope};

/// Why a text is none of these. [`PersonError::field`] and [`PersonError::code`] are for clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum PersonError {
    #[error("a CPF has 11 digits, as 12345678909 or 123.456.789-09")]
    CpfFormat,
    #[error("the check digits of this CPF do not match")]
    CpfCheckDigits,
    #[error("a phone is + and 8 to 15 digits, with its country code")]
    PhoneFormat,
    #[error("an email looks like name@example.com")]
    EmailFormat,
    #[error("an email has at most 254 bytes")]
    EmailLength,
    #[error("a name has 1 to 120 characters")]
    NameLength,
    #[error("a name has no control characters")]
    NameCharacter,
    #[error("a plate looks like ABC1234 or ABC1D23")]
    PlateFormat,
    #[error("not a known {field}")]
    UnknownName { field: &'static str },
}

impl PersonError {
    /// The field that is wrong, as the public contract names it.
    #[must_use]
    pub const fn field(self) -> &'static str {
        match self {
            Self::CpfFormat | Self::CpfCheckDigits => "cpf",
            Self::PhoneFormat => "phone",
            Self::EmailFormat | Self::EmailLength => "email",
            Self::NameLength | Self::NameCharacter => "name",
            Self::PlateFormat => "plate",
            Self::UnknownName { field } => field,
        }
    }

    /// What is wrong with it, a stable name.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::CpfFormat | Self::PhoneFormat | Self::EmailFormat | Self::PlateFormat => {
                "invalid_format"
            }
            Self::CpfCheckDigits => "invalid_check_digits",
            Self::EmailLength | Self::NameLength => "out_of_range",
            Self::NameCharacter => "invalid_character",
            Self::UnknownName { .. } => "unknown_value",
        }
    }
}

/// A Brazilian taxpayer number: 11 digits of which the last two check the first nine.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Cpf([u8; 11]);

impl Cpf {
    /// Reads `12345678909` or `123.456.789-09`; white space around it is ignored.
    ///
    /// # Errors
    /// [`PersonError::CpfFormat`], [`PersonError::CpfCheckDigits`]; eleven equal digits pass the
    /// checks of the algorithm and are refused as well, for nobody has such a number.
    pub fn parse(text: &str) -> Result<Self, PersonError> {
        let bytes = text.trim().as_bytes();
        let punctuated = bytes.len() == 14;
        let mut digits = [0; 11];
        let mut count = 0;
        for (position, byte) in bytes.iter().enumerate() {
            let separator = match position {
                3 | 7 if punctuated => Some(b'.'),
                11 if punctuated => Some(b'-'),
                _ => None,
            };
            match separator {
                Some(expected) if *byte == expected => {}
                Some(_) => return Err(PersonError::CpfFormat),
                None if byte.is_ascii_digit() && count < digits.len() => {
                    digits[count] = byte - b'0';
                    count += 1;
                }
                None => return Err(PersonError::CpfFormat),
            }
        }
        if count != digits.len() {
            return Err(PersonError::CpfFormat);
        }
        let all_equal = digits.iter().all(|digit| *digit == digits[0]);
        let (tenth, last) = check_digits(&digits);
        if all_equal || digits[9] != tenth || digits[10] != last {
            return Err(PersonError::CpfCheckDigits);
        }
        Ok(Self(digits))
    }

    /// The number whose first nine digits are `base % 1,000,000,000`, for simulated people.
    /// `None` where all digits would be equal.
    #[must_use]
    pub fn with_check_digits(base: u32) -> Option<Self> {
        let mut digits = [0; 11];
        let mut rest = base;
        for digit in digits[..9].iter_mut().rev() {
            *digit = u8::try_from(rest % 10).unwrap_or(0);
            rest /= 10;
        }
        let (tenth, last) = check_digits(&digits);
        (digits[9], digits[10]) = (tenth, last);
        digits.iter().any(|digit| *digit != digits[0]).then_some(Self(digits))
    }

    /// The eleven digits. The only way out of this type: say at each call why it is right.
    #[must_use]
    pub fn expose(&self) -> String {
        self.0.iter().map(|digit| char::from(b'0' + digit)).collect()
    }
}

/// Both check digits of the first nine digits, modulo 11 with weights 10..2 and 11..2.
///
/// Source: Receita Federal, the rule of the CPF's "dígitos verificadores".
fn check_digits(digits: &[u8; 11]) -> (u8, u8) {
    let tenth = check_digit(&digits[..9]);
    let mut ten = [0; 10];
    ten[..9].copy_from_slice(&digits[..9]);
    ten[9] = tenth;
    (tenth, check_digit(&ten))
}

fn check_digit(digits: &[u8]) -> u8 {
    let weights = (2_u32..).take(digits.len());
    let sum: u32 = digits.iter().rev().zip(weights).map(|(digit, w)| u32::from(*digit) * w).sum();
    match sum % 11 {
        0 | 1 => 0,
        rest => u8::try_from(11 - rest).unwrap_or(0),
    }
}

impl fmt::Debug for Cpf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cpf(***)")
    }
}

macro_rules! personal_text {
    ($(#[doc = $doc:literal])+ $name:ident) => {
        $(#[doc = $doc])+
        #[derive(Clone, PartialEq, Eq, Hash)]
        pub struct $name(String);

        impl $name {
            /// What `parse` once accepted and storage has kept. Not checked again, so that a rule
            /// that grows stricter does not lock out those who came before it.
            #[must_use]
            pub const fn from_stored(text: String) -> Self {
                Self(text)
            }

            /// The text, for storing it and for showing it to its owner.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(***)"))
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }
    };
}

personal_text! {
    /// A phone number in E.164: `+`, country code, number, nothing else.
    Phone
}

impl Phone {
    /// Reads an international number; spaces, dashes, dots and parentheses between digits go.
    ///
    /// # Errors
    /// [`PersonError::PhoneFormat`].
    pub fn parse(text: &str) -> Result<Self, PersonError> {
        let rest = text.trim().strip_prefix('+').ok_or(PersonError::PhoneFormat)?;
        let mut number = String::from("+");
        for symbol in rest.chars() {
            match symbol {
                '0'..='9' => number.push(symbol),
                ' ' | '-' | '.' | '(' | ')' => {}
                _ => return Err(PersonError::PhoneFormat),
            }
        }
        // No country code begins with 0.
        let fits = (9..=16).contains(&number.len()) && !number.starts_with("+0");
        fits.then_some(Self(number)).ok_or(PersonError::PhoneFormat)
    }
}

personal_text! {
    /// An email address, lower-cased, for two spellings are one account.
    Email
}

impl Email {
    /// The longest address that mail can carry (RFC 5321, 4.5.3.1.3).
    pub const BYTES_MAX: usize = 254;

    /// Reads an address. Only a mail that arrives proves one, so the rules are few: one `@`,
    /// something before it, a domain with a dot after it, ASCII without blanks.
    ///
    /// # Errors
    /// [`PersonError::EmailFormat`], [`PersonError::EmailLength`].
    pub fn parse(text: &str) -> Result<Self, PersonError> {
        let address = text.trim().to_ascii_lowercase();
        if address.len() > Self::BYTES_MAX {
            return Err(PersonError::EmailLength);
        }
        let (local, domain) = address.split_once('@').ok_or(PersonError::EmailFormat)?;
        let plain = |byte: u8| byte.is_ascii_graphic() && !b"\"(),:;<>@[\\]".contains(&byte);
        let dotted = |part: &str| part.split('.').all(|piece| !piece.is_empty());
        let local_fits = local.len() <= 64 && local.bytes().all(plain) && dotted(local);
        let host = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.';
        let domain_fits = domain.contains('.') && domain.bytes().all(host) && dotted(domain);
        (local_fits && domain_fits).then_some(Self(address)).ok_or(PersonError::EmailFormat)
    }
}

personal_text! {
    /// What a person is called, in their own spelling.
    PersonName
}

impl PersonName {
    /// The most characters a name has.
    pub const CHARS_MAX: usize = 120;

    /// Reads a name; blanks around it go.
    ///
    /// # Errors
    /// [`PersonError::NameLength`], [`PersonError::NameCharacter`]. Characters that turn the
    /// direction of text are refused too: a name must not rewrite the line it is shown in.
    pub fn parse(text: &str) -> Result<Self, PersonError> {
        let name = text.trim();
        if name.chars().any(|symbol| symbol.is_control() || turns_direction(symbol)) {
            return Err(PersonError::NameCharacter);
        }
        let fits = (1..=Self::CHARS_MAX).contains(&name.chars().count());
        fits.then(|| Self(name.to_owned())).ok_or(PersonError::NameLength)
    }
}

fn turns_direction(symbol: char) -> bool {
    matches!(symbol, '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

personal_text! {
    /// A Brazilian licence plate, upper-case without dash: `ABC1234` or Mercosul `ABC1D23`.
    Plate
}

impl Plate {
    /// Reads a plate in either form; a dash or blank after the letters and lower case are fine.
    ///
    /// # Errors
    /// [`PersonError::PlateFormat`].
    pub fn parse(text: &str) -> Result<Self, PersonError> {
        let mut plate = text.trim().to_ascii_uppercase();
        if plate.is_char_boundary(3) && plate.get(3..4).is_some_and(|sign| "- ".contains(sign)) {
            plate.remove(3);
        }
        let fits = plate.len() == 7
            && plate.bytes().enumerate().all(|(position, byte)| match position {
                0..=2 => byte.is_ascii_uppercase(),
                4 => byte.is_ascii_uppercase() || byte.is_ascii_digit(),
                _ => byte.is_ascii_digit(),
            });
        fits.then_some(Self(plate)).ok_or(PersonError::PlateFormat)
    }
}

#[cfg(test)]
#[path = "person_tests.rs"]
mod tests;
