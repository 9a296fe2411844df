//! Tenure: how an engine comes to own the shards, keeps them, and gives them up.
//!
//! `app` takes a tenure and starts the journal with it. One engine owns all shards. A lease by the
//! database's clock says whether it lives; who finds no live one takes over by raising the fence,
//! which waits for commits in flight and refuses what comes after. What must always hold: of those
//! who try at once one succeeds, the others see its lease; the lease is never what a commit rests
//! on, the fence is.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ibora_domain::journal::{RENEWALS, Standing};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{Connection, PgExecutor};
use tokio::time::sleep;

use super::JournalOptions;
use super::fence::Fence;
use super::hold::Hold;
use crate::db::{Db, within};
use crate::obs::failpoint;

/// The advisory lock under which shards are taken.
const TAKING: i64 = 0x0069_626f_7261_0001;
/// How long taking them may take, waiting for commits in flight included.
const TAKING_WITHIN: Duration = Duration::from_secs(15);
/// Pause after a renewal that failed.
const AGAIN_AFTER: Duration = Duration::from_millis(250);

/// What became of an attempt to own the shards.
pub enum Taking {
    Ours(Tenure),
    /// An engine that lives has them.
    Held {
        by: String,
    },
}

/// The shards as this engine took them.
pub struct Tenure {
    pub(super) fence: Fence,
    /// Before the lease was asked for.
    pub(super) asked: Instant,
}

impl Tenure {
    /// Takes every shard, unless another engine's lease lives. One's own is no obstacle: whoever
    /// starts under this name is its successor. Nothing may be read before this returned.
    ///
    /// # Errors
    /// Whatever the database reports; the shards may be tried for again.
    pub async fn take(db: &Db, options: &JournalOptions) -> Result<Taking, sqlx::Error> {
        // Looked at without a lock first: those who wait must not be in the way of renewals.
        match holder(db, &options.node).await? {
            Some(by) => Ok(Taking::Held { by }),
            None => within(TAKING_WITHIN, Self::take_over(db, options)).await,
        }
    }

    async fn take_over(db: &Db, options: &JournalOptions) -> Result<Taking, sqlx::Error> {
        let mut connection = db.connection().await?;
        let mut transaction = connection.begin().await?;
        sqlx::query("SELECT pg_advisory_xact_lock($1)")
            .bind(TAKING)
            .execute(&mut *transaction)
            .await?;
        // A renewal that comes now waits for us, and then finds its row gone.
        sqlx::query("SELECT FROM node_lease FOR UPDATE").execute(&mut *transaction).await?;
        if let Some(by) = holder(&mut *transaction, &options.node).await? {
            return Ok(Taking::Held { by });
        }
        let fence = Fence::raise(&mut transaction, &options.node, options.lanes()).await?;
        let anew = sqlx::query_scalar("SELECT note_history()").fetch_one(&mut *transaction).await?;
        if anew {
            tracing::warn!("the database was restored or promoted: all streams begin anew");
        }
        sqlx::query("DELETE FROM node_lease").execute(&mut *transaction).await?;
        let asked = Instant::now();
        sqlx::query(
            "INSERT INTO node_lease (node, incarnation, lease_until)
             VALUES ($1, $2, clock_timestamp() + make_interval(secs => $3))",
        )
        .bind(&fence.node)
        .bind(fence.incarnation)
        .bind(options.lease.as_secs_f64())
        .execute(&mut *transaction)
        .await?;
        failpoint!(StartFenceRaised);
        transaction.commit().await?;
        Ok(Taking::Ours(Self { fence, asked }))
    }

    /// Renews the lease; false where it is no longer this engine's.
    ///
    /// # Errors
    /// Whatever the database reports; the lease may be renewed or not.
    pub async fn renew(&self, db: &Db, lease: Duration) -> Result<bool, sqlx::Error> {
        renew(db, &self.fence, lease).await
    }

