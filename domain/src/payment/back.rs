//! What goes back of a Pix: what of it counts, what failed and is owed all the same, and what of
//! that a bank has sent back by itself.

use super::{Cause, Payment, PaymentEvent, Receipt, Refund, RefundStage};
use crate::money::Centavos;
use crate::mutants::{Mutant, is};
use crate::pix::{EndToEndId, RefundId};

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
pub(super) const fn is_nothing(amount: &Centavos) -> bool {
    amount.0 == 0
}

impl Refund {
    /// Whether its money is gone, or may go.
    #[must_use]
    pub fn counts(&self) -> bool {
        match self.stage {
            RefundStage::Decided | RefundStage::Frozen => !is(Mutant::Unreserved),
            RefundStage::Asked | RefundStage::Done => true,
            RefundStage::Failed | RefundStage::Dropped => false,
        }
    }

    /// Whether it is on its way, or done.
    #[must_use]
    pub const fn goes(&self) -> bool {
        matches!(self.stage, RefundStage::Asked | RefundStage::Done)
    }

    /// What of it is left to go, where it failed.
    #[must_use]
    pub const fn left(&self) -> Centavos {
        Centavos(self.amount.0 - self.met.0)
    }
}

impl Payment {
    /// What is given back of one Pix, may be, or is owed.
    #[must_use]
    pub fn given_back(&self, pix: &EndToEndId) -> Centavos {
        let owed = self.failed_refunds().filter(|failed| failed.pix == *pix);
        let owed = owed.map(|failed| failed.left().0).fold(0, i64::saturating_add);
        Centavos(self.sum_of(pix, Refund::counts).0.saturating_add(owed))
    }

    pub(super) fn sum_of(&self, pix: &EndToEndId, which: impl Fn(&Refund) -> bool) -> Centavos {
        let of = self.refunds.iter().filter(|refund| refund.pix == *pix && which(refund));
        Centavos(of.map(|refund| refund.amount.0).fold(0, i64::saturating_add))
    }

    /// A refund that failed, is owed all the same, and whose money nobody has asked to send since.
    #[must_use]
    pub fn failed_refund(&self) -> Option<&Refund> {
        self.failed_refunds().next()
    }

    fn failed_refunds(&self) -> impl Iterator<Item = &Refund> {
        let owed = |refund: &Refund| matches!(refund.cause, Cause::Suspense | Cause::Dispute);
        let again = |failed: &Refund, later: &Refund| {
            later.again && later.pix == failed.pix && later.cause == failed.cause
        };
        self.refunds.iter().enumerate().filter_map(move |(index, refund)| {
            let failed = refund.stage == RefundStage::Failed && owed(refund);
            let later = self.refunds.iter().skip(index + 1);
            (failed && !later.into_iter().any(|later| again(refund, later))).then_some(refund)
        })
    }

    /// Money that is owed and whose refund failed is sent again, under a new id: the old one is
    /// known to have moved nothing.
    #[must_use]
    pub fn refund_again(&self) -> Option<PaymentEvent> {
        let failed = self.failed_refund()?;
        Some(PaymentEvent::RefundAsked {
            id: self.next_refund(),
            pix: failed.pix.clone(),
            amount: failed.left(),
            cause: failed.cause,
            again: true,
            against: None,
        })
    }

    /// What of a refund that failed goes back no more, because a bank has sent it back by itself.
    #[must_use]
    pub fn refund_met(&self) -> Option<PaymentEvent> {
        let failed = self.failed_refund()?;
        let receipt = self.receipts.iter().find(|receipt| receipt.pix == failed.pix)?;
        let met = Centavos(failed.left().0 - self.left_at_provider(receipt).0);
        let id = failed.id.clone();
        (met > Centavos::ZERO && !is(Mutant::RefundNotMet))
            .then_some(PaymentEvent::RefundMet { id, amount: met })
    }

    /// What of a Pix neither we nor a bank have sent back.
    pub(super) fn left_at_provider(&self, receipt: &Receipt) -> Centavos {
        let by_us = self.sum_of(&receipt.pix, |refund| refund.stage == RefundStage::Done);
        let by_banks = self.taken_by_banks(&receipt.pix);
        Centavos((receipt.amount.0 - by_us.0 - by_banks.0).max(0))
    }

    /// A bank has sent back so much of what a refund owed.
    pub(super) fn is_met(&mut self, id: &RefundId, amount: Centavos) {
        if let Some(refund) = self.refunds.iter_mut().find(|refund| refund.id == *id) {
            refund.met = Centavos(refund.met.0.saturating_add(amount.0));
            if refund.met >= refund.amount {
                refund.stage = RefundStage::Dropped;
            }
        }
    }
}
