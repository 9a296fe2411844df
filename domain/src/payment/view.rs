//! A payment as its passenger and an admin see it.

use std::sync::Arc;

use serde::Serialize;

use super::{Payment, PaymentStatus, RefundStage, Stage};
use crate::facts::{StreamId, StreamRow};
use crate::ids::{PaymentId, RideId};
use crate::ledger::Due;
use crate::money::{Centavos, reais};
use crate::pix::Txid;
use crate::ride::json_text;
use crate::units::{UnixMillis, rfc3339, rfc3339_option};

/// Bytes that a payment as JSON usually takes.
const VIEW_JSON: usize = 768;

#[derive(Serialize)]
struct PaymentView<'a> {
    payment_id: PaymentId,
    ride_id: Option<RideId>,
    status: PaymentStatus,
    due: Option<For>,
    #[serde(serialize_with = "reais")]
    amount: Centavos,
    /// What of it credit has paid.
    #[serde(serialize_with = "reais")]
    credited: Centavos,
    #[serde(serialize_with = "reais")]
    refunded: Centavos,
    currency: &'static str,
    /// The charge that can be paid now.
    pix: Option<PixView<'a>>,
    #[serde(serialize_with = "rfc3339")]
    created_at: UnixMillis,
    #[serde(serialize_with = "rfc3339_option")]
    paid_at: Option<UnixMillis>,
    version: u64,
}

/// What it is for.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum For {
    TopUp,
    #[serde(untagged)]
    Ride(Due),
}

#[derive(Serialize)]
struct PixView<'a> {
    txid: Txid,
    copy_paste: &'a str,
    #[serde(serialize_with = "rfc3339")]
    expires_at: UnixMillis,
}

impl Payment {
    /// The payment as JSON text: what REST and events carry.
    #[must_use]
    pub fn json(&self) -> String {
        let row = self.row();
        let view = PaymentView {
            payment_id: self.id,
            ride_id: row.ride,
            status: self.status,
            due: self.debt.map(|debt| For::Ride(debt.due)).or(self.top_up.map(|_| For::TopUp)),
            amount: row.amount,
            credited: self.credited(),
            refunded: self.refunded(),
            currency: "BRL",
            pix: self.pix_view(),
            created_at: self.opened_at,
            paid_at: self.paid_at,
            version: self.version,
        };
        json_text(&view, VIEW_JSON)
    }

    /// The event that tells the passenger of it, where there is one.
    #[must_use]
    pub fn news(&self) -> Option<(StreamRow, Arc<str>)> {
        let told: Arc<str> = self.json().into();
        let row = StreamRow {
            stream: StreamId::Passenger(self.passenger()?),
            op: "payment.updated",
            key: self.id.0,
            version: self.version,
            expires_at: None,
            urgent: false,
            body: ["{\"payment\":", &*told, "}"].concat().into(),
        };
        Some((row, told))
    }

    /// What a payer copies or scans, while it can be paid.
    #[must_use]
    pub fn copy_paste(&self) -> Option<&str> {
        match &self.open_charge()?.stage {
            Stage::Live { copy_paste } if self.status.is_payable() => Some(copy_paste),
            Stage::Live { .. } | Stage::Making | Stage::Ended | Stage::Refused { .. } => None,
        }
    }

    fn pix_view(&self) -> Option<PixView<'_>> {
        let charge = self.open_charge()?;
        Some(PixView {
            txid: self.txid(charge.number),
            copy_paste: self.copy_paste()?,
            expires_at: charge.expires_at,
        })
    }

    fn refunded(&self) -> Centavos {
        let Some(paid) = self.settled_by() else { return Centavos::ZERO };
        let by_us = self.sum_of(&paid.pix, |refund| refund.stage == RefundStage::Done);
        Centavos(by_us.0.saturating_add(self.taken_by_banks(&paid.pix).0))
    }
}
