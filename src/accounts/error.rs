//! What accounts refuse. One enum for what people ask, one for tokens, one for the set-up.
//!
//! No variant holds a database error: its `Debug` may show the row that was refused.

pub use ibora_domain::field::FieldError;
use ibora_domain::ids::UserId;
use ibora_domain::person::ReviewRefused;
use thiserror::Error;

use crate::readmodel::ReadError;

/// Why a request about accounts is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AccountError {
    /// Which of the three it is, is nobody's business.
    #[error("an account with this email, phone or CPF exists")]
    AccountExists,
    #[error("no such account, wrong password, or a token that is no longer good")]
    InvalidCredentials,
    /// Answered like `InvalidCredentials`. The caller also ends the live sessions of `user`.
    #[error("a replaced refresh token was used again; its family is ended")]
    TokenReused { user: UserId },
    #[error("{} of the fields are not valid", .0.len())]
    Invalid(Vec<FieldError>),
    #[error("no such person")]
    NotFound,
    #[error("not for this role")]
    Forbidden,
    #[error(transparent)]
    Review(#[from] ReviewRefused),
    /// Nothing was done: the command has a stored answer, which the caller gives.
    #[error("answered before")]
    AnsweredBefore,
    #[error("too many requests at once")]
    Overloaded,
    /// Not known to be stored: ask again.
    #[error("the database did not answer")]
    Unavailable,
    /// A stored rule that the checks before it do not know: a defect.
    #[error("refused by {constraint:?}")]
    NotStored { constraint: Option<String> },
    /// A defect.
    #[error("a stored {what} is none of the known")]
    Corrupt { what: &'static str },
    #[error("the password could not be hashed")]
    Hashing,
    #[error("the token could not be signed")]
    Signing,
}

impl From<ReadError> for AccountError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Unavailable => Self::Unavailable,
            ReadError::Corrupt { what } => Self::Corrupt { what },
            ReadError::Cursor => {
                let detail = "not a cursor of this list";
                Self::Invalid(vec![FieldError::new("cursor", "invalid_format", detail)])
            }
        }
    }
}

/// Why a token is no proof. Outside all of these are one 401; only `Expired` may be told apart,
/// for a session then refreshes instead of giving up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum TokenError {
    #[error("longer than any token of ours")]
    TooLarge,
    #[error("not three parts of base64url JSON with our claims")]
    Malformed,
    #[error("not our algorithm, type or header")]
    Header,
    #[error("signed by another key")]
    Signature,
    #[error("of another issuer or for another audience")]
    Audience,
    #[error("expired")]
    Expired,
    #[error("a ticket that is used, too old, or never was")]
    UnknownTicket,
}

/// Why accounts cannot be opened with these options.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum OptionsError {
    #[error("the signing key has {bytes} bytes; at least 32 are needed")]
    SigningKey { bytes: usize },
    #[error("argon2 takes no such memory, passes or lanes")]
    Hashing,
    #[error("at least one password must be hashed at a time")]
    HashingAtOnce,
}
