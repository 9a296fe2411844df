//! What identifies money on its way through Pix, and the key that it is paid to.
//!
//! Rooms that speak with the provider and machines that decide about money call this. A value that
//! exists was valid: `parse` and deserialization refuse, and nobody checks again. A key is personal
//! data (it may be a CPF, a phone or an email), so its `Debug` masks it; identifiers are not.

mod key;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;
use uuid::Uuid;

pub use key::{Payee, PixKeyKind};

/// Why a text is none of these. It never repeats what was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum PixError {
    #[error("not 1 to {max} ASCII letters and digits")]
    Identifier { max: usize },
    #[error("a Pix key has 1 to 77 characters without blanks")]
    Key,
    #[error("a Pix key is a CPF, a CNPJ, an email, a phone with + and country code, or a UUID")]
    Kind,
}

macro_rules! identifiers {
    ($($(#[doc = $doc:literal])+ $name:ident up to $max:literal),* $(,)?) => {$(
        $(#[doc = $doc])+
        #[derive(
            Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
        )]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Reads an identifier.
            ///
            /// # Errors
            /// [`PixError::Identifier`].
            pub fn parse(text: &str) -> Result<Self, PixError> {
                text.parse()
            }

            /// The text of it, exactly as it came.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = PixError;

            fn from_str(text: &str) -> Result<Self, PixError> {
                Self::try_from(text.to_owned())
            }
        }

        impl TryFrom<String> for $name {
            type Error = PixError;

            fn try_from(text: String) -> Result<Self, PixError> {
                let fits = (1..=$max).contains(&text.len());
                let plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric());
                (fits && plain).then_some(Self(text)).ok_or(PixError::Identifier { max: $max })
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )*};
}

identifiers! {
    /// The reference of a charge, made by who is paid. What others paid may carry a shorter one
    /// (of a printed code) or none; one of ours has [`Txid::CHARGE_MIN`] characters or more.
    Txid up to 35,
    /// The number of one Pix from end to end. Opaque: the rule says 32 characters, the provider's
    /// own examples have 26 to 30, and money is never turned away for that.
    EndToEndId up to 64,
    /// The id of a refund (devolução), ours, unique within its Pix.
    RefundId up to 35,
    /// The network's number of a refund or of a returned payout (`D...`).
    ReturnId up to 64,
    /// The id of a payout (`idEnvio`), ours; the same id never pays twice.
    SendId up to 35,
}

impl Txid {
    /// The fewest characters of the reference of a dynamic charge.
    pub const CHARGE_MIN: usize = 26;

    /// Whether a dynamic charge may have this reference.
    #[must_use]
    pub fn fits_charge(&self) -> bool {
        self.0.len() >= Self::CHARGE_MIN
    }
}

macro_rules! of_uuid {
    ($($name:ident),*) => {$(
        impl From<Uuid> for $name {
            /// The 32 hexadecimal digits, which fit every rule of the provider.
            fn from(id: Uuid) -> Self {
                Self(id.simple().to_string())
            }
        }
    )*};
}

of_uuid!(Txid, RefundId, SendId);

/// Whom a Pix goes to: a CPF or CNPJ, a phone, an email, or a random number.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PixKey(String);

impl PixKey {
    /// The longest key of the directory.
    pub const CHARS_MAX: usize = 77;

    /// Reads a key. Whether it belongs to anybody, only the directory knows.
    ///
    /// # Errors
    /// [`PixError::Key`].
    pub fn parse(text: &str) -> Result<Self, PixError> {
        Self::try_from(text.to_owned())
    }

    /// The key. The only way out of this type: say at each call why it is right.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for PixKey {
    type Error = PixError;

    fn try_from(text: String) -> Result<Self, PixError> {
        let fits = (1..=Self::CHARS_MAX).contains(&text.chars().count());
        let plain = !text.chars().any(|c| c.is_whitespace() || c.is_control());
        (fits && plain).then_some(Self(text)).ok_or(PixError::Key)
    }
}

impl From<PixKey> for String {
    fn from(key: PixKey) -> Self {
        key.0
    }
}

impl fmt::Debug for PixKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PixKey(***)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_are_letters_and_digits_of_a_length() {
        for good in ["a", "E1803615022211340s08793XPJ", &"9".repeat(64)] {
            assert_eq!(EndToEndId::parse(good).expect("fits").as_str(), good);
        }
        for bad in ["", "a b", "a-b", "é", "١", &"9".repeat(65)] {
            assert_eq!(EndToEndId::parse(bad), Err(PixError::Identifier { max: 64 }), "{bad}");
        }
        assert_eq!(Txid::parse(&"a".repeat(36)), Err(PixError::Identifier { max: 35 }));
    }

    #[test]
    fn a_uuid_fits_every_id_of_ours() {
        let id = Uuid::from_u128(7);
        assert_eq!(Txid::from(id).as_str(), "00000000000000000000000000000007");
        assert!(Txid::from(id).fits_charge());
        assert!(!Txid::parse("RIDE0001").expect("fits").fits_charge());
        assert!(SendId::parse(SendId::from(id).as_str()).is_ok());
        assert!(RefundId::parse(RefundId::from(id).as_str()).is_ok());
    }

    #[test]
    fn a_key_is_never_shown_by_accident() {
        let key = PixKey::parse("maria@example.com").expect("a key");
        assert_eq!(format!("{key:?}"), "PixKey(***)");
        assert_eq!(key.expose(), "maria@example.com");
        for bad in ["", "a b", "a\n", &"x".repeat(78)] {
            assert_eq!(PixKey::parse(bad), Err(PixError::Key));
        }
    }

    #[test]
    fn json_is_held_to_the_same_rules() {
        assert!(serde_json::from_str::<Txid>("\"abc\"").is_ok());
        for bad in ["\"a-b\"", "7", "null", "\"\""] {
            assert!(serde_json::from_str::<Txid>(bad).is_err(), "{bad}");
        }
    }
}
