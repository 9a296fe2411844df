//! What a decision records: the contents of ONE transaction, encoded once, where it was decided.
//!
//! The journal writes these as they are. Texts are JSON and shared: the answer to a command, its
//! stored result and the event on a person's stream are the same bytes.

mod audit;
mod money;

use std::fmt;
use std::sync::Arc;

use uuid::Uuid;

use crate::category::Category;
use crate::credit::{CreditLot, CreditUse};
use crate::ids::{DriverId, OfferId, PassengerId, PaymentId, RideId, Shard, UserId, VehicleId};
use crate::ledger::FinancialEvent;
use crate::refusal::Refusal;
use crate::ride::Status;
use crate::units::{Metres, Millis, Seconds, UnixMillis};

pub use audit::{Act, AuditRow, Origin};
pub use money::{
    ChargeRow, DisputeRow, EvidenceRow, HeldRow, HoldRow, PaymentRow, PayoutRow, ReceiptRow,
    RefundRow,
};

/// A place where decisions are made, and that owns its records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Entity {
    Ride(RideId),
    Driver(DriverId),
    Passenger(PassengerId),
    /// Matches rides with drivers in one zone. Decides nothing durable.
    Dispatcher(Zone),
    /// What a driver has earned, and how he is paid.
    Wallet(DriverId),
    /// Sends payouts, one after the other. Decides nothing durable.
    PayoutLine,
    /// What somebody is to pay by Pix, and what came in.
    Payment(PaymentId),
}

/// A zone of dispatch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Zone(pub u16);

impl Entity {
    /// The id under which records are kept.
    #[must_use]
    pub fn id(self) -> Uuid {
        match self {
            Self::Ride(id) => id.0,
            Self::Driver(id) => id.0,
            Self::Passenger(id) => id.0,
            Self::Dispatcher(zone) => Uuid::from_u128(u128::from(zone.0)),
            Self::Wallet(id) => id.wallet(),
            Self::PayoutLine => Uuid::from_u128(1 << 16),
            Self::Payment(id) => id.0,
        }
    }

    /// The shard whose owner may write for this entity.
    #[must_use]
    pub fn shard(self) -> Shard {
        Shard::of(self.id())
    }

    /// Whether it may have a deadline that nobody else would remind it of: one that could not be
    /// built is asked again in a while.
    #[must_use]
    pub const fn goes_on(self) -> bool {
        match self {
            // A driver: his presence.
            Self::Ride(_)
            | Self::Driver(_)
            | Self::Payment(_)
            | Self::Wallet(_)
            | Self::PayoutLine => true,
            Self::Passenger(_) | Self::Dispatcher(_) => false,
        }
    }

    /// The name of its kind, for metrics and records.
    #[must_use]
    pub const fn kind(self) -> EntityKind {
        match self {
            Self::Ride(_) => EntityKind::Ride,
            Self::Driver(_) => EntityKind::Driver,
            Self::Passenger(_) => EntityKind::Passenger,
            Self::Dispatcher(_) => EntityKind::Dispatcher,
            Self::Wallet(_) => EntityKind::Wallet,
            Self::PayoutLine => EntityKind::PayoutLine,
            Self::Payment(_) => EntityKind::Payment,
        }
    }
}

/// The kinds of [`Entity`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EntityKind {
    Ride,
    Driver,
    Passenger,
    Dispatcher,
    Wallet,
    PayoutLine,
    Payment,
}

impl EntityKind {
    /// Every kind.
    pub const ALL: [Self; 7] = [
        Self::Ride,
        Self::Driver,
        Self::Passenger,
        Self::Dispatcher,
        Self::Wallet,
        Self::PayoutLine,
        Self::Payment,
    ];

    /// The name in metrics and in the database.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ride => "ride",
            Self::Driver => "driver",
            Self::Passenger => "passenger",
            Self::Dispatcher => "dispatcher",
            Self::Wallet => "wallet",
            Self::PayoutLine => "payout_line",
            Self::Payment => "payment",
        }
    }
}

/// What makes a command the same command: who sent it, under which id, asking for what.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CommandKey {
    pub principal: UserId,
    /// `cmd.id` or `Idempotency-Key`, at most 255 characters.
    pub id: Arc<str>,
    /// A digest of op, entity and parsed fields. Another one under the same id is a misuse.
    pub fingerprint: i64,
}

/// `Debug` of what carries a body: its name and version. A body holds names, places and PINs.
macro_rules! debug_without_body {
    ($($type:ty: |$it:ident| $text:expr),* $(,)?) => {$(
        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let $it = self;
                f.write_str(&$text)
            }
        }
    )*};
}

