//! What a passenger is asked to pay by Pix for one thing, and what became of it.
//!
//! A command decides and changes nothing (`decide`); [`Payment::apply`] cannot fail, so a replay
//! cannot fail. Only the payment's own machine holds one that may change. What must hold: it has at
//! most one charge that can be paid, as far as is known; it is settled by one Pix, of exactly what
//! is owed and credit has not paid, or by credit alone; whatever else comes in lies in suspense
//! until it has gone back.

mod against;
mod back;
mod bank;
mod books;
mod charge;
mod credit;
mod decide;
mod event;
mod relief;
mod rows;
mod stated;
#[cfg(test)]
mod tests;
mod tip;
mod top_up;
#[cfg(test)]
mod unpaid_tests;
mod view;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::credit::CreditPolicy;
use crate::dispute::{DisputePolicy, Status};
use crate::ids::{PassengerId, PaymentId};
use crate::ledger::{Due, FinancialEvent, LedgerError, Shares, Trip};
use crate::money::Centavos;
use crate::pix::{EndToEndId, RefundId, Txid};
use crate::units::{Millis, UnixMillis};

pub use against::{Against, Awaits, BorneBy, REFUNDABLE};
pub use bank::{BankClaim, BankEnd, BankSays, BankStage, TakenBack};
pub use charge::{Charge, Stage};
pub use credit::ByCredit;
pub use decide::ChargeSeen;
pub use event::PaymentEvent;
pub use relief::Relief;
pub use stated::STATED_AFTER;
pub use tip::TipPolicy;
pub use top_up::TopUp;

/// The numbers by which payments are decided. All come from configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PaymentPolicy {
    /// Whether there is a provider to charge by. Without, what is owed is recorded and waits.
    pub charges: bool,
    /// How long a charge can be paid.
    pub expiry: Millis,
    /// How long a driver's share is held, from its payment.
    pub hold: Millis,
    pub tips: TipPolicy,
    pub credit: CreditPolicy,
    /// After so long what is owed is not counted on any more.
    pub write_off_after: Millis,
    /// By what rules a ride is contested.
    pub disputes: DisputePolicy,
}

impl Default for PaymentPolicy {
    /// The defaults of the design, for tests; a running engine reads its configuration.
    fn default() -> Self {
        let (expiry, hold) = (Millis::from_secs(600), Millis::from_secs(24 * 3600));
        let write_off_after = Millis::from_secs(90 * 24 * 3600);
        Self {
            charges: false,
            expiry,
            hold,
            tips: TipPolicy::default(),
            credit: CreditPolicy::default(),
            write_off_after,
            disputes: DisputePolicy::default(),
        }
    }
}

/// Where a payment stands. The names are public.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PaymentStatus {
    /// Owed; its charge is there, or on its way.
    Pending,
    /// Owed, and no charge can be paid: a new one has to be asked for.
    Expired,
    Paid,
    /// Paid, and all of it given back.
    Refunded,
    /// Nobody asked for it: it goes back.
    Unmatched,
    /// The passenger was let off: nothing is owed.
    Waived,
    /// A tip, or a top-up, that was not paid while it could be: nothing is owed.
    Lapsed,
    /// Owed for so long that the books do not count on it; it can be paid all the same.
    WrittenOff,
}

impl PaymentStatus {
    /// The public name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Expired => "expired",
            Self::Paid => "paid",
            Self::Refunded => "refunded",
            Self::Unmatched => "unmatched",
            Self::Waived => "waived",
            Self::Lapsed => "lapsed",
            Self::WrittenOff => "written_off",
        }
    }

    /// Whether it is owed, by what the books say.
    #[must_use]
    pub const fn is_owed(self) -> bool {
        matches!(self, Self::Pending | Self::Expired)
    }

    /// Whether the passenger has it to pay, whatever the books count on.
    #[must_use]
    pub const fn is_payable(self) -> bool {
        self.is_owed() || matches!(self, Self::WrittenOff)
    }
}

/// What is owed, for what, and whose it will be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Debt {
    pub trip: Trip,
    pub due: Due,
    pub shares: Shares,
}

impl Debt {
    /// All of it.
    #[must_use]
    pub fn amount(&self) -> Centavos {
        // It was booked as one amount, so it is one.
        self.shares.whole().unwrap_or(Centavos(i64::MAX))
    }

