//! Sweeping: takes away what is kept for a while only, in small bites that delay no commit.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::db::Db;

/// How often old rows are looked for.
const EVERY: Duration = Duration::from_secs(60);
/// Rows taken away by one statement.
const BITE: i64 = 2000;

/// Which batches were written: asked for by whoever does not know of his.
const BATCHES: &str = "DELETE FROM journal_batches WHERE id IN (SELECT id FROM journal_batches
     WHERE at < now() - interval '1 hour' LIMIT $1)";

/// Each takes away one bite, `$1` rows at most.
const STATEMENTS: &[&str] = &[
    "DELETE FROM command_results WHERE (principal, id) IN (SELECT principal, id
     FROM command_results WHERE at < now() - interval '24 hours' LIMIT $1)",
    // The newest event of a stream stays: it says where the numbers go on.
    "DELETE FROM stream_events WHERE (user_id, seq) IN (SELECT e.user_id, e.seq
     FROM stream_events e WHERE e.at < now() - interval '24 hours' AND EXISTS (
         SELECT 1 FROM stream_events newer WHERE newer.user_id = e.user_id AND newer.seq > e.seq)
     LIMIT $1)",
    "DELETE FROM node_fence f WHERE f.node LIKE 'tool-%' AND f.ctid IN (SELECT ctid
     FROM node_fence WHERE node LIKE 'tool-%' ORDER BY node LIMIT greatest(0, (SELECT count(*)
         FROM node_fence WHERE node LIKE 'tool-%') - 100)) AND $1 > 0",
];

/// Sweeps for ever. `in_doubt`: batches of this engine whose outcome is not known.
pub(super) async fn run(db: Db, in_doubt: Arc<AtomicUsize>) {
    loop {
        tokio::time::sleep(EVERY).await;
        // After an outage of hours, a batch is looked for that old.
        let batches = Some(BATCHES).filter(|_| in_doubt.load(Ordering::Acquire) == 0);
        for statement in batches.into_iter().chain(STATEMENTS.iter().copied()) {
            if let Err(error) = sweep(&db, statement).await {
                tracing::warn!(%error, "old rows cannot be taken away, trying again later");
            }
        }
    }
}

async fn sweep(db: &Db, statement: &'static str) -> Result<(), sqlx::Error> {
    loop {
        let taken = sqlx::query(statement).bind(BITE).execute(db).await?.rows_affected();
        if taken < u64::try_from(BITE).unwrap_or(u64::MAX) {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
