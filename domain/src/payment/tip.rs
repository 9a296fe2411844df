//! Tips: what a passenger gives his driver after a ride, by a charge of its own.
//!
//! All of it is the driver's. It is a debt only while its charge can be paid: then it lapses, and
//! another may be given. One that was paid is the only one of its ride.

use super::{Debt, Payment, PaymentEvent, PaymentPolicy, PaymentStatus, Relief};
use crate::ids::PaymentId;
use crate::ledger::{Due, Shares, Trip};
use crate::money::Centavos;
use crate::refusal::Refusal;
use crate::units::{Millis, UnixMillis};

/// What may be given, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TipPolicy {
    pub min: Centavos,
    pub max: Centavos,
    /// From the end of the ride.
    pub within: Millis,
}

impl Default for TipPolicy {
    /// The defaults of the design, for tests; a running engine reads its configuration.
    fn default() -> Self {
        let within = Millis::from_secs(7 * 24 * 3600);
        Self { min: Centavos(100), max: Centavos(20_000), within }
    }
}

impl Payment {
    /// The tip of a ride before the first one is given.
    #[must_use]
    pub fn tip(trip: Trip, at: UnixMillis) -> Self {
        let shares = Shares { driver: Centavos::ZERO, platform: Centavos::ZERO };
        let debt = Debt { trip, due: Due::Tip, shares };
        Self {
            status: PaymentStatus::Lapsed,
            relief: Some(Relief::Lapsed),
            ..Self::empty(PaymentId::of_tip(trip.ride), Some(debt), at)
        }
    }

    /// Whether it is a tip.
    #[must_use]
    pub fn is_tip(&self) -> bool {
        self.debt.is_some_and(|debt| debt.due == Due::Tip)
    }

    /// Gives `amount`, by a charge. Nothing where just this is on its way already.
    ///
    /// # Errors
    /// [`Refusal::AmountOutOfRange`] for an amount that no tip may have,
    /// [`Refusal::IllegalTransition`] where another can be paid still, or was paid,
    /// [`Refusal::Unavailable`] where there is no provider to charge by.
    pub fn give_tip(
        &self,
        amount: Centavos,
        at: UnixMillis,
        policy: &PaymentPolicy,
    ) -> Result<Vec<PaymentEvent>, Refusal> {
        if !(policy.tips.min..=policy.tips.max).contains(&amount) {
            return Err(Refusal::AmountOutOfRange);
        }
        match self.status {
            PaymentStatus::Lapsed if policy.charges => {
                let number = self.next_charge();
                let given = PaymentEvent::TipGiven { amount };
                let expires_at = at + policy.expiry;
                Ok(vec![given, PaymentEvent::ChargeOrdered { number, expires_at }])
            }
            PaymentStatus::Lapsed => Err(Refusal::Unavailable),
            PaymentStatus::Pending if self.debt.is_some_and(|debt| debt.amount() == amount) => {
                Ok(vec![])
            }
            PaymentStatus::Pending
            | PaymentStatus::Expired
            | PaymentStatus::Paid
            | PaymentStatus::Refunded
            | PaymentStatus::Waived
            | PaymentStatus::WrittenOff
            | PaymentStatus::Unmatched => Err(Refusal::IllegalTransition),
        }
    }
}
