//! What the payout line has the provider asked, and what it hears.

use serde::{Deserialize, Serialize};

use crate::ids::PayoutId;
use crate::money::Centavos;
use crate::person::Cpf;
use crate::pix::{EndToEndId, PixKey, ReturnId, SendId};
use crate::provider::{Order, Outcome, Seen};

/// A payout as it goes out, always under the same id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SendOrder {
    pub payout: PayoutId,
    pub amount: Centavos,
    pub key: PixKey,
    /// The payee's: the provider refuses a key that belongs to somebody else.
    pub document: Option<Cpf>,
}

impl SendOrder {
    /// The id at the provider, made of the payout's alone.
    #[must_use]
    pub fn id(&self) -> SendId {
        SendId::from(self.payout.0)
    }

    /// What is compared with what the provider has.
    #[must_use]
    pub fn order(&self) -> Order {
        Order { amount: self.amount, key: Some(self.key.clone()) }
    }
}

/// A call for a payout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PayoutCall {
    /// Whether so much may be paid now: the provider has it for us, and nothing stops payouts.
    Clear(Centavos),
    Send(Box<SendOrder>),
    Ask(SendId),
}

/// Whether a payout may go out now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cleared {
    Yes,
    /// The provider has too little for us.
    Short,
    /// Somebody, or the audit, has stopped payouts.
    Stopped,
    /// That could not be found out.
    Unknown,
}

impl Cleared {
    /// The name in metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Yes => "cleared",
            Self::Short => "short",
            Self::Stopped => "stopped",
            Self::Unknown => "unknown",
        }
    }
}

impl PayoutCall {
    /// The name in metrics.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Clear(_) => "payout_clear",
            Self::Send(_) => "payout_send",
            Self::Ask(_) => "payout_ask",
        }
    }
}

impl Heard {
    /// The name of the outcome in metrics.
    #[must_use]
    pub const fn outcome(&self) -> &'static str {
        match self {
            Self::Cleared(cleared) => cleared.as_str(),
            Self::Sent(outcome) | Self::Asked(outcome) => outcome.as_str(),
        }
    }
}

/// What came of a [`PayoutCall`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    Cleared(Cleared),
    Sent(Outcome<SentPayout>),
    Asked(Outcome<SentPayout>),
}

/// How a payout stands at the provider. A state that nobody knows counts as pending.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum SendState {
    Pending,
    Done,
    Failed,
}

/// A payout that the provider has under our id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SentPayout {
    pub pix: EndToEndId,
    pub amount: Centavos,
    /// None where the provider does not say.
    pub key: Option<PixKey>,
    pub state: SendState,
    pub returns: Vec<Returned>,
}

/// A part of a payout that has come back, or all of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Returned {
    pub id: ReturnId,
    pub amount: Centavos,
}

impl Seen for SentPayout {
    fn amount(&self) -> Centavos {
        self.amount
    }

    fn key(&self) -> Option<&PixKey> {
        self.key.as_ref()
    }
}
