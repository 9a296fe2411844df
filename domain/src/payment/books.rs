//! What each event of a payment does to the ledger.

use super::{Cause, Payment, PaymentEvent, Refund, Use};
use crate::ids::DisputeId;
use crate::ledger::{self, Bearer, Block, FinancialEvent, LedgerError, Resolved, TakenByBank};
use crate::units::UnixMillis;

impl Payment {
    /// What is booked for `event`, which has happened to this payment already.
    ///
    /// # Errors
    /// [`LedgerError`] for amounts that do not fit.
    pub fn booked(
        &self,
        event: &PaymentEvent,
        at: UnixMillis,
    ) -> Result<Vec<FinancialEvent>, LedgerError> {
        match event {
            PaymentEvent::PixReceived { pix, amount, good_for, .. } => {
                let receipt = ledger::Receipt {
                    end_to_end: pix.as_str(),
                    payment: Some(self.id),
                    amount: *amount,
                    at,
                };
                let mut booked = Vec::with_capacity(3);
                if good_for.settles() {
                    booked.extend(self.back_in_the_books(at)?);
                }
                booked.extend(self.came_in(&receipt, *good_for)?);
                Ok(booked)
            }
            PaymentEvent::RefundAsked { id, .. }
            | PaymentEvent::RefundDone { id }
            | PaymentEvent::RefundFailed { id }
            | PaymentEvent::RefundMet { id, .. } => {
                let refund = self.refunds.iter().find(|refund| refund.id == *id);
                refund.map_or(Ok(vec![]), |refund| self.of_refund(event, refund, at))
            }
            PaymentEvent::PixStated { pix, tariff } => {
                let receipt = self.receipts.iter().find(|receipt| receipt.pix == *pix);
                let stated = receipt.map(|receipt| self.stated(receipt, *tariff, at));
                Ok(stated.transpose()?.into_iter().collect())
            }
            PaymentEvent::TipGiven { .. } => {
                let owed = self.debt.map(|debt| debt.owed(self.tips, at)).transpose()?;
                Ok(owed.into_iter().collect())
            }
            PaymentEvent::CreditUsed { .. } => Ok(self.paid_by_credit(at)?.into_iter().collect()),
            PaymentEvent::Relieved { why, counted_on } => self.relieved((*why, *counted_on), at),
            PaymentEvent::ChargeOrdered { .. }
            | PaymentEvent::ChargeMade { .. }
            | PaymentEvent::ChargeRefused { .. }
            | PaymentEvent::ChargeEnded { .. }
            | PaymentEvent::CreditAsked { .. }
            | PaymentEvent::TopUpAsked { .. }
            | PaymentEvent::Contested { .. }
            | PaymentEvent::WalletSaid { .. } => Ok(vec![]),
            PaymentEvent::BankClaimed { against, .. } | PaymentEvent::BankTook { against, .. }
                if against.is_some() =>
            {
                Ok(vec![])
            }
            PaymentEvent::BankClaimed { .. }
            | PaymentEvent::BankRejected { .. }
            | PaymentEvent::BankTook { .. } => self.of_bank(event, at),
        }
    }

    /// A Pix that came in, good for this.
    fn came_in(
        &self,
        receipt: &ledger::Receipt<'_>,
        good_for: Use,
    ) -> Result<Vec<FinancialEvent>, LedgerError> {
        let late = |how| Ok(vec![receipt.suspended()?, receipt.resolved(how, receipt.at)?]);
        match (good_for, &self.debt, self.top_up) {
            (Use::Settled, Some(debt), _) if self.is_tip() => {
                Ok(vec![receipt.pays_tip(&debt.trip, debt.amount())?])
            }
            (Use::Settled, Some(debt), _) => {
                Ok(vec![receipt.settles(&debt.trip, debt.shares, self.credited())?])
            }
            (Use::SettledLate, Some(debt), _) => {
                late(Resolved::Ride(&debt.trip, debt.shares, self.credited()))
            }
            (Use::Settled, None, Some(top_up)) => Ok(vec![receipt.prepays(top_up.passenger)?]),
            (Use::SettledLate, None, Some(top_up)) => late(Resolved::Credit(top_up.passenger)),
            (_, _, _) => Ok(vec![receipt.suspended()?]),
        }
    }

    /// What a bank does with a Pix that no driver's share was of. Of others, his wallet books it.
    fn of_bank(
        &self,
        event: &PaymentEvent,
        at: UnixMillis,
    ) -> Result<Vec<FinancialEvent>, LedgerError> {
        let (PaymentEvent::BankClaimed { claim, .. }
        | PaymentEvent::BankRejected { claim }
        | PaymentEvent::BankTook { claim, .. }) = event
        else {
            return Ok(vec![]);
        };
        let known = self.bank_claims.iter().find(|known| known.name == *claim);
        let Some(known) = known.filter(|known| known.against.is_none()) else {
            return Ok(vec![]);
        };
        let dispute = DisputeId::of_claim(claim);
        let block = Block { infraction: claim, dispute, amount: known.blocked };
        let booked = match event {
            PaymentEvent::BankTook { pix, id, amount, .. } => TakenByBank {
                end_to_end: pix.as_str(),
                id: id.as_str(),
                dispute,
                amount: *amount,
                blocked: known.blocked,
            }
            .lost(at)?,
            PaymentEvent::BankRejected { .. } => block.rejected(at)?,
            _ => block.blocked(at)?,
        };
        Ok(vec![booked])
    }

    fn of_refund(
        &self,
        event: &PaymentEvent,
        refund: &Refund,
        at: UnixMillis,
    ) -> Result<Vec<FinancialEvent>, LedgerError> {
        let books = ledger::Refund {
            payment: self.id,
            end_to_end: refund.pix.as_str(),
            id: refund.id.as_str(),
            amount: refund.amount,
        };
        let asked = |at| books.requested(Bearer::Platform(refund.amount), at);
        match (event, refund.cause) {
            // Shares that are given back the driver's wallet books, there and back.
            (PaymentEvent::RefundDone { .. }, _) => Ok(vec![books.done(at)?]),
            (PaymentEvent::RefundMet { amount, .. }, _) => Ok(vec![books.met(*amount, at)?]),
            (PaymentEvent::RefundAsked { .. }, Cause::Goodwill) => Ok(vec![asked(at)?]),
            (PaymentEvent::RefundAsked { .. }, Cause::Suspense) if !refund.again => {
                let receipt = ledger::Receipt {
                    end_to_end: refund.pix.as_str(),
                    payment: Some(self.id),
                    amount: refund.amount,
                    at,
                };
                Ok(vec![receipt.resolved(Resolved::Refund, at)?])
            }
            (PaymentEvent::RefundFailed { .. }, Cause::Goodwill) => {
                let back = asked(refund.asked_at)?.reversal("refund_failed", at);
                Ok(back.into_iter().collect())
            }
            // It is owed to who sent it until it has gone back, however often that is tried.
            (_, _) => Ok(vec![]),
        }
    }
}
