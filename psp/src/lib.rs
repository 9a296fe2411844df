//! The books of a simulated payment provider: charges, receipts, refunds, payouts, claims, and the
//! callbacks that tell of them.
//!
//! `ibora psp` calls this, and `sim/` may. It is pure: time comes in as an argument, what is to be
//! told goes out as [`Notice`]s, and the same calls at the same times give the same books. What
//! must hold is in [`Books::check`]: every centavo of the balance stands in the statement.

mod books;
mod charges;
mod claims;
mod deliveries;
mod numbers;
mod receipts;
mod refusal;
mod sends;

pub use books::{Books, Entry, EntryKind, Notice, Rules, Script};
pub use charges::{Charge, ChargeOrder, ChargeState};
pub use claims::{Claim, ClaimState};
pub use deliveries::{Deliveries, Delivery, RETRY_MINUTES};
pub use receipts::{Nature, Payment, Receipt, Refund, RefundState};
pub use refusal::Refusal;
pub use sends::{PayKey, Payout, PayoutOrder, PayoutState, Return, SANDBOX_KEY};

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
