//! What is booked when money goes back to a passenger: refunds, disputes, and what the provider
//! blocks by itself.

use serde::{Deserialize, Serialize};

use super::account::Account;
use super::event::{Draft, FinancialEvent, LedgerError, Subject};
use super::rides::Due;
use crate::ids::{DisputeId, DriverId, PaymentId};
use crate::money::Centavos;
use crate::units::UnixMillis;

/// What a driver bears of something, and out of which pocket. First his hold of the ride, then
/// what he may withdraw; the rest he owes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Taken {
    pub held: Centavos,
    pub available: Centavos,
    pub owed: Centavos,
}

impl Taken {
    /// What he did not come to owe: what can lie in escrow.
    #[must_use]
    pub fn had(&self) -> Centavos {
        Centavos(self.held.0.saturating_add(self.available.0))
    }

    /// All of it.
    #[must_use]
    pub fn all(&self) -> Centavos {
        Centavos(self.had().0.saturating_add(self.owed.0))
    }

    fn credit(self, draft: Draft, driver: DriverId) -> Draft {
        draft
            .credit(Account::DriverHeld(driver), self.held)
            .credit(Account::DriverAvailable(driver), self.available)
            .credit(Account::DriverReceivable(driver), self.owed)
    }

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
    /// Each gives back his share; `due` says what the platform's was of.
    Both { driver: DriverId, taken: Taken, commission: Centavos, due: Due },
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
            Bearer::Both { driver, taken, commission, due } => {
                taken.debit(draft, driver).debit(due.revenue(), commission)
            }
            Bearer::Platform(amount) => draft.debit(Account::GoodwillRefunds, amount),
        };
        draft.credit(Account::RefundInTransit, self.amount).close()
    }

    /// The money never left (E10c): what was `requested` is taken back. `given` is what of it the
    /// driver gets where: as it was taken, unless he has meanwhile paid off what he had come to owe
    /// by it; then that is his to withdraw.
    ///
    /// # Errors
    /// [`LedgerError::Unbalanced`] where that is not what was taken.
    pub fn failed(
        &self,
        by: Bearer,
        given: Taken,
        at: UnixMillis,
    ) -> Result<FinancialEvent, LedgerError> {
        let exact = match by {
            Bearer::Both { taken, .. } => taken == given,
            Bearer::Platform(_) => true,
        };
        let back = if exact { self.requested(by, at)?.reversal("refund_failed", at) } else { None };
        if let Some(back) = back {
            return Ok(back);
        }
        let draft = self.draft("refund_failed", "req:reversed", at);
        let draft = draft.debit(Account::RefundInTransit, self.amount);
        match by {
            Bearer::Both { driver, commission, due, .. } => {
                given.credit(draft, driver).credit(due.revenue(), commission)
            }
            Bearer::Platform(amount) => draft.credit(Account::GoodwillRefunds, amount),
        }
        .close()
    }

    /// The money has left (E10b).
    ///
    /// # Errors
    /// [`LedgerError`] for amounts that do not fit.
    pub fn done(&self, at: UnixMillis) -> Result<FinancialEvent, LedgerError> {
        self.draft("refund_done", "ok", at)
            .debit(Account::RefundInTransit, self.amount)
            .credit(Account::PspCash, self.amount)
            .close()
    }

    /// So much of it a bank has sent back by itself, which was booked as lost: it is not owed any
    /// more.
    ///
    /// # Errors
    /// [`LedgerError`] for amounts that do not fit.
    pub fn met(&self, amount: Centavos, at: UnixMillis) -> Result<FinancialEvent, LedgerError> {
        self.draft("refund_met", "met", at)
            .debit(Account::RefundInTransit, amount)
            .credit(Account::BadDebt, amount)
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

/// Who bears what a dispute takes: his escrow, what he had not put there, and the platform.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Borne {
    /// What of his share did not lie in escrow.
    pub short: Taken,
    /// What of the escrow is his again.
    pub rest: Centavos,
    pub commission: Centavos,
    /// What the commission was of.
    pub due: Due,
    /// What nobody's share covers: the platform's loss.
    pub lost: Centavos,
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

    /// There was nothing to it: the exact reversal of its opening, but for what of `taken` belongs
    /// to a hold that is long over. `given` says what the driver gets where.
    ///
    /// # Errors
    /// [`LedgerError::Unbalanced`] where that is not the escrow; nothing where nothing lay there.
    pub fn undone(
        &self,
        taken: Taken,
        given: Taken,
        at: UnixMillis,
    ) -> Result<FinancialEvent, LedgerError> {
        let exact = if taken == given {
            self.opened(taken, at)?.reversal("dispute_undone", at)
        } else {
            None
        };
        exact.map_or_else(
            || {
                let draft = self.draft("dispute_undone", "open:reversed", at);
                let draft = draft.debit(Account::DisputeEscrow(self.id), self.escrow);
                given.credit(draft, self.driver).close()
            },
            Ok,
        )
    }

    /// It was ruled for the driver: the escrow is his to withdraw.
    ///
    /// # Errors
    /// [`LedgerError`] for amounts that do not fit; nothing where nothing lay there.
    pub fn for_driver(&self, at: UnixMillis) -> Result<FinancialEvent, LedgerError> {
        self.draft("dispute_ruled", "ruled", at)
            .debit(Account::DisputeEscrow(self.id), self.escrow)
            .credit(Account::DriverAvailable(self.driver), self.escrow)
            .close()
    }

    /// It was ruled for the passenger: `amount` goes back to him.
    ///
    /// # Errors
    /// [`LedgerError::Unbalanced`] where the bearers do not bear exactly that.
    pub fn for_passenger(
        &self,
        amount: Centavos,
        borne: Borne,
        at: UnixMillis,
    ) -> Result<FinancialEvent, LedgerError> {
        let draft = self.draft("dispute_ruled", "ruled", at);
        self.borne(draft, borne).credit(Account::RefundInTransit, amount).close()
    }

    fn borne(&self, draft: Draft, borne: Borne) -> Draft {
        let draft = draft
            .debit(Account::DisputeEscrow(self.id), self.escrow)
            .credit(Account::DriverAvailable(self.driver), borne.rest);
        borne
            .short
            .debit(draft, self.driver)
            .debit(borne.due.revenue(), borne.commission)
            .debit(Account::BadDebt, borne.lost)
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
    pub dispute: DisputeId,
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

    fn draft(&self, kind: &'static str, what: &str, at: UnixMillis) -> Draft {
        let key = format!("med:{}:{what}", self.infraction);
        Draft::new(kind, key, Subject::Dispute(self.dispute), at)
    }
}

/// Money of a received Pix that a bank sent back by itself, under its own id: a claim was granted
/// (E14), or nobody had told of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TakenByBank<'a> {
    pub end_to_end: &'a str,
    pub id: &'a str,
    pub dispute: DisputeId,
    pub amount: Centavos,
    /// What was blocked for it. What is not needed of that is free.
    pub blocked: Centavos,
}

