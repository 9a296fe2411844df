//! What can be wrong with a configuration, said so that the reader can mend it.
//!
//! No message repeats a value of unknown kind: a secret in the wrong place stays secret.

use std::fmt;
use std::io;
use std::ops::RangeInclusive;
use std::path::PathBuf;

use figment::error::{Actual, Kind};
use rust_decimal::Decimal;
use thiserror::Error;

use crate::obs::LogError;

/// Why there is no configuration.
#[derive(Debug, Error)]
pub enum ConfigError {
    #[error("configuration file {}: {source}", path.display())]
    File { path: PathBuf, source: io::Error },
    /// The place and the parser's words, without the line itself.
    #[error("{origin}: {place}: {detail}")]
    Syntax { origin: String, place: String, detail: String },
    #[error("the variable {name} is not UTF-8")]
    NotUnicode { name: String },
    #[error("{}", Listed(.0))]
    Problems(Vec<Problem>),
}

/// What is wrong with one key.
#[derive(Debug, Error)]
#[error("{key}: {why}{}", Origin(.origin))]
pub struct Problem {
    /// Dotted, as in `http.listen`.
    pub key: String,
    pub why: Why,
    /// Where the value came from: a file, a variable, the command line.
    pub origin: Option<String>,
}

/// The kinds of wrong.
#[derive(Debug, Error)]
pub enum Why {
    #[error("no such key")]
    Unknown,
    #[error("is a section, not a value")]
    IsSection,
    #[error("expected {expected}, found {found}")]
    Shape { expected: String, found: &'static str },
    #[error("`{found}` is none of {}", allowed.join(", "))]
    Choice { found: String, allowed: &'static [&'static str] },
    #[error("{0}")]
    Unreadable(String),
    #[error("{value} is not within {} to {}", range.start(), range.end())]
    OutOfRange { value: u64, range: RangeInclusive<u64> },
    #[error("must lie within {low} to {high}")]
    Rate { low: Decimal, high: Decimal },
    #[error("must not be above {other}")]
    Above { other: &'static str },
    #[error("`{0}` is no origin: write one like `https://app.example.com`")]
    Origin(String),
    #[error("not of the form https://HOST[:PORT]")]
    SecureAddress,
    #[error("not of the form https://HOST[:PORT]/webhooks/efi/pix")]
    WebhookAddress,
    #[error("must be {bytes} or more letters, digits, `-`, `.`, `_` and `~`")]
    AddressSecret { bytes: usize },
    #[error(transparent)]
    Level(LogError),
    #[error("needed when {condition}")]
    Needed { condition: &'static str },
    #[error("must be {required} when mode is \"production\"")]
    Production { required: &'static str },
    #[error("must have at least {bytes} bytes")]
    TooShort { bytes: usize },
    #[error("given twice: here and as {other}")]
    Twice { other: &'static str },
    #[error("cannot read the file {}: {source}", path.display())]
    SecretFile { path: PathBuf, source: io::Error },
    #[error("the file {} is empty", path.display())]
    EmptyFile { path: PathBuf },
    #[error("another has this name")]
    NameTaken,
    #[error("must not be empty")]
    Empty,
    #[error("up to 64 letters, digits, `.`, `-` and `_`, not beginning with `tool-`")]
    NodeId,
}

impl From<Kind> for Why {
    /// As the library says it, without the value it found.
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::InvalidType(found, expected) | Kind::InvalidValue(found, expected) => {
                Self::Shape { expected, found: shape(&found) }
            }
            Kind::UnknownVariant(found, allowed) => Self::Choice { found, allowed },
            Kind::UnknownField(..) => Self::Unknown,
            Kind::ISizeOutOfRange(_) | Kind::USizeOutOfRange(_) => {
                Self::Shape { expected: "a smaller number".to_owned(), found: "a number" }
            }
            other => Self::Unreadable(other.to_string()),
        }
    }
}

/// What was found, without its value.
fn shape(found: &Actual) -> &'static str {
    match found {
        Actual::Bool(_) => "true or false",
        Actual::Unsigned(_) | Actual::Signed(_) | Actual::Float(_) => "a number",
        Actual::Char(_) | Actual::Str(_) | Actual::Bytes(_) => "text",
        Actual::Seq => "a list",
        Actual::Map => "a section",
        _ => "something else",
    }
}

/// Problems, one a line.
struct Listed<'a>(&'a [Problem]);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, problem) in self.0.iter().enumerate() {
            write!(f, "{}{problem}", if at == 0 { "" } else { "\n" })?;
        }
        Ok(())
    }
}

/// ` (from ..)`, or nothing.
struct Origin<'a>(&'a Option<String>);

impl fmt::Display for Origin<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_ref().map_or(Ok(()), |origin| write!(f, " (from {origin})"))
    }
}
