//! Commands: what REST and sessions both build, and the one place that says who may send which.

use std::sync::Arc;

use ibora_domain::category::Category;
use ibora_domain::dispute::{Reason, Winner};
use ibora_domain::facts::{Answer, CommandKey};
use ibora_domain::ids::{
    DisputeId, DriverId, OfferId, PassengerId, PaymentId, PayoutId, RideId, UserId, VehicleId,
};
use ibora_domain::machines::{
    Ask, DriverCommand, DriverInput, Envelope, PassengerInput, ReadAs, RideInput, Verdict,
};
use ibora_domain::money::Centavos;
use ibora_domain::payment::BorneBy;
use ibora_domain::person::Role;
use ibora_domain::pix::PixKey;
use ibora_domain::place::Coordinates;
use ibora_domain::refusal::Refusal;
use ibora_domain::ride::{
    Cancel, CancelAs, CancelReason, DriverPosition, Order, PaymentMethod, Rating, Stars,
};
use serde::Serialize;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::payouts::OfPayout;
use super::ports::Reply;
use super::{credits, payments};

/// Who sends a command. Made from a checked token only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caller {
    pub user: UserId,
    pub role: Role,
}

/// A command as sent, over REST or a session.
#[derive(Debug, Clone)]
pub struct Sent {
    /// `cmd.id` or `Idempotency-Key`, at most 255 characters.
    pub id: Option<String>,
    /// `if`: the version that the entity must have.
    pub if_version: Option<u64>,
    pub command: Command,
}

/// What people can ask for. Serialized, it is what makes two commands the same.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "op")]
pub enum Command {
    #[serde(rename = "driver.online")]
    Online {
        category: Option<Category>,
        vehicle_id: Option<VehicleId>,
        location: Option<Coordinates>,
    },
    #[serde(rename = "driver.offline")]
    Offline,
    #[serde(rename = "ride.request")]
    Request(RideRequest),
    #[serde(rename = "ride.accept")]
    Accept { ride: RideId, offer_id: Option<OfferId> },
    #[serde(rename = "ride.decline")]
    Decline { ride: RideId, offer_id: Option<OfferId>, reason: Option<String> },
    #[serde(rename = "ride.arrive")]
    Arrive { ride: RideId, location: Option<Coordinates> },
    #[serde(rename = "ride.start")]
    Start { ride: RideId, pin: String },
    #[serde(rename = "ride.complete")]
    Complete { ride: RideId, location: Option<Coordinates>, reason: Option<String> },
    #[serde(rename = "ride.cancel")]
    Cancel { ride: RideId, reason: CancelReason, note: Option<String> },
    #[serde(rename = "ride.rate")]
    Rate { ride: RideId, stars: Stars, comment: Option<String> },
    #[serde(rename = "payout.request")]
    Payout { amount: Centavos, pix_key: Option<PixKey> },
    #[serde(rename = "payout.approve")]
    ApprovePayout { payout: PayoutId },
    #[serde(rename = "payout.reject")]
    RejectPayout { payout: PayoutId, reason: Option<String> },
    #[serde(rename = "platform.sweep")]
    Sweep { amount: Centavos, reason: String },
    #[serde(rename = "payment.intent")]
    Intent { ride: RideId },
    #[serde(rename = "payment.refund")]
    GiveBack { payment: PaymentId, amount: Centavos, borne_by: BorneBy, reason: String },
    #[serde(rename = "payment.waive")]
    Waive { payment: PaymentId, reason: String },
    #[serde(rename = "credit.top_up")]
    TopUp { amount: Centavos },
    #[serde(rename = "credit.give")]
    GiveCredit { passenger: PassengerId, amount: Centavos, reason: String },
    #[serde(rename = "ride.tip")]
    Tip { ride: RideId, amount: Centavos },
    #[serde(rename = "dispute.open")]
    Contest { ride: RideId, reason: Reason, note: Option<String> },
    #[serde(rename = "dispute.evidence")]
    Evidence { dispute: DisputeId, text: String },
    #[serde(rename = "dispute.ruling")]
    Rule { dispute: DisputeId, winner: Winner, reason: String },
}

