//! A charge of a payment: what the provider is asked to collect, and how far that has come.

use serde::{Deserialize, Serialize};

use crate::money::Centavos;
use crate::units::UnixMillis;

/// How far a charge has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum Stage {
    /// Ordered; the provider may have it, or not yet.
    Making,
    /// Can be paid.
    Live { copy_paste: String },
    /// Cannot be paid any more, by what the provider says.
    Ended,
    /// The provider refused it.
    Refused { code: String },
}

/// One charge: what the provider is asked to collect under a txid of ours.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Charge {
    /// Counts the charges of a payment, from 1.
    pub number: u16,
    pub made_at: UnixMillis,
    /// By us: the provider's own word for a charge that is over does not exist.
    pub expires_at: UnixMillis,
    pub stage: Stage,
    /// What it asks for, where credit has paid the rest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<Centavos>,
}

impl Charge {
    /// Whether it can be paid, as far as is known.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        matches!(self.stage, Stage::Making | Stage::Live { .. })
    }
}
