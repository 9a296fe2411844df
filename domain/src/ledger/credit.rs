//! What is booked of passengers' credit: what is given, what pays for a ride, and what of that is
//! taken back.

use super::account::Account;
use super::event::{Draft, FinancialEvent, LedgerError, Subject};
use crate::credit::CreditUse;
use crate::ids::PassengerId;
use crate::money::Centavos;
use crate::units::UnixMillis;

/// A passenger is given `amount` for later rides (E16).
///
/// # Errors
/// [`LedgerError`] for amounts that do not fit.
pub fn goodwill(
    reference: &str,
    passenger: PassengerId,
    amount: Centavos,
    at: UnixMillis,
) -> Result<FinancialEvent, LedgerError> {
    let key = format!("goodwill:{reference}");
    Draft::new("goodwill_credit", key, Subject::Passenger(passenger), at)
        .debit(Account::Promotions, amount)
        .credit(Account::PassengerCredit(passenger), amount)
        .close()
}

/// A passenger's credit pays so much of what he owes (E2c). Whose share it is stays a promise until
/// all of that is paid.
///
/// # Errors
/// [`LedgerError`] for amounts that do not fit.
pub fn credit_used(used: &CreditUse) -> Result<FinancialEvent, LedgerError> {
    let key = format!("credit:{}:{}", used.payment.0.simple(), used.number);
    Draft::new("credit_used", key, Subject::Payment(used.payment), used.at)
        .debit(Account::PassengerCredit(used.passenger), used.amount)
        .credit(Account::PassengerReceivable(used.passenger), used.amount)
        .close()
}