    /// What is booked when it becomes owed; of tips, the `tips`th of the ride.
    fn owed(&self, tips: u16, at: UnixMillis) -> Result<FinancialEvent, LedgerError> {
        match self.due {
            Due::Tip => self.trip.tipped(tips, self.amount(), at),
            Due::Fare | Due::CancelFee => self.trip.owed(self.due, self.shares, Centavos::ZERO, at),
        }
    }
}

/// What a Pix that came in was good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Use {
    /// It paid just what was owed.
    Settled,
    /// As that, after its charge had ended.
    SettledLate,
    /// It was paid already.
    Duplicate,
    /// More than was owed, or less.
    WrongAmount,
    /// Nobody asked for it.
    Stray,
}

impl Use {
    /// The name in records.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Settled => "settled",
            Self::SettledLate => "settled_late",
            Self::Duplicate => "duplicate",
            Self::WrongAmount => "wrong_amount",
            Self::Stray => "stray",
        }
    }

    /// Whether it pays what is owed.
    #[must_use]
    pub const fn settles(self) -> bool {
        matches!(self, Self::Settled | Self::SettledLate)
    }
}

/// A Pix as the provider confirms it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incoming {
    pub pix: EndToEndId,
    pub txid: Option<Txid>,
    pub amount: Centavos,
    /// What the provider took of it, where it says so.
    pub tariff: Option<Centavos>,
    /// What banks have sent back of it by themselves.
    pub taken_back: Vec<TakenBack>,
}

/// A Pix that came in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    pub pix: EndToEndId,
    pub txid: Option<Txid>,
    pub amount: Centavos,
    pub at: UnixMillis,
    pub good_for: Use,
    /// What the provider took of it, once that is booked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tariff: Option<Centavos>,
}

/// Why money goes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// It came in for nothing.
    Suspense,
    /// Somebody of ours said so, and the platform bears it.
    Goodwill,
    /// Somebody of ours said so, and driver and platform give back their shares.
    Shared,
    /// Its passenger contested the ride; it goes back if that is ruled for him.
    Dispute,
}

impl Cause {
    /// The name in records.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Suspense => "suspense",
            Self::Goodwill => "goodwill",
            Self::Shared => "shared",
            Self::Dispute => "dispute",
        }
    }
}

/// How far a refund has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefundStage {
    /// The driver's wallet has to give his share first.
    Decided,
    /// It did, and the money stays until it is ruled whose it is.
    Frozen,
    Asked,
    Done,
    /// The money is still here.
    Failed,
    /// It was ruled for the driver, or a bank was faster: nothing goes back.
    Dropped,
}

impl RefundStage {
    /// The name in records.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Decided => "decided",
            Self::Frozen => "frozen",
            Self::Asked => "asked",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Dropped => "dropped",
        }
    }
}

/// Money on its way back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refund {
    pub id: RefundId,
    pub pix: EndToEndId,
    pub amount: Centavos,
    pub cause: Cause,
    /// An earlier one of the same money failed.
    pub again: bool,
    pub asked_at: UnixMillis,
    pub stage: RefundStage,
    /// Whose shares it takes, where the platform does not bear it alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub against: Option<Against>,
    /// The driver's wallet knows how it ended.
    #[serde(default)]
    pub closed: bool,
    /// What of it a bank has sent back by itself, after it failed.
    #[serde(default, skip_serializing_if = "back::is_nothing")]
    pub met: Centavos,
}

/// A payment. Stored as JSON, and the fold of its events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payment {
    pub id: PaymentId,
    /// How many events it has.
    pub version: u64,
    pub status: PaymentStatus,
    /// None for what is no debt: a top-up, or a Pix that nobody asked for.
    pub debt: Option<Debt>,
    pub opened_at: UnixMillis,
    pub paid_at: Option<UnixMillis>,
    pub charges: Vec<Charge>,
    pub receipts: Vec<Receipt>,
    pub refunds: Vec<Refund>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bank_claims: Vec<BankClaim>,
    /// Who contested the ride, once somebody has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contested: Option<Against>,
    /// What the driver's wallet said to that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contested_heard: Option<Status>,
    /// Why it is not counted on any more, unless it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relief: Option<Relief>,
    /// Of the tip of a ride: how many were given, the lapsed ones too.
    #[serde(default, skip_serializing_if = "is_none_given")]
    pub tips: u16,
    #[serde(default, skip_serializing_if = "ByCredit::is_none")]
    pub by_credit: ByCredit,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub top_up: Option<TopUp>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