    /// Gives the shards up without having started a journal.
    ///
    /// # Errors
    /// Whatever the database reports; the shards may be given up or not.
    pub async fn leave(&self, db: &Db) -> Result<(), sqlx::Error> {
        leave(db, &self.fence).await
    }

    /// Whether anything can be asked about the shards, for one who could not.
    pub async fn can_be_asked_for(db: &Db, options: &JournalOptions) -> bool {
        holder(db, &options.node).await.is_ok()
    }
}

/// The other engine whose lease lives.
async fn holder<'e>(
    database: impl PgExecutor<'e>,
    node: &str,
) -> Result<Option<String>, sqlx::Error> {
    sqlx::query_scalar(
        "SELECT node FROM node_lease WHERE node <> $1 AND lease_until > clock_timestamp() LIMIT 1",
    )
    .bind(node)
    .fetch_optional(database)
    .await
}

/// Renews the lease, over a connection of its own: reads that queue must not cost an engine its
/// shards.
pub(super) struct Keeper {
    connect: PgConnectOptions,
    connection: Option<PgConnection>,
    fence: Arc<Fence>,
    hold: Arc<Hold>,
    lease: Duration,
}

impl Keeper {
    pub(super) fn new(
        connect: PgConnectOptions,
        (fence, hold): (Arc<Fence>, Arc<Hold>),
        lease: Duration,
    ) -> Self {
        Self { connect, connection: None, fence, hold, lease }
    }

    /// Renews until the shards are lost or left.
    pub(super) async fn run(mut self) {
        let every = self.lease / RENEWALS;
        let mut failing = false;
        while matches!(self.hold.standing(), Standing::Holds | Standing::Lapsed) {
            let asked = Instant::now();
            let renewed = match self.renew().await {
                Ok(renewed) => renewed,
                Err(_) => {
                    if !failing {
                        tracing::warn!("the lease on the shards cannot be renewed, trying on");
                    }
                    (failing, self.connection) = (true, None);
                    sleep(AGAIN_AFTER).await;
                    continue;
                }
            };
            if !renewed {
                return self.hold.lose();
            }
            self.hold.renewed(asked, self.lease);
            if failing {
                tracing::info!("the lease on the shards is renewed again");
            }
            failing = false;
            sleep(every.saturating_sub(asked.elapsed())).await;
        }
    }

    /// False where the lease is no longer ours.
    async fn renew(&mut self) -> Result<bool, sqlx::Error> {
        // Whoever says nothing is given up while there is time for another try.
        let patience = self.lease / 2;
        if self.connection.is_none() {
            let connected = within(patience, PgConnection::connect_with(&self.connect));
            self.connection = Some(connected.await?);
        }
        let Some(connection) = self.connection.as_mut() else { return Ok(true) };
        within(patience, renew(connection, &self.fence, self.lease)).await
    }
}

async fn renew<'e>(
    database: impl PgExecutor<'e>,
    fence: &Fence,
    lease: Duration,
) -> Result<bool, sqlx::Error> {
    let renewed = sqlx::query(
        "UPDATE node_lease SET lease_until = clock_timestamp() + make_interval(secs => $3)
         WHERE node = $1 AND incarnation = $2",
    )
    .bind(&fence.node)
    .bind(fence.incarnation)
    .bind(lease.as_secs_f64())
    .execute(database)
    .await?;
    Ok(renewed.rows_affected() > 0)
}

/// Gives the shards up, for whoever waits to take at once; nothing is written under `fence` after.
pub(super) async fn leave(db: &Db, fence: &Fence) -> Result<(), sqlx::Error> {
    let mut connection = db.connection().await?;
    let mut transaction = connection.begin().await?;
    let ours = sqlx::query("DELETE FROM node_lease WHERE node = $1 AND incarnation = $2")
        .bind(&fence.node)
        .bind(fence.incarnation)
        .execute(&mut *transaction)
        .await?;
    if ours.rows_affected() == 0 {
        return Ok(());
    }
    fence.lower(&mut transaction).await?;
    failpoint!(StopFenceLowered);
    transaction.commit().await
}
