//! Payments: the ways to them that are no commands.

use std::sync::Arc;

use ibora_domain::facts::Answer;
use ibora_domain::ids::PaymentId;
use ibora_domain::machines::{EffectEnded, Envelope, PaymentInput};
use ibora_domain::payment::Payment;
use ibora_domain::pix::{EndToEndId, Txid};
use ibora_domain::units::UnixMillis;

use super::{Caller, Dispatch, commands};

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

    /// Somebody says that a Pix came in, and perhaps for which charge. Nothing is believed: whoever
    /// it is for asks the provider. Not waited for.
    pub fn payment_hint(&self, txid: Option<&Txid>, pix: EndToEndId) {
        let of_charge = txid.and_then(Payment::of_txid);
        let payment = of_charge.unwrap_or_else(|| PaymentId::of_stray(&pix));
        self.payment_came(payment, pix);
    }

    /// As that, of a Pix whose payment is known.
    pub fn payment_came(&self, payment: PaymentId, pix: EndToEndId) {
        self.registry.send(Envelope::Payment(payment, PaymentInput::Hint { pix }));
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