impl TakenByBank<'_> {
    /// `escrow` and whoever else bears it.
    ///
    /// # Errors
    /// [`LedgerError::Unbalanced`] where the bearers do not bear exactly its amount.
    pub fn gone(
        &self,
        escrow: Dispute,
        borne: Borne,
        at: UnixMillis,
    ) -> Result<FinancialEvent, LedgerError> {
        self.close(escrow.borne(self.draft(at), borne))
    }

    /// The platform alone bears it: nobody's share was of it.
    ///
    /// # Errors
    /// [`LedgerError`] for amounts that do not fit.
    pub fn lost(&self, at: UnixMillis) -> Result<FinancialEvent, LedgerError> {
        self.close(self.draft(at).debit(Account::BadDebt, self.amount))
    }

    fn draft(&self, at: UnixMillis) -> Draft {
        let key = format!("dev:{}:{}:ok", self.end_to_end, self.id);
        Draft::new("med_accepted", key, Subject::Dispute(self.dispute), at)
    }

    fn close(&self, draft: Draft) -> Result<FinancialEvent, LedgerError> {
        let of_cash = self.amount.0.saturating_sub(self.blocked.0);
        draft
            .credit(Account::PspBlocked, self.blocked)
            .credit(Account::PspCash, Centavos(of_cash.max(0)))
            .debit(Account::PspCash, Centavos((-of_cash).max(0)))
            .close()
    }
}
