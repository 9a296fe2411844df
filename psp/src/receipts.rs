//! Pix that came in, and what of them went back.

use ibora_domain::money::Centavos;
use ibora_domain::pix::{EndToEndId, PixKey, RefundId, ReturnId, Txid};
use ibora_domain::units::{Millis, UnixMillis};
use serde::Serialize;

use crate::books::{Books, Change, Due, EntryKind, Notice, positive, take_one};
use crate::charges::ChargeState;
use crate::refusal::Refusal;

/// How long a Pix can be refunded.
const REFUNDABLE: Millis = Millis::from_secs(90 * 86_400);
/// The amount whose refund fails in the sandbox.
const SANDBOX_REFUND_FAILS: Centavos = Centavos(1);

/// State of a refund.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RefundState {
    Pending,
    Returned,
    Failed,
}

/// Who wanted a refund.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Nature {
    /// We did.
    Original,
    /// The bank, after a failure of its own.
    MedOperational,
    /// The bank, after fraud.
    MedFraud,
}

/// Money that went back, or is about to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Refund {
    pub id: RefundId,
    pub return_id: ReturnId,
    pub value: Centavos,
    pub nature: Nature,
    pub asked: UnixMillis,
    pub settled: Option<UnixMillis>,
    pub state: RefundState,
    pub reason: Option<&'static str>,
}

/// A Pix that came in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Receipt {
    pub e2e_id: EndToEndId,
    pub txid: Option<Txid>,
    pub key: PixKey,
    pub value: Centavos,
    pub tariff: Centavos,
    pub at: UnixMillis,
    pub refunds: Vec<Refund>,
}

/// What a payer does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payment {
    /// The charge that is paid; none where the key itself is paid.
    pub txid: Option<Txid>,
    /// The key that is paid; that of the charge, where there is none.
    pub key: Option<PixKey>,
    /// The amount of the charge, where there is none.
    pub value: Option<Centavos>,
    /// Pays what a payer's bank would refuse: late, removed, paid before, another amount.
    pub forced: bool,
}

impl Receipt {
    /// What went back or is about to.
    #[must_use]
    pub fn refunded(&self) -> Centavos {
        let live = self.refunds.iter().filter(|refund| refund.state != RefundState::Failed);
        Centavos(live.map(|refund| refund.value.0).sum())
    }

    #[must_use]
    pub fn refund(&self, id: &RefundId) -> Option<&Refund> {
        self.refunds.iter().find(|refund| refund.id == *id)
    }
}

impl Books {
    #[must_use]
    pub fn receipt(&self, e2e_id: &EndToEndId) -> Option<&Receipt> {
        self.receipts.get(e2e_id)
    }

    /// Every Pix that came in, by number.
    pub fn receipts(&self) -> impl Iterator<Item = &Receipt> {
        self.receipts.values()
    }

    /// The Pix that paid this charge.
    pub fn receipts_of<'a>(&'a self, txid: &'a Txid) -> impl Iterator<Item = &'a Receipt> {
        self.receipts.values().filter(move |receipt| receipt.txid.as_ref() == Some(txid))
    }

    /// Somebody pays.
    ///
    /// # Errors
    /// [`Refusal`]: what the payer's bank says, unless the payment is forced.
    pub fn pay(&mut self, payment: Payment, now: UnixMillis) -> Result<EndToEndId, Refusal> {
        let charge = match &payment.txid {
            Some(txid) => self.charges.get(txid),
            None => None,
        };
        if payment.txid.is_some() && charge.is_none() && !payment.forced {
            return Err(Refusal::NoCharge);
        }
        let order = charge.map(|charge| &charge.order);
        let value = payment.value.or(order.map(|order| order.value)).ok_or(Refusal::ZeroAmount)?;
        positive(value)?;
        if let Some(charge) = charge.filter(|_| !payment.forced) {
            if charge.state != ChargeState::Active {
                return Err(Refusal::ChargeNotActive);
            }
            if now > charge.expires() {
                return Err(Refusal::ChargeExpired);
            }
            if value != charge.order.value && !charge.order.changeable {
                return Err(Refusal::AnotherAmount);
            }
        }
        let key = payment.key.or_else(|| order.map(|order| order.key.clone()));
        let key = key.ok_or(Refusal::NoSuchKey)?;
        let tariff = self.rules.tariff.min(value);
        let e2e_id = self.number(now)?;
        self.post(EntryKind::Receipt, Some(&e2e_id), Change::gain(value), now)?;
        if tariff > Centavos::ZERO {
            self.post(EntryKind::Tariff, Some(&e2e_id), Change::loss(tariff), now)?;
        }
        let charge = payment.txid.as_ref().and_then(|txid| self.charges.get_mut(txid));
        if let Some(charge) = charge.filter(|charge| charge.state == ChargeState::Active) {
            charge.state = ChargeState::Completed;
        }
        let (txid, refunds) = (payment.txid, Vec::new());
        let receipt =
            Receipt { e2e_id: e2e_id.clone(), txid, key, value, tariff, at: now, refunds };
        self.receipts.insert(e2e_id.clone(), receipt);
        self.notices.push_back(Notice::Received { e2e_id: e2e_id.clone() });
        Ok(e2e_id)
    }

