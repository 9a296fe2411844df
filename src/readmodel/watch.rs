//! The promises watched while the engine works, at a cost that does not grow with what is kept.
//!
//! Used by `jobs`. What happened in a window of time is found by the ids, which begin with their
//! moment; rides under way and balances are looked at as they stand. What neither can tell is
//! checked as a whole, now and then. `ibora audit` checks all of everything, chains across windows
//! and folds of events included.

use ibora_domain::invariants::{self, Invariant};
use ibora_domain::units::UnixMillis;
use sqlx::AssertSqlSafe;
use uuid::Uuid;

use super::ReadError;
use super::audit::CHECKS;
use crate::db::Db;

/// Broken rows that are counted; beyond it there are too many to matter how many.
const COUNTED_MAX: u32 = 1000;

/// Each returns the ids of what breaks it among rides whose ids are from `$1` up to `$2`.
const OF_RIDES: &[(Invariant, &str)] = &[
    (
        invariants::RIDE_1,
        "SELECT entity_id FROM events
         WHERE entity_id >= $1 AND entity_id < $2 AND kind IN ('assigned', 'released')
         GROUP BY entity_id HAVING count(*) FILTER (WHERE kind = 'assigned')
              > 1 + count(*) FILTER (WHERE kind = 'released')",
    ),
    (
        invariants::RIDE_4,
        "SELECT r.id FROM rides r LEFT JOIN
             (SELECT entity_id, count(*) AS n, max(seq) AS last FROM events
              WHERE entity_id >= $1 AND entity_id < $2 GROUP BY entity_id) e
             ON e.entity_id = r.id
         WHERE r.id >= $1 AND r.id < $2
           AND (e.n IS DISTINCT FROM r.version OR e.last IS DISTINCT FROM r.version)",
    ),
    (
        invariants::RIDE_6,
        "SELECT o.ride_id FROM ride_offers o JOIN events e ON e.entity_id = o.ride_id
         WHERE o.ride_id >= $1 AND o.ride_id < $2
           AND e.kind IN ('completed', 'canceled', 'no_driver') AND o.offered_at > e.at",
    ),
    (
        invariants::TIMER_1,
        "SELECT r.id FROM rides r LEFT JOIN timers t ON t.entity_id = r.id
         WHERE r.id >= $1 AND r.id < $2
           AND (r.status = 'searching' AND t.entity_id IS NULL
                OR r.active_passenger_id IS NULL AND t.entity_id IS NOT NULL)",
    ),
    (
        invariants::FENCE_1,
        "SELECT entity_id FROM (
             SELECT entity_id, epoch,
                    lag(epoch) OVER (PARTITION BY entity_id ORDER BY seq) AS before
             FROM events WHERE entity_id >= $1 AND entity_id < $2) steps WHERE epoch < before",
    ),
];

/// As that, among bookings. Nothing is ever added to one.
const OF_BOOKINGS: &[(Invariant, &str)] = &[
    (
        invariants::MONEY_1,
        "SELECT coalesce(f.id, e.event_id) FROM
             (SELECT id, lines FROM financial_events WHERE id >= $1 AND id < $2) f
         FULL JOIN
             (SELECT event_id, sum(amount) AS total, count(*) AS lines FROM ledger_postings
              WHERE event_id >= $1 AND event_id < $2 GROUP BY event_id) e ON e.event_id = f.id
         WHERE e.total IS DISTINCT FROM 0 OR e.lines IS DISTINCT FROM f.lines",
    ),
    // Of an account with a floor the last posting says what the row must say.
    (
        invariants::MONEY_2,
        "SELECT t.owner FROM
             (SELECT DISTINCT owner, code FROM ledger_postings
              WHERE event_id >= $1 AND event_id < $2 AND version IS NOT NULL) t
         LEFT JOIN ledger_running_balances b
             ON b.owner = t.owner AND b.code = t.code AND b.slot = 0
         CROSS JOIN LATERAL (SELECT version, balance_after FROM ledger_postings p
             WHERE p.owner = t.owner AND p.code = t.code
             ORDER BY p.recorded_at DESC, p.version DESC LIMIT 1) l
         WHERE b.version IS DISTINCT FROM l.version OR b.balance IS DISTINCT FROM l.balance_after",
    ),
    (
        invariants::MONEY_4,
        "SELECT owner FROM (
             SELECT owner, version, amount, balance_after,
                    lag(version) OVER earlier AS version_before,
                    lag(balance_after) OVER earlier AS balance_before
             FROM ledger_postings
             WHERE event_id >= $1 AND event_id < $2 AND version IS NOT NULL
             WINDOW earlier AS (PARTITION BY owner, code ORDER BY version)) steps
         WHERE CASE WHEN version = 1 THEN balance_after <> amount
               ELSE version <> version_before + 1 OR balance_after <> balance_before + amount END",
    ),
];

