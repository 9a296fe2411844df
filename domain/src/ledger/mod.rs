//! The ledger: who owes what to whom, to the centavo, by double entry.
//!
//! What happens to money is a [`FinancialEvent`]. Only the functions of this room make one, each
//! named after what happened (E1 to E22 of the chart of journals), so there is none that does not
//! sum to zero. It is recorded in the same commit as the decision that caused it.

mod account;
mod booking;
mod books;
mod credit;
mod event;
mod payouts;
mod platform;
mod receipts;
mod refunds;
mod rides;
mod share;
#[cfg(test)]
mod tests;
mod wallet;

pub use account::{Account, Guard, Side};
pub use booking::{Terms, of_ride, owed_for};
pub use books::{BookError, Books};
pub use credit::{credit_used, goodwill};
pub use event::{FinancialEvent, LedgerError, Posting, Subject};
pub use payouts::{Payee, PayoutTerms};
pub use platform::funded;
pub use receipts::{Receipt, Resolved};
pub use refunds::{Bearer, Block, Borne, Dispute, Refund, Taken, TakenByBank};
pub use rides::{Due, Trip};
pub use share::{Rate, Shares};
pub use wallet::{Earning, Hold, PayoutRefusal, PayoutRules, Released, Wallet};
