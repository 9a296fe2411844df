//! What of a payment is wanted back at its driver's cost: refunds that both bear, what is
//! contested, what a bank claims. The payment says what is wanted and how that stands; his wallet
//! takes it, and says so.

use serde::{Deserialize, Serialize};

use super::{BankStage, Cause, Payment, PaymentEvent, Receipt, Refund, RefundStage};
use crate::dispute::{Claim, DisputePolicy, Ground, Opening, Stands, Status};
use crate::ids::DisputeId;
use crate::ledger::Shares;
use crate::money::Centavos;
use crate::person::Role;
use crate::refusal::Refusal;
use crate::units::{Millis, UnixMillis};

/// A Pix can be given back for so long.
pub const REFUNDABLE: Millis = Millis::from_secs(90 * 24 * 3600);

/// Who bears a refund that an admin grants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BorneBy {
    /// The driver keeps his share.
    Platform,
    /// The driver gives his share back, and the platform its own.
    Driver,
}

/// Whose shares something takes, and under which dispute the driver's wallet knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Against {
    pub dispute: DisputeId,
    pub shares: Shares,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opening: Option<Opening>,
}

impl Against {
    pub(super) fn both(&self) -> Centavos {
        Centavos(self.shares.driver.0.saturating_add(self.shares.platform.0))
    }
}

/// Whether a wallet is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Awaits {
    Word,
    /// It has frozen the share; something will happen some day.
    Ruling,
}

impl Refund {
    /// What of it the driver and the platform bear by their shares.
    fn shared(&self) -> Centavos {
        self.against.as_ref().map_or(Centavos::ZERO, Against::both)
    }

    /// What the driver's wallet is waited for.
    fn awaits(&self) -> Option<Awaits> {
        self.against.as_ref()?;
        match (self.stage, self.cause) {
            (RefundStage::Decided, _) => Some(Awaits::Word),
            (RefundStage::Frozen, _) => Some(Awaits::Ruling),
            (RefundStage::Done | RefundStage::Failed, Cause::Shared) if !self.closed => {
                Some(Awaits::Word)
            }
            (RefundStage::Asked | RefundStage::Done | RefundStage::Failed, _)
            | (RefundStage::Dropped, _) => None,
        }
    }

    const fn stands(&self) -> Stands {
        match (self.stage, self.cause) {
            (RefundStage::Done, _) => Stands::Granted,
            (RefundStage::Failed, Cause::Shared) => Stands::Refused,
            (_, _) => Stands::Open,
        }
    }
}

impl Payment {
    /// The Pix that paid it, for whoever wants it back.
    ///
    /// # Errors
    /// [`Refusal::PaidByCredit`] where credit did, [`Refusal::IllegalTransition`] where it is not
    /// paid, and of what is no debt.
    pub(super) fn paid_by_pix(&self) -> Result<&Receipt, Refusal> {
        match self.settled_by().filter(|_| self.debt.is_some()) {
            Some(paid) => Ok(paid),
            None if self.is_paid_by_credit() => Err(Refusal::PaidByCredit),
            None => Err(Refusal::IllegalTransition),
        }
    }

    /// What of `pix` is left to be given back, by everything that is known and not refused.
    #[must_use]
    pub fn left_of(&self, receipt: &Receipt) -> Centavos {
        let claims = self.bank_claims.iter().filter(|claim| claim.pix == receipt.pix);
        let claimed: i64 = claims.map(|claim| claim.keeps().0).sum();
        Centavos((receipt.amount.0 - self.given_back(&receipt.pix).0 - claimed).max(0))
    }

    /// The shares of `amount` more at both their cost.
    pub(super) fn shares_of(&self, amount: Centavos) -> Option<Shares> {
        let refunds = self.refunds.iter().filter(|refund| refund.counts());
        let before = refunds.map(|refund| refund.shared().0);
        let claims = self.bank_claims.iter().map(|claim| claim.reserves().0);
        let before = Centavos(before.chain(claims).sum());
        self.debt?.shares.given_back(before, amount).ok()
    }

