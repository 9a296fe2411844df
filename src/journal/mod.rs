//! The journal: the one place that writes the database.
//!
//! Decisions of actors and rows of accounts come in, whole; they are committed many at a time, and
//! only then is their asker told. The batch is whatever arrived while the last commit ran. Reading
//! here is for rebuilding: what an actor must know again after it was dropped.

mod account_rows;
mod acks;
mod append;
mod audit_rows;
mod backlog;
mod batch;
mod credits;
mod cursors;
mod disputes;
mod fence;
mod hold;
mod inbox;
mod lane;
mod money;
mod notices;
mod payments;
mod payouts;
mod reconciliation;
mod records;
mod store;
mod streams;
mod sweep;
mod tenure;

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use ibora_domain::facts::{Decision, Entity, StreamId, StreamRow};
use ibora_domain::ids::{Shard, UserId};
use ibora_domain::session::MISSED_MAX;
use ibora_domain::units::UnixMillis;
use sqlx::postgres::PgConnectOptions;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot, watch};
use uuid::Uuid;

use crate::db::{Db, lazy_pool};
use crate::obs::{Metrics, failpoint, vital};
use acks::Acks;
use append::Content;
use backlog::Backlog;
use fence::Fence;
use hold::Hold;
use lane::Lane;
use streams::Streams;
use tenure::Keeper;

pub use account_rows::{
    AccountRow, AnswerRow, FamilyRow, PayoutSwitchRow, PixKeyRow, ReviewRow, RotationRow, UserRow,
    VehicleRow,
};
pub(crate) use append::Append;
pub use cursors::Cursors;
/// Why something was not recorded, and how an engine stands with its shards.
pub use ibora_domain::journal::{CommitError, Standing};
pub use inbox::{Inbox, NoticeRow, NoticeSource, WebhookRow};
pub use notices::Notice;
pub use reconciliation::{AtProvider, ClaimRow, ReconciliationRow, Reconciliations};
pub use records::{InFlight, PayoutStop, Records};
/// Why something recorded could not be read.
pub use sqlx::Error as ReadError;
pub use tenure::{Taking, Tenure};

/// Connections for what the provider of Pix tells: to take it down, and to hand it on.
const INBOX_CONNECTIONS: u32 = 3;
/// Account rows that may wait in a journal for tools.
const TOOL_QUEUE: usize = 1024;
/// How long the database may take to answer a tool.
const TOOL_ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// How long a person waits for his account's rows: past it their outcome is open.
const ACCOUNT_WITHIN: Duration = Duration::from_secs(5);
/// How long a tool does, which records thousands.
const TOOL_WITHIN: Duration = Duration::from_secs(120);

/// A durable event as it goes to its person's sessions, after its commit.
#[derive(Debug, Clone)]
pub struct Published {
    pub seq: u64,
    pub row: StreamRow,
}

/// Takes the stream events of a commit, in `seq` order per stream. Must not wait.
pub type Publish = Arc<dyn Fn(Vec<Published>) + Send + Sync>;

/// How the journal works.
#[derive(Debug, Clone)]
pub struct JournalOptions {
    /// The name under which this engine owns shards.
    pub node: String,
    /// How long it may be silent before another may take them.
    pub lease: Duration,
    /// Connections that commit in parallel; entities are pinned to one by their shard.
    pub writers: u16,
    pub queue_max: usize,
    pub batch_max: usize,
    /// How long the database may take to answer; then it is asked again by another connection.
    pub answer_within: Duration,
}

impl JournalOptions {
    /// Writers of decisions, and the one of accounts.
    fn lanes(&self) -> u16 {
        self.writers.max(1) + 1
    }
}

/// What the journal works with.
pub struct JournalParts {
    pub connect: PgConnectOptions,
    pub db: Db,
    pub metrics: Arc<Metrics>,
    pub publish: Publish,
}

