//! Claims of fraud (MED): money of a receipt is blocked, and goes back or is freed.

use ibora_domain::money::Centavos;
use ibora_domain::pix::EndToEndId;
use ibora_domain::units::{Millis, UnixMillis};
use serde::Serialize;

use crate::books::{Books, Change, EntryKind};
use crate::receipts::Nature;
use crate::refusal::Refusal;

/// How long both banks may look at a claim.
const ANALYSIS: Millis = Millis::from_secs(7 * 86_400);

/// State of a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ClaimState {
    Open,
    InDefence,
    Accepted,
    Rejected,
}

/// A claim as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Claim {
    pub id: String,
    pub e2e_id: EndToEndId,
    pub value: Centavos,
    /// What is blocked for it: less than its value where there was less.
    pub held: Centavos,
    pub opened: UnixMillis,
    pub due: UnixMillis,
    pub state: ClaimState,
}

impl Claim {
    fn is_live(&self) -> bool {
        matches!(self.state, ClaimState::Open | ClaimState::InDefence)
    }
}

impl Books {
    /// Every claim, by id.
    pub fn claims(&self) -> impl Iterator<Item = &Claim> {
        self.claims.values()
    }

    /// The payer's bank claims that a Pix was fraud. What is left of it is blocked, as far as
    /// there is any.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn open_claim(&mut self, e2e_id: &EndToEndId, now: UnixMillis) -> Result<&Claim, Refusal> {
        let receipt = self.receipts.get(e2e_id).ok_or(Refusal::NoReceipt)?;
        let value = Centavos(receipt.value.0 - receipt.refunded().0);
        if value <= Centavos::ZERO {
            return Err(Refusal::RefundsAbovePix);
        }
        let held = value.min(self.balance()).max(Centavos::ZERO);
        let change = Change { amount: Centavos(-held.0), blocked: held };
        self.post(EntryKind::Block, Some(e2e_id), change, now)?;
        let id = format!("{:032x}", self.numbers.next());
        let claim = Claim {
            id: id.clone(),
            e2e_id: e2e_id.clone(),
            value,
            held,
            opened: now,
            due: now + ANALYSIS,
            state: ClaimState::Open,
        };
        Ok(self.claims.entry(id).or_insert(claim))
    }

    /// We say what we think of a claim.
    ///
    /// # Errors
    /// [`Refusal::NoClaim`]: none, or one that was defended or decided before.
    pub fn defend(&mut self, id: &str) -> Result<&Claim, Refusal> {
        let claim = self.claims.get_mut(id).ok_or(Refusal::NoClaim)?;
        if claim.state != ClaimState::Open {
            return Err(Refusal::NoClaim);
        }
        claim.state = ClaimState::InDefence;
        Ok(claim)
    }

    /// The banks decide: what is blocked goes back, or is free again.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn decide_claim(
        &mut self,
        id: &str,
        accepted: bool,
        now: UnixMillis,
    ) -> Result<(), Refusal> {
        let claim = self.claims.get_mut(id).filter(|claim| claim.is_live());
        let claim = claim.ok_or(Refusal::NoClaim)?;
        let (held, e2e_id) = (std::mem::take(&mut claim.held), claim.e2e_id.clone());
        claim.state = if accepted { ClaimState::Accepted } else { ClaimState::Rejected };
        let blocked = Centavos(-held.0);
        if !accepted {
            let change = Change { amount: held, blocked };
            return self.post(EntryKind::Unblock, Some(&e2e_id), change, now);
        }
        // Of what has gone back meanwhile nothing goes back again: that much is free.
        let receipt = self.receipts.get(&e2e_id).ok_or(Refusal::NoReceipt)?;
        let left = Centavos(receipt.value.0 - receipt.refunded().0);
        let taken = held.min(left).max(Centavos::ZERO);
        let change = Change { amount: Centavos(held.0 - taken.0), blocked };
        self.post(EntryKind::ClaimPaid, Some(&e2e_id), change, now)?;
        if taken == Centavos::ZERO {
            return Ok(());
        }
        self.taken_by_bank(&e2e_id, taken, Nature::MedFraud, now).map(drop)
    }
}
