//! Top-ups: what a passenger puts in for later rides, by a charge of its own.
//!
//! It is no debt: nothing is booked before it has come in. As a tip it lapses when its charge has
//! ended, and what comes for it later goes back.

use serde::{Deserialize, Serialize};

use super::{Payment, PaymentEvent, PaymentPolicy, PaymentStatus, Relief};
use crate::ids::{PassengerId, PaymentId};
use crate::money::Centavos;
use crate::refusal::Refusal;
use crate::units::UnixMillis;

/// Who puts in how much.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TopUp {
    pub passenger: PassengerId,
    pub amount: Centavos,
}

impl Payment {
    /// A top-up before it is asked for.
    #[must_use]
    pub fn top_up(id: PaymentId, at: UnixMillis) -> Self {
        Self {
            status: PaymentStatus::Lapsed,
            relief: Some(Relief::Lapsed),
            ..Self::empty(id, None, at)
        }
    }

    /// Whether nobody owes it: it is given, or put in, or not.
    #[must_use]
    pub fn is_optional(&self) -> bool {
        self.is_tip() || self.top_up.is_some()
    }

    /// Has the charge of a top-up made. Nothing where it was asked for already.
    ///
    /// # Errors
    /// [`Refusal::Unavailable`] where there is no provider to charge by,
    /// [`Refusal::IdempotencyKeyReused`] where this is another one.
    pub fn put_in(
        &self,
        top_up: TopUp,
        at: UnixMillis,
        policy: &PaymentPolicy,
    ) -> Result<Vec<PaymentEvent>, Refusal> {
        match self.top_up {
            Some(known) if known == top_up => Ok(vec![]),
            Some(_) => Err(Refusal::IdempotencyKeyReused),
            None if !policy.charges => Err(Refusal::Unavailable),
            None => {
                let expires_at = at + policy.expiry;
                let ordered = PaymentEvent::ChargeOrdered { number: 1, expires_at };
                Ok(vec![PaymentEvent::TopUpAsked { top_up }, ordered])
            }
        }
    }
}
