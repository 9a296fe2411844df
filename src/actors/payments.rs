//! Payments: the ways to them that are no commands.

use std::sync::Arc;

use ibora_domain::facts::Answer;
use ibora_domain::ids::{PaymentId, RideId};
use ibora_domain::machines::{Ask, EffectEnded, Envelope, PaymentInput};
use ibora_domain::money::Centavos;
use ibora_domain::payment::{BankSays, BorneBy, Payment};
use ibora_domain::pix::{EndToEndId, RefundId, Txid};
use ibora_domain::units::UnixMillis;

use super::ports::Reply;
use super::{Caller, Dispatch, commands};
use crate::journal::ReadError;

/// The message of a passenger who wants to pay for this ride.
pub(super) fn intent(ask: Ask<Reply>, ride: RideId) -> Envelope<Reply> {
    Envelope::Payment(PaymentId::of_ride(ride), PaymentInput::Intent { ask })
}

/// The message of an admin who lets a passenger off a fee.
pub(super) fn waive(ask: Ask<Reply>, payment: PaymentId, reason: String) -> Envelope<Reply> {
    Envelope::Payment(payment, PaymentInput::Waive { ask, reason })
}

/// The message of an admin who gives money back.
pub(super) fn give_back(
    ask: Ask<Reply>,
    payment: PaymentId,
    (amount, borne_by, reason): (Centavos, BorneBy, String),
) -> Envelope<Reply> {
    Envelope::Payment(payment, PaymentInput::GiveBack { ask, amount, borne_by, reason })
}

impl Dispatch {
    /// A payment as the caller may see it: its passenger and admins only.
    ///
    /// # Errors
    /// `NotFound` for one that is not there, or not the caller's.
    pub async fn payment(&self, caller: Caller, payment: PaymentId) -> Answer {
        self.may_act()?;
        let by = commands::read_as(caller);
        self.ask(|reply| Envelope::Payment(payment, PaymentInput::Read { by, reply })).await
    }

    /// Somebody says that a Pix came in, and perhaps for which charge, or that something of it went
    /// back under `refund`. Nothing is believed: whoever it is for asks the provider. Not waited
    /// for.
    pub fn payment_hint(&self, txid: Option<&Txid>, pix: EndToEndId, refund: Option<RefundId>) {
        let payment = Payment::hinted(txid, &pix);
        self.registry.send(Envelope::Payment(payment, PaymentInput::Hint { pix, refund }));
    }

    /// As that, of a Pix that came in and whose payment is known.
    pub fn payment_came(&self, payment: PaymentId, pix: EndToEndId) {
        let hint = PaymentInput::Hint { pix, refund: None };
        self.registry.send(Envelope::Payment(payment, hint));
    }

    /// The provider says of a claim of fraud how it stands. Not waited for.
    ///
    /// # Errors
    /// Whatever the database reports.
    pub async fn claim_hint(&self, says: BankSays) -> Result<(), ReadError> {
        // Of a Pix that is not here yet it is said again with the next look at the list.
        let payment = self.journal().records().payment_of_pix(&says.pix).await?;
        if let Some(payment) = payment {
            self.registry.send(Envelope::Payment(payment, PaymentInput::Bank(says)));
        }
        Ok(())
    }

    /// What became owed by then is written off.
    #[must_use]
    pub fn owed_too_long(&self) -> UnixMillis {
        self.now() - self.registry.ports.ride_policy.payments.write_off_after
    }

    /// It may be time to write this payment off, which it decides. Not waited for.
    pub fn write_off(&self, payment: PaymentId) {
        self.registry.send(Envelope::Payment(payment, PaymentInput::WriteOff));
    }

    /// What came of a call to the payment provider.
    pub fn effect_ended(self: &Arc<Self>, ended: EffectEnded) {
        self.registry.send(Envelope::from(ended));
    }
}
