//! Acknowledgements of people's apps, recorded in batches. Losing the last of them is harmless: an
//! app that comes back says itself where it is.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use uuid::Uuid;

use crate::db::Db;

/// How often they are recorded.
const EVERY: Duration = Duration::from_secs(5);

pub(super) struct Acks {
    db: Db,
    newest: Mutex<HashMap<Uuid, i64>>,
}

impl Acks {
    /// Records what comes until it is dropped.
    pub(super) fn start(db: Db) -> Arc<Self> {
        let acks = Arc::new(Self { db, newest: Mutex::default() });
        let weak = Arc::downgrade(&acks);
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(EVERY).await;
                let Some(acks) = weak.upgrade() else { return };
                acks.record().await;
            }
        });
        acks
    }

    pub(super) fn take(&self, user: Uuid, seq: u64) {
        let seq = i64::try_from(seq).unwrap_or(i64::MAX);
        let mut newest = self.newest.lock();
        let known = newest.entry(user).or_default();
        *known = seq.max(*known);
    }

    /// Records what was taken since the last time. What cannot be recorded is forgotten.
    pub(super) async fn record(&self) {
        let newest = std::mem::take(&mut *self.newest.lock());
        if newest.is_empty() {
            return;
        }
        let (users, seqs): (Vec<Uuid>, Vec<i64>) = newest.into_iter().unzip();
        let recorded = sqlx::query(
            "UPDATE streams s SET acked = greatest(s.acked, a.seq), seen_at = now()
             FROM unnest($1::uuid[], $2::bigint[]) AS a(user_id, seq)
             WHERE s.user_id = a.user_id",
        )
        .bind(users)
        .bind(seqs)
        .execute(&self.db)
        .await;
        if let Err(error) = recorded {
            tracing::warn!(%error, "acknowledgements are not recorded");
        }
    }
}