    /// Gives back `amount` of what was paid by Pix.
    ///
    /// # Errors
    /// [`Refusal::IllegalTransition`] where nothing was paid, [`Refusal::PaidByCredit`] where that
    /// was not by Pix, [`Refusal::RefundTooHigh`] for more than is left of it, or nothing,
    /// [`Refusal::RefundTooLate`] after ninety days.
    pub fn give_back(
        &self,
        amount: Centavos,
        by: BorneBy,
        at: UnixMillis,
    ) -> Result<PaymentEvent, Refusal> {
        let paid = self.paid_by_pix()?;
        if !(1..=self.left_of(paid).0).contains(&amount.0) {
            return Err(Refusal::RefundTooHigh);
        }
        if at > paid.at + REFUNDABLE {
            return Err(Refusal::RefundTooLate);
        }
        let (id, pix) = (self.next_refund(), paid.pix.clone());
        let (cause, against) = match by {
            BorneBy::Platform => (Cause::Goodwill, None),
            BorneBy::Driver => {
                let shares = self.shares_of(amount).ok_or(Refusal::RefundTooHigh)?;
                let dispute = DisputeId::of_refund(&id);
                (Cause::Shared, Some(Against { dispute, shares, opening: None }))
            }
        };
        Ok(PaymentEvent::RefundAsked { id, pix, amount, cause, again: false, against })
    }

    /// One of the ride's people contests it. A passenger wants back whatever is left of what was
    /// paid, which is reserved; a driver wants to be heard. Nothing where it is contested already,
    /// by the same person.
    ///
    /// # Errors
    /// [`Refusal::NotFound`] for others, [`Refusal::IllegalTransition`] where nothing was paid, or
    /// nothing is left, or it is too late, or another has contested it, [`Refusal::PaidByCredit`]
    /// where no Pix paid it.
    pub fn contest(
        &self,
        opening: Opening,
        at: UnixMillis,
        policy: &DisputePolicy,
    ) -> Result<Option<PaymentEvent>, Refusal> {
        let trip = self.debt.ok_or(Refusal::NotFound)?.trip;
        let person = match opening.role {
            Role::Passenger => trip.passenger.0,
            Role::Driver => trip.driver.0,
            Role::Admin | Role::Partner => return Err(Refusal::NotFound),
        };
        if person != opening.by.0 {
            return Err(Refusal::NotFound);
        }
        if let Some(before) = &self.contested {
            let same = before.opening.as_ref().is_some_and(|before| before.by == opening.by);
            return if same { Ok(None) } else { Err(Refusal::IllegalTransition) };
        }
        let paid = self.paid_by_pix()?;
        let left = self.left_of(paid);
        if at > paid.at + policy.open_within || left == Centavos::ZERO {
            return Err(Refusal::IllegalTransition);
        }
        let amount = if opening.role == Role::Passenger { left } else { Centavos::ZERO };
        let shares = self.shares_of(amount).ok_or(Refusal::IllegalTransition)?;
        let against = Against { dispute: opening.id, shares, opening: Some(opening) };
        Ok(Some(match amount {
            Centavos::ZERO => PaymentEvent::Contested { against },
            amount => PaymentEvent::RefundAsked {
                id: self.next_refund(),
                pix: paid.pix.clone(),
                amount,
                cause: Cause::Dispute,
                again: false,
                against: Some(against),
            },
        }))
    }

    /// What the driver's wallet has to be told, and is waited for.
    #[must_use]
    pub fn matters(&self) -> Vec<(Claim, Stands, Awaits)> {
        let refunds = self.refunds.iter().filter_map(|refund| {
            let awaits = refund.awaits()?;
            Some((self.claim_of(refund)?, refund.stands(), awaits))
        });
        let banks = self.bank_claims.iter().filter(|claim| !claim.is_closed());
        let banks = banks
            .filter_map(|claim| Some((self.claim_of_bank(claim)?, claim.stands(), Awaits::Word)));
        let told = self.contested.iter().filter(|against| against.both() == Centavos::ZERO);
        let told = told.filter(|_| self.contested_heard.is_none()).filter_map(|against| {
            let claim = self.claim(against, Centavos::ZERO, ground_of(against)?)?;
            Some((claim, Stands::Open, Awaits::Word))
        });
        refunds.chain(banks).chain(told).collect()
    }

