//! The reserve of WAL: segments made ahead of the commits that will fill them.
//!
//! Used inside this room only. A server that runs out of recycled segments writes zeroes into a new
//! one while commits wait for it; one that has run for a while never does.

use sqlx::postgres::PgConnection;

use super::error::PostgresError;
use super::roles::within;

/// Fills and recycles segments until `reserve_mb` megabytes of them are ahead. Changes nothing
/// where an earlier start has done so.
pub(super) async fn reserve(db: &mut PgConnection, reserve_mb: u32) -> Result<(), PostgresError> {
    let making = async {
        let missing: i64 = sqlx::query_scalar(
            "SELECT $1::bigint * 1048576 / setting::bigint
                 - (SELECT count(*) FROM pg_ls_waldir() WHERE name ~ '^[0-9A-F]{24}$')
             FROM pg_settings WHERE name = 'wal_segment_size'",
        )
        .bind(i64::from(reserve_mb))
        .fetch_one(&mut *db)
        .await?;
        if missing <= 0 {
            return Ok(());
        }
        tracing::debug!(segments = missing, "making WAL segments ahead");
        for _ in 0..missing {
            sqlx::query("SELECT pg_logical_emit_message(false, 'ibora', '')")
                .execute(&mut *db)
                .await?;
            sqlx::query("SELECT pg_switch_wal()").execute(&mut *db).await?;
        }
        sqlx::query("CHECKPOINT").execute(&mut *db).await.map(drop)
    };
    within("making WAL segments ahead", making).await
}