debug_without_body! {
    DisputeRow: |row| format!("DisputeRow({} {} version {})", row.id, row.status, row.version),
    Done: |done| format!("Done(version {})", done.version),
    EvidenceRow: |row| format!("EvidenceRow({} of {})", row.number, row.dispute),
    EventRow: |event| format!("EventRow({} {})", event.seq, event.kind),
    PayoutRow: |row| format!("PayoutRow({} {} version {})", row.id, row.status, row.version),
    PaymentRow: |row| format!("PaymentRow({} {} version {})", row.id, row.status, row.version),
    RideRow: |ride| format!("RideRow({} {:?} version {})", ride.id, ride.status, ride.version),
    StreamRow: |event| format!("StreamRow({} {} on {})", event.op, event.key, event.stream),
}

/// An answer that goes well: what the command left behind.
#[derive(Clone, PartialEq, Eq)]
pub struct Done {
    /// Version of the entity answered about.
    pub version: u64,
    /// JSON.
    pub body: Arc<str>,
}

/// The answer to a command.
pub type Answer = Result<Done, Refusal>;

/// One decision, whole: all of it becomes durable, or nothing.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    pub entity: Entity,
    pub at: UnixMillis,
    pub events: Vec<EventRow>,
    pub rows: Vec<Row>,
    /// The entity's next deadline, where this decision changes it.
    pub timer: Option<Timer>,
    pub results: Vec<ResultRow>,
    pub streams: Vec<StreamRow>,
    /// What it does to the ledger.
    pub money: Vec<FinancialEvent>,
    /// Deadlines that it gives to others, whom it is about to tell of it: should the word be lost,
    /// they wake by themselves. An earlier one that they have stays.
    pub wakes: Vec<(Entity, UnixMillis)>,
    /// What of it somebody may have to answer for.
    pub audit: Vec<AuditRow>,
}

impl Decision {
    /// A decision of `entity` that records nothing yet.
    #[must_use]
    pub fn new(entity: Entity, at: UnixMillis) -> Self {
        Self {
            entity,
            at,
            events: Vec::new(),
            rows: Vec::new(),
            timer: None,
            results: Vec::new(),
            streams: Vec::new(),
            money: Vec::new(),
            wakes: Vec::new(),
            audit: Vec::new(),
        }
    }

    /// Whether there is nothing to write.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
            && self.rows.is_empty()
            && self.timer.is_none()
            && self.results.is_empty()
            && self.streams.is_empty()
            && self.money.is_empty()
            && self.wakes.is_empty()
            && self.audit.is_empty()
    }

    /// Adds a later decision of the same entity; where both say the same thing, the later wins.
    pub fn absorb(&mut self, later: Self) {
        self.at = later.at;
        self.events.extend(later.events);
        for row in later.rows {
            self.rows.retain(|earlier| !row.replaces(earlier));
            self.rows.push(row);
        }
        self.timer = later.timer.or(self.timer);
        self.results.extend(later.results);
        self.streams.extend(later.streams);
        self.money.extend(later.money);
        self.wakes.extend(later.wakes);
        self.audit.extend(later.audit);
    }
}

/// An event of an entity. `(entity, seq)` is its key: two writers of one ride are impossible.
#[derive(Clone, PartialEq)]
pub struct EventRow {
    pub seq: u64,
    pub kind: &'static str,
    pub at: UnixMillis,
    pub body: Arc<str>,
}

/// A current row.
#[derive(Debug, Clone, PartialEq)]
pub enum Row {
    Ride(RideRow),
    Wave(WaveRow),
    Attempts(AttemptsRow),
    Driver(DriverRow),
    Held(HeldRow),
    Payout(PayoutRow),
    Payment(PaymentRow),
    Charge(ChargeRow),
    Receipt(ReceiptRow),
    Refund(RefundRow),
    Hold(HoldRow),
    Dispute(DisputeRow),
    Evidence(EvidenceRow),
    Credit(CreditLot),
    CreditUse(CreditUse),
}

impl Row {
    /// Whether this row makes `earlier`, of the same decision, needless.
    fn replaces(&self, earlier: &Self) -> bool {
        match (self, earlier) {
            (Self::Ride(a), Self::Ride(b)) => a.id == b.id,
            (Self::Driver(a), Self::Driver(b)) => a.id == b.id,
            (Self::Held(a), Self::Held(b)) => a.earning == b.earning,
            (Self::Payout(a), Self::Payout(b)) => a.id == b.id,
            (Self::Payment(a), Self::Payment(b)) => a.id == b.id,
            (Self::Charge(a), Self::Charge(b)) => a.txid == b.txid,
            (Self::Refund(a), Self::Refund(b)) => a.id == b.id && a.pix == b.pix,
            (Self::Dispute(a), Self::Dispute(b)) => a.id == b.id,
            (Self::Credit(a), Self::Credit(b)) => a.id == b.id,
            (
                Self::Ride(_)
                | Self::Wave(_)
                | Self::Attempts(_)
                | Self::Driver(_)
                | Self::Held(_)
                | Self::Payout(_)
                | Self::Payment(_)
                | Self::Charge(_)
                | Self::Receipt(_)
                | Self::Refund(_)
                | Self::Hold(_)
                | Self::Dispute(_)
                | Self::Evidence(_)
                | Self::Credit(_)
                | Self::CreditUse(_),
                _,
            ) => false,
        }
    }

