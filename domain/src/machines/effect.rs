//! Effects: calls to the payment provider that machines want made, and what comes of them.
//!
//! An effect leaves after the commit that it rests on, as a message does. Who carries it out tells
//! what came of it, and decides nothing; a process that ends in between tells nothing. So a machine
//! asks again, when it is built and when it has waited too long, under the same ids: then the order
//! is in doubt, and the provider is asked for it before it is sent.

use crate::ids::PaymentId;
use crate::money::Centavos;
use crate::payment::{ChargeSeen, Incoming};
use crate::payout::{Heard, PayoutCall};
use crate::pix::{EndToEndId, RefundId, Txid};
use crate::provider::{Ending, Errand, Kind, Outcome, ProviderError};
use crate::units::Millis;

/// A call to the provider, and for whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// For the payout line, which counts its calls.
    Payout(u64, PayoutCall),
    Payment(PaymentId, PaymentEffect),
}

/// What a payment wants of the provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PaymentEffect {
    /// Make a charge. `in_doubt`: it may have been sent before.
    Charge { txid: Txid, amount: Centavos, expires_in: Millis, in_doubt: bool },
    /// Say what a charge is now.
    Look { txid: Txid },
    /// Take a charge back, and say what it is then: a payment may win.
    TakeBack { txid: Txid },
    /// Say whether this Pix came in.
    Confirm { pix: EndToEndId },
    /// Give back so much of a Pix. `in_doubt`: it may have been sent before.
    Refund { pix: EndToEndId, id: RefundId, amount: Centavos, in_doubt: bool },
}

impl PaymentEffect {
    /// The name in metrics.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Charge { .. } => "charge",
            Self::Look { .. } => "look",
            Self::TakeBack { .. } => "take_back",
            Self::Confirm { .. } => "confirm",
            Self::Refund { .. } => "refund",
        }
    }
}

/// What came of an effect, told to whoever wanted it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EffectEnded {
    Payout(u64, Heard),
    Payment(PaymentId, PaymentSeen),
}

/// What came of asking or ordering under one id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said<T> {
    /// The provider has this.
    Found(T),
    /// It refuses the order: nothing was carried out.
    Refused { code: String },
    /// It has nothing under this id.
    Absent,
    /// Something else lies under our id, or the answer is not to be believed: people have to look.
    Mismatched,
    /// No end yet. `in_doubt`: the order may have arrived.
    Unfinished { in_doubt: bool },
}

impl<T> Said<T> {
    /// What comes of a question.
    pub fn answered<A>(outcome: Outcome<A>, read: impl FnOnce(A) -> Self) -> Self {
        match outcome {
            Outcome::Done(answer) => read(answer),
            Outcome::Refused(error) if error.kind() == Kind::NotFound => Self::Absent,
            Outcome::Refused(_) | Outcome::NotSent(_) | Outcome::Unclear(_) => {
                Self::Unfinished { in_doubt: true }
            }
        }
    }

    /// What came of carrying an order on, so far.
    pub fn carried<S>(
        ending: Option<Ending<S>>,
        errand: &Errand,
        read: impl FnOnce(S) -> Self,
    ) -> Self {
        match ending {
            Some(Ending::Done(found)) => read(found),
            Some(Ending::Refused(error)) => Self::Refused { code: code_of(&error) },
            Some(Ending::Mismatched(_)) => Self::Mismatched,
            None => Self::Unfinished { in_doubt: errand.is_in_doubt() },
        }
    }

    /// The name in metrics.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Found(_) => "found",
            Self::Refused { .. } => "refused",
            Self::Absent => "absent",
            Self::Mismatched => "mismatched",
            Self::Unfinished { .. } => "unfinished",
        }
    }
}

fn code_of(error: &ProviderError) -> String {
    error.code.as_ref().map_or_else(|| error.status.to_string(), |code| code.as_str().to_owned())
}

/// How far a refund is, by the provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefundSeen {
    Pending,
    Returned,
    Failed,
}

/// What came of an effect that a payment wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PaymentSeen {
    /// Of a charge, however it was asked.
    Charge {
        txid: Txid,
        said: Said<ChargeSeen>,
    },
    Confirm {
        pix: EndToEndId,
        said: Said<Incoming>,
    },
    Refund {
        id: RefundId,
        said: Said<RefundSeen>,
    },
}

impl PaymentSeen {
    /// The name of the outcome in metrics.
    #[must_use]
    pub const fn outcome(&self) -> &'static str {
        match self {
            Self::Charge { said, .. } => said.as_str(),
            Self::Confirm { said, .. } => said.as_str(),
            Self::Refund { said, .. } => said.as_str(),
        }
    }
}
