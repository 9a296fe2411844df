//! Books in memory: every balance after a sequence of financial events, and what would refuse one.
//!
//! What the database does to a commit, for whoever has none: tests and the simulator.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use thiserror::Error;

use super::account::{Account, Guard, Side};
use super::event::FinancialEvent;
use crate::money::Centavos;

/// Why books refuse an event.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BookError {
    #[error("{key} is booked already")]
    Repeated { key: Arc<str> },
    #[error("{account:?} would fall below zero")]
    BelowFloor { account: Account },
    #[error("{account:?} would not fit")]
    OutOfRange { account: Account },
}

/// The balance of every account. Debits positive, as posted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Books {
    balances: BTreeMap<Account, i64>,
    keys: BTreeSet<Arc<str>>,
}

impl Books {
    /// Books `event`, all of it or nothing.
    ///
    /// # Errors
    /// [`BookError`], the first that fits.
    pub fn book(&mut self, event: &FinancialEvent) -> Result<(), BookError> {
        if self.keys.contains(event.key()) {
            return Err(BookError::Repeated { key: Arc::clone(event.key()) });
        }
        let mut changed: BTreeMap<Account, i64> = BTreeMap::new();
        for posting in event.postings() {
            let account = posting.account;
            let balance = changed.get(&account).copied().unwrap_or_else(|| self.signed(account));
            let balance = balance.checked_add(posting.amount.0);
            let balance = balance.ok_or(BookError::OutOfRange { account })?;
            let grown =
                if account.side() == Side::Debit { balance } else { balance.saturating_neg() };
            if account.guard() == Guard::Floor && grown < 0 {
                return Err(BookError::BelowFloor { account });
            }
            changed.insert(account, balance);
        }
        self.balances.extend(changed);
        self.keys.insert(Arc::clone(event.key()));
        Ok(())
    }

    /// What `account` holds, on the side on which it grows.
    #[must_use]
    pub fn balance(&self, account: Account) -> Centavos {
        let signed = self.signed(account);
        Centavos(if account.side() == Side::Debit { signed } else { -signed })
    }

    /// The sum of all postings: zero, or these are no books.
    #[must_use]
    pub fn trial(&self) -> i128 {
        self.balances.values().map(|balance| i128::from(*balance)).sum()
    }

    /// What the provider should hold for others, less what it holds: not above zero while client
    /// money is covered.
    #[must_use]
    pub fn uncovered(&self) -> i128 {
        let cash = |account: &Account| {
            matches!(account, Account::PspCash | Account::PspClearing | Account::PspBlocked)
        };
        let of_clients = |account: &Account| {
            let promise = matches!(account, Account::DriverUncollected(_));
            account.side() == Side::Credit && account.code() < 2200 && !promise
        };
        let counted =
            self.balances.iter().filter(|(account, _)| cash(account) || of_clients(account));
        -counted.map(|(_, balance)| i128::from(*balance)).sum::<i128>()
    }

    fn signed(&self, account: Account) -> i64 {
        self.balances.get(&account).copied().unwrap_or(0)
    }
}
