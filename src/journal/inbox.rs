//! The inbox: what the Pix provider tells, recorded before it is answered.
//!
//! Callbacks come in one by one and are written many at a time, as decisions are; the batch is what
//! arrived during the last write. It needs no shard and no fence: whoever writes, a callback and
//! each of its elements is there once, and writing it again changes nothing.

use std::sync::Arc;
use std::time::Duration;

use ibora_domain::journal::CommitError;
use ibora_domain::pix::EndToEndId;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{Notify, mpsc, oneshot};
use uuid::Uuid;

use crate::db::Db;
use crate::obs::vital;

/// Callbacks that may wait; past it they are refused, and the provider comes again.
const QUEUE: usize = 4096;
/// Callbacks in one statement.
const BATCH: usize = 256;
/// Tries of one batch, and the pause between them: the provider waits for a minute.
const TRIES: u32 = 5;
const PAUSE: Duration = Duration::from_millis(200);

/// Elements that are there already are passed over, but for one that was taken for forged and now
/// stands in the provider's own list.
const WRITE: &str = "
    WITH events AS (
        INSERT INTO webhook_events (digest, body)
            SELECT DISTINCT ON (digest) digest, body
            FROM unnest($1::bytea[], $2::bytea[]) AS e(digest, body) ORDER BY digest
            ON CONFLICT (digest) DO NOTHING
    )
    INSERT INTO pix_notices AS known (id, kind, e2e_id, part, status, source, event, body,
                                      confirmed)
        SELECT DISTINCT ON (kind, e2e_id, part, status)
            id, kind, e2e_id, part, status, $3, event, body, $3 = 'list'
        FROM unnest($4::uuid[], $5::text[], $6::text[], $7::text[], $8::text[], $9::bytea[],
                    $10::text[]) AS n(id, kind, e2e_id, part, status, event, body)
        ORDER BY kind, e2e_id, part, status
        ON CONFLICT ON CONSTRAINT pix_notices_key DO UPDATE
            SET state = 'new', tries = 0, due_at = now(), source = excluded.source,
                body = excluded.body, confirmed = true
            WHERE known.state = 'forged' AND excluded.source = 'list'
        RETURNING kind";

/// One thing that the provider tells. What makes two of them the same are the first four.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoticeRow {
    pub kind: String,
    pub e2e_id: EndToEndId,
    /// Of a refund or return, its id.
    pub part: String,
    pub status: String,
    /// As it came, in JSON.
    pub body: String,
}

/// A callback, and what is in it.
#[derive(Debug)]
pub struct WebhookRow {
    /// SHA-256 of the body.
    pub digest: [u8; 32],
    pub body: Vec<u8>,
    pub notices: Vec<NoticeRow>,
}

/// Where a notice comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoticeSource {
    /// Anybody who knows where to knock may have sent it.
    Webhook,
    /// The provider's own list says so.
    List,
}

impl NoticeSource {
    /// Its name in the records.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Webhook => "webhook",
            Self::List => "list",
        }
    }
}

struct Waiting {
    row: WebhookRow,
    /// Told how many of its notices are new.
    done: oneshot::Sender<Result<usize, CommitError>>,
}

/// The inbox of one engine.
pub struct Inbox {
    pub(super) db: Db,
    queue: mpsc::Sender<Waiting>,
    news: Arc<Notify>,
}

impl Inbox {
    /// Writes until it is dropped.
    pub(super) fn start(db: &Db) -> Self {
        let (queue, inbox) = mpsc::channel(QUEUE);
        let news = Arc::new(Notify::new());
        vital("the inbox of callbacks", run(db.clone(), inbox, Arc::clone(&news)));
        Self { db: db.clone(), queue, news }
    }

