//! One lane's connection: writes a batch, and finds out what became of one whose answer was lost.

use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::{PgArguments, PgConnectOptions, PgConnection};
use sqlx::{Arguments, AssertSqlSafe, Connection};
use uuid::Uuid;

use super::account_rows::AccountRow;
use super::batch::{Batch, CALL, PARAMETERS};
use super::fence::Fence;
use crate::db::within;

/// How long a failed connection is left alone before the next try; doubled up to the maximum.
const RETRY_FIRST: Duration = Duration::from_millis(50);
const RETRY_MAX: Duration = Duration::from_secs(1);

/// What the database said of a batch.
pub(super) enum Verdict {
    Written,
    /// It will never be written as it is.
    Refused {
        constraint: Option<String>,
    },
    /// Another engine owns its shards.
    Fenced,
}

/// A connection that writes.
pub(super) struct Store {
    connect: PgConnectOptions,
    connection: Option<PgConnection>,
    /// How long anything that is asked over the connection may take.
    answer_within: Duration,
    pub(super) fence: Arc<Fence>,
    lane: i16,
}

impl Store {
    pub(super) fn new(
        (connect, answer_within): (PgConnectOptions, Duration),
        fence: Arc<Fence>,
        lane: u16,
    ) -> Self {
        let lane = i16::try_from(lane).unwrap_or(i16::MAX);
        Self { connect, connection: None, answer_within, fence, lane }
    }

    /// Writes a batch and returns only when its fate is known. An answer that is lost, or does not
    /// come, is resolved by calling again under the same id on a new connection: the call waits for
    /// the old transaction, which the server ends if nobody else does, and finds it committed
    /// or writes the batch itself. So nothing else is sent before, and no lie is told.
    pub(super) async fn write(&mut self, batch: &Batch<'_>, accounts: &[&AccountRow]) -> Verdict {
        let id = Uuid::now_v7();
        let mut pause = RETRY_FIRST;
        loop {
            match self.attempt(id, batch, accounts).await {
                Ok(()) => return Verdict::Written,
                Err(error) => match judge(&error) {
                    Some(verdict) => return verdict,
                    None => {
                        tracing::warn!(%error, "commit in doubt, asking again");
                        // The transaction died with its connection, or ends by its own time limit.
                        self.connection = None;
                    }
                },
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(RETRY_MAX);
        }
    }

    async fn attempt(
        &mut self,
        id: Uuid,
        batch: &Batch<'_>,
        accounts: &[&AccountRow],
    ) -> Result<(), sqlx::Error> {
        let limit = self.answer_within;
        if self.connection.is_none() {
            let connected = within(limit, PgConnection::connect_with(&self.connect));
            self.connection = Some(connected.await?);
        }
        let Some(connection) = self.connection.as_mut() else { return Ok(()) };
        let fence = (&*self.fence, self.lane);
        if accounts.is_empty() {
            // Alone, the call is its own transaction: one round trip.
            within(limit, call(connection, id, batch, fence)).await?;
            return Ok(());
        }
        let mut transaction = within(limit, connection.begin()).await?;
        if within(limit, call(&mut transaction, id, batch, fence)).await? {
            for row in accounts {
                within(limit, row.write(&mut transaction)).await?;
            }
        }
        within(limit, transaction.commit()).await
    }
}

/// Calls `journal_write`; false where an earlier call already wrote this batch.
async fn call(
    connection: &mut PgConnection,
    id: Uuid,
    batch: &Batch<'_>,
    (fence, lane): (&Fence, i16),
) -> Result<bool, sqlx::Error> {
    let (shards, epochs) = batch.shards();
    let mut columns = PgArguments::default();
    // One allocation: a buffer that doubles its way up to a megabyte costs more than filling it.
    columns.reserve(PARAMETERS, batch.bytes());
    let query = sqlx::query_scalar_with(AssertSqlSafe(CALL), columns)
        .bind(id)
        .bind(fence.node.clone())
        .bind(lane)
        .bind(fence.incarnation)
        .bind(shards)
        .bind(epochs);
    batch.bind(query).fetch_one(connection).await
}

/// What an error says for sure; `None` where the outcome is open or the cause may pass.
fn judge(error: &sqlx::Error) -> Option<Verdict> {
    let sqlx::Error::Database(database) = error else {
        let unsayable = matches!(error, sqlx::Error::Encode(_));
        return unsayable.then_some(Verdict::Refused { constraint: None });
    };
    let code = database.code().unwrap_or_default();
    let constraint = || database.constraint().map(str::to_owned);
    match code.get(..2) {
        _ if code == "IB001" => Some(Verdict::Fenced),
        // Constraints, data the types refuse, and what this role may not do: for ever.
        Some("22" | "23" | "42" | "54" | "P0") => {
            tracing::warn!(code = %code, constraint = ?constraint(), "batch refused");
            Some(Verdict::Refused { constraint: constraint() })
        }
        // Serialization, shutdown, resources, time limits: the transaction may be tried again.
        Some(_) | None => None,
    }
}
