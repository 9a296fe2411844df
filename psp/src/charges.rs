//! Charges: made, revised, taken back. Paying one is in `receipts`.

use ibora_domain::money::Centavos;
use ibora_domain::pix::{PixKey, Txid};
use ibora_domain::units::{Millis, UnixMillis};
use serde::Serialize;

use crate::books::{Books, Due, positive};
use crate::refusal::Refusal;

/// The largest amount that is paid by itself in the sandbox.
const SANDBOX_PAID_MAX: Centavos = Centavos(10_00);

/// State of the record of a charge. There is none for an expired one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ChargeState {
    Active,
    Completed,
    Removed,
}

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ChargeOrder {
    pub value: Centavos,
    /// Whether who pays may change the amount.
    pub changeable: bool,
    pub expires_in_s: u32,
    /// The key that is paid.
    pub key: PixKey,
}

/// A charge as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Charge {
    pub txid: Txid,
    #[serde(flatten)]
    pub order: ChargeOrder,
    pub created: UnixMillis,
    pub revision: u32,
    pub state: ChargeState,
}

impl Charge {
    /// The last moment at which a payer's bank pays it.
    #[must_use]
    pub fn expires(&self) -> UnixMillis {
        self.created + Millis::from_secs(u64::from(self.order.expires_in_s))
    }
}

impl ChargeOrder {
    fn check(&self) -> Result<(), Refusal> {
        positive(self.value)?;
        (self.expires_in_s > 0).then_some(()).ok_or(Refusal::ZeroExpiry)
    }
}

impl Books {
    #[must_use]
    pub fn charge(&self, txid: &Txid) -> Option<&Charge> {
        self.charges.get(txid)
    }

    /// Every charge, by reference.
    pub fn charges(&self) -> impl Iterator<Item = &Charge> {
        self.charges.values()
    }

    /// Makes a charge.
    ///
    /// # Errors
    /// [`Refusal`]: a reference is good once for ever.
    pub fn create_charge(
        &mut self,
        txid: &Txid,
        order: ChargeOrder,
        now: UnixMillis,
    ) -> Result<&Charge, Refusal> {
        if !txid.fits_charge() {
            return Err(Refusal::ShortTxid);
        }
        order.check()?;
        if self.charges.contains_key(txid) {
            return Err(Refusal::DuplicateTxid);
        }
        let by_itself = if self.rules.sandbox {
            (order.value <= SANDBOX_PAID_MAX).then_some(self.rules.settle_after)
        } else {
            self.rules.pay_after
        };
        if let Some(after) = by_itself {
            self.plan(now + after, Due::Pay(txid.clone()));
        }
        let txid = txid.clone();
        let charge = Charge {
            txid: txid.clone(),
            order,
            created: now,
            revision: 0,
            state: ChargeState::Active,
        };
        Ok(self.charges.entry(txid).or_insert(charge))
    }

    /// Changes what an active charge asks for.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn revise_charge(&mut self, txid: &Txid, order: ChargeOrder) -> Result<&Charge, Refusal> {
        order.check()?;
        let charge = self.active(txid)?;
        charge.order = order;
        charge.revision += 1;
        Ok(charge)
    }

    /// Takes a charge back. A payment may have been quicker: then it is not active any more.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn remove_charge(&mut self, txid: &Txid) -> Result<&Charge, Refusal> {
        let charge = self.active(txid)?;
        charge.state = ChargeState::Removed;
        charge.revision += 1;
        Ok(charge)
    }

    fn active(&mut self, txid: &Txid) -> Result<&mut Charge, Refusal> {
        let charge = self.charges.get_mut(txid).ok_or(Refusal::NoCharge)?;
        (charge.state == ChargeState::Active).then_some(charge).ok_or(Refusal::ChargeNotActive)
    }
}
