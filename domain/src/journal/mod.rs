//! What the journal decides: numbers, claims, who may still record, and whose the shards are.
//!
//! Pure, as everything here: the writer of `src/journal` and the simulator's both ask these types,
//! and do what they say to a database or to a model of one.

mod deadlines;
mod inquiry;
mod lease;
mod lives;
mod numbers;

use thiserror::Error;

pub use deadlines::due_at_start;
pub use inquiry::{Heard, Inquiry, Question, seal_of};
pub use lease::{Lease, RENEWALS, Standing};
pub use lives::{Fate, Lives, Verdict};
pub use numbers::{Head, Numbered, Numbers};

/// Why something was not recorded.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CommitError {
    /// The database refuses what it says; asking again changes nothing.
    #[error("refused by {constraint:?}")]
    Refused { constraint: Option<String> },
    #[error("not recorded: the database does not answer, or an earlier record was lost")]
    Unavailable,
    #[error("not recorded: too much is waiting to be written")]
    Overloaded,
    #[error("not recorded: another engine owns this shard")]
    Fenced,
}

impl CommitError {
    /// The constraint that refused it.
    #[must_use]
    pub fn constraint(&self) -> Option<&str> {
        match self {
            Self::Refused { constraint } => constraint.as_deref(),
            Self::Unavailable | Self::Overloaded | Self::Fenced => None,
        }
    }
}
