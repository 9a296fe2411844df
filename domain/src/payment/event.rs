//! What can happen to a payment, and the total function that makes it so.

use serde::{Deserialize, Serialize};

use super::{
    Against, Cause, Charge, Payment, PaymentStatus, Receipt, Refund, RefundStage, Relief, Stage,
    TopUp, Use, numbered,
};
use crate::dispute::Status;
use crate::ids::DisputeId;
use crate::ledger::Shares;
use crate::money::Centavos;
use crate::pix::{EndToEndId, RefundId, Txid};
use crate::units::UnixMillis;

/// A fact of a payment. Stored as JSON under its `kind`; a kind never changes its meaning.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum PaymentEvent {
    /// A charge was ordered after the first.
    ChargeOrdered {
        number: u16,
        expires_at: UnixMillis,
    },
    /// The provider has it: it can be paid by this text.
    ChargeMade {
        number: u16,
        copy_paste: String,
    },
    ChargeRefused {
        number: u16,
        code: String,
    },
    /// It cannot be paid any more.
    ChargeEnded {
        number: u16,
    },
    /// A Pix came in, confirmed by the provider.
    PixReceived {
        pix: EndToEndId,
        txid: Option<Txid>,
        amount: Centavos,
        good_for: Use,
    },
    RefundAsked {
        id: RefundId,
        pix: EndToEndId,
        amount: Centavos,
        cause: Cause,
        again: bool,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        against: Option<Against>,
    },
    RefundDone {
        id: RefundId,
    },
    RefundFailed {
        id: RefundId,
    },
    /// So much of a refund that failed a bank has sent back by itself.
    RefundMet {
        id: RefundId,
        amount: Centavos,
    },
    /// The provider took so much of a Pix; the rest is in its balance.
    PixStated {
        pix: EndToEndId,
        tariff: Centavos,
    },
    /// The passenger gives so much on top. Its charge is ordered next.
    TipGiven {
        amount: Centavos,
    },
    /// Nobody counts on it any more; `counted_on`: until now the books did.
    Relieved {
        why: Relief,
        counted_on: bool,
    },
    /// The ride's driver contested it: he wants to be heard, and nothing goes back.
    Contested {
        against: Against,
    },
    /// The driver's wallet says where a dispute stands.
    WalletSaid {
        dispute: DisputeId,
        status: Status,
    },
    /// A bank claims that a Pix was fraud: the provider has blocked so much.
    BankClaimed {
        claim: String,
        pix: EndToEndId,
        amount: Centavos,
        against: Option<Against>,
    },
    BankRejected {
        claim: String,
    },
    /// A bank has sent so much back by itself, under its own id.
    BankTook {
        claim: String,
        pix: EndToEndId,
        id: RefundId,
        amount: Centavos,
        shares: Shares,
        against: Option<Against>,
    },
    /// The passenger's credit is asked for what is left.
    CreditAsked {
        number: u16,
    },
    /// It has paid so much, or nothing.
    CreditUsed {
        number: u16,
        amount: Centavos,
    },
    /// The passenger puts something in. Its charge is ordered next.
    TopUpAsked {
        top_up: TopUp,
    },
}

impl PaymentEvent {
    /// The name in records.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::ChargeOrdered { .. } => "charge_ordered",
            Self::ChargeMade { .. } => "charge_made",
            Self::ChargeRefused { .. } => "charge_refused",
            Self::ChargeEnded { .. } => "charge_ended",
            Self::PixReceived { .. } => "pix_received",
            Self::RefundAsked { .. } => "refund_asked",
            Self::RefundDone { .. } => "refund_done",
            Self::RefundFailed { .. } => "refund_failed",
            Self::RefundMet { .. } => "refund_met",
            Self::PixStated { .. } => "pix_stated",
            Self::TipGiven { .. } => "tip_given",
            Self::Relieved { .. } => "relieved",
            Self::Contested { .. } => "contested",
            Self::WalletSaid { .. } => "wallet_said",
            Self::BankClaimed { .. } => "bank_claimed",
            Self::BankRejected { .. } => "bank_rejected",
            Self::BankTook { .. } => "bank_took",
            Self::CreditAsked { .. } => "credit_asked",
            Self::CreditUsed { .. } => "credit_used",
            Self::TopUpAsked { .. } => "top_up_asked",
        }
    }
}

