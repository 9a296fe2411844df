//! What the platform books for itself.

use super::account::Account;
use super::event::{Draft, FinancialEvent, LedgerError, Subject};
use crate::money::Centavos;
use crate::units::UnixMillis;

/// The owner puts money in (E22), as the provider's statement `reference` shows.
///
/// # Errors
/// [`LedgerError`] for amounts that do not fit.
pub fn funded(
    reference: &str,
    amount: Centavos,
    at: UnixMillis,
) -> Result<FinancialEvent, LedgerError> {
    Draft::new("funded", format!("fund:{reference}"), Subject::Platform, at)
        .debit(Account::PspCash, amount)
        .credit(Account::Equity, amount)
        .close()
}
