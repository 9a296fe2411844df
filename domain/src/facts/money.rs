//! Rows about money: what is owed, paid, held and given back. As the rest of `facts`.

use std::sync::Arc;

use crate::ids::{DisputeId, DriverId, PassengerId, PaymentId, PayoutId, RideId, UserId};
use crate::ledger::{Earning, Hold};
use crate::money::Centavos;
use crate::pix::{EndToEndId, RefundId, Txid};
use crate::units::UnixMillis;

/// The current row of a payment. `state` is the payment itself as JSON; the columns are what the
/// database indexes.
#[derive(Clone, PartialEq)]
pub struct PaymentRow {
    pub id: PaymentId,
    /// None of these for a Pix that nobody asked for.
    pub ride: Option<RideId>,
    pub passenger: Option<PassengerId>,
    pub driver: Option<DriverId>,
    pub amount: Centavos,
    pub status: &'static str,
    pub version: u64,
    pub opened_at: UnixMillis,
    pub state: Arc<str>,
}

/// A charge at the provider, under our reference.
#[derive(Debug, Clone, PartialEq)]
pub struct ChargeRow {
    pub txid: Txid,
    pub payment: PaymentId,
    pub amount: Centavos,
    pub status: &'static str,
    /// What a payer copies, while it can be paid.
    pub copy_paste: Option<Arc<str>>,
    pub made_at: UnixMillis,
    pub expires_at: UnixMillis,
}

/// A Pix that came in. Never changed.
#[derive(Debug, Clone, PartialEq)]
pub struct ReceiptRow {
    pub pix: EndToEndId,
    pub payment: PaymentId,
    pub txid: Option<Txid>,
    pub amount: Centavos,
    pub good_for: &'static str,
    pub at: UnixMillis,
}

/// A Pix, or a part of it, that goes back.
#[derive(Debug, Clone, PartialEq)]
pub struct RefundRow {
    pub pix: EndToEndId,
    /// Ours, unique for its Pix.
    pub id: RefundId,
    pub payment: PaymentId,
    pub amount: Centavos,
    pub cause: &'static str,
    pub status: &'static str,
    pub asked_at: UnixMillis,
}

/// A driver's share of a ride that was paid, held for a while. Written once, by the payment; what
/// is taken from it, and its end, the driver's wallet decides.
#[derive(Debug, Clone, PartialEq)]
pub struct HoldRow {
    pub earning: Earning,
    pub driver: DriverId,
    pub amount: Centavos,
    pub release_at: UnixMillis,
}

/// The current row of a dispute. `state` is the dispute itself as JSON; the columns are what the
/// database indexes.
#[derive(Clone, PartialEq)]
pub struct DisputeRow {
    pub id: DisputeId,
    pub ride: RideId,
    pub payment: PaymentId,
    pub passenger: PassengerId,
    pub driver: DriverId,
    /// What it rests on.
    pub kind: &'static str,
    pub status: &'static str,
    /// What lies in escrow for it, and what the provider has blocked.
    pub escrow: Centavos,
    pub blocked: Centavos,
    pub opened_at: UnixMillis,
    pub version: u64,
    pub state: Arc<str>,
}

/// What somebody said to a dispute. Never changed.
#[derive(Clone, PartialEq)]
pub struct EvidenceRow {
    pub dispute: DisputeId,
    /// Counts those of a dispute, from 1.
    pub number: u32,
    pub by: UserId,
    pub role: &'static str,
    pub text: Arc<str>,
    pub at: UnixMillis,
}

/// A hold that has changed: something was taken from it, or it has ended.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HeldRow {
    pub earning: Earning,
    pub driver: DriverId,
    pub hold: Hold,
}

/// The current row of a payout. `state` is the payout itself as JSON; the columns are what the
/// database indexes.
#[derive(Clone, PartialEq)]
pub struct PayoutRow {
    pub id: PayoutId,
    pub driver: DriverId,
    pub status: &'static str,
    pub amount: Centavos,
    pub asked_at: UnixMillis,
    pub version: u64,
    pub state: Arc<str>,
}