/// The journal of this engine.
pub struct Journal {
    lanes: Vec<mpsc::Sender<Append>>,
    /// Accounts have a lane of their own: what a stranger sends must not slow rides.
    accounts: mpsc::Sender<Append>,
    streams: Arc<Streams>,
    backlog: Arc<Backlog>,
    acks: Arc<Acks>,
    inbox: Inbox,
    cursors: Cursors,
    reconciliations: Reconciliations,
    records: Records,
    fence: Arc<Fence>,
    hold: Arc<Hold>,
    db: Db,
    /// Whether people are preloaded.
    ready: watch::Sender<bool>,
    queue_max: usize,
    account_within: Duration,
}

impl Journal {
    /// Starts the writers, and keeps the shards for as long as it lives.
    #[must_use]
    pub fn start(tenure: Tenure, options: &JournalOptions, parts: JournalParts) -> Arc<Self> {
        let JournalParts { connect, db, metrics, publish } = parts;
        let (lanes, answer_within) = (options.lanes() - 1, options.answer_within);
        let hold = Hold::new(tenure.asked, options.lease, metrics.journal_owner.clone());
        let fence = Arc::new(tenure.fence);
        let kept = (Arc::clone(&fence), Arc::clone(&hold));
        tokio::spawn(Keeper::new(connect.clone(), kept, options.lease).run());
        let streams = Arc::new(Streams::new(db.clone(), usize::from(lanes), &metrics));
        let backlog = Arc::new(Backlog::default());
        let acks = Acks::start(db.patient());
        // The provider is answered, however much is read meanwhile of what it told.
        let inbox = Inbox::start(&Db::new(lazy_pool(connect.clone(), INBOX_CONNECTIONS)));
        let records = Records::new(db.clone(), &metrics);
        let in_doubt = Arc::new(AtomicUsize::new(0));
        let start = |number: u16| {
            let (sender, inbox) = mpsc::channel(options.queue_max);
            let lane = Lane::new(
                (number, options.batch_max),
                inbox,
                store::Store::new(
                    (connect.clone(), answer_within),
                    Arc::clone(&fence),
                    number,
                    Arc::clone(&in_doubt),
                ),
                (Arc::clone(&streams), Arc::clone(&backlog), Arc::clone(&publish)),
                (Arc::clone(&metrics), Arc::clone(&hold)),
            );
            vital("a lane of the journal", lane.run());
            sender
        };
        tokio::spawn(sweep::run(db.patient(), Arc::clone(&in_doubt)));
        Arc::new(Self {
            lanes: (0..lanes).map(start).collect(),
            accounts: start(lanes),
            streams,
            backlog,
            acks,
            inbox,
            cursors: Cursors::new(db.clone()),
            reconciliations: Reconciliations::new(db.clone()),
            records,
            fence,
            hold,
            db,
            ready: watch::Sender::new(false),
            queue_max: options.queue_max,
            account_within: ACCOUNT_WITHIN,
        })
    }

    /// A journal for tools that run beside an engine: it records accounts, takes no shard from
    /// anybody, and so may record no decision.
    ///
    /// # Errors
    /// Whatever the database reports.
    pub async fn for_tools(
        connect: PgConnectOptions,
        db: Db,
        metrics: Arc<Metrics>,
    ) -> Result<Arc<Self>, sqlx::Error> {
        let fence = Arc::new(Fence::beside(&db).await?);
        let streams = Arc::new(Streams::new(db.clone(), 0, &metrics));
        let (backlog, acks) = (Arc::new(Backlog::default()), Acks::start(db.patient()));
        let notices = Inbox::start(&db);
        let records = Records::new(db.clone(), &metrics);
        let hold = Hold::of_nothing(metrics.journal_owner.clone());
        let (accounts, inbox) = mpsc::channel(TOOL_QUEUE);
        let lane = Lane::new(
            (0, TOOL_QUEUE),
            inbox,
            store::Store::new((connect, TOOL_ANSWER_WITHIN), Arc::clone(&fence), 0, Arc::default()),
            (Arc::clone(&streams), Arc::clone(&backlog), Arc::new(|_| {})),
            (metrics, Arc::clone(&hold)),
        );
        tokio::spawn(lane.run());
        Ok(Arc::new(Self {
            lanes: vec![],
            accounts,
            streams,
            backlog,
            acks,
            inbox: notices,
            cursors: Cursors::new(db.clone()),
            reconciliations: Reconciliations::new(db.clone()),
            records,
            fence,
            hold,
            db,
            ready: watch::Sender::new(true),
            queue_max: TOOL_QUEUE,
            account_within: TOOL_WITHIN,
        }))
    }