/// A ride asked for.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RideRequest {
    pub quote_id: Option<Uuid>,
    pub pickup: Coordinates,
    pub dropoff: Coordinates,
    pub stops: Vec<Coordinates>,
    pub category: Category,
    pub payment_method: PaymentMethod,
    pub notes: Option<String>,
}

impl Command {
    /// The op's public name, also the metric's label.
    #[must_use]
    pub const fn op(&self) -> &'static str {
        match self {
            Self::Online { .. } => "driver.online",
            Self::Offline => "driver.offline",
            Self::Request(_) => "ride.request",
            Self::Accept { .. } => "ride.accept",
            Self::Decline { .. } => "ride.decline",
            Self::Arrive { .. } => "ride.arrive",
            Self::Start { .. } => "ride.start",
            Self::Complete { .. } => "ride.complete",
            Self::Cancel { .. } => "ride.cancel",
            Self::Rate { .. } => "ride.rate",
            Self::Payout { .. } => "payout.request",
            Self::ApprovePayout { .. } => "payout.approve",
            Self::RejectPayout { .. } => "payout.reject",
            Self::Sweep { .. } => "platform.sweep",
            Self::Intent { .. } => "payment.intent",
            Self::GiveBack { .. } => "payment.refund",
            Self::Waive { .. } => "payment.waive",
            Self::TopUp { .. } => "credit.top_up",
            Self::GiveCredit { .. } => "credit.give",
            Self::Tip { .. } => "ride.tip",
            Self::Contest { .. } => "dispute.open",
            Self::Evidence { .. } => "dispute.evidence",
            Self::Rule { .. } => "dispute.ruling",
        }
    }

    /// Whether this role may send it. That a ride is the caller's own is decided by the ride.
    #[must_use]
    pub const fn is_for(&self, role: Role) -> bool {
        match self {
            Self::Online { .. }
            | Self::Offline
            | Self::Accept { .. }
            | Self::Decline { .. }
            | Self::Arrive { .. }
            | Self::Start { .. }
            | Self::Complete { .. }
            | Self::Payout { .. } => matches!(role, Role::Driver),
            Self::Request(_) | Self::Intent { .. } | Self::TopUp { .. } | Self::Tip { .. } => {
                matches!(role, Role::Passenger)
            }
            Self::GiveBack { .. }
            | Self::GiveCredit { .. }
            | Self::Waive { .. }
            | Self::ApprovePayout { .. }
            | Self::RejectPayout { .. }
            | Self::Sweep { .. }
            | Self::Rule { .. } => matches!(role, Role::Admin),
            Self::Rate { .. } | Self::Contest { .. } => {
                matches!(role, Role::Passenger | Role::Driver)
            }
            Self::Cancel { .. } | Self::Evidence { .. } => {
                matches!(role, Role::Passenger | Role::Driver | Role::Admin)
            }
        }
    }

    /// A digest of op, entity and parsed fields: the same for the same command however written.
    fn fingerprint(&self) -> i64 {
        digest(&serde_json::to_vec(self).unwrap_or_default())
    }
}

pub(super) fn digest(text: &[u8]) -> i64 {
    let digest = Sha256::digest(text);
    let mut first = [0; 8];
    first.copy_from_slice(&digest[..8]);
    i64::from_be_bytes(first)
}

impl Sent {
    /// What makes this command the same when it is sent again.
    pub(super) fn key(&self, caller: Caller) -> Option<CommandKey> {
        let id = self.id.as_deref()?;
        let fingerprint = self.command.fingerprint();
        Some(CommandKey { principal: caller.user, id: Arc::from(id), fingerprint })
    }
}

/// What was looked up for a command.
pub(super) struct LookedUp {
    pub(super) order: Option<Box<Order>>,
    pub(super) at: Option<DriverPosition>,
    pub(super) about: OfPayout,
}

/// Turns a command into the message for the actor that it goes to first. For all that a driver
/// asks that is his own.
pub(super) fn envelope(
    caller: Caller,
    command: Command,
    ask: Ask<Reply>,
    looked_up: LookedUp,
) -> Envelope<Reply> {
    let key = ask.key.clone();
    let decided_by = addressed(caller, command, ask, looked_up);
    match caller.role {
        Role::Driver => decided_by.past(caller.user.into(), key),
        Role::Passenger | Role::Admin | Role::Partner => decided_by,
    }
}

