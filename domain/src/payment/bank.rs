//! What banks claim of a payment's Pix by themselves (MED): what the provider blocks for it, what
//! they take, and whose shares that is of.

use serde::{Deserialize, Serialize};

use super::{Against, Payment, PaymentEvent, Receipt};
use crate::dispute::{Claim, Ground, Stands, Status};
use crate::ids::DisputeId;
use crate::ledger::Shares;
use crate::money::Centavos;
use crate::mutants::{Mutant, is};
use crate::pix::{EndToEndId, RefundId};
use crate::units::UnixMillis;

/// How far a bank's claim is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum BankStage {
    /// The provider has blocked what is claimed.
    Blocked,
    Rejected,
    /// The bank took so much, under its own id.
    Took {
        id: RefundId,
        amount: Centavos,
        shares: Shares,
    },
}

/// A bank's claim that a Pix was fraud (MED).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BankClaim {
    /// Its name at the provider; of one that nobody announced, the id of what was taken.
    pub name: String,
    pub pix: EndToEndId,
    /// What is blocked; nothing where it was not announced.
    pub blocked: Centavos,
    /// None where no driver's share was of that Pix: the platform bears it alone.
    pub against: Option<Against>,
    pub stage: BankStage,
    /// What his wallet said last.
    pub wallet: Option<Status>,
}

/// What the provider says of a claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BankSays {
    pub name: String,
    pub pix: EndToEndId,
    pub amount: Centavos,
    pub end: Option<BankEnd>,
    /// From when on nothing is taken any more for one that was granted.
    pub over_at: Option<UnixMillis>,
}

/// How a claim ended there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BankEnd {
    Granted,
    Rejected,
}

/// What a bank has sent back of a Pix by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TakenBack {
    pub id: RefundId,
    pub amount: Centavos,
}

impl BankClaim {
    /// Whether there is no driver's wallet that has to say anything more.
    pub(super) fn is_closed(&self) -> bool {
        match (&self.against, &self.stage, self.wallet) {
            (None, ..) => true,
            (Some(_), BankStage::Blocked, said) => said.is_some(),
            (Some(_), BankStage::Took { .. }, _) if is(Mutant::BankTwiceByClaim) => false,
            (Some(_), _, said) => said.is_some_and(|status| !status.is_open()),
        }
    }

    pub(super) fn stands(&self) -> Stands {
        match &self.stage {
            BankStage::Blocked => Stands::Open,
            BankStage::Rejected => Stands::Refused,
            BankStage::Took { id, amount, shares } => {
                let (pix, id) = (self.pix.clone(), id.clone());
                Stands::Taken { pix, id, amount: *amount, shares: *shares }
            }
        }
    }

    /// What can go back no other way: all that was taken, and of what is blocked what it may take
    /// of the payment.
    pub(super) fn keeps(&self) -> Centavos {
        match &self.stage {
            BankStage::Took { amount, .. } => *amount,
            BankStage::Blocked | BankStage::Rejected => self.reserves(),
        }
    }

    /// What of the payment it takes, or may take.
    pub(super) fn reserves(&self) -> Centavos {
        match &self.stage {
            BankStage::Rejected => Centavos::ZERO,
            BankStage::Blocked => self.against.as_ref().map_or(Centavos::ZERO, Against::both),
            BankStage::Took { shares, .. } => shares.whole().unwrap_or(Centavos::ZERO),
        }
    }
}

impl Payment {
    pub(super) fn claim_of_bank(&self, claim: &BankClaim) -> Option<Claim> {
        let against = claim.against.as_ref()?;
        let taken = match &claim.stage {
            BankStage::Took { amount, .. } => *amount,
            BankStage::Blocked | BankStage::Rejected => Centavos::ZERO,
        };
        let (name, blocked) = (claim.name.clone(), claim.blocked);
        let ground = Ground::Bank { claim: name, blocked };
        self.claim(against, blocked.max(taken), ground)
    }

    /// The provider says of a claim of fraud. Nothing where that is known, or where what was taken
    /// has to be asked for. One that is granted where nothing is left to take has come to nothing.
    #[must_use]
    pub fn bank_says(&self, says: &BankSays) -> Option<PaymentEvent> {
        let known = self.bank_claims.iter().find(|claim| claim.name == says.name);
        match (known, says.end) {
            (None, None) if says.amount > Centavos::ZERO => {
                let receipt = self.receipts.iter().find(|receipt| receipt.pix == says.pix)?;
                let (claim, pix) = (says.name.clone(), says.pix.clone());
                let against = self.against_of_bank(receipt, says.amount, &says.name);
                Some(PaymentEvent::BankClaimed { claim, pix, amount: says.amount, against })
            }
            (Some(claim), Some(end)) if claim.stage == BankStage::Blocked => {
                let in_vain = end == BankEnd::Rejected || self.is_all_gone(&claim.pix);
                in_vain.then(|| PaymentEvent::BankRejected { claim: says.name.clone() })
            }
            (_, _) => None,
        }
    }

