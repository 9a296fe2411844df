//! What is handed to the journal, and who is told of its outcome.

use std::fmt;

use ibora_domain::facts::{Decision, Entity};
use tokio::sync::oneshot;

use super::CommitError;
use super::account_rows::AccountRow;

/// What became of an append.
pub(crate) type Outcome = Result<(), CommitError>;

/// Something to record, whole.
pub(crate) struct Append {
    pub(super) content: Content,
    /// Which life of the entity decided this. After a lost append the rest of that life is refused,
    /// for it rests on what was lost.
    pub(super) life: u64,
    pub(super) since: std::time::Instant,
    done: Box<dyn FnOnce(Outcome) + Send + Sync>,
}

pub(super) enum Content {
    Decision(Box<Decision>),
    Accounts(Vec<AccountRow>),
    /// Records nothing, and overtakes nothing; its outcome says that all before it have theirs.
    Barrier,
}

impl Append {
    /// Something to record; `done` is called once, from the writer, and must not wait.
    pub(super) fn new(
        content: Content,
        life: u64,
        done: impl FnOnce(Outcome) + Send + Sync + 'static,
    ) -> Self {
        Self { content, life, since: std::time::Instant::now(), done: Box::new(done) }
    }

    /// A decision of one life of its entity.
    pub(crate) fn decision(
        decision: Box<Decision>,
        life: u64,
        done: impl FnOnce(Outcome) + Send + Sync + 'static,
    ) -> Self {
        Self::new(Content::Decision(decision), life, done)
    }

    pub(super) fn barrier() -> (Self, oneshot::Receiver<Outcome>) {
        let (sender, done) = oneshot::channel();
        let append = Self::new(Content::Barrier, 0, move |outcome| {
            sender.send(outcome).ok();
        });
        (append, done)
    }

    pub(super) fn entity(&self) -> Option<Entity> {
        match &self.content {
            Content::Decision(decision) => Some(decision.entity),
            Content::Accounts(_) | Content::Barrier => None,
        }
    }

    pub(super) fn decided(&self) -> Option<&Decision> {
        match &self.content {
            Content::Decision(decision) => Some(decision),
            Content::Accounts(_) | Content::Barrier => None,
        }
    }

    pub(super) fn account_rows(&self) -> &[AccountRow] {
        match &self.content {
            Content::Accounts(rows) => rows,
            Content::Decision(_) | Content::Barrier => &[],
        }
    }

    /// Tells the asker.
    pub(super) fn finish(self, outcome: Outcome) {
        (self.done)(outcome);
    }
}

impl fmt::Debug for Append {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Append").field("entity", &self.entity()).finish_non_exhaustive()
    }
}
