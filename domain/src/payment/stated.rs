//! What the provider takes of a Pix that came in (E2b): its tariff, which leaves with the receipt.

use super::{Incoming, Payment, PaymentEvent, Receipt};
use crate::ledger::{self, FinancialEvent, LedgerError};
use crate::money::Centavos;
use crate::units::{Millis, UnixMillis};

/// A Pix whose tariff the provider does not tell for so long has none.
pub const STATED_AFTER: Millis = Millis::from_secs(60);

impl Payment {
    /// What the provider took of a Pix that was taken in. Nothing where that is booked already, or
    /// may still be told.
    #[must_use]
    pub fn state(&self, incoming: &Incoming, now: UnixMillis) -> Option<PaymentEvent> {
        let receipt = self.receipts.iter().find(|receipt| receipt.pix == incoming.pix)?;
        let untold = || (now.since(receipt.at) >= STATED_AFTER).then_some(Centavos::ZERO);
        // Of a Pix it takes no more than all of it.
        let taken = incoming.tariff.or_else(untold)?.min(receipt.amount).max(Centavos::ZERO);
        let event = PaymentEvent::PixStated { pix: incoming.pix.clone(), tariff: taken };
        receipt.tariff.is_none().then_some(event)
    }

    /// What is booked for it.
    pub(super) fn stated(
        &self,
        receipt: &Receipt,
        tariff: Centavos,
        at: UnixMillis,
    ) -> Result<FinancialEvent, LedgerError> {
        let books = ledger::Receipt {
            end_to_end: receipt.pix.as_str(),
            payment: Some(self.id),
            amount: receipt.amount,
            at,
        };
        books.stated(tariff, at)
    }
}
