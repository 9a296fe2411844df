//! The chart of accounts. A code never changes its meaning; the database holds the same chart.

use uuid::Uuid;

use crate::ids::{DisputeId, DriverId, PassengerId};

/// The side on which an account grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Debit,
    Credit,
}

/// Whether an account may say no.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Guard {
    /// Anybody may post; nothing is read, nothing is locked. Its balance is what its postings sum
    /// to.
    RecordOnly,
    /// Its balance never falls below zero. Who owns it decides what is taken from it, and the
    /// database checks once more.
    Floor,
}

/// An account: one of the platform's, or one of a person's or a dispute's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Account {
    /// Money at the provider.
    PspCash,
    /// Receipts confirmed, not yet seen in the provider's statement.
    PspClearing,
    /// Owed to drivers for sends that are under way.
    PayoutInTransit,
    /// Owed to passengers for refunds that are under way.
    RefundInTransit,
    /// Money at the provider that it has blocked.
    PspBlocked,
    /// What a passenger owes for rides and fees.
    PassengerReceivable(PassengerId),
    /// What a driver owes: commission of cash rides, refunds after his payout.
    DriverReceivable(DriverId),
    /// Earned, inside the hold.
    DriverHeld(DriverId),
    /// His share of rides that are not paid yet.
    DriverUncollected(DriverId),
    /// He may withdraw it.
    DriverAvailable(DriverId),
    /// What a passenger has paid before a ride, or was given.
    PassengerCredit(PassengerId),
    /// Received, and nobody knows yet what for.
    Suspense,
    /// Frozen until a dispute is ruled.
    DisputeEscrow(DisputeId),
    TaxPayable,
    /// The owner's funds.
    Equity,
    Commission,
    CancelFees,
    PayoutFees,
    Promotions,
    GoodwillRefunds,
    /// What the provider takes.
    PspFees,
    BadDebt,
}

impl Account {
    /// Its number in the chart.
    #[must_use]
    pub const fn code(self) -> u16 {
        match self {
            Self::PspCash => 1000,
            Self::PspClearing => 1010,
            Self::PayoutInTransit => 1020,
            Self::RefundInTransit => 1030,
            Self::PspBlocked => 1040,
            Self::PassengerReceivable(_) => 1100,
            Self::DriverReceivable(_) => 1110,
            Self::DriverHeld(_) => 2000,
            Self::DriverUncollected(_) => 2005,
            Self::DriverAvailable(_) => 2010,
            Self::PassengerCredit(_) => 2020,
            Self::Suspense => 2100,
            Self::DisputeEscrow(_) => 2110,
            Self::TaxPayable => 2200,
            Self::Equity => 3000,
            Self::Commission => 4000,
            Self::CancelFees => 4010,
            Self::PayoutFees => 4020,
            Self::Promotions => 5000,
            Self::GoodwillRefunds => 5010,
            Self::PspFees => 5020,
            Self::BadDebt => 5030,
        }
    }

    /// Whose it is; nil for the platform's.
    #[must_use]
    pub const fn owner(self) -> Uuid {
        match self {
            Self::PassengerReceivable(id) | Self::PassengerCredit(id) => id.0,
            Self::DriverReceivable(id)
            | Self::DriverHeld(id)
            | Self::DriverUncollected(id)
            | Self::DriverAvailable(id) => id.0,
            Self::DisputeEscrow(id) => id.0,
            Self::PspCash
            | Self::PspClearing
            | Self::PayoutInTransit
            | Self::RefundInTransit
            | Self::PspBlocked
            | Self::Suspense
            | Self::TaxPayable
            | Self::Equity
            | Self::Commission
            | Self::CancelFees
            | Self::PayoutFees
            | Self::Promotions
            | Self::GoodwillRefunds
            | Self::PspFees
            | Self::BadDebt => Uuid::nil(),
        }
    }

    /// The account of `code` that `owner` has; `None` where the chart has no such code.
    #[must_use]
    pub const fn of(code: u16, owner: Uuid) -> Option<Self> {
        Some(match code {
            1000 => Self::PspCash,
            1010 => Self::PspClearing,
            1020 => Self::PayoutInTransit,
            1030 => Self::RefundInTransit,
            1040 => Self::PspBlocked,
            1100 => Self::PassengerReceivable(PassengerId(owner)),
            1110 => Self::DriverReceivable(DriverId(owner)),
            2000 => Self::DriverHeld(DriverId(owner)),
            2005 => Self::DriverUncollected(DriverId(owner)),
            2010 => Self::DriverAvailable(DriverId(owner)),
            2020 => Self::PassengerCredit(PassengerId(owner)),
            2100 => Self::Suspense,
            2110 => Self::DisputeEscrow(DisputeId(owner)),
            2200 => Self::TaxPayable,
            3000 => Self::Equity,
            4000 => Self::Commission,
            4010 => Self::CancelFees,
            4020 => Self::PayoutFees,
            5000 => Self::Promotions,
            5010 => Self::GoodwillRefunds,
            5020 => Self::PspFees,
            5030 => Self::BadDebt,
            _ => return None,
        })
    }

    /// The side on which it grows.
    #[must_use]
    pub const fn side(self) -> Side {
        match self {
            Self::PspCash
            | Self::PspClearing
            | Self::PspBlocked
            | Self::PassengerReceivable(_)
            | Self::DriverReceivable(_)
            | Self::Promotions
            | Self::GoodwillRefunds
            | Self::PspFees
            | Self::BadDebt => Side::Debit,
            Self::PayoutInTransit
            | Self::RefundInTransit
            | Self::DriverHeld(_)
            | Self::DriverUncollected(_)
            | Self::DriverAvailable(_)
            | Self::PassengerCredit(_)
            | Self::Suspense
            | Self::DisputeEscrow(_)
            | Self::TaxPayable
            | Self::Equity
            | Self::Commission
            | Self::CancelFees
            | Self::PayoutFees => Side::Credit,
        }
    }

    /// Whether it may say no.
    #[must_use]
    pub const fn guard(self) -> Guard {
        match self {
            Self::PassengerReceivable(_)
            | Self::DriverReceivable(_)
            | Self::DriverHeld(_)
            | Self::DriverAvailable(_)
            | Self::PassengerCredit(_)
            | Self::DisputeEscrow(_) => Guard::Floor,
            Self::PspCash
            | Self::PspClearing
            | Self::PayoutInTransit
            | Self::RefundInTransit
            | Self::PspBlocked
            | Self::DriverUncollected(_)
            | Self::Suspense
            | Self::TaxPayable
            | Self::Equity
            | Self::Commission
            | Self::CancelFees
            | Self::PayoutFees
            | Self::Promotions
            | Self::GoodwillRefunds
            | Self::PspFees
            | Self::BadDebt => Guard::RecordOnly,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_and_an_owner_name_one_account() {
        let owner = Uuid::from_u128(7);
        let known: Vec<_> = (0..10_000).filter_map(|code| Account::of(code, owner)).collect();
        assert_eq!(known.len(), 22);
        for account in known {
            assert_eq!(Account::of(account.code(), account.owner()), Some(account));
        }
    }

    #[test]
    fn what_belongs_to_somebody_has_a_floor_unless_it_is_only_a_promise() {
        let owner = Uuid::from_u128(7);
        for account in (0..10_000).filter_map(|code| Account::of(code, owner)) {
            let promise = matches!(account, Account::DriverUncollected(_));
            let owned = account.owner() == owner && !promise;
            assert_eq!(account.guard() == Guard::Floor, owned, "{account:?}");
        }
    }
}
