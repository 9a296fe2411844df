//! Numbers for the durable events of people's streams: without gap, in the order of the commits.
//!
//! A person's stream may be written by any lane, for rides are pinned to lanes, not people. A lane
//! claims the streams of its batch until the commit is known; what touches a stream that another
//! lane has claimed waits for the next batch. A batch that is refused gives its numbers back.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use ibora_domain::facts::{Decision, Entity};
use ibora_domain::ids::UserId;
use parking_lot::Mutex;
use prometheus::IntCounter;
use tokio::sync::oneshot::error::TryRecvError;
use tokio::sync::{Notify, oneshot};
use uuid::Uuid;

use super::append::Append;
use crate::db::Db;
use crate::obs::Metrics;

/// The counters of all streams that were used since the start.
pub(super) struct Streams {
    db: Db,
    counters: Mutex<HashMap<Uuid, Counter>>,
    /// One a lane: told when another lane released its claims.
    released: Vec<Notify>,
    reads: IntCounter,
    /// Whoever asks while a statement runs is in the next one.
    asked: Mutex<Asked>,
    asking: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Counter {
    /// The last number given.
    last: i64,
    /// The last number that is on disk.
    committed: i64,
    claimed_by: Option<usize>,
    /// Whether `last` was read from the database.
    loaded: bool,
    /// Whether the row that holds the epoch exists.
    has_epoch: bool,
    /// The epoch as it was read. One that is made here may lose against another's.
    epoch: Option<Arc<str>>,
}

/// Where a stream stands: its epoch and its last number on disk.
pub(super) type Head = (Arc<str>, u64);

/// People whose heads are to be read, each with who asked.
type Asked = Vec<(Uuid, oneshot::Sender<Head>)>;

/// The numbers of a batch's stream rows, in their order.
#[derive(Debug, Default)]
pub(super) struct Numbered {
    pub(super) seqs: Vec<i64>,
    /// Streams that begin with this batch, with the epoch made for each.
    pub(super) new_streams: Vec<(Uuid, String)>,
    /// What to give back should the batch be refused.
    before: HashMap<Uuid, i64>,
}

impl Streams {
    pub(super) fn new(db: Db, lanes: usize, metrics: &Metrics) -> Self {
        // One more for the accounts' lane, which never claims a stream but shares the code.
        let released = (0..=lanes).map(|_| Notify::new()).collect();
        Self {
            db,
            counters: Mutex::default(),
            released,
            reads: metrics.db_reads.clone(),
            asked: Mutex::default(),
            asking: tokio::sync::Mutex::default(),
        }
    }

    /// Splits what may be committed now, its streams claimed, from what must wait: an append whose
    /// stream another lane holds, and all later ones of the same entity.
    pub(super) fn claim(&self, lane: usize, appends: Vec<Append>) -> (Vec<Append>, Vec<Append>) {
        let mut counters = self.counters.lock();
        let mut waiting: HashSet<Entity> = HashSet::new();
        let (mut now, mut later) = (Vec::with_capacity(appends.len()), Vec::new());
        for append in appends {
            let Some(decision) = append.decided() else {
                // A barrier overtakes nothing.
                if later.is_empty() {
                    now.push(append);
                } else {
                    later.push(append);
                }
                continue;
            };
            let users = || decision.streams.iter().map(|row| row.stream.user().0);
            let held = |user: Uuid| {
                let claim = counters.get(&user).and_then(|counter| counter.claimed_by);
                claim.is_some_and(|holder| holder != lane)
            };
            if waiting.contains(&decision.entity) || users().any(held) {
                waiting.insert(decision.entity);
                later.push(append);
                continue;
            }
            for user in users() {
                counters.entry(user).or_default().claimed_by = Some(lane);
            }
            now.push(append);
        }
        (now, later)
    }

    /// Waits until another lane released claims.
    pub(super) async fn wait_for_release(&self, lane: usize) {
        self.released[lane].notified().await;
    }

    /// Ends the claims of `lane` on the streams of `appends`.
    pub(super) fn release(&self, lane: usize, appends: &[Append]) {
        let mut counters = self.counters.lock();
        let decisions = appends.iter().filter_map(Append::decided);
        for row in decisions.flat_map(|decision| &decision.streams) {
            if let Some(counter) = counters.get_mut(&row.stream.user().0) {
                counter.claimed_by = None;
            }
        }
        drop(counters);
        for (other, released) in self.released.iter().enumerate() {
            if other != lane {
                released.notify_one();
            }
        }
    }

    /// Gives each stream row of `decisions` its number. The streams must be claimed.
    ///
    /// # Errors
    /// Whatever the database reports; nothing is numbered then.
    pub(super) async fn number(&self, decisions: &[&Decision]) -> Result<Numbered, sqlx::Error> {
        let rows = || decisions.iter().flat_map(|decision| &decision.streams);
        let unknown: HashSet<Uuid> = {
            let counters = self.counters.lock();
            let users = rows().map(|row| row.stream.user().0);
            users.filter(|user| counters.get(user).is_none_or(|c| !c.loaded)).collect()
        };
        if !unknown.is_empty() {
            self.load(unknown.into_iter().collect()).await?;
        }
        let mut numbered = Numbered::default();
        let mut counters = self.counters.lock();
        for row in rows() {
            let user = row.stream.user().0;
            let Some(counter) = counters.get_mut(&user) else { continue };
            numbered.before.entry(user).or_insert(counter.last);
            if !counter.has_epoch {
                counter.has_epoch = true;
                numbered.new_streams.push((user, new_epoch()));
            }
            counter.last += 1;
            numbered.seqs.push(counter.last);
        }
        Ok(numbered)
    }

