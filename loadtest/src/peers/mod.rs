//! What people build instead of an engine, on the same PostgreSQL, with the same facts a step.
//!
//! Each peer has tables of its own, copies of the engine's with their keys and indexes, and a pool
//! of 20 connections. Only how concurrency is settled differs: a row lock, a condition, or a lock
//! in Redis. They are spared what only the engine keeps: the attempts of losers, gapless stream
//! numbers (an identity column here), fencing, and the making of any JSON.

mod conditional_update;
mod floor;
mod for_update;
mod redis_lock;
mod statements;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{AssertSqlSafe, Connection, PgConnection, PgPool};
use uuid::Uuid;

use crate::facts::{Script, Step};

pub(crate) use conditional_update::ConditionalUpdate;
pub(crate) use floor::{CONNECTIONS, floor};
pub(crate) use for_update::ForUpdate;
pub(crate) use redis_lock::RedisLock;

/// Connections of each peer.
const POOL: u32 = 20;

/// One caller's wish to move a ride on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Call<'a> {
    pub(crate) step: Step,
    pub(crate) ride: Uuid,
    pub(crate) passenger: Uuid,
    pub(crate) driver: Uuid,
    /// Drivers whose offers end with this step.
    pub(crate) others: &'a [Uuid],
    pub(crate) command: &'a str,
}

impl Call<'_> {
    /// Whose command it is.
    fn principal(&self) -> Uuid {
        if self.step == Step::Request { self.passenger } else { self.driver }
    }
}

/// A way to keep two callers from moving the same ride.
pub(crate) trait Peer: Send + Sync + 'static {
    fn name(&self) -> &'static str;

    fn desk(&self) -> &Desk;

    /// Moves a ride on and stores all facts of the step; false where it is not, or no longer, in
    /// the status that the step needs.
    fn step(&self, call: &Call<'_>) -> impl Future<Output = anyhow::Result<bool>> + Send;
}

/// What every peer works with.
pub(crate) struct Desk {
    pub(crate) pool: PgPool,
    pub(crate) script: Script,
    /// How many drivers are told that an offer was taken back: as many as the engine told.
    withdrawals: AtomicUsize,
}

impl Desk {
    /// Makes the tables of a peer, empty, and opens its pool.
    pub(crate) async fn open(
        owner: &PgConnectOptions,
        schema: &'static str,
        script: Script,
    ) -> anyhow::Result<Self> {
        let mut connection = PgConnection::connect_with(owner).await?;
        sqlx::raw_sql(AssertSqlSafe(tables(schema))).execute(&mut connection).await?;
        connection.close().await?;
        let pool = PgPoolOptions::new()
            .max_connections(POOL)
            .min_connections(POOL)
            .acquire_timeout(Duration::from_secs(120))
            .connect_with(owner.clone().options([("search_path", schema)]))
            .await?;
        Ok(Self { pool, script, withdrawals: AtomicUsize::new(0) })
    }

    /// Sets how many drivers hear of a win that their offer is gone.
    pub(crate) fn tell_withdrawn(&self, count: usize) {
        self.withdrawals.store(count, Ordering::Relaxed);
    }

    fn withdrawn<'a>(&self, call: &Call<'a>) -> &'a [Uuid] {
        let count = self.withdrawals.load(Ordering::Relaxed).min(call.others.len());
        &call.others[..count]
    }

    /// Ends a ride outside of what is measured, so that its people are free for the next.
    pub(crate) async fn end(&self, ride: Uuid) -> anyhow::Result<()> {
        sqlx::query("UPDATE rides SET status = 'canceled' WHERE id = $1")
            .bind(ride)
            .execute(&self.pool)
            .await?;
        Ok(())
    }
}

/// Copies of the engine's tables: same columns, keys, indexes and checks.
fn tables(schema: &str) -> String {
    let copied = ["rides", "events", "timers", "command_results", "stream_events", "ride_offers"];
    let copy =
        |table| format!("CREATE TABLE {schema}.{table} (LIKE public.{table} INCLUDING ALL);");
    let copies: String = copied.iter().map(copy).collect();
    format!(
        "CREATE SCHEMA {schema};\n{copies}\n\
         ALTER TABLE {schema}.stream_events ALTER seq ADD GENERATED ALWAYS AS IDENTITY;"
    )
}
