//! What is booked for a ride, from its end to its payment.
//!
//! A driver is credited when his passenger has paid: until then his share is a promise
//! (`DriverUncollected`). Of a cash ride he keeps the cash and owes the commission.

use serde::{Deserialize, Serialize};

use super::account::Account;
use super::event::{Draft, FinancialEvent, LedgerError, Subject};
use super::share::Shares;
use crate::ids::{DriverId, PassengerId, PaymentId, RideId};
use crate::money::Centavos;
use crate::units::UnixMillis;

/// A ride and its people, for what is booked about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trip {
    pub ride: RideId,
    pub passenger: PassengerId,
    pub driver: DriverId,
}

/// What a passenger owes for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Due {
    Fare,
    CancelFee,
    /// All of it the driver's.
    Tip,
}

impl Due {
    /// The name in the keys of events.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fare => "fare",
            Self::CancelFee => "cancel",
            Self::Tip => "tip",
        }
    }

    /// The one of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Fare, Self::CancelFee, Self::Tip].into_iter().find(|due| due.as_str() == name)
    }

    /// Where the platform's share of it is earned.
    #[must_use]
    pub const fn revenue(self) -> Account {
        match self {
            Self::Fare | Self::Tip => Account::Commission,
            Self::CancelFee => Account::CancelFees,
        }
    }

    const fn kind(self) -> &'static str {
        match self {
            Self::Fare => "ride_fare",
            Self::CancelFee => "cancel_fee",
            Self::Tip => "tip",
        }
    }
}

impl Trip {
    /// The passenger owes `shares` (E1, E9). Of it the platform pays `promotion` itself, all
    /// of it at most (E1p).
    ///
    /// # Errors
    /// [`LedgerError`] for amounts that do not fit.
    pub fn owed(
        &self,
        due: Due,
        shares: Shares,
        promotion: Centavos,
        at: UnixMillis,
    ) -> Result<FinancialEvent, LedgerError> {
        let whole = shares.whole()?;
        let promotion = promotion.min(whole);
        self.draft(due.kind(), due.as_str(), at)
            .debit(Account::PassengerReceivable(self.passenger), Centavos(whole.0 - promotion.0))
            .debit(Account::Promotions, promotion)
            .credit(Account::DriverUncollected(self.driver), shares.driver)
            .credit(due.revenue(), shares.platform)
            .close()
    }

    /// The passenger gives his driver `amount` on top (E20), for the `count`th time: those before
    /// it have lapsed.
    ///
    /// # Errors
    /// [`LedgerError`] for amounts that do not fit.
    pub fn tipped(
        &self,
        count: u16,
        amount: Centavos,
        at: UnixMillis,
    ) -> Result<FinancialEvent, LedgerError> {
        let again = if count > 1 { format!(":{count}") } else { String::new() };
        let key = format!("ride:{}:tip{again}", self.ride.0.simple());
        let subject = Subject::Payment(PaymentId::of_tip(self.ride));
        Draft::new(Due::Tip.kind(), key, subject, at)
            .debit(Account::PassengerReceivable(self.passenger), amount)
            .credit(Account::DriverUncollected(self.driver), amount)
            .close()
    }

    /// Credit has paid all of it (E2c): its driver has now earned his share. Nothing where he has
    /// none.
    ///
    /// # Errors
    /// [`LedgerError`] for amounts that do not fit.
    pub fn paid_by_credit(
        &self,
        due: Due,
        shares: Shares,
        at: UnixMillis,
    ) -> Result<Option<FinancialEvent>, LedgerError> {
        if shares.driver == Centavos::ZERO {
            return Ok(None);
        }
        self.draft("paid_by_credit", &format!("{}:credit", due.as_str()), at)
            .debit(Account::DriverUncollected(self.driver), shares.driver)
            .credit(Account::DriverHeld(self.driver), shares.driver)
            .close()
            .map(Some)
    }

    /// The passenger paid in cash; the driver owes the commission (E18). Nothing where there is
    /// none.
    ///
    /// # Errors
    /// [`LedgerError`] for amounts that do not fit.
    pub fn cash(
        &self,
        shares: Shares,
        at: UnixMillis,
    ) -> Result<Option<FinancialEvent>, LedgerError> {
        if shares.platform == Centavos::ZERO {
            return Ok(None);
        }
        self.draft("cash_commission", "cash", at)
            .debit(Account::DriverReceivable(self.driver), shares.platform)
            .credit(Account::Commission, shares.platform)
            .close()
            .map(Some)
    }

    /// Nobody expects the passenger to pay `shares` any more (E15): nobody has earned them. Where
    /// `paid_all_the_same`, the platform bears the driver's.
    ///
    /// # Errors
    /// [`LedgerError`] for amounts that do not fit.
    pub fn written_off(
        &self,
        due: Due,
        shares: Shares,
        paid_all_the_same: bool,
        at: UnixMillis,
    ) -> Result<FinancialEvent, LedgerError> {
        let driver = if paid_all_the_same {
            Account::BadDebt
        } else {
            Account::DriverUncollected(self.driver)
        };
        self.draft("written_off", &format!("{}:written_off", due.as_str()), at)
            .debit(driver, shares.driver)
            .debit(due.revenue(), shares.platform)
            .credit(Account::PassengerReceivable(self.passenger), shares.whole()?)
            .close()
    }

    fn draft(&self, kind: &'static str, what: &str, at: UnixMillis) -> Draft {
        let key = format!("ride:{}:{what}", self.ride.0.simple());
        Draft::new(kind, key, Subject::Ride(self.ride), at)
    }
}
