//! A dispute as its people and admins see it. What lies in escrow tells what a driver had: nobody
//! is shown it here.

use serde::Serialize;

use super::{Dispute, Ground, Reason, Status, Winner};
use crate::ids::{DisputeId, PaymentId, RideId};
use crate::money::{Centavos, reais};
use crate::units::{UnixMillis, rfc3339, rfc3339_option};

#[derive(Serialize)]
struct Shown<'a> {
    dispute_id: DisputeId,
    ride_id: RideId,
    payment_id: PaymentId,
    kind: &'static str,
    status: Status,
    opened_by: &'static str,
    reason: Option<Reason>,
    note: Option<&'a str>,
    #[serde(serialize_with = "reais")]
    amount: Centavos,
    currency: &'static str,
    /// How many pieces there are.
    evidence_count: u32,
    #[serde(serialize_with = "rfc3339")]
    opened_at: UnixMillis,
    /// When it goes on by itself: under review, then ruled.
    #[serde(serialize_with = "rfc3339_option")]
    due_at: Option<UnixMillis>,
    ruling: Option<RulingShown<'a>>,
    version: u64,
}

#[derive(Serialize)]
struct RulingShown<'a> {
    r#for: Winner,
    reason: Option<&'a str>,
    #[serde(serialize_with = "rfc3339")]
    at: UnixMillis,
}

/// The dispute as JSON text.
#[must_use]
pub fn shown(dispute: &Dispute) -> String {
    let claim = &dispute.claim;
    let opened_by = match &claim.ground {
        Ground::Refund { .. } => "admin",
        Ground::Contested(opening) => opening.role.as_str(),
        Ground::Bank { .. } => "bank",
    };
    let winner = match dispute.status {
        Status::ForPassenger => Winner::Passenger,
        Status::Open | Status::UnderReview | Status::ForDriver => Winner::Driver,
    };
    let ruling = dispute.ruling.as_ref();
    let view = Shown {
        dispute_id: claim.id,
        ride_id: claim.trip.ride,
        payment_id: claim.payment,
        kind: claim.ground.kind(),
        status: dispute.status,
        opened_by,
        reason: claim.opening().map(|opening| opening.reason),
        note: claim.opening().and_then(|opening| opening.note.as_deref()),
        amount: claim.amount,
        currency: "BRL",
        evidence_count: dispute.evidence,
        opened_at: dispute.opened_at,
        due_at: dispute.due_at,
        ruling: ruling.map(|ruling| RulingShown {
            r#for: winner,
            reason: ruling.reason.as_deref(),
            at: ruling.at,
        }),
        version: dispute.version,
    };
    serde_json::to_string(&view).unwrap_or_default()
}