    /// A claim that was granted has come to nothing: its time is over, nothing was taken for it.
    #[must_use]
    pub fn bank_let_go(&self, claim: &str) -> Option<PaymentEvent> {
        let is_blocked = |one: &BankClaim| one.name == claim && one.stage == BankStage::Blocked;
        let blocked = self.bank_claims.iter().any(is_blocked) && !is(Mutant::ClaimKept);
        blocked.then(|| PaymentEvent::BankRejected { claim: claim.to_owned() })
    }

    /// Whether a Pix has gone back, so that a bank can take nothing of it.
    fn is_all_gone(&self, pix: &EndToEndId) -> bool {
        let receipt = self.receipts.iter().find(|receipt| receipt.pix == *pix);
        let gone = |receipt| self.left_at_provider(receipt) == Centavos::ZERO;
        receipt.is_some_and(gone) && !is(Mutant::ClaimKept)
    }

    fn against_of_bank(&self, receipt: &Receipt, amount: Centavos, name: &str) -> Option<Against> {
        self.debt.filter(|_| receipt.good_for.settles())?;
        let shares = self.shares_of(amount.min(self.left_of(receipt)))?;
        Some(Against { dispute: DisputeId::of_claim(name), shares, opening: None })
    }

    /// What a bank has taken of a Pix that is not known yet, oldest first. Each ends the claim that
    /// it was blocked for, where there is one.
    #[must_use]
    pub fn bank_took(&self, pix: &EndToEndId, taken: &[TakenBack]) -> Option<PaymentEvent> {
        let receipt = self.receipts.iter().find(|receipt| receipt.pix == *pix)?;
        let new = taken.iter().find(|one| !self.knows_back(&one.id))?;
        let blocked = self
            .bank_claims
            .iter()
            .find(|claim| claim.pix == *pix && claim.stage == BankStage::Blocked);
        let none = Shares { driver: Centavos::ZERO, platform: Centavos::ZERO };
        let (claim, against) = match blocked {
            Some(claim) => (claim.name.clone(), claim.against.clone()),
            None => {
                let name = new.id.as_str();
                (name.to_owned(), self.against_of_bank(receipt, new.amount, name))
            }
        };
        // Of less than was blocked, each bears his share of that.
        let shares = against.as_ref().map_or(none, |against| match against.both() > new.amount {
            true => against.shares.given_back(Centavos::ZERO, new.amount).unwrap_or(none),
            false => against.shares,
        });
        let (id, amount) = (new.id.clone(), new.amount);
        Some(PaymentEvent::BankTook { claim, pix: pix.clone(), id, amount, shares, against })
    }

    /// Whether it is known what went back under this id: ours, or a bank's.
    #[must_use]
    pub fn knows_back(&self, id: &RefundId) -> bool {
        let took = |claim: &BankClaim| match &claim.stage {
            BankStage::Took { id: known, .. } => known == id && !is(Mutant::BankTwiceById),
            BankStage::Blocked | BankStage::Rejected => false,
        };
        self.bank_claims.iter().any(took) || self.refunds.iter().any(|refund| refund.id == *id)
    }

    /// Makes so what a bank did.
    pub(super) fn apply_bank(&mut self, event: &PaymentEvent) {
        match event {
            PaymentEvent::BankClaimed { claim, pix, amount, against } => {
                self.bank_claims.push(BankClaim {
                    name: claim.clone(),
                    pix: pix.clone(),
                    blocked: *amount,
                    against: against.clone(),
                    stage: BankStage::Blocked,
                    wallet: None,
                });
            }
            PaymentEvent::BankRejected { claim } => {
                if let Some(known) = self.bank_claims.iter_mut().find(|one| one.name == *claim) {
                    known.stage = BankStage::Rejected;
                }
            }
            PaymentEvent::BankTook { claim, pix, id, amount, shares, against } => {
                let stage = BankStage::Took { id: id.clone(), amount: *amount, shares: *shares };
                match self.bank_claims.iter_mut().find(|one| one.name == *claim) {
                    Some(known) => known.stage = stage,
                    None => self.bank_claims.push(BankClaim {
                        name: claim.clone(),
                        pix: pix.clone(),
                        blocked: Centavos::ZERO,
                        against: against.clone(),
                        stage,
                        wallet: None,
                    }),
                }
            }
            _ => {}
        }
    }

    /// What banks have taken of the Pix that paid it.
    pub(super) fn taken_by_banks(&self, pix: &EndToEndId) -> Centavos {
        let of = self.bank_claims.iter().filter(|claim| claim.pix == *pix);
        let taken = of.map(|claim| match &claim.stage {
            BankStage::Took { amount, .. } => amount.0,
            BankStage::Blocked | BankStage::Rejected => 0,
        });
        Centavos(taken.fold(0, i64::saturating_add))
    }
}
