//! What is booked while money leaves for a driver, or for the owner of the platform.

use super::account::Account;
use super::event::{Draft, FinancialEvent, LedgerError, Subject};
use crate::ids::{DriverId, PayoutId};
use crate::money::Centavos;
use crate::mutants::{Mutant, is};
use crate::units::UnixMillis;

/// Who is paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Payee {
    Driver(DriverId),
    /// Earnings of the platform (E17).
    Owner,
}

impl Payee {
    /// Who is paid from this wallet.
    #[must_use]
    pub fn of(wallet: DriverId) -> Self {
        if wallet == DriverId::OWNER { Self::Owner } else { Self::Driver(wallet) }
    }

    const fn account(self) -> Account {
        match self {
            Self::Driver(driver) => Account::DriverAvailable(driver),
            Self::Owner => Account::Equity,
        }
    }
}

/// A payout. `fee` comes off `amount`, and must be below it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PayoutTerms {
    pub id: PayoutId,
    pub payee: Payee,
    pub amount: Centavos,
    pub fee: Centavos,
}

impl PayoutTerms {
    /// What is sent.
    #[must_use]
    pub fn net(&self) -> Centavos {
        Centavos(self.amount.0.saturating_sub(self.fee.0))
    }

    /// It was asked for (E5). Booked before the provider is told.
    ///
    /// # Errors
    /// [`LedgerError::Negative`] for a fee above the amount.
    pub fn requested(&self, at: UnixMillis) -> Result<FinancialEvent, LedgerError> {
        self.draft("payout_requested", "req", at)
            .debit(self.payee.account(), self.amount)
            .credit(Account::PayoutInTransit, self.net())
            .credit(Account::PayoutFees, self.fee)
            .close()
    }

    /// The money has left (E6), and the provider took `tariff` for it.
    ///
    /// # Errors
    /// [`LedgerError`] for amounts that do not fit.
    pub fn done(&self, tariff: Centavos, at: UnixMillis) -> Result<FinancialEvent, LedgerError> {
        self.draft("payout_done", "ok", at)
            .debit(Account::PayoutInTransit, self.net())
            .credit(Account::PspCash, self.net())
            .debit(Account::PspFees, tariff)
            .credit(Account::PspCash, tariff)
            .close()
    }

    /// The money never left (E7): all of it is back, and so is the fee.
    ///
    /// # Errors
    /// [`LedgerError`] for amounts that do not fit.
    pub fn failed(&self, at: UnixMillis) -> Result<FinancialEvent, LedgerError> {
        let fee = if is(Mutant::FeeKept) { Centavos::ZERO } else { self.fee };
        self.draft("payout_failed", "fail", at)
            .debit(Account::PayoutInTransit, self.net())
            .debit(Account::PayoutFees, fee)
            .credit(self.payee.account(), Centavos(self.net().0.saturating_add(fee.0)))
            .close()
    }

    /// `amount` of what was sent came back (E8), under the banks' name `return_id`.
    ///
    /// # Errors
    /// [`LedgerError`] for amounts that do not fit.
    pub fn returned(
        &self,
        return_id: &str,
        amount: Centavos,
        at: UnixMillis,
    ) -> Result<FinancialEvent, LedgerError> {
        let key = format!("payret:{return_id}");
        Draft::new("payout_returned", key, Subject::Payout(self.id), at)
            .debit(Account::PspCash, amount)
            .credit(self.payee.account(), amount)
            .close()
    }

    fn draft(&self, kind: &'static str, what: &str, at: UnixMillis) -> Draft {
        let key = format!("payout:{}:{what}", self.id.0.simple());
        Draft::new(kind, key, Subject::Payout(self.id), at)
    }
}
