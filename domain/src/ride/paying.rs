//! What of a ride's payment the ride itself knows: whether there is one, and where it stands.

use super::{PaymentMethod, Ride, Status};
use crate::ids::PaymentId;
use crate::ledger::Trip;
use crate::money::Centavos;
use crate::payment::{PaymentStatus, TipPolicy};
use crate::refusal::Refusal;
use crate::units::UnixMillis;

impl Ride {
    /// Where the payment of this ride stands; none where nothing is to be paid by Pix. The payment
    /// decides it, and this may be a moment old.
    #[must_use]
    pub fn payment_status(&self) -> Option<PaymentStatus> {
        let known = self.payment.map_or(PaymentStatus::Pending, |(status, _)| status);
        self.has_payment().then_some(known)
    }

    /// The payment of this ride that its passenger still has to pay.
    #[must_use]
    pub fn owed(&self) -> Option<PaymentId> {
        let owed = self.payment_status().is_some_and(PaymentStatus::is_payable);
        owed.then(|| PaymentId::of_ride(self.id))
    }

    /// Where its payment stands, by its records or by its own word; versions order the two.
    pub fn payment_is(&mut self, status: PaymentStatus, version: u64) {
        if self.payment.is_none_or(|(_, known)| known <= version) {
            self.payment = Some((status, version));
        }
    }

    /// Between whom a tip for this ride goes, where it may be given at `now`: however the ride
    /// itself was paid, or will be.
    ///
    /// # Errors
    /// [`Refusal::IllegalTransition`] for a ride that was not completed, [`Refusal::RideClosed`]
    /// when it is too late.
    pub fn tips(&self, now: UnixMillis, policy: &TipPolicy) -> Result<Trip, Refusal> {
        let (Status::Completed, Some(ended), Some(driver)) =
            (self.status, self.completed_at, self.driver_id())
        else {
            return Err(Refusal::IllegalTransition);
        };
        if now.since(ended) > policy.within {
            return Err(Refusal::RideClosed);
        }
        Ok(Trip { ride: self.id, passenger: self.order.passenger.id, driver })
    }

    fn has_payment(&self) -> bool {
        let none = Centavos::ZERO;
        let fee = self.cancellation.as_ref().map_or(none, |cancellation| cancellation.fee);
        match self.status {
            Status::Completed => {
                let by_pix = self.order.payment_method == PaymentMethod::Pix;
                by_pix && self.final_fare.is_some_and(|fare| fare != none)
            }
            Status::Canceled => fee != none && self.driver.is_some(),
            Status::Searching
            | Status::Accepted
            | Status::Arriving
            | Status::Arrived
            | Status::Started
            | Status::NoDriver => false,
        }
    }
}