    /// Records a callback; returns once it is durable, with the number of notices that are new.
    ///
    /// # Errors
    /// [`CommitError`]: it is not known to be recorded, and may be brought again.
    pub async fn store(&self, row: WebhookRow) -> Result<usize, CommitError> {
        let (done, told) = oneshot::channel();
        self.queue.try_send(Waiting { row, done }).map_err(|refused| match refused {
            TrySendError::Full(_) => CommitError::Overloaded,
            TrySendError::Closed(_) => CommitError::Unavailable,
        })?;
        told.await.unwrap_or(Err(CommitError::Unavailable))
    }

    /// Records what the provider's lists say; the kinds of those that were not there.
    ///
    /// # Errors
    /// Whatever the database reports.
    pub async fn store_listed(&self, notices: &[NoticeRow]) -> Result<Vec<String>, sqlx::Error> {
        let notices: Vec<_> = notices.iter().map(|notice| (None, notice)).collect();
        let new = write(&self.db, NoticeSource::List, &[], &notices).await?;
        if !new.is_empty() {
            self.news.notify_one();
        }
        Ok(new)
    }

    /// Returns when there may be something new.
    pub async fn news(&self) {
        self.news.notified().await;
    }
}

async fn run(db: Db, mut queue: mpsc::Receiver<Waiting>, news: Arc<Notify>) {
    let mut batch = Vec::with_capacity(BATCH);
    while queue.recv_many(&mut batch, BATCH).await > 0 {
        let rows: Vec<_> = batch.iter().map(|waiting| &waiting.row).collect();
        let whole = store(&db, &rows).await;
        let alone = matches!(whole, Err(CommitError::Refused { .. })) && batch.len() > 1;
        for Waiting { row, done } in batch.drain(..) {
            // What the database cannot hold must not keep the others out.
            let outcome = if alone { store(&db, &[&row]).await } else { whole.clone() };
            done.send(outcome).ok(); // Who brought it may be gone; the record stays.
        }
        news.notify_one();
    }
}

/// Writes until it is known what became of it, or for long enough.
async fn store(db: &Db, rows: &[&WebhookRow]) -> Result<usize, CommitError> {
    let notices = rows.iter().flat_map(|row| row.notices.iter().map(|n| (Some(row.digest), n)));
    let notices: Vec<_> = notices.collect();
    for _ in 0..TRIES {
        match write(db, NoticeSource::Webhook, rows, &notices).await {
            Ok(new) => return Ok(new.len()),
            Err(sqlx::Error::Database(error)) if is_refusal(error.code().as_deref()) => {
                let constraint = error.constraint().map(str::to_owned);
                tracing::error!(?constraint, "callbacks cannot be stored");
                return Err(CommitError::Refused { constraint });
            }
            Err(error) => {
                tracing::warn!(%error, "callbacks are not stored yet, trying again");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
    Err(CommitError::Unavailable)
}

/// Whether trying again is of no use.
fn is_refusal(code: Option<&str>) -> bool {
    matches!(code.and_then(|code| code.get(..2)), Some("22" | "23" | "42"))
}

async fn write(
    db: &Db,
    source: NoticeSource,
    events: &[&WebhookRow],
    notices: &[(Option<[u8; 32]>, &NoticeRow)],
) -> Result<Vec<String>, sqlx::Error> {
    let text = |of: fn(&NoticeRow) -> &str| -> Vec<&str> {
        notices.iter().map(|(_, notice)| of(notice)).collect()
    };
    sqlx::query_scalar(WRITE)
        .bind(events.iter().map(|event| event.digest.as_slice()).collect::<Vec<_>>())
        .bind(events.iter().map(|event| event.body.as_slice()).collect::<Vec<_>>())
        .bind(source.as_str())
        .bind(notices.iter().map(|_| Uuid::now_v7()).collect::<Vec<_>>())
        .bind(text(|notice| &notice.kind))
        .bind(text(|notice| notice.e2e_id.as_str()))
        .bind(text(|notice| &notice.part))
        .bind(text(|notice| &notice.status))
        .bind(notices.iter().map(|(event, _)| event.map(Vec::from)).collect::<Vec<_>>())
        .bind(text(|notice| &notice.body))
        .fetch_all(db)
        .await
}
