//! Questions about the books: the balance of any account at any moment, all of them together, and
//! whether the clients' money is covered.
//!
//! Summed from postings, wherever they lie, and not from the running balances: the audit compares
//! the two.

use ibora_domain::money::{Centavos, reais};
use ibora_domain::units::UnixMillis;
use serde::Serialize;
use uuid::Uuid;

use super::ReadError;
use crate::db::Db;

/// Reads the books through a database that this room never writes to.
#[derive(Debug, Clone)]
pub struct Ledger {
    pub(super) db: Db,
}

/// The balance of an account, on the side on which it grows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Balance {
    pub account: String,
    pub side: String,
    #[serde(serialize_with = "reais")]
    pub balance: Centavos,
    /// Postings that it is the sum of.
    pub postings: i64,
}

/// What clients' money stands against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Solvency {
    /// At the provider, blocked there, and on its way there.
    pub assets: Centavos,
    /// What drivers and passengers may ask for, now or later.
    pub owed: Centavos,
}

impl Solvency {
    /// What the platform's own money covers beyond that; below zero it does not.
    #[must_use]
    pub fn surplus(&self) -> Centavos {
        Centavos(self.assets.0.saturating_sub(self.owed.0))
    }
}

/// Balances of a code and an owner, or of all owners, up to a moment.
const BALANCES: &str = "SELECT a.name, a.side,
        coalesce(sum(CASE a.side WHEN 'debit' THEN p.amount ELSE -p.amount END), 0)::bigint,
        count(p.amount)
    FROM ledger_accounts a LEFT JOIN ledger_postings p ON p.code = a.code
        AND ($2::uuid IS NULL OR p.owner = $2)
        AND ($3::bigint IS NULL
             OR p.recorded_at < to_timestamp(0) + ($3 + 1) * interval '1 millisecond')
    WHERE $1::text IS NULL OR a.name = $1
    GROUP BY a.code, a.name, a.side ORDER BY a.code";

impl Ledger {
    /// Reads through `db`.
    #[must_use]
    pub const fn new(db: Db) -> Self {
        Self { db }
    }

    /// The balance that the account `name` of `owner` (nil: the platform) had at the end of the
    /// millisecond `at`; now, where none is named. `None`: the chart has no such account.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn balance(
        &self,
        name: &str,
        owner: Uuid,
        at: Option<UnixMillis>,
    ) -> Result<Option<Balance>, ReadError> {
        Ok(self.balances(Some(name), Some(owner), at).await?.pop())
    }

    /// The trial balance: every account of the chart, over all owners. Debits equal credits.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn trial(&self, at: Option<UnixMillis>) -> Result<Vec<Balance>, ReadError> {
        self.balances(None, None, at).await
    }

    async fn balances(
        &self,
        name: Option<&str>,
        owner: Option<Uuid>,
        at: Option<UnixMillis>,
    ) -> Result<Vec<Balance>, ReadError> {
        let rows: Vec<(String, String, i64, i64)> = sqlx::query_as(BALANCES)
            .bind(name)
            .bind(owner)
            .bind(at.map(|at| at.0))
            .fetch_all(&self.db)
            .await?;
        let balance = |(account, side, balance, postings)| Balance {
            account,
            side,
            balance: Centavos(balance),
            postings,
        };
        Ok(rows.into_iter().map(balance).collect())
    }

    /// What the financial event of this key moves; `None` where there is none.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn booked_under(&self, key: &str) -> Result<Option<Centavos>, ReadError> {
        let moved: Option<i64> = sqlx::query_scalar(
            "SELECT sum(p.amount)::bigint FROM financial_events f
             JOIN ledger_postings p ON p.event_id = f.id AND p.recorded_at = f.recorded_at
             WHERE f.key = $1 AND p.amount > 0",
        )
        .bind(key)
        .fetch_one(&self.db)
        .await?;
        Ok(moved.map(Centavos))
    }

    /// What there is, and what is owed to clients, by the running balances. What credit has paid
    /// of debts that are open is owed too: to their drivers, or as credit again.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn solvency(&self) -> Result<Solvency, ReadError> {
        let (assets, owed): (i64, i64) = sqlx::query_as(
            "SELECT coalesce(sum(balance) FILTER (WHERE code IN (1000, 1010, 1040)), 0)::bigint,
                    coalesce(-sum(balance) FILTER
                        (WHERE code IN (1020, 1030, 2000, 2010, 2020, 2100, 2110)), 0)::bigint
                    + (SELECT coalesce(sum(u.amount), 0)::bigint FROM payment_intents p
                       JOIN credit_uses u ON u.payment_id = p.id
                       WHERE p.status IN ('pending', 'expired'))
             FROM ledger_running_balances",
        )
        .fetch_one(&self.db)
        .await?;
        Ok(Solvency { assets: Centavos(assets), owed: Centavos(owed) })
    }
}
