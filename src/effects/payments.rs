//! What payments want of the provider: charges, what came in, refunds.

use std::time::Duration;

use ibora_domain::machines::{PaymentEffect, PaymentSeen, RefundSeen, Said};
use ibora_domain::money::Centavos;
use ibora_domain::payment::{ChargeSeen, Incoming, TakenBack};
use ibora_domain::pix::{EndToEndId, RefundId, Txid};
use ibora_domain::provider::{Ending, Errand, Outcome, REFUND_CARRIED_FOR};
use ibora_domain::units::Millis;

use super::Carrier;
use crate::pix::brcode::BrCode;
use crate::pix::client::{Carried, ChargeErrand, RefundErrand};
use crate::pix::wire::{
    Charge, ChargeStatus, ChargeValue, Expiry, NewCharge, NewRefund, Received, Refund,
    RefundNature, RefundStatus,
};

/// How long a charge is carried on in one go. Then it is said that it has no end yet.
const PATIENCE: Duration = Duration::from_secs(20);

impl Carrier {
    pub(super) async fn of_payment(&self, effect: PaymentEffect) -> PaymentSeen {
        match effect {
            PaymentEffect::Charge { txid, amount, expires_in, in_doubt } => {
                let said = self.charge(&txid, (amount, expires_in), in_doubt).await;
                PaymentSeen::Charge { txid, said }
            }
            PaymentEffect::Look { txid } => {
                let said = answered(self.provider.charge(&txid).await, charge_seen);
                PaymentSeen::Charge { txid, said }
            }
            PaymentEffect::TakeBack { txid } => {
                let said = answered(self.provider.take_charge_back(&txid).await, charge_seen);
                PaymentSeen::Charge { txid, said }
            }
            PaymentEffect::Confirm { pix } => {
                let said = answered(self.provider.received(&pix).await, |received| {
                    if received.e2e_id == pix {
                        Said::Found(incoming(received))
                    } else {
                        Said::Mismatched
                    }
                });
                PaymentSeen::Confirm { pix, said }
            }
            PaymentEffect::Refund { pix, id, amount, in_doubt } => {
                let said = self.refund(pix, &id, amount, in_doubt).await;
                PaymentSeen::Refund { id, said }
            }
        }
    }

    async fn charge(
        &self,
        txid: &Txid,
        (amount, expires_in): (Centavos, Millis),
        in_doubt: bool,
    ) -> Said<ChargeSeen> {
        let seconds = u32::try_from(expires_in.0.div_ceil(1000)).unwrap_or(u32::MAX);
        let charge = NewCharge {
            calendar: Expiry { seconds: seconds.max(1) },
            debtor: None,
            value: ChargeValue { original: amount, changeable: None },
            key: self.keys.own.clone(),
            message: None,
            notes: Vec::new(),
            location: None,
        };
        let carried = ChargeErrand { txid: txid.clone(), charge };
        self.carried(&carried, (in_doubt, PATIENCE), charge_seen).await
    }

    async fn refund(
        &self,
        pix: EndToEndId,
        id: &RefundId,
        amount: Centavos,
        in_doubt: bool,
    ) -> Said<RefundSeen> {
        let refund = NewRefund { value: amount, nature: None, message: None };
        let carried = RefundErrand { pix, id: id.clone(), refund };
        self.carried(&carried, (in_doubt, REFUND_CARRIED_FOR.into()), |refund| {
            Said::Found(match refund.status {
                RefundStatus::Returned => RefundSeen::Returned,
                RefundStatus::Failed => RefundSeen::Failed,
                RefundStatus::Pending | RefundStatus::Unknown(_) => RefundSeen::Pending,
            })
        })
        .await
    }

    async fn carried<C: Carried, T>(
        &self,
        carried: &C,
        (in_doubt, patience): (bool, Duration),
        read: impl FnOnce(C::Found) -> Said<T>,
    ) -> Said<T> {
        let mut errand: Errand =
            if in_doubt { carried.errand_in_doubt() } else { carried.errand() };
        let ending = self.provider.carry(&mut errand, carried, patience).await;
        if let Some(Ending::Refused(error)) = &ending {
            tracing::error!(%error, "the provider refuses an order");
        }
        heeded(Said::carried(ending, &errand, read))
    }
}

/// What comes of a question.
fn answered<A, T>(outcome: Outcome<A>, read: impl FnOnce(A) -> Said<T>) -> Said<T> {
    heeded(Said::answered(outcome, read))
}

/// Reads a charge. A text that is no code, or asks for another amount, is shown to nobody.
fn charge_seen(charge: Charge) -> Said<ChargeSeen> {
    if let Some(text) = &charge.copy_and_paste {
        let due = charge.value.original;
        let good =
            BrCode::parse(text).is_ok_and(|code| code.amount.is_none_or(|amount| amount == due));
        if !good {
            return Said::Mismatched;
        }
    }
    Said::Found(ChargeSeen {
        payable: match charge.status {
            ChargeStatus::Active | ChargeStatus::Unknown(_) => true,
            ChargeStatus::Completed
            | ChargeStatus::RemovedByUser
            | ChargeStatus::RemovedByProvider => false,
        },
        copy_paste: charge.copy_and_paste,
        paid_by: charge
            .pix
            .into_iter()
            .map(|pix| Incoming { txid: Some(charge.txid.clone()), ..incoming(pix) })
            .collect(),
    })
}

pub(super) fn incoming(received: Received) -> Incoming {
    let tariff = received.extras.as_ref().and_then(|extras| extras.tariff);
    let by_bank = |refund: &Refund| {
        refund.status == RefundStatus::Returned
            && refund.nature.as_ref().is_some_and(RefundNature::is_bank_initiated)
    };
    let taken = received.refunds.into_iter().filter(by_bank);
    Incoming {
        pix: received.e2e_id,
        txid: received.txid,
        amount: received.value,
        tariff,
        taken_back: taken.map(|it| TakenBack { id: it.id, amount: it.value }).collect(),
    }
}

/// What somebody has to look at is said aloud.
fn heeded<T>(said: Said<T>) -> Said<T> {
    if matches!(said, Said::Mismatched) {
        tracing::error!(
            "the provider has something else under an id of ours, or shows what is no code"
        );
    }
    said
}
