//! Archiving old months of the ledger, as the owner of the tables: a month moves as a whole, into a
//! history that is as append-only, and nothing that is summed over both may change by it.

use serde_json::json;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions, Connection};
use thiserror::Error;
use uuid::Uuid;

/// Why nothing was archived.
#[derive(Debug, Error)]
pub enum ArchiveError {
    #[error("the database refused it: {0}")]
    Database(#[from] sqlx::Error),
    #[error("the sums over all postings would have changed; nothing was moved")]
    Changed,
}

/// Moves the months that ended before `before` (RFC 3339); tells which. Audited, in one commit.
///
/// # Errors
/// [`ArchiveError`]; nothing was moved then.
pub async fn archive_ledger(
    owner: PgConnectOptions,
    before: &str,
) -> Result<Vec<String>, ArchiveError> {
    let mut connection = owner.connect().await?;
    let mut transaction = connection.begin().await?;
    // Postings wait for the move, and it does not wait for long: rides go first.
    sqlx::query("SET LOCAL lock_timeout = '5s'").execute(&mut *transaction).await?;
    let sums = sums(&mut transaction).await?;
    let moved: Vec<String> = sqlx::query_scalar("SELECT ledger_archive($1::text::timestamptz)")
        .bind(before)
        .fetch_all(&mut *transaction)
        .await?;
    if self::sums(&mut transaction).await? != sums {
        return Err(ArchiveError::Changed);
    }
    if !moved.is_empty() {
        sqlx::query(
            "INSERT INTO audit_logs (id, shard, action, entity_type, entity_id, user_type, changes,
                                     at)
             VALUES ($1, 0, 'archive_ledger', 'platform', $2, 'system', $3::text::jsonb, now())",
        )
        .bind(Uuid::now_v7())
        .bind(Uuid::nil())
        .bind(json!({ "before": before, "months": moved }).to_string())
        .execute(&mut *transaction)
        .await?;
    }
    transaction.commit().await?;
    connection.close().await?;
    Ok(moved)
}

/// Count and both sides of all postings.
async fn sums(connection: &mut PgConnection) -> Result<(i64, String, String), sqlx::Error> {
    sqlx::query_as(
        "SELECT count(*), coalesce(sum(amount) FILTER (WHERE amount > 0), 0)::text,
                coalesce(sum(amount) FILTER (WHERE amount < 0), 0)::text
         FROM ledger_postings",
    )
    .fetch_one(connection)
    .await
}