/// Of what there is one row a ride under way, or an account: looked at as it stands.
const STANDING: &[(Invariant, &str)] = &[
    (
        invariants::RIDE_2,
        "SELECT active_driver_id FROM rides
         WHERE active_driver_id IS NOT NULL
         GROUP BY active_driver_id HAVING count(*) > 1",
    ),
    (
        invariants::RIDE_3,
        "SELECT active_passenger_id FROM rides
         WHERE active_passenger_id IS NOT NULL
         GROUP BY active_passenger_id HAVING count(*) > 1",
    ),
    (
        invariants::MONEY_3,
        "SELECT b.owner FROM ledger_running_balances b JOIN ledger_accounts a USING (code)
         WHERE a.floored AND CASE a.side WHEN 'debit' THEN b.balance < 0 ELSE b.balance > 0 END",
    ),
    (
        invariants::MONEY_6,
        "SELECT '00000000-0000-0000-0000-000000000000'::uuid FROM
             (SELECT sum(balance) AS total FROM ledger_running_balances) b
         WHERE b.total <> 0",
    ),
];

/// Promises of the books. Where one is broken, nobody is paid until somebody has looked.
#[must_use]
pub const fn is_of_the_books(invariant: Invariant) -> bool {
    matches!(
        invariant,
        Invariant::Money1
            | Invariant::Money2
            | Invariant::Money3
            | Invariant::Money4
            | Invariant::Money6
    )
}

/// Reads what is watched through a database that this room never writes to.
#[derive(Debug, Clone)]
pub struct Watch {
    db: Db,
}

/// What breaks each promise that was looked at, by its ids.
pub type Seen = Vec<(Invariant, Vec<Uuid>)>;

fn bounded(statement: &str) -> String {
    format!("SELECT * FROM ({statement}) broken LIMIT {COUNTED_MAX}")
}

/// The least id of a moment.
fn id_at(at: UnixMillis) -> Uuid {
    Uuid::from_u128(u128::from(at.0.max(0).unsigned_abs()) << 80)
}

/// The moment of an id.
fn moment_of(id: Uuid) -> UnixMillis {
    UnixMillis(i64::try_from(id.as_u128() >> 80).unwrap_or(i64::MAX))
}

impl Watch {
    /// Watches through `db`, with the patience that going over everything takes.
    #[must_use]
    pub fn new(db: &Db) -> Self {
        Self { db: db.patient() }
    }

    /// What is broken among rides that began from one moment on and before another.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn rides(&self, from: UnixMillis, to: UnixMillis) -> Result<Seen, ReadError> {
        self.within(OF_RIDES, from, to).await
    }

    /// What is broken among bookings from one moment on and before another.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn bookings(&self, from: UnixMillis, to: UnixMillis) -> Result<Seen, ReadError> {
        self.within(OF_BOOKINGS, from, to).await
    }

    async fn within(
        &self,
        statements: &[(Invariant, &'static str)],
        from: UnixMillis,
        to: UnixMillis,
    ) -> Result<Seen, ReadError> {
        let mut seen = Vec::with_capacity(statements.len());
        for (invariant, statement) in statements {
            let query = sqlx::query_scalar(AssertSqlSafe(bounded(statement)));
            let query = query.bind(id_at(from)).bind(id_at(to));
            seen.push((*invariant, query.fetch_all(&self.db).await?));
        }
        Ok(seen)
    }

    /// What is broken as it stands: rides under way, and the balances of accounts.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn standing(&self) -> Result<Seen, ReadError> {
        self.all_of(STANDING.iter()).await
    }

    /// What is broken of what neither can tell, over everything, and the sums of all accounts.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn whole(&self) -> Result<Seen, ReadError> {
        let told = |invariant: &Invariant| {
            let watched = OF_RIDES.iter().chain(OF_BOOKINGS).chain(STANDING);
            watched.into_iter().any(|(known, _)| known == invariant)
        };
        let untold = |(invariant, _): &&(Invariant, &str)| {
            *invariant == invariants::MONEY_2 || !told(invariant)
        };
        self.all_of(CHECKS.iter().filter(untold)).await
    }

    async fn all_of(
        &self,
        statements: impl Iterator<Item = &(Invariant, &'static str)>,
    ) -> Result<Seen, ReadError> {
        let mut seen = Vec::new();
        for (invariant, statement) in statements {
            let query = sqlx::query_scalar(AssertSqlSafe(bounded(statement)));
            seen.push((*invariant, query.fetch_all(&self.db).await?));
        }
        Ok(seen)
    }

    /// The moment of the first ride or booking from `at` on; `None`: there is none.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn first_from(&self, at: UnixMillis) -> Result<Option<UnixMillis>, ReadError> {
        let first: Option<Uuid> = sqlx::query_scalar(
            "SELECT id FROM (
                 (SELECT id FROM financial_events WHERE id >= $1 ORDER BY id LIMIT 1)
                 UNION ALL (SELECT id FROM rides WHERE id >= $1 ORDER BY id LIMIT 1)) first
             ORDER BY id LIMIT 1",
        )
        .bind(id_at(at))
        .fetch_optional(&self.db)
        .await?;
        Ok(first.map(moment_of))
    }

    /// Sees to it that the ledger has the months that will be needed.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn make_months(&self, months: i32) -> Result<i32, ReadError> {
        let made = "SELECT ledger_make_months(now(), $1) + audit_make_months(now(), $1)";
        let made = sqlx::query_scalar(made);
        Ok(made.bind(months).fetch_one(&self.db).await?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_lies_in_the_window_of_its_moment() {
        let id = Uuid::parse_str("0199aa40-aaaa-7bbb-8ccc-9dddeeeeffff").expect("an id");
        let at = moment_of(id);
        assert!(id_at(at) <= id && id < id_at(UnixMillis(at.0 + 1)));
        assert_eq!(moment_of(id_at(at)), at);
    }
}
