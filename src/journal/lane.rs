//! One writer: takes what has arrived, commits it, tells its askers, and takes what arrived since.
//!
//! No timer to tune: an idle system commits singly, a busy one in batches.

use std::sync::Arc;

use ibora_domain::facts::Decision;
use ibora_domain::journal::{Fate, Lives, Numbered, Verdict};
use tokio::sync::mpsc;

use super::append::{Append, Content};
use super::backlog::Backlog;
use super::batch::Batch;
use super::hold::Hold;
use super::store::Store;
use super::streams::Streams;
use super::{CommitError, Publish, Published};
use crate::obs::{Metrics, failpoint};

pub(super) struct Lane {
    number: usize,
    batch_max: usize,
    inbox: mpsc::Receiver<Append>,
    store: Store,
    streams: Arc<Streams>,
    backlog: Arc<Backlog>,
    publish: Publish,
    metrics: Arc<Metrics>,
    hold: Arc<Hold>,
    lives: Lives,
}

impl Lane {
    pub(super) fn new(
        (number, batch_max): (u16, usize),
        inbox: mpsc::Receiver<Append>,
        store: Store,
        (streams, backlog, publish): (Arc<Streams>, Arc<Backlog>, Publish),
        (metrics, hold): (Arc<Metrics>, Arc<Hold>),
    ) -> Self {
        Self {
            number: usize::from(number),
            batch_max,
            inbox,
            store,
            streams,
            backlog,
            publish,
            metrics,
            hold,
            lives: Lives::default(),
        }
    }

    /// Writes until every sender is gone.
    pub(super) async fn run(mut self) {
        let mut waiting: Vec<Append> = Vec::new();
        loop {
            if waiting.is_empty() {
                if self.inbox.recv_many(&mut waiting, self.batch_max).await == 0 {
                    return;
                }
            } else if let Some(room) = self.batch_max.checked_sub(waiting.len()) {
                for _ in 0..room {
                    let Ok(append) = self.inbox.try_recv() else { break };
                    waiting.push(append);
                }
            }
            let admitted = self.refuse_broken(std::mem::take(&mut waiting));
            let (batch, later) = self.streams.claim(self.number, admitted);
            waiting = later;
            if batch.is_empty() {
                if !waiting.is_empty() {
                    self.streams.wait_for_release(self.number).await;
                }
                continue;
            }
            self.metrics.journal_queue_depth.set(i64::try_from(self.inbox.len()).unwrap_or(0));
            self.commit(batch).await;
        }
    }

    /// Refuses what rests on a lost append, or what a fenced engine may no longer write.
    fn refuse_broken(&mut self, appends: Vec<Append>) -> Vec<Append> {
        let mut admitted = Vec::with_capacity(appends.len());
        for append in appends {
            let refused = match append.entity() {
                Some(entity) => self.lives.admit(entity, append.life),
                None => self.lives.admit_any(),
            };
            match refused {
                Ok(()) => admitted.push(append),
                Err(error) => append.finish(Err(error)),
            }
        }
        admitted
    }

    async fn commit(&mut self, batch: Vec<Append>) {
        for append in &batch {
            self.metrics.journal_queue_wait_seconds.observe(append.since.elapsed().as_secs_f64());
        }
        failpoint!(JournalClaimed);
        let verdict = self.write(&batch).await;
        self.streams.release(self.number, &batch);
        match verdict.fate(batch.len()) {
            Fate::Durable => {
                self.metrics.journal_batch_size.observe(as_f64(batch.len()));
                failpoint!(JournalReleased);
                tell(batch);
                failpoint!(JournalTold);
            }
            Fate::Singly => self.commit_singly(batch).await,
            Fate::Lost(error) => self.lose(batch, &error),
        }
    }

    async fn commit_singly(&mut self, batch: Vec<Append>) {
        for append in batch {
            // Claimed one by one: the other lane may have taken a stream in between.
            let mut one = vec![append];
            loop {
                one = self.refuse_broken(one);
                let (claimed, later) = self.streams.claim(self.number, one);
                if later.is_empty() {
                    one = claimed;
                    break;
                }
                one = later;
                self.streams.wait_for_release(self.number).await;
            }
            if one.is_empty() {
                continue;
            }
            let verdict = self.write(&one).await;
            self.streams.release(self.number, &one);
            match verdict.fate(1) {
                Fate::Durable | Fate::Singly => tell(one),
                Fate::Lost(error) => self.lose(one, &error),
            }
        }
    }

    /// Makes `batch` durable in one transaction, and hands on what goes to people's streams. Its
    /// streams must still be claimed: no later event of another lane may overtake these.
    async fn write(&mut self, batch: &[Append]) -> Verdict {
        let decisions: Vec<&Decision> = batch.iter().filter_map(Append::decided).collect();
        let accounts: Vec<_> = batch.iter().flat_map(Append::account_rows).collect();
        if decisions.iter().all(|decision| decision.is_empty()) && accounts.is_empty() {
            return Verdict::Written;
        }
        let numbered = self.number(&decisions).await;
        failpoint!(JournalNumbered);
        let columns = Batch::new(decisions.iter().copied(), &numbered, &self.store.fence);
        let timer = self.metrics.journal_commit_seconds.start_timer();
        let verdict = self.store.write(&columns, &accounts).await;
        timer.observe_duration();
        drop(columns);
        match verdict {
            Verdict::Written => {
                failpoint!(JournalWritten);
                let published = published(&decisions, &numbered);
                if !published.is_empty() {
                    // In this order: whoever reads how far a stream is finds all of it.
                    self.backlog.keep(&published);
                    self.streams.committed(&decisions);
                    self.backlog.wake(&published);
                    (self.publish)(published);
                    failpoint!(JournalPublished);
                }
            }
            Verdict::Refused { .. } => self.streams.give_back(&numbered),
            Verdict::Fenced => {
                self.streams.give_back(&numbered);
                self.hold.lose();
                self.lives.fence();
            }
        }
        verdict
    }

    async fn number(&self, decisions: &[&Decision]) -> Numbered {
        loop {
            match self.streams.number(decisions).await {
                Ok(numbered) => return numbered,
                Err(error) => {
                    tracing::warn!(%error, "streams cannot be read, trying again");
                    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                }
            }
        }
    }

    fn lose(&mut self, batch: Vec<Append>, error: &CommitError) {
        for append in batch {
            if let Content::Decision(decision) = &append.content {
                self.lives.lose(decision.entity, append.life);
            }
            let reason = match error {
                CommitError::Refused { .. } => "refused",
                CommitError::Unavailable => "unavailable",
                CommitError::Overloaded => "overloaded",
                CommitError::Fenced => "fenced",
            };
            self.metrics.journal_refused.with_label_values(&[reason]).inc();
            append.finish(Err(error.clone()));
        }
    }
}

fn tell(batch: Vec<Append>) {
    for append in batch {
        append.finish(Ok(()));
    }
}

fn published(decisions: &[&Decision], numbered: &Numbered) -> Vec<Published> {
    let rows = decisions.iter().flat_map(|decision| &decision.streams);
    rows.zip(&numbered.seqs)
        .map(|(row, seq)| Published { seq: u64::try_from(*seq).unwrap_or(0), row: row.clone() })
        .collect()
}

#[expect(clippy::cast_precision_loss, reason = "a metric; batches are small")]
fn as_f64(count: usize) -> f64 {
    count as f64
}