    pub(crate) fn pay_by_itself(&mut self, txid: &Txid, now: UnixMillis) -> Result<(), Refusal> {
        let txid = Some(txid.clone());
        self.pay(Payment { txid, key: None, value: None, forced: false }, now).map(drop)
    }

    /// We ask for money to go back.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn refund(
        &mut self,
        e2e_id: &EndToEndId,
        id: &RefundId,
        value: Centavos,
        now: UnixMillis,
    ) -> Result<&Refund, Refusal> {
        let receipt = self.receipts.get(e2e_id).ok_or(Refusal::NoReceipt)?;
        if receipt.refund(id).is_some() {
            return Err(Refusal::DuplicateRefund);
        }
        positive(value)?;
        if now > receipt.at + REFUNDABLE {
            return Err(Refusal::TooOldToRefund);
        }
        let sum = receipt.refunded().checked_add(value).map_err(|_| Refusal::OutOfRange)?;
        if sum > receipt.value {
            return Err(Refusal::RefundsAbovePix);
        }
        let sandbox = self.rules.sandbox && value == SANDBOX_REFUND_FAILS;
        let fails = sandbox || take_one(&mut self.script.fail_refunds);
        let due = Due::SettleRefund { e2e_id: e2e_id.clone(), refund: id.clone(), fails };
        self.plan(now + self.rules.settle_after, due);
        let refund = Refund {
            id: id.clone(),
            return_id: self.numbers.of_return(now)?,
            value,
            nature: Nature::Original,
            asked: now,
            settled: None,
            state: RefundState::Pending,
            reason: None,
        };
        self.note_refund(e2e_id, refund)
    }

    /// The bank takes money back, without our asking, as far as there is any. Its id is the bank's.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn bank_refund(
        &mut self,
        e2e_id: &EndToEndId,
        value: Option<Centavos>,
        nature: Nature,
        now: UnixMillis,
    ) -> Result<&Refund, Refusal> {
        let receipt = self.receipts.get(e2e_id).ok_or(Refusal::NoReceipt)?;
        let left = Centavos(receipt.value.0 - receipt.refunded().0);
        let value = value.unwrap_or(left);
        if value > left {
            return Err(Refusal::RefundsAbovePix);
        }
        let value = value.min(self.balance());
        positive(value)?;
        self.post(EntryKind::BankRefund, Some(e2e_id), Change::loss(value), now)?;
        self.taken_by_bank(e2e_id, value, nature, now)
    }

    /// Notes a refund of the bank's, whose money has moved already.
    pub(crate) fn taken_by_bank(
        &mut self,
        e2e_id: &EndToEndId,
        value: Centavos,
        nature: Nature,
        now: UnixMillis,
    ) -> Result<&Refund, Refusal> {
        let return_id = self.numbers.of_return(now)?;
        let id = RefundId::parse(return_id.as_str()).map_err(|_| Refusal::OutOfRange)?;
        self.notices.push_back(Notice::Refunded { e2e_id: e2e_id.clone(), refund: id.clone() });
        let (state, reason) = (RefundState::Returned, None);
        let settled = Some(now);
        let refund = Refund { id, return_id, value, nature, asked: now, settled, state, reason };
        self.note_refund(e2e_id, refund)
    }

    fn note_refund(&mut self, e2e_id: &EndToEndId, refund: Refund) -> Result<&Refund, Refusal> {
        let refunds = &mut self.receipts.get_mut(e2e_id).ok_or(Refusal::NoReceipt)?.refunds;
        refunds.push(refund);
        refunds.last().ok_or(Refusal::NoRefund)
    }

    pub(crate) fn settle_refund(
        &mut self,
        e2e_id: &EndToEndId,
        id: &RefundId,
        fails: bool,
        now: UnixMillis,
    ) -> Result<(), Refusal> {
        let balance = self.balance();
        let receipt = self.receipts.get_mut(e2e_id).ok_or(Refusal::NoReceipt)?;
        let refund = receipt.refunds.iter_mut().find(|refund| refund.id == *id);
        let refund = refund.ok_or(Refusal::NoRefund)?;
        let reason = if fails {
            Some("Negado por timeout")
        } else if refund.value > balance {
            Some("Saldo insuficiente para realizar a devolução.")
        } else {
            None
        };
        (refund.settled, refund.reason) = (Some(now), reason);
        refund.state = reason.map_or(RefundState::Returned, |_| RefundState::Failed);
        let change = Change::loss(refund.value);
        self.notices.push_back(Notice::Refunded { e2e_id: e2e_id.clone(), refund: id.clone() });
        if reason.is_some() {
            return Ok(());
        }
        self.post(EntryKind::Refund, Some(e2e_id), change, now)
    }
}
