//! What is booked when money goes back to a passenger: refunds, disputes, and what the provider
//! blocks by itself.

use super::account::Account;
use super::event::{Draft, FinancialEvent, LedgerError, Subject};
use crate::ids::{DisputeId, DriverId, PaymentId};
use crate::money::Centavos;
use crate::units::UnixMillis;

/// What a driver bears of something, and out of which pocket. First his hold of the ride, then
/// what he may withdraw; the rest he owes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Taken {
    pub held: Centavos,
    pub available: Centavos,
    pub owed: Centavos,
}

impl Taken {
    fn debit(self, draft: Draft, driver: DriverId) -> Draft {
        draft
            .debit(Account::DriverHeld(driver), self.held)
            .debit(Account::DriverAvailable(driver), self.available)
            .debit(Account::DriverReceivable(driver), self.owed)
    }
}

/// Who bears a refund (E10 to E12).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bearer {
    /// Each gives back his share.
    Both { driver: DriverId, taken: Taken, commission: Centavos },
    /// The platform, out of goodwill; the driver keeps his share (E11).
    Platform(Centavos),
}

/// A refund of a received Pix. `id` is ours, unique for its `end_to_end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refund<'a> {
    pub payment: PaymentId,
    pub end_to_end: &'a str,
    pub id: &'a str,
    pub amount: Centavos,
}

impl Refund<'_> {
    /// It was decided. Booked before the provider is told.
    ///
    /// # Errors
    /// [`LedgerError::Unbalanced`] where the bearers do not bear exactly its amount.
    pub fn requested(&self, by: Bearer, at: UnixMillis) -> Result<FinancialEvent, LedgerError> {
        let draft = self.draft("refund_requested", "req", at);
        let draft = match by {
            Bearer::Both { driver, taken, commission } => {
                taken.debit(draft, driver).debit(Account::Commission, commission)
            }
            Bearer::Platform(amount) => draft.debit(Account::GoodwillRefunds, amount),
        };
        draft.credit(Account::RefundInTransit, self.amount).close()
    }

    /// The money has left (E10b). Had it not, the request's exact reversal would be booked (E10c).
    ///
    /// # Errors
    /// [`LedgerError`] for amounts that do not fit.
    pub fn done(&self, at: UnixMillis) -> Result<FinancialEvent, LedgerError> {
        self.draft("refund_done", "ok", at)
            .debit(Account::RefundInTransit, self.amount)
            .credit(Account::PspCash, self.amount)
            .close()
    }

    fn draft(&self, kind: &'static str, what: &str, at: UnixMillis) -> Draft {
        let key = format!("dev:{}:{}:{what}", self.end_to_end, self.id);
        Draft::new(kind, key, Subject::Payment(self.payment), at)
    }
}

/// A dispute about a driver's share of a ride, frozen until it is ruled (E13).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dispute {
    pub id: DisputeId,
    pub driver: DriverId,
    /// What lies in escrow.
    pub escrow: Centavos,
}

/// How a dispute ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ruling {
    ForDriver,
    /// The platform gives its commission back with it.
    ForPassenger {
        commission: Centavos,
    },
}

impl Dispute {
    /// It was opened: `taken` goes into escrow. What the driver owes he cannot put there.
    ///
    /// # Errors
    /// [`LedgerError::Unbalanced`] where that is not the escrow.
    pub fn opened(&self, taken: Taken, at: UnixMillis) -> Result<FinancialEvent, LedgerError> {
        let draft = self.draft("dispute_opened", "open", at);
        let draft = Taken { owed: Centavos::ZERO, ..taken }.debit(draft, self.driver);
        draft.credit(Account::DisputeEscrow(self.id), self.escrow).close()
    }

    /// It was ruled.
    ///
    /// # Errors
    /// [`LedgerError`] for amounts that do not fit.
    pub fn ruled(&self, ruling: Ruling, at: UnixMillis) -> Result<FinancialEvent, LedgerError> {
        let draft = self.draft("dispute_ruled", "ruled", at);
        let draft = draft.debit(Account::DisputeEscrow(self.id), self.escrow);
        match ruling {
            Ruling::ForDriver => draft.credit(Account::DriverAvailable(self.driver), self.escrow),
            Ruling::ForPassenger { commission } => {
                let refund = self.escrow.checked_add(commission);
                let refund = refund.map_err(|_| LedgerError::OutOfRange)?;
                draft
                    .debit(Account::Commission, commission)
                    .credit(Account::RefundInTransit, refund)
            }
        }
        .close()
    }

    fn draft(&self, kind: &'static str, what: &str, at: UnixMillis) -> Draft {
        let key = format!("dispute:{}:{what}", self.id.0.simple());
        Draft::new(kind, key, Subject::Dispute(self.id), at)
    }
}

/// Money that the provider has blocked for a claim of fraud (E14), under its own name for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Block<'a> {
    pub infraction: &'a str,
    pub dispute: Dispute,
    pub amount: Centavos,
}

impl Block<'_> {
    /// It was blocked.
    ///
    /// # Errors
    /// [`LedgerError`] for amounts that do not fit.
    pub fn blocked(&self, at: UnixMillis) -> Result<FinancialEvent, LedgerError> {
        self.draft("med_blocked", "block", at)
            .debit(Account::PspBlocked, self.amount)
            .credit(Account::PspCash, self.amount)
            .close()
    }

    /// The claim was refused: the money is free again.
    ///
    /// # Errors
    /// [`LedgerError`] for amounts that do not fit.
    pub fn rejected(&self, at: UnixMillis) -> Result<FinancialEvent, LedgerError> {
        self.draft("med_rejected", "free", at)
            .debit(Account::PspCash, self.amount)
            .credit(Account::PspBlocked, self.amount)
            .close()
    }

    /// The claim was granted: the blocked money is gone. The escrow and `commission` bear it, what
    /// is missing the driver owes.
    ///
    /// # Errors
    /// [`LedgerError::Negative`] where they bear more than was blocked.
    pub fn accepted(
        &self,
        commission: Centavos,
        at: UnixMillis,
    ) -> Result<FinancialEvent, LedgerError> {
        let borne = self.dispute.escrow.checked_add(commission);
        let borne = borne.map_err(|_| LedgerError::OutOfRange)?;
        self.draft("med_accepted", "gone", at)
            .debit(Account::DisputeEscrow(self.dispute.id), self.dispute.escrow)
            .debit(Account::Commission, commission)
            .debit(
                Account::DriverReceivable(self.dispute.driver),
                Centavos(self.amount.0.saturating_sub(borne.0)),
            )
            .credit(Account::PspBlocked, self.amount)
            .close()
    }

    fn draft(&self, kind: &'static str, what: &str, at: UnixMillis) -> Draft {
        let key = format!("med:{}:{what}", self.infraction);
        Draft::new(kind, key, Subject::Dispute(self.dispute.id), at)
    }
}
