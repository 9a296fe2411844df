//! A financial event: postings that sum to zero, once, under a key that says what it is about.

use std::sync::Arc;

use thiserror::Error;
use uuid::Uuid;

use super::account::Account;
use crate::ids::{DisputeId, DriverId, PassengerId, PaymentId, PayoutId, RideId};
use crate::money::Centavos;
use crate::units::UnixMillis;

/// One line of a financial event. A debit is positive, a credit negative; never zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Posting {
    pub account: Account,
    pub amount: Centavos,
}

/// What a financial event is about, for whoever asks for the history of a thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    Ride(RideId),
    Payment(PaymentId),
    Payout(PayoutId),
    Dispute(DisputeId),
    Driver(DriverId),
    Passenger(PassengerId),
    Platform,
}

impl Subject {
    /// The name of its kind in records.
    #[must_use]
    pub const fn kind(self) -> &'static str {
        match self {
            Self::Ride(_) => "ride",
            Self::Payment(_) => "payment",
            Self::Payout(_) => "payout",
            Self::Dispute(_) => "dispute",
            Self::Driver(_) => "driver",
            Self::Passenger(_) => "passenger",
            Self::Platform => "platform",
        }
    }

    /// Its id; nil for the platform.
    #[must_use]
    pub const fn id(self) -> Uuid {
        match self {
            Self::Ride(id) => id.0,
            Self::Payment(id) => id.0,
            Self::Payout(id) => id.0,
            Self::Dispute(id) => id.0,
            Self::Driver(id) => id.0,
            Self::Passenger(id) => id.0,
            Self::Platform => Uuid::nil(),
        }
    }
}

/// Why postings are no financial event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum LedgerError {
    #[error("a posting on {account:?} is negative")]
    Negative { account: Account },
    #[error("amounts out of range")]
    OutOfRange,
    #[error("debits and credits differ by {by}")]
    Unbalanced { by: Centavos },
    #[error("nothing is posted")]
    Nothing,
}

/// Postings that became true together. Whoever holds one knows that they sum to zero.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FinancialEvent {
    key: Arc<str>,
    kind: &'static str,
    subject: Subject,
    at: UnixMillis,
    reverses: Option<Arc<str>>,
    postings: Vec<Posting>,
}

impl FinancialEvent {
    /// What makes it this event: a second one under the same key is refused.
    #[must_use]
    pub const fn key(&self) -> &Arc<str> {
        &self.key
    }

    /// What happened.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        self.kind
    }

    /// What it is about.
    #[must_use]
    pub const fn subject(&self) -> Subject {
        self.subject
    }

    /// When it happened.
    #[must_use]
    pub const fn at(&self) -> UnixMillis {
        self.at
    }

    /// The key of the event that this one takes back.
    #[must_use]
    pub const fn reverses(&self) -> Option<&Arc<str>> {
        self.reverses.as_ref()
    }

    /// At least two lines, whose sum is zero.
    #[must_use]
    pub fn postings(&self) -> &[Posting] {
        &self.postings
    }

    /// What it moves, the sum of its debits.
    #[must_use]
    pub fn amount(&self) -> Centavos {
        Centavos(self.postings.iter().map(|posting| posting.amount.0.max(0)).sum())
    }

    /// The event that takes this one back, posting by posting, at `at`. What was taken back is not
    /// taken back again: a reversal of a reversal is refused.
    #[must_use]
    pub fn reversal(&self, kind: &'static str, at: UnixMillis) -> Option<Self> {
        if self.reverses.is_some() {
            return None;
        }
        let back = |posting: &Posting| Posting {
            account: posting.account,
            amount: Centavos(-posting.amount.0),
        };
        Some(Self {
            key: [&*self.key, ":reversed"].concat().into(),
            kind,
            subject: self.subject,
            at,
            reverses: Some(Arc::clone(&self.key)),
            postings: self.postings.iter().map(back).collect(),
        })
    }
}

/// A financial event that is being put together.
#[derive(Debug)]
pub(super) struct Draft {
    event: FinancialEvent,
    /// The first thing that was wrong.
    wrong: Option<LedgerError>,
}

