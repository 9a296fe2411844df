//! What is kept of comparing the ledger with the provider: the comparison, and claims of fraud.

use ibora_domain::money::Centavos;
use ibora_domain::pix::EndToEndId;
use ibora_domain::units::UnixMillis;
use sqlx::Error;
use time::Date;
use uuid::Uuid;

use super::timestamp;
use crate::db::Db;

/// The money that the ledger says is at the provider.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AtProvider {
    pub cash: Centavos,
    /// Received, and not seen in the provider's statement yet.
    pub clearing: Centavos,
    pub blocked: Centavos,
}

/// A comparison. The five in the middle are what the provider lists and the ledger has not booked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReconciliationRow {
    pub day: Date,
    pub provider_available: Centavos,
    pub provider_blocked: Centavos,
    pub ledger: AtProvider,
    pub receipts: Centavos,
    pub tariffs: Centavos,
    pub payouts: Centavos,
    pub returns: Centavos,
    pub refunds: Centavos,
    pub overdue: i32,
    pub quiet: bool,
    pub difference: Centavos,
}

/// A claim of fraud, as the provider lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimRow {
    pub id: String,
    pub e2e_id: EndToEndId,
    pub protocol: Option<String>,
    pub amount: Centavos,
    pub status: String,
    pub opened_at: Option<UnixMillis>,
    pub due_at: Option<UnixMillis>,
}

/// The books of comparisons.
pub struct Reconciliations {
    db: Db,
}

impl Reconciliations {
    pub(super) const fn new(db: Db) -> Self {
        Self { db }
    }

    /// What the ledger says is at the provider.
    ///
    /// # Errors
    /// Whatever the database reports.
    pub async fn at_provider(&self) -> Result<AtProvider, Error> {
        let (cash, clearing, blocked): (i64, i64, i64) = sqlx::query_as(
            "SELECT coalesce(sum(balance) FILTER (WHERE code = 1000), 0)::bigint,
                    coalesce(sum(balance) FILTER (WHERE code = 1010), 0)::bigint,
                    coalesce(sum(balance) FILTER (WHERE code = 1040), 0)::bigint
             FROM ledger_running_balances WHERE code IN (1000, 1010, 1040)",
        )
        .fetch_one(&self.db)
        .await?;
        let [cash, clearing, blocked] = [cash, clearing, blocked].map(Centavos);
        Ok(AtProvider { cash, clearing, blocked })
    }

    /// The last day that was compared.
    ///
    /// # Errors
    /// Whatever the database reports.
    pub async fn last_day(&self) -> Result<Option<Date>, Error> {
        sqlx::query_scalar("SELECT max(day) FROM reconciliations").fetch_one(&self.db).await
    }

    /// Records a comparison.
    ///
    /// # Errors
    /// Whatever the database reports.
    pub async fn record(&self, row: &ReconciliationRow) -> Result<(), Error> {
        sqlx::query(
            "INSERT INTO reconciliations (id, day, provider_available, provider_blocked,
                 ledger_cash, ledger_clearing, ledger_blocked, receipts, tariffs, payouts, returns,
                 refunds, overdue, quiet, difference)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)",
        )
        .bind(Uuid::now_v7())
        .bind(row.day)
        .bind(row.provider_available.0)
        .bind(row.provider_blocked.0)
        .bind(row.ledger.cash.0)
        .bind(row.ledger.clearing.0)
        .bind(row.ledger.blocked.0)
        .bind(row.receipts.0)
        .bind(row.tariffs.0)
        .bind(row.payouts.0)
        .bind(row.returns.0)
        .bind(row.refunds.0)
        .bind(row.overdue)
        .bind(row.quiet)
        .bind(row.difference.0)
        .execute(&self.db)
        .await?;
        Ok(())
    }

    /// Takes a claim down as it is now; whether it is new, or has another status.
    ///
    /// # Errors
    /// Whatever the database reports.
    pub async fn claim(&self, row: &ClaimRow) -> Result<bool, Error> {
        let done = sqlx::query(
            "INSERT INTO pix_claims AS c (id, e2e_id, protocol, amount, status, opened_at, due_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7)
             ON CONFLICT (id) DO UPDATE SET status = excluded.status, due_at = excluded.due_at,
                 seen_at = now()
             WHERE (c.status, c.due_at) IS DISTINCT FROM (excluded.status, excluded.due_at)",
        )
        .bind(&row.id)
        .bind(row.e2e_id.as_str())
        .bind(&row.protocol)
        .bind(row.amount.0)
        .bind(&row.status)
        .bind(row.opened_at.map(timestamp))
        .bind(row.due_at.map(timestamp))
        .execute(&self.db)
        .await?;
        Ok(done.rows_affected() > 0)
    }

    /// What should have come to an end long ago: charges that expired ten minutes ago, and refunds
    /// that were asked for an hour ago; payouts of which nobody knows the end, and the claims that
    /// are open.
    ///
    /// # Errors
    /// Whatever the database reports.
    pub async fn stuck(&self) -> Result<[(&'static str, i64); 4], Error> {
        let (charges, refunds, payouts, claims) = sqlx::query_as(
            "SELECT
                (SELECT count(*) FROM pix_charges WHERE status IN ('making', 'live')
                    AND expires_at < now() - interval '10 minutes'),
                (SELECT count(*) FROM pix_refunds WHERE status = 'asked'
                    AND asked_at < now() - interval '1 hour'),
                (SELECT count(*) FROM payouts WHERE status = 'unclear'),
                (SELECT count(*) FROM pix_claims WHERE status IN ('ABERTA', 'EM_DEFESA'))",
        )
        .fetch_one(&self.db)
        .await?;
        Ok([("charge", charges), ("refund", refunds), ("payout", payouts), ("claim", claims)])
    }
}
