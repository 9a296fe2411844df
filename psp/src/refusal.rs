//! Why the provider does not do what it is asked for.

use thiserror::Error;

/// Nothing was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Refusal {
    #[error("the amount is zero")]
    ZeroAmount,
    #[error("the expiry is not above zero")]
    ZeroExpiry,
    #[error("the reference has fewer than 26 characters")]
    ShortTxid,
    #[error("a charge has this reference already")]
    DuplicateTxid,
    #[error("no such charge")]
    NoCharge,
    #[error("the charge is not active")]
    ChargeNotActive,
    #[error("the charge is over")]
    ChargeExpired,
    #[error("the charge is for another amount")]
    AnotherAmount,
    #[error("no such Pix")]
    NoReceipt,
    #[error("a refund of this Pix has this id already")]
    DuplicateRefund,
    #[error("no such refund")]
    NoRefund,
    #[error("the refunds would be more than the Pix")]
    RefundsAbovePix,
    #[error("the Pix is more than 90 days old")]
    TooOldToRefund,
    #[error("a payout has this id already")]
    DuplicateSend,
    #[error("no such payout")]
    NoSend,
    #[error("nobody has this key")]
    NoSuchKey,
    #[error("the key belongs to somebody else")]
    KeyOfAnother,
    #[error("the payout is denied")]
    SendDenied,
    #[error("the amount of a payout in the sandbox is at most 20.00")]
    AboveSandbox,
    #[error("the payout was not done, or the returns would be more than it")]
    NotReturnable,
    #[error("no such claim, or it is over")]
    NoClaim,
    #[error("the amount is out of range")]
    OutOfRange,
}
