//! One lane's connection: writes a batch, and finds out what became of one whose answer was lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use ibora_domain::journal::{Heard, Inquiry, Question, Verdict, seal_of};
use sqlx::postgres::{PgArguments, PgConnectOptions, PgConnection};
use sqlx::{Arguments, AssertSqlSafe, Connection};
use uuid::Uuid;

use super::account_rows::AccountRow;
use super::audit_rows;
use super::batch::{Batch, PARAMETERS};
use super::fence::Fence;
use crate::db::within;
use crate::obs::failpoint;

/// How long a failed connection is left alone before the next try; doubled up to the maximum.
const RETRY_FIRST: Duration = Duration::from_millis(50);
const RETRY_MAX: Duration = Duration::from_secs(1);

/// A connection that writes.
pub(super) struct Store {
    connect: PgConnectOptions,
    connection: Option<PgConnection>,
    /// How long anything that is asked over the connection may take.
    answer_within: Duration,
    pub(super) fence: Arc<Fence>,
    lane: i16,
    /// How many batches of this engine are in doubt.
    in_doubt: Arc<AtomicUsize>,
}

/// A batch is in doubt, until dropped.
struct Doubt(Arc<AtomicUsize>);

impl Doubt {
    fn new(in_doubt: &Arc<AtomicUsize>) -> Self {
        in_doubt.fetch_add(1, Ordering::AcqRel);
        Self(Arc::clone(in_doubt))
    }
}

impl Drop for Doubt {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Store {
    pub(super) fn new(
        (connect, answer_within): (PgConnectOptions, Duration),
        fence: Arc<Fence>,
        lane: u16,
        in_doubt: Arc<AtomicUsize>,
    ) -> Self {
        let lane = i16::try_from(lane).unwrap_or(i16::MAX);
        Self { connect, connection: None, answer_within, fence, lane, in_doubt }
    }

    /// Writes a batch and returns only when its fate is known. An answer that is lost, or does not
    /// come, is resolved by calling again under the same id on a new connection, as an [`Inquiry`]
    /// says: the call waits for the old transaction, which the server ends if nobody else does, and
    /// finds it committed or writes the batch itself. So nothing else is sent before, and no lie is
    /// told.
    pub(super) async fn write(&mut self, batch: &Batch<'_>, accounts: &[&AccountRow]) -> Verdict {
        let id = Uuid::now_v7();
        let mut inquiry = Inquiry::default();
        let mut pause = RETRY_FIRST;
        let mut doubt = None;
        loop {
            let said = match inquiry.question() {
                Question::Batch => self.attempt(id, batch, accounts).await,
                Question::Seal => within(self.answer_within, self.seal(id)).await,
            };
            let heard = match said {
                Ok(true) => Heard::Recorded,
                Ok(false) => Heard::Known,
                Err(error) => judge(&error).unwrap_or_else(|| {
                    tracing::warn!(%error, "commit in doubt, asking again");
                    // The transaction died with its connection, or ends by its own time limit.
                    self.connection = None;
                    doubt.get_or_insert_with(|| Doubt::new(&self.in_doubt));
                    Heard::Nothing
                }),
            };
            if let Some(verdict) = inquiry.hear(heard) {
                return verdict;
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(RETRY_MAX);
        }
    }

    /// Makes sure that this batch can never be written by an earlier call. False where it was.
    async fn seal(&mut self, id: Uuid) -> Result<bool, sqlx::Error> {
        let (nothing, seal) = (Batch::default(), seal_of(id));
        let connection = match &mut self.connection {
            Some(connection) => connection,
            none => none.insert(PgConnection::connect_with(&self.connect).await?),
        };
        let mut transaction = connection.begin().await?;
        let who = (&*self.fence, self.lane);
        // Waits for an earlier call that is still committing.
        let new = call(&mut transaction, id, &nothing, who).await?;
        let sealed = if new {
            call(&mut transaction, seal, &nothing, who).await?
        } else {
            sqlx::query_scalar("SELECT EXISTS (SELECT FROM journal_batches WHERE id = $1)")
                .bind(seal)
                .fetch_one(&mut *transaction)
                .await?
        };
        transaction.commit().await?;
        Ok(sealed)
    }

    /// False where an earlier call already wrote this batch.
    async fn attempt(
        &mut self,
        id: Uuid,
        batch: &Batch<'_>,
        accounts: &[&AccountRow],
    ) -> Result<bool, sqlx::Error> {
        let limit = self.answer_within;
        if self.connection.is_none() {
            let connected = within(limit, PgConnection::connect_with(&self.connect));
            self.connection = Some(connected.await?);
        }
        let Some(connection) = self.connection.as_mut() else { return Ok(false) };
        let fence = (&*self.fence, self.lane);
        failpoint!(JournalBeforeCall);
        if accounts.is_empty() && batch.audit().is_empty() {
            // Alone, the call is its own transaction: one round trip.
            let new = within(limit, call(connection, id, batch, fence)).await?;
            failpoint!(JournalAfterCall);
            return Ok(new);
        }
        let mut transaction = within(limit, connection.begin()).await?;
        let written = self::write(&mut transaction, id, (batch, accounts), fence, limit).await;
        if let Err(sqlx::Error::Database(_)) = &written {
            // Now: the server ends a connection that waits for its next batch with this one open.
            within(limit, transaction.rollback()).await?;
            return written;
        }
        let new = written?;
        failpoint!(JournalAccountsOpen);
        within(limit, transaction.commit()).await?;
        Ok(new)
    }
}

/// What a batch with rows of accounts, or an audit, writes within its transaction.
async fn write(
    transaction: &mut PgConnection,
    id: Uuid,
    (batch, accounts): (&Batch<'_>, &[&AccountRow]),
    fence: (&Fence, i16),
    limit: Duration,
) -> Result<bool, sqlx::Error> {
    let new = within(limit, call(transaction, id, batch, fence)).await?;
    if new && !batch.audit().is_empty() {
        within(limit, audit_rows::write(transaction, batch.audit())).await?;
    }
    if new {
        for row in accounts {
            within(limit, row.write(transaction)).await?;
        }
    }
    Ok(new)
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
    let query = sqlx::query_scalar_with(AssertSqlSafe(batch.call()), columns)
        .bind(id)
        .bind(fence.node.clone())
        .bind(lane)
        .bind(fence.incarnation)
        .bind(shards)
        .bind(epochs);
    batch.bind(query).fetch_one(connection).await
}

/// What an error says for sure; `None` where the outcome is open or the cause may pass.
fn judge(error: &sqlx::Error) -> Option<Heard> {
    let sqlx::Error::Database(database) = error else {
        let unsayable = matches!(error, sqlx::Error::Encode(_));
        return unsayable.then_some(Heard::Refused { constraint: None });
    };
    let code = database.code().unwrap_or_default();
    let constraint = || database.constraint().map(str::to_owned);
    match code.get(..2) {
        _ if code == "IB001" => Some(Heard::Fenced),
        // Constraints, data the types refuse, and what this role may not do: for ever.
        Some("22" | "23" | "42" | "54" | "P0") => {
            tracing::warn!(code = %code, constraint = ?constraint(), "batch refused");
            Some(Heard::Refused { constraint: constraint() })
        }
        // Serialization, shutdown, resources, time limits: the transaction may be tried again.
        Some(_) | None => None,
    }
}