    /// The hold that it makes, if that is what it is.
    #[must_use]
    pub const fn as_hold(&self) -> Option<&HoldRow> {
        match self {
            Self::Hold(row) => Some(row),
            _ => None,
        }
    }

    /// The credit that it is of, if that is what it is.
    #[must_use]
    pub const fn as_credit(&self) -> Option<&CreditLot> {
        match self {
            Self::Credit(lot) => Some(lot),
            _ => None,
        }
    }

    /// Whether it is about money: what is paid, held and given back.
    #[must_use]
    pub const fn is_of_money(&self) -> bool {
        match self {
            Self::Ride(_) | Self::Wave(_) | Self::Attempts(_) | Self::Driver(_) => false,
            Self::Held(_)
            | Self::Payout(_)
            | Self::Payment(_)
            | Self::Charge(_)
            | Self::Receipt(_)
            | Self::Refund(_)
            | Self::Hold(_)
            | Self::Dispute(_)
            | Self::Evidence(_)
            | Self::Credit(_)
            | Self::CreditUse(_) => true,
        }
    }
}

/// The current row of a ride. `state` is the ride itself as JSON; the columns are what the
/// database indexes.
#[derive(Clone, PartialEq)]
pub struct RideRow {
    pub id: RideId,
    pub status: Status,
    pub passenger: PassengerId,
    pub driver: Option<DriverId>,
    /// Its driver is still on another ride. The database reads it in `state`.
    pub chained: bool,
    pub category: Category,
    pub version: u64,
    pub requested_at: UnixMillis,
    pub state: Arc<str>,
}

/// The offers of one wave, a row a wave.
#[derive(Debug, Clone, PartialEq)]
pub struct WaveRow {
    pub ride: RideId,
    pub wave: u16,
    /// Counts the searches of a ride, from 0; each numbers its waves anew.
    pub search: u8,
    /// When it was made: the decision it is written with may have gone on since.
    pub offered_at: UnixMillis,
    pub expires_at: UnixMillis,
    pub offers: Vec<WaveOffer>,
}

/// One offer in a [`WaveRow`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct WaveOffer {
    pub id: OfferId,
    pub driver: DriverId,
    pub distance: Metres,
    pub eta: Seconds,
}

/// Attempts to accept a ride that one commit records, a row a commit.
#[derive(Debug, Clone, PartialEq)]
pub struct AttemptsRow {
    pub ride: RideId,
    /// Rank of the first attempt in this row; they count on from 1 over the ride's life.
    pub first_rank: u32,
    pub attempts: Vec<Attempt>,
}

/// One attempt to accept.
#[derive(Debug, Clone, PartialEq)]
pub struct Attempt {
    pub driver: DriverId,
    /// `accepted`, or the code of the refusal.
    pub outcome: &'static str,
    pub at: UnixMillis,
    /// Since the offer was made.
    pub latency: Millis,
    /// The refused command; its answer is read from here. A winner's is a stored result.
    pub command: Option<CommandKey>,
}

/// What a driver does at present. The current row of a driver's actor.
#[derive(Debug, Clone, PartialEq)]
pub struct DriverRow {
    pub id: DriverId,
    pub online: bool,
    pub category: Option<Category>,
    pub vehicle: Option<VehicleId>,
    pub version: u64,
}

/// The durable deadline of an entity. Each has at most one: its next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Timer {
    Due(UnixMillis),
    Off,
}

/// The stored answer to a command. `owner` is the entity that looks for it before it decides.
#[derive(Debug, Clone, PartialEq)]
pub struct ResultRow {
    pub key: CommandKey,
    pub owner: Uuid,
    pub answer: Answer,
}

/// Whose stream an event is put on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StreamId {
    Driver(DriverId),
    Passenger(PassengerId),
}

impl StreamId {
    /// Whose it is.
    #[must_use]
    pub fn user(self) -> UserId {
        match self {
            Self::Driver(id) => id.into(),
            Self::Passenger(id) => id.into(),
        }
    }
}

impl std::fmt::Display for StreamId {
    /// `drv:<uuid>` or `pax:<uuid>`, the form of the public contract.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Driver(id) => write!(f, "drv:{id}"),
            Self::Passenger(id) => write!(f, "pax:{id}"),
        }
    }
}

/// The ops of durable events.
pub const STREAM_OPS: [&str; 6] = [
    "offer.made",
    "offer.withdrawn",
    "ride.updated",
    "driver.updated",
    "payment.updated",
    "payout.updated",
];

/// A durable event for a person. Its `seq` is given by the journal.
#[derive(Clone, PartialEq)]
pub struct StreamRow {
    pub stream: StreamId,
    /// One of [`STREAM_OPS`].
    pub op: &'static str,
    /// The entity it is about.
    pub key: Uuid,
    pub version: u64,
    pub expires_at: Option<UnixMillis>,
    pub urgent: bool,
    /// JSON.
    pub body: Arc<str>,
}