impl Payment {
    /// Makes `event` so. Total: what does not fit changes nothing but the count.
    pub fn apply(&mut self, event: &PaymentEvent, at: UnixMillis) {
        self.version += 1;
        match event {
            PaymentEvent::ChargeOrdered { number, expires_at } => {
                let part = self.left().filter(|_| self.credited() > Centavos::ZERO);
                let (number, expires_at, stage) = (*number, *expires_at, Stage::Making);
                self.charges.push(Charge { number, made_at: at, expires_at, stage, part });
            }
            PaymentEvent::ChargeMade { number, copy_paste } => {
                self.stage(*number, Stage::Live { copy_paste: copy_paste.clone() });
            }
            PaymentEvent::ChargeRefused { number, code } => {
                self.stage(*number, Stage::Refused { code: code.clone() });
            }
            PaymentEvent::ChargeEnded { number } => self.stage(*number, Stage::Ended),
            PaymentEvent::PixReceived { pix, txid, amount, good_for } => {
                let (pix, txid) = (pix.clone(), txid.clone());
                let (amount, good_for) = (*amount, *good_for);
                self.receipts.push(Receipt { pix, txid, amount, at, good_for, tariff: None });
                if good_for.settles() {
                    self.paid_at = Some(at);
                }
            }
            PaymentEvent::RefundAsked { id, pix, amount, cause, again, against } => {
                if let Some(against) = against.as_ref().filter(|it| it.opening.is_some()) {
                    self.contested = Some(against.clone());
                }
                self.refunds.push(Refund {
                    id: id.clone(),
                    pix: pix.clone(),
                    amount: *amount,
                    cause: *cause,
                    again: *again,
                    asked_at: at,
                    stage: match against {
                        Some(_) => RefundStage::Decided,
                        None => RefundStage::Asked,
                    },
                    against: against.clone(),
                    closed: false,
                    met: Centavos::ZERO,
                });
            }
            PaymentEvent::RefundDone { id } => self.refund_is(id, RefundStage::Done),
            PaymentEvent::RefundFailed { id } => self.refund_is(id, RefundStage::Failed),
            PaymentEvent::RefundMet { id, amount } => self.is_met(id, *amount),
            PaymentEvent::PixStated { pix, tariff } => {
                if let Some(receipt) = self.receipts.iter_mut().find(|known| known.pix == *pix) {
                    receipt.tariff = Some(*tariff);
                }
            }
            PaymentEvent::TipGiven { amount } => self.tip_is(*amount, at),
            PaymentEvent::Relieved { why, .. } => self.relief = Some(*why),
            PaymentEvent::Contested { .. }
            | PaymentEvent::WalletSaid { .. }
            | PaymentEvent::BankClaimed { .. }
            | PaymentEvent::BankRejected { .. }
            | PaymentEvent::BankTook { .. } => self.apply_against(event),
            PaymentEvent::CreditAsked { .. }
            | PaymentEvent::CreditUsed { .. }
            | PaymentEvent::TopUpAsked { .. } => self.apply_credit(event, at),
        }
        self.status = self.status_now();
    }

    fn tip_is(&mut self, amount: Centavos, at: UnixMillis) {
        if let Some(debt) = &mut self.debt {
            debt.shares = Shares { driver: amount, platform: Centavos::ZERO };
        }
        self.tips += 1;
        (self.opened_at, self.relief) = (at, None);
    }

    fn stage(&mut self, number: u16, stage: Stage) {
        if let Some(charge) = self.charges.iter_mut().find(|charge| charge.number == number) {
            charge.stage = stage;
        }
    }

    fn refund_is(&mut self, id: &RefundId, stage: RefundStage) {
        if let Some(refund) = self.refunds.iter_mut().find(|refund| refund.id == *id) {
            refund.stage = stage;
        }
    }

    fn status_now(&self) -> PaymentStatus {
        let waits = self.open_charge().is_some() || self.by_credit.waits;
        match (self.settled_by(), self.relief) {
            _ if self.wanted().is_none() => PaymentStatus::Unmatched,
            (Some(paid), _) if self.gone(&paid.pix) >= paid.amount => PaymentStatus::Refunded,
            (Some(_), _) => PaymentStatus::Paid,
            (None, Some(relief)) => relief.status(),
            (None, None) if self.is_paid_by_credit() => PaymentStatus::Paid,
            (None, None) if waits => PaymentStatus::Pending,
            (None, None) => PaymentStatus::Expired,
        }
    }

    /// What of a Pix is on its way back, or has gone.
    fn gone(&self, pix: &EndToEndId) -> Centavos {
        let by_us = self.sum_of(pix, Refund::goes);
        Centavos(by_us.0.saturating_add(self.taken_by_banks(pix).0))
    }

    /// The id of the next refund.
    pub(super) fn next_refund(&self) -> RefundId {
        let count = u16::try_from(self.refunds.len()).unwrap_or(u16::MAX);
        numbered(self.id, count.saturating_add(1))
    }
}