/// The message for the actor that decides a command.
fn addressed(
    caller: Caller,
    command: Command,
    ask: Ask<Reply>,
    LookedUp { order, at, about }: LookedUp,
) -> Envelope<Reply> {
    let driver = DriverId::from(caller.user);
    let drive =
        |ride, ask, command| Envelope::Ride(ride, RideInput::Drive { ask, driver, command });
    match command {
        Command::Online { category, vehicle_id, location: _ } => {
            let input = DriverInput::Online { ask, category, vehicle: vehicle_id };
            Envelope::Driver(driver, input)
        }
        Command::Offline => Envelope::Driver(driver, DriverInput::Offline { ask }),
        Command::Accept { ride, offer_id } => {
            Envelope::Driver(driver, DriverInput::Accept { ask, ride, offer: offer_id, at })
        }
        Command::Decline { ride, offer_id, reason } => {
            Envelope::Ride(ride, RideInput::Decline { ask, driver, offer: offer_id, reason })
        }
        Command::Arrive { ride, location } => drive(ride, ask, DriverCommand::Arrive { location }),
        Command::Start { ride, pin } => drive(ride, ask, DriverCommand::Start { pin }),
        Command::Complete { ride, location, reason } => {
            drive(ride, ask, DriverCommand::Complete { location, reason })
        }
        Command::Cancel { ride, reason, note } => {
            let by = match caller.role {
                Role::Driver => CancelAs::Driver(driver),
                Role::Admin => CancelAs::Admin,
                Role::Passenger | Role::Partner => CancelAs::Passenger,
            };
            let cancel = Cancel { by, reason, note };
            Envelope::Ride(ride, RideInput::Cancel { ask, cancel })
        }
        Command::Rate { ride, stars, comment } => {
            let rating = Rating { stars, comment };
            Envelope::Ride(ride, RideInput::Rate { ask, rating })
        }
        Command::Payout { amount, pix_key } => about.ask(driver, ask, (amount, pix_key)),
        Command::ApprovePayout { payout } => about.review(ask, payout, Verdict::Approved),
        Command::RejectPayout { payout, reason } => {
            about.review(ask, payout, Verdict::Rejected { reason })
        }
        Command::Sweep { amount, reason } => about.sweep(ask, (amount, reason)),
        Command::Intent { ride } => payments::intent(ask, ride),
        Command::GiveBack { payment, amount, borne_by, reason } => {
            payments::give_back(ask, payment, (amount, borne_by, reason))
        }
        Command::Waive { payment, reason } => payments::waive(ask, payment, reason),
        Command::TopUp { amount } => credits::top_up(ask, amount),
        Command::GiveCredit { passenger, amount, reason } => {
            credits::give(ask, passenger, (amount, reason))
        }
        Command::Tip { ride, amount } => Envelope::Ride(ride, RideInput::Tip { ask, amount }),
        Command::Contest { ride, reason, note } => about.contest(caller, ask, ride, (reason, note)),
        Command::Evidence { dispute, text } => about.evidence(caller, ask, dispute, text),
        Command::Rule { dispute, winner, reason } => about.rule(ask, dispute, (winner, reason)),
        Command::Request(_) => {
            let passenger = PassengerId::from(caller.user);
            let ride = RideId(Uuid::now_v7());
            let input = match order {
                Some(order) => PassengerInput::Request { ask, ride, order },
                // Without an order there is nothing to request; the asker hears that.
                None => PassengerInput::Active { reply: ask.reply },
            };
            Envelope::Passenger(passenger, input)
        }
    }
}

/// How a caller reads rides.
pub(super) fn read_as(caller: Caller) -> ReadAs {
    match caller.role {
        Role::Admin => ReadAs::Admin,
        Role::Passenger | Role::Driver | Role::Partner => ReadAs::User(caller.user),
    }
}

/// Answers the command in `envelope` that its actor has too much to do.
pub(super) fn refuse_overloaded(envelope: Envelope<Reply>) {
    if let Some(reply) = envelope.into_reply() {
        drop(reply.send(Err(Refusal::Overloaded)));
    }
}

/// The label under which an answer is counted.
pub(super) fn outcome(answer: &Answer) -> &'static str {
    match answer {
        Ok(_) => "ok",
        Err(refusal) => refusal.code(),
    }
}