    /// Hands over a decision. Its outcome is told to `append.done`, also when the queue is full.
    pub(crate) fn append(&self, append: Append) {
        let sender = match append.entity() {
            Some(entity) => self.lanes.get(self.lane_of(entity.shard())),
            None => Some(&self.accounts),
        };
        let Some(sender) = sender else { return append.finish(Err(CommitError::Fenced)) };
        if let Err(refused) = sender.try_send(append) {
            let (append, error) = match refused {
                TrySendError::Full(append) => (append, CommitError::Overloaded),
                TrySendError::Closed(append) => (append, CommitError::Unavailable),
            };
            append.finish(Err(error));
        }
    }

    /// Whether a new command may come in: queues are bounded, and refusing early keeps those who
    /// wait from waiting in vain.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.lanes.iter().all(|lane| lane.capacity() > self.queue_max / 4)
    }

    /// Whether what telemetry leads to may come in: it gives way before commands do.
    #[must_use]
    pub fn has_room_for_telemetry(&self) -> bool {
        self.lanes.iter().all(|lane| lane.capacity() > self.queue_max / 2)
    }

    /// Decisions that wait for a commit.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.lanes.iter().map(|lane| self.queue_max - lane.capacity()).sum()
    }

    /// Returns once everything handed over for `entity` before has its outcome.
    ///
    /// # Errors
    /// [`CommitError::Unavailable`] when the writers are gone.
    pub(crate) async fn settled(&self, entity: Entity) -> Result<(), CommitError> {
        let (append, done) = Append::barrier();
        let lane = self.lanes.get(self.lane_of(entity.shard())).ok_or(CommitError::Fenced)?;
        lane.send(append).await.map_err(|_| CommitError::Unavailable)?;
        done.await.map_err(|_| CommitError::Unavailable)?
    }

    /// Returns once everything handed over before has its outcome.
    pub async fn flush(&self) {
        for lane in self.lanes.iter().chain([&self.accounts]) {
            let (append, done) = Append::barrier();
            if lane.send(append).await.is_ok() {
                done.await.ok();
            }
        }
        self.acks.record().await;
    }

    /// How this engine stands with its shards. Asks nobody.
    #[must_use]
    pub fn standing(&self) -> Standing {
        self.hold.standing()
    }

    /// Returns when another engine has taken the shards; never, once this one has left them.
    pub async fn lost(&self) {
        self.hold.lost().await;
    }

    /// Gives the shards up, for whoever waits to take at once. Nothing is recorded here after.
    ///
    /// # Errors
    /// Whatever the database reports: the lease then ends by itself.
    pub async fn leave(&self) -> Result<(), ReadError> {
        if self.hold.leave() {
            tenure::leave(&self.db, &self.fence).await?;
        }
        Ok(())
    }

    /// Records a decision that stands alone, of an entity that no actor is for: a measurement's, or
    /// a tool's. Returns once it is durable.
    ///
    /// # Errors
    /// [`CommitError`]; after [`CommitError::Unavailable`] it may be recorded all the same.
    pub async fn record(&self, decision: Decision) -> Result<(), CommitError> {
        let (sender, done) = oneshot::channel();
        // A life of its own: nothing later rests on it.
        self.append(Append::decision(Box::new(decision), rand::random(), move |outcome| {
            sender.send(outcome).ok();
        }));
        done.await.map_err(|_| CommitError::Unavailable)?
    }

    /// Records account rows, all or none.
    ///
    /// # Errors
    /// [`CommitError`]; nothing is recorded then, but after [`CommitError::Unavailable`] it may be.
    pub async fn record_account(&self, rows: Vec<AccountRow>) -> Result<(), CommitError> {
        let (sender, done) = oneshot::channel();
        self.append(Append::new(Content::Accounts(rows), 0, move |outcome| {
            sender.send(outcome).ok();
        }));
        let told = tokio::time::timeout(self.account_within, done).await;
        told.map_err(|_| CommitError::Unavailable)?.map_err(|_| CommitError::Unavailable)?
    }

    /// Reads whoever was here lately, beside the work: they will be back at once. `now` is domain
    /// time.
    pub async fn preload(&self, in_flight: &InFlight, now: UnixMillis) {
        let began = std::time::Instant::now();
        let read = async {
            let people = self.records.people_seen().await?;
            tokio::try_join!(
                self.records.preload(&people, in_flight, now),
                self.streams.preload(&people)
            )?;
            Ok::<usize, ReadError>(people.len())
        };
        match read.await {
            Ok(people) => {
                let took_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
                tracing::info!(people, took_ms, "preloaded");
            }
            Err(error) => tracing::warn!(%error, "people are not preloaded"),
        }
        failpoint!(StartPreloaded);
        self.ready.send_replace(true);
    }

    /// Returns once people are preloaded, or could not be.
    pub async fn preloaded(&self) {
        self.ready.subscribe().wait_for(|ready| *ready).await.ok();
    }

    /// Where a person's stream stands: its epoch and the last `seq`.
    ///
    /// # Errors
    /// Whatever the database reports.
    pub async fn stream_head(&self, user: UserId) -> Result<(Arc<str>, u64), sqlx::Error> {
        self.streams.head(user).await
    }

    /// The events of a person after number `after` up to `upto`, in order; `None` where they are
    /// no longer kept, or are more than a client may have missed.
    ///
    /// # Errors
    /// Whatever the database reports.
    pub async fn events_between(
        &self,
        stream: StreamId,
        after: u64,
        upto: u64,
    ) -> Result<Option<Vec<Published>>, sqlx::Error> {
        let Some(count) = upto.checked_sub(after).filter(|count| *count <= MISSED_MAX) else {
            return Ok(None);
        };
        if count == 0 {
            return Ok(Some(Vec::new()));
        }
        match self.backlog.between(stream.user().0, after, upto) {
            Some(events) => Ok(Some(events)),
            None => self.records.events_between(stream, after, upto).await,
        }
    }

    /// The newest event of this op about this entity, if it is recent.
    #[must_use]
    pub fn newest_event(&self, user: UserId, op: &str, key: Uuid) -> Option<Published> {
        self.backlog.newest(user.0, (op, key))
    }

    /// Returns when a person has a new event after this was called. Never where many wait for it
    /// already: those look now and then.
    pub fn next_event(&self, user: UserId) -> impl Future<Output = ()> + use<> {
        let next = self.backlog.next(user.0);
        async move {
            match next {
                Some(next) => drop(next.await),
                None => std::future::pending().await,
            }
        }
    }

    /// Takes note that a person's app has all events up to `seq`. Recorded soon, with others'.
    pub fn acknowledge(&self, user: UserId, seq: u64) {
        self.acks.take(user.0, seq);
    }

    /// What the provider of Pix tells.
    #[must_use]
    pub const fn inbox(&self) -> &Inbox {
        &self.inbox
    }

    /// How far jobs have read.
    #[must_use]
    pub const fn cursors(&self) -> &Cursors {
        &self.cursors
    }

    /// Comparisons with the provider.
    #[must_use]
    pub const fn reconciliations(&self) -> &Reconciliations {
        &self.reconciliations
    }

    /// What is recorded.
    #[must_use]
    pub fn records(&self) -> &Records {
        &self.records
    }

    fn lane_of(&self, shard: Shard) -> usize {
        usize::from(shard.number()) % self.lanes.len().max(1)
    }
}

/// A moment as the database driver takes it.
fn timestamp(at: UnixMillis) -> time::OffsetDateTime {
    time::OffsetDateTime::from_unix_timestamp_nanos(i128::from(at.0) * 1_000_000)
        .unwrap_or(time::OffsetDateTime::UNIX_EPOCH)
}

/// A moment as the database driver gives it.
fn moment(at: time::OffsetDateTime) -> UnixMillis {
    UnixMillis(i64::try_from(at.unix_timestamp_nanos() / 1_000_000).unwrap_or(i64::MAX))
}