const fn is_none_given(tips: &u16) -> bool {
    *tips == 0
}

impl Payment {
    /// The payment of a ride that has just ended. Where there is a provider, its first charge is
    /// ordered with it.
    #[must_use]
    pub fn owed(debt: Debt, at: UnixMillis, policy: &PaymentPolicy) -> Self {
        let expires_at = at + policy.expiry;
        let first = Charge { number: 1, made_at: at, expires_at, stage: Stage::Making, part: None };
        Self {
            charges: policy.charges.then_some(first).into_iter().collect(),
            ..Self::empty(PaymentId::of_ride(debt.trip.ride), Some(debt), at)
        }
    }

    /// Of a Pix that nobody asked for, before it is taken in.
    #[must_use]
    pub fn stray(pix: &EndToEndId, at: UnixMillis) -> Self {
        let status = PaymentStatus::Unmatched;
        Self { status, ..Self::empty(PaymentId::of_stray(pix), None, at) }
    }

    const fn empty(id: PaymentId, debt: Option<Debt>, opened_at: UnixMillis) -> Self {
        Self {
            id,
            version: 0,
            status: PaymentStatus::Pending,
            debt,
            opened_at,
            paid_at: None,
            charges: Vec::new(),
            receipts: Vec::new(),
            refunds: Vec::new(),
            relief: None,
            tips: 0,
            by_credit: ByCredit::NONE,
            top_up: None,
            bank_claims: Vec::new(),
            contested: None,
            contested_heard: None,
        }
    }

    /// Who is asked to pay.
    #[must_use]
    pub fn passenger(&self) -> Option<PassengerId> {
        let owes = self.debt.map(|debt| debt.trip.passenger);
        owes.or(self.top_up.map(|top_up| top_up.passenger))
    }

    /// All that it is of; none where nobody was asked for anything.
    #[must_use]
    pub fn wanted(&self) -> Option<Centavos> {
        let owed = self.debt.map(|debt| debt.amount());
        owed.or(self.top_up.map(|top_up| top_up.amount))
    }

    /// The charge that can be paid, as far as is known.
    #[must_use]
    pub fn open_charge(&self) -> Option<&Charge> {
        self.charges.iter().rfind(|charge| charge.is_open())
    }

    /// The reference of a charge at the provider: this payment's number, and which of its charges.
    #[must_use]
    pub fn txid(&self, number: u16) -> Txid {
        numbered(self.id, number)
    }

    /// Whose charge a reference is, by its form. Whether there is such a payment is not known here.
    #[must_use]
    pub fn of_txid(txid: &Txid) -> Option<PaymentId> {
        let (payment, number) = txid.as_str().split_at_checked(32)?;
        let counts = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
        let id = Uuid::try_parse_ascii(payment.as_bytes()).ok().filter(|_| counts)?;
        Some(PaymentId(id))
    }

    /// Which payment is to be told of a Pix that is said to have come in for `txid`.
    #[must_use]
    pub fn hinted(txid: Option<&Txid>, pix: &EndToEndId) -> PaymentId {
        txid.and_then(Self::of_txid).unwrap_or_else(|| PaymentId::of_stray(pix))
    }

    /// The Pix that paid it.
    #[must_use]
    pub fn settled_by(&self) -> Option<&Receipt> {
        self.receipts.iter().find(|receipt| receipt.good_for.settles())
    }

    /// Whether something of it is under way, so that it must be looked after.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        let asked = |refund: &Refund| refund.stage == RefundStage::Asked;
        self.open_charge().is_some()
            || self.by_credit.waits
            || self.refunds.iter().any(asked)
            || self.failed_refund().is_some()
            || self.awaits_wallet()
    }
}

/// An id for the provider: 32 digits of the payment, then which of its kind it is. 35 characters at
/// most, which all of them may have.
fn numbered<T: TryFrom<String> + From<Uuid>>(payment: PaymentId, number: u16) -> T {
    let text = format!("{}{number}", payment.0.simple());
    // Past 999 it would be too long; nobody comes so far, and then the provider refuses it.
    T::try_from(text).unwrap_or_else(|_| T::from(payment.0))
}