impl Draft {
    pub(super) fn new(kind: &'static str, key: String, subject: Subject, at: UnixMillis) -> Self {
        let postings = Vec::with_capacity(4);
        let event = FinancialEvent { key: key.into(), kind, subject, at, reverses: None, postings };
        Self { event, wrong: None }
    }

    /// Adds a debit; one of nothing adds nothing.
    pub(super) fn debit(self, account: Account, amount: Centavos) -> Self {
        self.post(account, amount, 1)
    }

    /// Adds a credit; one of nothing adds nothing.
    pub(super) fn credit(self, account: Account, amount: Centavos) -> Self {
        self.post(account, amount, -1)
    }

    fn post(mut self, account: Account, amount: Centavos, sign: i64) -> Self {
        if amount.0 < 0 {
            self.wrong = self.wrong.or(Some(LedgerError::Negative { account }));
        } else if amount.0 > 0 {
            let amount = Centavos(amount.0 * sign);
            self.event.postings.push(Posting { account, amount });
        }
        self
    }

    /// The event, if its postings are one.
    ///
    /// # Errors
    /// [`LedgerError`], the first that fits.
    pub(super) fn close(self) -> Result<FinancialEvent, LedgerError> {
        if let Some(wrong) = self.wrong {
            return Err(wrong);
        }
        let mut sum = Centavos::ZERO;
        let mut debits = Centavos::ZERO;
        for posting in &self.event.postings {
            sum = sum.checked_add(posting.amount).map_err(|_| LedgerError::OutOfRange)?;
            let debit = Centavos(posting.amount.0.max(0));
            debits = debits.checked_add(debit).map_err(|_| LedgerError::OutOfRange)?;
        }
        match sum {
            _ if self.event.postings.is_empty() => Err(LedgerError::Nothing),
            Centavos::ZERO => Ok(self.event),
            by => Err(LedgerError::Unbalanced { by }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draft() -> Draft {
        Draft::new("test", "test:1".to_owned(), Subject::Platform, UnixMillis(0))
    }

    #[test]
    fn what_does_not_sum_to_zero_is_no_event() {
        let lopsided = draft()
            .debit(Account::PspCash, Centavos(100))
            .credit(Account::Equity, Centavos(99))
            .close();
        assert_eq!(lopsided, Err(LedgerError::Unbalanced { by: Centavos(1) }));
        assert_eq!(draft().close(), Err(LedgerError::Nothing));
        let nothing = draft().debit(Account::PspCash, Centavos::ZERO).close();
        assert_eq!(nothing, Err(LedgerError::Nothing));
    }

    #[test]
    fn amounts_that_are_none_or_do_not_fit_are_refused() {
        let negative = draft()
            .debit(Account::PspCash, Centavos(-5))
            .credit(Account::Equity, Centavos(-5))
            .close();
        assert_eq!(negative, Err(LedgerError::Negative { account: Account::PspCash }));
        let huge = draft()
            .debit(Account::PspCash, Centavos(i64::MAX))
            .debit(Account::PspFees, Centavos(1))
            .credit(Account::Equity, Centavos(i64::MAX))
            .credit(Account::Suspense, Centavos(1))
            .close();
        assert_eq!(huge, Err(LedgerError::OutOfRange));
    }

    #[test]
    fn an_event_is_taken_back_once_and_whole() {
        let funded = draft()
            .debit(Account::PspCash, Centavos(100))
            .credit(Account::Equity, Centavos(100))
            .close()
            .expect("balanced");
        let back = funded.reversal("test_reversed", UnixMillis(9)).expect("a first reversal");
        for (posting, undone) in funded.postings().iter().zip(back.postings()) {
            assert_eq!(posting.account, undone.account);
            assert_eq!(posting.amount.0 + undone.amount.0, 0);
        }
        assert_eq!(back.reverses(), Some(funded.key()));
        assert_ne!(back.key(), funded.key());
        assert_eq!(back.reversal("again", UnixMillis(10)), None);
    }
}