    /// The claim of whoever contested the ride.
    #[must_use]
    pub fn contest_claim(&self) -> Option<Claim> {
        let against = self.contested.as_ref()?;
        self.claim(against, against.both(), ground_of(against)?)
    }

    fn claim_of(&self, refund: &Refund) -> Option<Claim> {
        let against = refund.against.as_ref()?;
        let ground = match ground_of(against) {
            Some(contested) => contested,
            None => Ground::Refund { pix: refund.pix.clone(), id: refund.id.clone() },
        };
        self.claim(against, refund.amount, ground)
    }

    pub(super) fn claim(
        &self,
        against: &Against,
        amount: Centavos,
        ground: Ground,
    ) -> Option<Claim> {
        let debt = self.debt?;
        Some(Claim {
            id: against.dispute,
            payment: self.id,
            trip: debt.trip,
            due: debt.due,
            amount,
            shares: against.shares,
            ground,
        })
    }

    /// The driver's wallet says where a dispute stands. Nothing where that is known.
    #[must_use]
    pub fn wallet_said(&self, dispute: DisputeId, status: Status) -> Option<PaymentEvent> {
        let is_it = |against: &Option<Against>| {
            against.as_ref().is_some_and(|against| against.dispute == dispute)
        };
        let refund = self.refunds.iter().find(|refund| is_it(&refund.against));
        let news = match refund {
            Some(refund) => {
                refund.awaits()?;
                refund.stage == RefundStage::Decided || !status.is_open()
            }
            None if is_it(&self.contested) => self.contested_heard.is_none(),
            None => {
                let claim = self.bank_claims.iter().find(|claim| is_it(&claim.against))?;
                let waits = claim.stage == BankStage::Blocked || !status.is_open();
                !claim.is_closed() && waits
            }
        };
        news.then_some(PaymentEvent::WalletSaid { dispute, status })
    }

    /// Makes so what the wallet or a bank did.
    pub(super) fn apply_against(&mut self, event: &PaymentEvent) {
        match event {
            PaymentEvent::Contested { against } => self.contested = Some(against.clone()),
            PaymentEvent::WalletSaid { dispute, status } => self.hear_wallet(*dispute, *status),
            event => self.apply_bank(event),
        }
    }

    fn hear_wallet(&mut self, dispute: DisputeId, status: Status) {
        let is_it = |against: &Option<Against>| {
            against.as_ref().is_some_and(|against| against.dispute == dispute)
        };
        if is_it(&self.contested) {
            self.contested_heard = Some(status);
        }
        if let Some(claim) = self.bank_claims.iter_mut().find(|claim| is_it(&claim.against)) {
            claim.wallet = Some(status);
        }
        let Some(refund) = self.refunds.iter_mut().find(|refund| is_it(&refund.against)) else {
            return;
        };
        refund.stage = match (refund.stage, refund.cause, status) {
            (RefundStage::Decided, Cause::Shared, _) => RefundStage::Asked,
            (RefundStage::Decided | RefundStage::Frozen, _, Status::ForPassenger) => {
                RefundStage::Asked
            }
            (RefundStage::Decided | RefundStage::Frozen, _, Status::ForDriver) => {
                RefundStage::Dropped
            }
            (RefundStage::Decided, _, Status::Open | Status::UnderReview) => RefundStage::Frozen,
            (stage, ..) => {
                refund.closed |= !status.is_open();
                stage
            }
        };
    }

    /// Whether something of it waits for the driver's wallet.
    pub(super) fn awaits_wallet(&self) -> bool {
        !self.matters().is_empty()
    }
}

fn ground_of(against: &Against) -> Option<Ground> {
    against.opening.clone().map(Ground::Contested)
}
