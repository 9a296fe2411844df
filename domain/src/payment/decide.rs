//! What a payment decides. Each function says what would happen and changes nothing.

use super::{Cause, Incoming, Payment, PaymentEvent, PaymentPolicy, RefundStage, Stage, Use};
use crate::ids::PaymentId;
use crate::money::Centavos;
use crate::mutants::{Mutant, is};
use crate::pix::RefundId;
use crate::units::UnixMillis;

/// What the provider says of a charge under our reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChargeSeen {
    /// Whether it can be paid.
    pub payable: bool,
    /// The text that a payer copies.
    pub copy_paste: Option<String>,
    /// What came in for it.
    pub paid_by: Vec<Incoming>,
}

impl Payment {
    /// A charge is wanted: a new one, where something is owed and none is open.
    #[must_use]
    pub fn order_charge(&self, at: UnixMillis, policy: &PaymentPolicy) -> Option<PaymentEvent> {
        let open = self.open_charge().is_some() && !is(Mutant::SecondCharge);
        if !policy.charges || !self.status.is_payable() || open || self.by_credit.waits {
            return None;
        }
        let (number, expires_at) = (self.next_charge(), at + policy.expiry);
        Some(PaymentEvent::ChargeOrdered { number, expires_at })
    }

    /// The number of the next charge.
    pub(super) fn next_charge(&self) -> u16 {
        self.charges.iter().map(|charge| charge.number).max().unwrap_or(0) + 1
    }

    /// What the provider has under the reference of charge `number`: perhaps the charge is made, or
    /// has ended. What came in for it is taken in before, by [`Payment::receive`].
    #[must_use]
    pub fn charge_seen(&self, number: u16, seen: &ChargeSeen) -> Option<PaymentEvent> {
        let charge = self.charges.iter().find(|charge| charge.number == number)?;
        match (&charge.stage, &seen.copy_paste) {
            (Stage::Making | Stage::Live { .. }, _) if !seen.payable => {
                Some(PaymentEvent::ChargeEnded { number })
            }
            (Stage::Making, Some(text)) => {
                Some(PaymentEvent::ChargeMade { number, copy_paste: text.clone() })
            }
            // Without a text nobody could pay it.
            (Stage::Making, None) => {
                Some(PaymentEvent::ChargeRefused { number, code: "no_code".to_owned() })
            }
            (Stage::Live { .. } | Stage::Ended | Stage::Refused { .. }, _) => None,
        }
    }

    /// A Pix that the provider confirms: what it is good for, that its charge has ended with it,
    /// and that it goes back where it is good for nothing. Nothing where it is known already.
    #[must_use]
    pub fn receive(&self, incoming: &Incoming) -> Vec<PaymentEvent> {
        let known = self.receipts.iter().any(|known| known.pix == incoming.pix);
        let good_for = self.good_for(incoming);
        let lost = is(Mutant::LatePixLost) && good_for == Use::SettledLate;
        if known || lost || incoming.amount <= Centavos::ZERO {
            return Vec::new();
        }
        let paid = self.charge_of(incoming).filter(|charge| charge.is_open());
        let ended = paid.map(|charge| PaymentEvent::ChargeEnded { number: charge.number });
        let Incoming { pix, txid, amount, .. } = incoming.clone();
        let mut events =
            vec![PaymentEvent::PixReceived { pix: pix.clone(), txid, amount, good_for }];
        events.extend(ended);
        if !good_for.settles() {
            let (id, cause, against) = (self.next_refund(), Cause::Suspense, None);
            events.push(PaymentEvent::RefundAsked {
                id,
                pix,
                amount,
                cause,
                again: false,
                against,
            });
        }
        events
    }

    fn good_for(&self, incoming: &Incoming) -> Use {
        let Some(left) = self.left() else { return Use::Stray };
        let charge = self.charge_of(incoming);
        match charge {
            _ if self.settled_by().is_some() || self.is_paid_by_credit() => Use::Duplicate,
            // Nobody asks for it any more.
            _ if !self.status.is_payable() && !self.is_revived() => Use::Stray,
            _ if incoming.amount != left && !is(Mutant::PartialSettles) => Use::WrongAmount,
            Some(charge) if charge.is_open() => Use::Settled,
            Some(_) | None => Use::SettledLate,
        }
    }

    /// A planted bug: what is over is as if it were not.
    fn is_revived(&self) -> bool {
        self.is_tip() && is(Mutant::TipRevived)
    }

    /// Whether a Pix would settle it, while credit is asked to: what it is good for is not known
    /// before the answer.
    #[must_use]
    pub fn comes_too_early(&self, incoming: &Incoming) -> bool {
        let known = self.receipts.iter().any(|known| known.pix == incoming.pix);
        self.by_credit.waits && !known && self.good_for(incoming).settles()
    }

    fn charge_of(&self, incoming: &Incoming) -> Option<&super::Charge> {
        let txid = incoming.txid.as_ref()?;
        self.charges.iter().find(|charge| self.txid(charge.number) == *txid)
    }

    /// Whether a Pix is for this payment.
    #[must_use]
    pub fn claims(&self, incoming: &Incoming) -> bool {
        match self.wanted() {
            Some(_) => self.charge_of(incoming).is_some(),
            None => self.id == PaymentId::of_stray(&incoming.pix),
        }
    }

    /// A refund came to an end at the provider. Nothing where that is known.
    #[must_use]
    pub fn refund_ended(&self, id: &RefundId, done: bool) -> Option<PaymentEvent> {
        let refund = self.refunds.iter().find(|refund| refund.id == *id)?;
        (refund.stage == RefundStage::Asked).then(|| match done {
            true => PaymentEvent::RefundDone { id: id.clone() },
            false => PaymentEvent::RefundFailed { id: id.clone() },
        })
    }
}
