//! What ends a debt without its being paid: a waiver, a tip that nobody paid in time, a write-off.

use serde::{Deserialize, Serialize};

use super::{BorneBy, Payment, PaymentEvent, PaymentPolicy, PaymentStatus};
use crate::ledger::{Due, FinancialEvent, LedgerError};
use crate::mutants::{Mutant, is};
use crate::refusal::Refusal;
use crate::units::UnixMillis;

/// Why what was owed is not expected any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Relief {
    /// Somebody of ours let the passenger off his fee: he owes nothing, nobody has earned it.
    Waived,
    /// A tip, or a top-up, that was not paid while it could be: it was only ever an intention.
    Lapsed,
    /// It is not counted on any more. The passenger owes it all the same, and may pay it.
    WrittenOff,
}

impl Relief {
    /// Where a payment stands that ended so.
    pub(super) const fn status(self) -> PaymentStatus {
        match self {
            Self::Waived => PaymentStatus::Waived,
            Self::Lapsed => PaymentStatus::Lapsed,
            Self::WrittenOff => PaymentStatus::WrittenOff,
        }
    }
}

impl Payment {
    /// Lets the passenger off a fee. One that he has paid goes back to him, all that is left of it,
    /// and the platform bears it; what credit had paid of one that he still owes is credit again.
    ///
    /// # Errors
    /// [`Refusal::IllegalTransition`] for what is no fee, and for one that is waived already or has
    /// gone back, [`Refusal::RefundTooLate`] for one that was paid more than ninety days ago,
    /// [`Refusal::PaidByCredit`] for one of which no Pix came in, [`Refusal::Unavailable`] while
    /// credit is asked to pay it.
    pub fn waive(&self, at: UnixMillis) -> Result<PaymentEvent, Refusal> {
        if self.debt.is_none_or(|debt| debt.due != Due::CancelFee) {
            return Err(Refusal::IllegalTransition);
        }
        if self.by_credit.waits {
            return Err(Refusal::Unavailable);
        }
        if self.status.is_payable() {
            return Ok(self.relieved_by(Relief::Waived));
        }
        let paid = self.paid_by_pix()?;
        self.give_back(self.left_of(paid), BorneBy::Platform, at).map_err(|refusal| match refusal {
            Refusal::RefundTooLate => refusal,
            _ => Refusal::IllegalTransition,
        })
    }

    /// What nobody owes lapses when its charge has ended.
    #[must_use]
    pub fn lapse(&self) -> Option<PaymentEvent> {
        let lapses = self.is_optional() && self.status == PaymentStatus::Expired;
        lapses.then(|| self.relieved_by(Relief::Lapsed))
    }

    /// What is owed for so long is written off.
    #[must_use]
    pub fn write_off(&self, now: UnixMillis, policy: &PaymentPolicy) -> Option<PaymentEvent> {
        let old = now >= self.opened_at + policy.write_off_after;
        let counted_on = self.status.is_owed() && !self.is_optional();
        // What is being asked of credit, and the code of a rest that it left, can be paid still.
        let in_part = self.open_charge().is_some_and(|charge| charge.part.is_some());
        let undecided = self.by_credit.waits || in_part;
        (old && counted_on && !undecided).then(|| self.relieved_by(Relief::WrittenOff))
    }

    fn relieved_by(&self, why: Relief) -> PaymentEvent {
        PaymentEvent::Relieved { why, counted_on: self.status.is_owed() }
    }

    /// What is booked when the debt ends so. What was written off the books do not hold any more.
    pub(super) fn relieved(
        &self,
        (why, counted_on): (Relief, bool),
        at: UnixMillis,
    ) -> Result<Vec<FinancialEvent>, LedgerError> {
        let Some(debt) = self.debt.filter(|_| counted_on) else { return Ok(vec![]) };
        let owed = debt.owed(self.tips, self.opened_at)?;
        let mut events = self.returned(at)?;
        let event = match why {
            Relief::Waived => owed.reversal("cancel_fee_waived", at),
            Relief::Lapsed => owed.reversal("tip_lapsed", at),
            Relief::WrittenOff => Some(debt.trip.written_off(debt.due, debt.shares, false, at)?),
        };
        events.extend(event);
        Ok(events)
    }

    /// What is booked first when something that was written off is paid after all.
    pub(super) fn back_in_the_books(
        &self,
        at: UnixMillis,
    ) -> Result<Option<FinancialEvent>, LedgerError> {
        let written_off = self.relief == Some(Relief::WrittenOff) && !is(Mutant::WriteOffKept);
        let Some(debt) = self.debt.filter(|_| written_off) else { return Ok(None) };
        let event = debt.trip.written_off(debt.due, debt.shares, false, at)?;
        Ok(event.reversal("write_off_reversed", at))
    }
}
