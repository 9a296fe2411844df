//! A payment as its rows: the current one, and what changed beside it.

use super::{Payment, PaymentEvent, PaymentPolicy, Refund, Stage};
use crate::facts::{ChargeRow, HoldRow, PaymentRow, ReceiptRow, RefundRow, Row};
use crate::ledger::Earning;
use crate::money::Centavos;
use crate::ride::json_text;
use crate::units::UnixMillis;

/// Bytes that a payment as JSON usually takes.
const PAYMENT_JSON: usize = 1024;

impl Payment {
    /// The rows of a payment that was just opened.
    #[must_use]
    pub fn first_rows(&self) -> Vec<Row> {
        let charges = self.charges.iter().map(|charge| self.charge_row(charge.number));
        std::iter::once(Row::Payment(self.row())).chain(charges.flatten()).collect()
    }

    /// The rows that `event`, which has happened already, changes beside the payment's own.
    #[must_use]
    pub fn rows_of(
        &self,
        event: &PaymentEvent,
        at: UnixMillis,
        policy: &PaymentPolicy,
    ) -> Vec<Row> {
        match event {
            PaymentEvent::ChargeOrdered { number, .. }
            | PaymentEvent::ChargeMade { number, .. }
            | PaymentEvent::ChargeRefused { number, .. }
            | PaymentEvent::ChargeEnded { number } => {
                self.charge_row(*number).into_iter().collect()
            }
            PaymentEvent::PixReceived { pix, txid, amount, good_for } => {
                let receipt = Row::Receipt(ReceiptRow {
                    pix: pix.clone(),
                    payment: self.id,
                    txid: txid.clone(),
                    amount: *amount,
                    good_for: good_for.as_str(),
                    at,
                });
                let settled = good_for.settles().then_some(());
                let hold = settled.and_then(|()| self.hold_row(at, policy));
                let credit = settled.and_then(|()| self.put_in_lot(at)).map(Row::Credit);
                std::iter::once(receipt).chain(hold).chain(credit).collect()
            }
            PaymentEvent::CreditUsed { .. } => {
                let paid = self.is_paid_by_credit();
                paid.then(|| self.hold_row(at, policy)).flatten().into_iter().collect()
            }
            PaymentEvent::Relieved { counted_on, .. } => {
                let lots = self.returned_lots(at).into_iter().filter(|_| *counted_on);
                lots.map(Row::Credit).collect()
            }
            PaymentEvent::RefundAsked { id, .. }
            | PaymentEvent::RefundDone { id }
            | PaymentEvent::RefundFailed { id }
            | PaymentEvent::RefundMet { id, .. } => self.refund_row(|refund| refund.id == *id),
            PaymentEvent::WalletSaid { dispute, .. } => self.refund_row(|refund| {
                refund.against.as_ref().is_some_and(|against| against.dispute == *dispute)
            }),
            PaymentEvent::PixStated { .. }
            | PaymentEvent::TipGiven { .. }
            | PaymentEvent::TopUpAsked { .. }
            | PaymentEvent::CreditAsked { .. }
            | PaymentEvent::Contested { .. }
            | PaymentEvent::BankClaimed { .. }
            | PaymentEvent::BankRejected { .. }
            | PaymentEvent::BankTook { .. } => Vec::new(),
        }
    }

    /// What its driver has earned by its being paid.
    fn hold_row(&self, at: UnixMillis, policy: &PaymentPolicy) -> Option<Row> {
        let debt = self.debt.filter(|debt| debt.shares.driver > Centavos::ZERO)?;
        Some(Row::Hold(HoldRow {
            earning: Earning { ride: debt.trip.ride, due: debt.due },
            driver: debt.trip.driver,
            amount: debt.shares.driver,
            release_at: at + policy.hold,
        }))
    }

    fn refund_row(&self, which: impl Fn(&Refund) -> bool) -> Vec<Row> {
        let refund = self.refunds.iter().find(|refund| which(refund));
        let row = refund.map(|refund| {
            Row::Refund(RefundRow {
                pix: refund.pix.clone(),
                id: refund.id.clone(),
                payment: self.id,
                amount: refund.amount,
                cause: refund.cause.as_str(),
                status: refund.stage.as_str(),
                asked_at: refund.asked_at,
            })
        });
        row.into_iter().collect()
    }

    /// Its current row.
    #[must_use]
    pub fn row(&self) -> PaymentRow {
        let received = self.receipts.first().map_or(Centavos::ZERO, |receipt| receipt.amount);
        PaymentRow {
            id: self.id,
            ride: self.debt.map(|debt| debt.trip.ride),
            passenger: self.passenger(),
            driver: self.debt.map(|debt| debt.trip.driver),
            amount: self.wanted().unwrap_or(received),
            status: self.status.as_str(),
            version: self.version,
            opened_at: self.opened_at,
            state: json_text(self, PAYMENT_JSON).into(),
        }
    }

    fn charge_row(&self, number: u16) -> Option<Row> {
        let charge = self.charges.iter().find(|charge| charge.number == number)?;
        let (status, copy_paste) = match &charge.stage {
            Stage::Making => ("making", None),
            Stage::Live { copy_paste } => ("live", Some(copy_paste.as_str().into())),
            Stage::Ended => ("ended", None),
            Stage::Refused { .. } => ("refused", None),
        };
        Some(Row::Charge(ChargeRow {
            txid: self.txid(number),
            payment: self.id,
            amount: charge.part.or(self.wanted())?,
            status,
            copy_paste,
            made_at: charge.made_at,
            expires_at: charge.expires_at,
        }))
    }
}
