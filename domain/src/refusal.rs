//! Why a command is refused: one list for REST, the session and the stored results.

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A refusal. Its [`code`](Refusal::code) is public and stable; `docs/problems.md` lists them all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Error, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    #[error("no such ride, or not yours")]
    NotFound,
    #[error("not with this role")]
    Forbidden,
    #[error("this ride was not offered to you")]
    OfferNotFound,
    #[error("the offer is no longer open")]
    OfferExpired,
    #[error("another driver has this ride")]
    RideAlreadyAssigned,
    #[error("the ride has ended")]
    RideClosed,
    #[error("the driver is on, or about to get, another ride")]
    DriverBusy,
    #[error("the driver is not approved")]
    DriverNotApproved,
    #[error("the driver has no such vehicle for this category")]
    VehicleNotSuitable,
    #[error("the passenger has an active ride")]
    ActiveRideExists,
    #[error("something earlier is still to be paid")]
    DebtOutstanding,
    #[error("more than is left of what was paid")]
    RefundTooHigh,
    #[error("less than can be paid so, or more")]
    AmountOutOfRange,
    #[error("it was paid more than ninety days ago")]
    RefundTooLate,
    #[error("it was paid by credit, of which nothing goes back by Pix")]
    PaidByCredit,
    #[error("the ride's state does not allow this")]
    IllegalTransition,
    #[error("the ride has changed since the version you named")]
    VersionConflict,
    #[error("the driver is too far from the place")]
    TooFar,
    #[error("the PIN is wrong")]
    PinWrong,
    #[error("too many wrong PINs, wait")]
    PinLocked,
    #[error("the price guarantee has ended, ask for a new quote")]
    QuoteExpired,
    #[error("there is not so much to withdraw")]
    InsufficientBalance,
    #[error("more than may be withdrawn in a day")]
    LimitExceeded,
    #[error("less than can be withdrawn, or no more than its fee")]
    BelowMinimum,
    #[error("no Pix key is registered")]
    PixKeyMissing,
    #[error("not the registered Pix key")]
    PixKeyMismatch,
    #[error("the Pix key was changed lately and cannot be paid yet")]
    PixKeyCooling,
    #[error("you have approved this already, another person has to")]
    AlreadyApproved,
    #[error("this key was used for another command")]
    IdempotencyKeyReused,
    #[error("a command with this key is still running")]
    IdempotencyInProgress,
    #[error("too much work at once, try again")]
    Overloaded,
    #[error("not recorded, ask again with the same id")]
    Unavailable,
    #[error("another engine has this work, ask again with the same id")]
    NotOwner,
}

impl Refusal {
    /// The public name.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::NotFound => "not_found",
            Self::Forbidden => "forbidden",
            Self::OfferNotFound => "offer_not_found",
            Self::OfferExpired => "offer_expired",
            Self::RideAlreadyAssigned => "ride_already_assigned",
            Self::RideClosed => "ride_closed",
            Self::DriverBusy => "driver_busy",
            Self::DriverNotApproved => "driver_not_approved",
            Self::VehicleNotSuitable => "vehicle_not_suitable",
            Self::ActiveRideExists => "active_ride_exists",
            Self::DebtOutstanding => "debt_outstanding",
            Self::RefundTooHigh => "refund_too_high",
            Self::AmountOutOfRange => "amount_out_of_range",
            Self::RefundTooLate => "refund_too_late",
            Self::PaidByCredit => "paid_by_credit",
            Self::IllegalTransition => "illegal_transition",
            Self::VersionConflict => "version_conflict",
            Self::TooFar => "too_far",
            Self::PinWrong => "pin_wrong",
            Self::PinLocked => "pin_locked",
            Self::QuoteExpired => "quote_expired",
            Self::InsufficientBalance => "insufficient_balance",
            Self::LimitExceeded => "limit_exceeded",
            Self::BelowMinimum => "below_minimum",
            Self::PixKeyMissing => "pix_key_missing",
            Self::PixKeyMismatch => "pix_key_mismatch",
            Self::PixKeyCooling => "pix_key_cooling",
            Self::AlreadyApproved => "already_approved",
            Self::IdempotencyKeyReused => "idempotency_key_reused",
            Self::IdempotencyInProgress => "idempotency_in_progress",
            Self::Overloaded => "overloaded",
            Self::Unavailable => "unavailable",
            Self::NotOwner => "not_owner",
        }
    }

    /// Whether this answer rests on recorded state, and so is itself recorded with its command:
    /// the same id then gets it again for ever. The rest may succeed when asked again.
    #[must_use]
    pub const fn is_result(self) -> bool {
        match self {
            Self::OfferExpired
            | Self::RideAlreadyAssigned
            | Self::RideClosed
            | Self::DriverBusy
            | Self::DriverNotApproved
            | Self::VehicleNotSuitable
            | Self::ActiveRideExists
            | Self::DebtOutstanding
            | Self::RefundTooHigh
            | Self::AmountOutOfRange
            | Self::RefundTooLate
            | Self::PaidByCredit
            | Self::IllegalTransition
            | Self::VersionConflict
            | Self::TooFar
            | Self::PinWrong
            | Self::PinLocked
            | Self::QuoteExpired
            | Self::InsufficientBalance
            | Self::LimitExceeded
            | Self::BelowMinimum
            | Self::PixKeyMissing
            | Self::PixKeyMismatch
            | Self::PixKeyCooling
            | Self::AlreadyApproved => true,
            Self::NotFound
            | Self::Forbidden
            | Self::OfferNotFound
            | Self::IdempotencyKeyReused
            | Self::IdempotencyInProgress
            | Self::Overloaded
            | Self::Unavailable
            | Self::NotOwner => false,
        }
    }

    /// Whether this answer says that there is nothing which the command could be about: it leaves
    /// no record, and its id is as if it had not been used.
    #[must_use]
    pub const fn is_of_nothing(self) -> bool {
        matches!(self, Self::NotFound | Self::Forbidden | Self::OfferNotFound)
    }

    /// The refusal of a public name, as stored results hold it.
    #[must_use]
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|refusal| refusal.code() == code)
    }

    /// Every refusal.
    pub const ALL: [Self; 33] = [
        Self::NotFound,
        Self::Forbidden,
        Self::OfferNotFound,
        Self::OfferExpired,
        Self::RideAlreadyAssigned,
        Self::RideClosed,
        Self::DriverBusy,
        Self::DriverNotApproved,
        Self::VehicleNotSuitable,
        Self::ActiveRideExists,
        Self::DebtOutstanding,
        Self::RefundTooHigh,
        Self::AmountOutOfRange,
        Self::RefundTooLate,
        Self::PaidByCredit,
        Self::IllegalTransition,
        Self::VersionConflict,
        Self::TooFar,
        Self::PinWrong,
        Self::PinLocked,
        Self::QuoteExpired,
        Self::InsufficientBalance,
        Self::LimitExceeded,
        Self::BelowMinimum,
        Self::PixKeyMissing,
        Self::PixKeyMismatch,
        Self::PixKeyCooling,
        Self::AlreadyApproved,
        Self::IdempotencyKeyReused,
        Self::IdempotencyInProgress,
        Self::Overloaded,
        Self::Unavailable,
        Self::NotOwner,
    ];
}
