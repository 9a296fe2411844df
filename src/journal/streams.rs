//! The numbers of people's streams, shared by all lanes: what the domain's [`Numbers`] must know is
//! read here, and who waits for a claim to end is told here.
//!
//! The journal's own. What must hold: no statement runs while the numbers are locked.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use ibora_domain::facts::Decision;
use ibora_domain::ids::UserId;
use ibora_domain::journal::{Head, Numbered, Numbers};
use parking_lot::Mutex;
use prometheus::IntCounter;
use tokio::sync::oneshot::error::TryRecvError;
use tokio::sync::{Notify, oneshot};
use uuid::Uuid;

use super::append::Append;
use crate::db::Db;
use crate::obs::{Metrics, failpoint};

/// The numbers of this engine's streams.
pub(super) struct Streams {
    db: Db,
    numbers: Mutex<Numbers>,
    /// One a lane: told when another lane released its claims.
    released: Vec<Notify>,
    reads: IntCounter,
    /// Whoever asks while a statement runs is in the next one.
    asked: Mutex<Asked>,
    asking: tokio::sync::Mutex<()>,
}

/// People whose heads are to be read, each with who asked.
type Asked = Vec<(Uuid, oneshot::Sender<Head>)>;

impl Streams {
    pub(super) fn new(db: Db, lanes: usize, metrics: &Metrics) -> Self {
        // One more for the accounts' lane, which never claims a stream but shares the code.
        let released = (0..=lanes).map(|_| Notify::new()).collect();
        Self {
            db,
            numbers: Mutex::default(),
            released,
            reads: metrics.db_reads.clone(),
            asked: Mutex::default(),
            asking: tokio::sync::Mutex::default(),
        }
    }

    /// Splits what may be committed now, its streams claimed, from what must wait: an append whose
    /// stream another lane holds, and all later ones of the same entity.
    pub(super) fn claim(&self, lane: usize, appends: Vec<Append>) -> (Vec<Append>, Vec<Append>) {
        self.numbers.lock().claim(lane, appends, Append::decided)
    }

    /// Waits until another lane released claims.
    pub(super) async fn wait_for_release(&self, lane: usize) {
        self.released[lane].notified().await;
    }

    /// Ends the claims of `lane` on the streams of `appends`.
    pub(super) fn release(&self, lane: usize, appends: &[Append]) {
        self.numbers.lock().release(appends.iter().filter_map(Append::decided));
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
        let unknown = self.numbers.lock().unknown(decisions);
        if !unknown.is_empty() {
            self.load(unknown).await?;
        }
        Ok(self.numbers.lock().number(decisions, new_epoch))
    }

    /// The rows of `decisions`, whose streams are still claimed, are on disk.
    pub(super) fn committed(&self, decisions: &[&Decision]) {
        self.numbers.lock().committed(decisions);
    }

    /// Takes back the numbers of a batch that was refused.
    pub(super) fn give_back(&self, numbered: &Numbered) {
        self.numbers.lock().give_back(numbered);
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
        failpoint!(JournalStreamsRead);
        let mut numbers = self.numbers.lock();
        for (user, last, epoch) in known {
            numbers.learn(user, last, epoch.map(Arc::from));
        }
        Ok(())
    }

    /// Where a person's stream stands, beginning it if need be. Many who ask at once are answered
    /// by one statement.
    pub(super) async fn head(&self, user: UserId) -> Result<Head, sqlx::Error> {
        if let Some(head) = self.numbers.lock().head(user.0) {
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
        let mut numbers = self.numbers.lock();
        for (user, sender) in asked {
            let Some((epoch, seq)) = heads.get(&user) else { continue };
            numbers.begin(user, epoch, *seq);
            let seq = u64::try_from(*seq).unwrap_or(0);
            sender.send((Arc::clone(epoch), seq)).ok();
        }
        Ok(())
    }
}

fn new_epoch() -> String {
    format!("{:08x}", rand::random::<u32>())
}
