//! Numbers for the durable events of people's streams: without gap, in the order of the commits.
//!
//! A person's stream may be written by any lane, for rides are pinned to lanes, not people. A lane
//! claims the streams of its batch until the commit is known; what touches a stream that another
//! lane has claimed waits for the next batch. A batch that is refused gives its numbers back.

use std::collections::{HashMap, HashSet};

use ibora_domain::facts::{Decision, Entity};
use ibora_domain::ids::UserId;
use parking_lot::Mutex;
use sqlx::PgPool;
use tokio::sync::Notify;
use uuid::Uuid;

use super::append::Append;

/// The counters of all streams that were used since the start.
pub(super) struct Streams {
    pool: PgPool,
    counters: Mutex<HashMap<Uuid, Counter>>,
    /// One a lane: told when another lane released its claims.
    released: Vec<Notify>,
}

struct Counter {
    /// The last number given.
    last: i64,
    claimed_by: Option<usize>,
    /// Whether `last` was read from the database.
    loaded: bool,
    /// Whether the row that holds the epoch exists.
    has_epoch: bool,
}

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
    pub(super) fn new(pool: PgPool, lanes: usize) -> Self {
        // One more for the accounts' lane, which never claims a stream but shares the code.
        let released = (0..=lanes).map(|_| Notify::new()).collect();
        Self { pool, counters: Mutex::new(HashMap::new()), released }
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
                let unknown =
                    Counter { last: 0, claimed_by: None, loaded: false, has_epoch: false };
                counters.entry(user).or_insert(unknown).claimed_by = Some(lane);
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
        let known: Vec<(Uuid, i64, bool)> = sqlx::query_as(
            "SELECT u.id,
                    coalesce((SELECT max(e.seq) FROM stream_events e WHERE e.user_id = u.id), 0),
                    EXISTS (SELECT 1 FROM streams s WHERE s.user_id = u.id)
             FROM unnest($1::uuid[]) AS u(id)",
        )
        .bind(users)
        .fetch_all(&self.pool)
        .await?;
        let mut counters = self.counters.lock();
        for (user, last, has_epoch) in known {
            if let Some(counter) = counters.get_mut(&user) {
                *counter = Counter { last, loaded: true, has_epoch, ..*counter };
            }
        }
        Ok(())
    }

    /// Where a person's stream stands, beginning it if need be.
    pub(super) async fn head(&self, user: UserId) -> Result<(String, u64), sqlx::Error> {
        sqlx::query("INSERT INTO streams (user_id, epoch) VALUES ($1, $2) ON CONFLICT DO NOTHING")
            .bind(user.0)
            .bind(new_epoch())
            .execute(&self.pool)
            .await?;
        let (epoch, seq): (String, i64) = sqlx::query_as(
            "SELECT s.epoch,
                    coalesce((SELECT max(e.seq) FROM stream_events e
                              WHERE e.user_id = s.user_id), 0)
             FROM streams s WHERE s.user_id = $1",
        )
        .bind(user.0)
        .fetch_one(&self.pool)
        .await?;
        Ok((epoch, u64::try_from(seq).unwrap_or(0)))
    }
}

fn new_epoch() -> String {
    format!("{:08x}", rand::random::<u32>())
}
