//! What is booked when a Pix has come in. Only after the provider has confirmed it.

use super::account::Account;
use super::event::{Draft, FinancialEvent, LedgerError, Subject};
use super::rides::Trip;
use super::share::Shares;
use crate::ids::{PassengerId, PaymentId};
use crate::money::Centavos;
use crate::units::UnixMillis;

/// A Pix that has come in. `end_to_end` is the banks' name for it, letters and digits; nothing is
/// relied on but that it has no other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Receipt<'a> {
    pub end_to_end: &'a str,
    pub payment: Option<PaymentId>,
    pub amount: Centavos,
    pub at: UnixMillis,
}

/// What becomes of money in suspense.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resolved<'a> {
    /// It pays for this ride after all, but for what credit had paid of it.
    Ride(&'a Trip, Shares, Centavos),
    /// It goes back.
    Refund,
    /// The passenger keeps it for a later ride.
    Credit(PassengerId),
}

impl Receipt<'_> {
    /// It pays exactly what `trip` owes beyond what credit has paid (E2): its driver has now earned
    /// his share.
    ///
    /// # Errors
    /// [`LedgerError::Unbalanced`] where it is not exactly that.
    pub fn settles(
        &self,
        trip: &Trip,
        shares: Shares,
        by_credit: Centavos,
    ) -> Result<FinancialEvent, LedgerError> {
        let draft = self.draft("pix_received", "").debit(Account::PspClearing, self.amount);
        collected(draft, trip, (shares, by_credit))?.close()
    }

    /// It pays exactly a tip of `trip` (E2 of E20): all of it is its driver's.
    ///
    /// # Errors
    /// [`LedgerError::Unbalanced`] where it is not exactly that.
    pub fn pays_tip(&self, trip: &Trip, amount: Centavos) -> Result<FinancialEvent, LedgerError> {
        let shares = Shares { driver: amount, platform: Centavos::ZERO };
        let draft = self.draft("tip_paid", "").debit(Account::PspClearing, self.amount);
        collected(draft, trip, (shares, Centavos::ZERO))?.close()
    }

    /// The passenger has paid before his ride (E2c).
    ///
    /// # Errors
    /// [`LedgerError`] for amounts that do not fit.
    pub fn prepays(&self, passenger: PassengerId) -> Result<FinancialEvent, LedgerError> {
        self.draft("pix_prepaid", "")
            .debit(Account::PspClearing, self.amount)
            .credit(Account::PassengerCredit(passenger), self.amount)
            .close()
    }

    /// Late, twice, too much, too little, or for nobody knows what (E3).
    ///
    /// # Errors
    /// [`LedgerError`] for amounts that do not fit.
    pub fn suspended(&self) -> Result<FinancialEvent, LedgerError> {
        self.draft("pix_suspended", "")
            .debit(Account::PspClearing, self.amount)
            .credit(Account::Suspense, self.amount)
            .close()
    }

    /// It was in suspense and is so no longer (E3).
    ///
    /// # Errors
    /// [`LedgerError::Unbalanced`] where it is not exactly what a ride owes.
    pub fn resolved(
        &self,
        how: Resolved<'_>,
        at: UnixMillis,
    ) -> Result<FinancialEvent, LedgerError> {
        let draft = Self { at, ..*self }.draft("pix_resolved", ":resolved");
        let draft = draft.debit(Account::Suspense, self.amount);
        match how {
            Resolved::Ride(trip, shares, by_credit) => collected(draft, trip, (shares, by_credit))?,
            Resolved::Refund => draft.credit(Account::RefundInTransit, self.amount),
            Resolved::Credit(to) => draft.credit(Account::PassengerCredit(to), self.amount),
        }
        .close()
    }

    /// The provider's statement shows it, less `fee` (E2b).
    ///
    /// # Errors
    /// [`LedgerError::Negative`] for a fee above the amount.
    pub fn stated(&self, fee: Centavos, at: UnixMillis) -> Result<FinancialEvent, LedgerError> {
        let key = format!("pixconf:{}", self.end_to_end);
        Draft::new("pix_stated", key, self.subject(), at)
            .debit(Account::PspCash, Centavos(self.amount.0.saturating_sub(fee.0)))
            .debit(Account::PspFees, fee)
            .credit(Account::PspClearing, self.amount)
            .close()
    }

    fn draft(&self, kind: &'static str, what: &str) -> Draft {
        Draft::new(kind, format!("pix:{}{what}", self.end_to_end), self.subject(), self.at)
    }

    fn subject(&self) -> Subject {
        self.payment.map_or(Subject::Platform, Subject::Payment)
    }
}

/// What `trip` owes is paid, the part that credit had not paid before, and its driver's share is no
/// longer a promise.
fn collected(
    draft: Draft,
    trip: &Trip,
    (shares, by_credit): (Shares, Centavos),
) -> Result<Draft, LedgerError> {
    let rest = Centavos(shares.whole()?.0.saturating_sub(by_credit.0));
    let draft = draft
        .credit(Account::PassengerReceivable(trip.passenger), rest)
        .debit(Account::DriverUncollected(trip.driver), shares.driver)
        .credit(Account::DriverHeld(trip.driver), shares.driver);
    Ok(draft)
}