    /// The rows of `decisions`, whose streams are still claimed, are on disk.
    pub(super) fn committed(&self, decisions: &[&Decision]) {
        let mut counters = self.counters.lock();
        for row in decisions.iter().flat_map(|decision| &decision.streams) {
            if let Some(counter) = counters.get_mut(&row.stream.user().0) {
                counter.committed = counter.last;
            }
        }
    }

    /// Takes back the numbers of a batch that was refused.
    pub(super) fn give_back(&self, numbered: &Numbered) {
        let mut counters = self.counters.lock();
        for (user, last) in &numbered.before {
            if let Some(counter) = counters.get_mut(user) {
                counter.last = *last;
            }
        }
        for (user, _) in &numbered.new_streams {
            if let Some(counter) = counters.get_mut(user) {
                counter.has_epoch = false;
            }
        }
    }

    async fn load(&self, users: Vec<Uuid>) -> Result<(), sqlx::Error> {
        self.reads.inc();
        let known: Vec<(Uuid, i64, Option<String>)> = sqlx::query_as(
            "SELECT u.id,
                    coalesce((SELECT max(e.seq) FROM stream_events e WHERE e.user_id = u.id), 0),
                    (SELECT s.epoch FROM streams s WHERE s.user_id = u.id)
             FROM unnest($1::uuid[]) AS u(id)",
        )
        .bind(users)
        .fetch_all(&self.db)
        .await?;
        let mut counters = self.counters.lock();
        for (user, last, epoch) in known {
            if let Some(counter) = counters.get_mut(&user) {
                counter.loaded = true;
                (counter.last, counter.committed) = (last, last);
                counter.has_epoch = epoch.is_some();
                counter.epoch = epoch.map(Arc::from);
            }
        }
        Ok(())
    }

    /// Where a person's stream stands, beginning it if need be. Many who ask at once are answered
    /// by one statement.
    pub(super) async fn head(&self, user: UserId) -> Result<Head, sqlx::Error> {
        if let Some(head) = self.known_head(user.0) {
            return Ok(head);
        }
        let (sender, mut answer) = oneshot::channel();
        self.asked.lock().push((user.0, sender));
        let _turn = self.asking.lock().await;
        match answer.try_recv() {
            Ok(head) => return Ok(head),
            // Whoever asked for it too heard why.
            Err(TryRecvError::Closed) => return Err(sqlx::Error::RowNotFound),
            Err(TryRecvError::Empty) => {}
        }
        let asked = std::mem::take(&mut *self.asked.lock());
        self.read_heads(&self.db, asked).await?;
        answer.await.map_err(|_| sqlx::Error::RowNotFound)
    }

    fn known_head(&self, user: Uuid) -> Option<Head> {
        let counters = self.counters.lock();
        let counter = counters.get(&user).filter(|counter| counter.loaded)?;
        let seq = u64::try_from(counter.committed).unwrap_or(0);
        counter.epoch.clone().map(|epoch| (epoch, seq))
    }

    /// Reads the heads of many people.
    pub(super) async fn preload(&self, people: &[Uuid]) -> Result<(), sqlx::Error> {
        let asked = people.iter().map(|user| (*user, oneshot::channel().0)).collect();
        self.read_heads(&self.db.patient(), asked).await
    }

    async fn read_heads(&self, db: &Db, asked: Asked) -> Result<(), sqlx::Error> {
        let users: HashSet<Uuid> = asked.iter().map(|(user, _)| *user).collect();
        let users: Vec<Uuid> = users.into_iter().collect();
        let epochs: Vec<String> = users.iter().map(|_| new_epoch()).collect();
        sqlx::query(
            "INSERT INTO streams (user_id, epoch) SELECT * FROM unnest($1::uuid[], $2::text[])
             ON CONFLICT DO NOTHING",
        )
        .bind(&users)
        .bind(epochs)
        .execute(db)
        .await?;
        self.reads.inc();
        let heads: Vec<(Uuid, String, i64)> = sqlx::query_as(
            "SELECT s.user_id, s.epoch,
                    coalesce((SELECT max(e.seq) FROM stream_events e
                              WHERE e.user_id = s.user_id), 0)
             FROM streams s WHERE s.user_id = ANY ($1)",
        )
        .bind(&users)
        .fetch_all(db)
        .await?;
        let heads: HashMap<Uuid, (Arc<str>, i64)> =
            heads.into_iter().map(|(user, epoch, seq)| (user, (epoch.into(), seq))).collect();
        let mut counters = self.counters.lock();
        for (user, sender) in asked {
            let Some((epoch, seq)) = heads.get(&user) else { continue };
            let counter = counters.entry(user).or_default();
            // A lane that is writing this stream knows better, or is about to read it itself.
            if !counter.loaded && counter.claimed_by.is_none() {
                counter.loaded = true;
                (counter.last, counter.committed) = (*seq, *seq);
            }
            counter.has_epoch = true;
            counter.epoch = Some(Arc::clone(epoch));
            let seq = u64::try_from(*seq).unwrap_or(0);
            sender.send((Arc::clone(epoch), seq)).ok();
        }
        Ok(())
    }
}

fn new_epoch() -> String {
    format!("{:08x}", rand::random::<u32>())
}
