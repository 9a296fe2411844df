//! The journal: the one place that writes the database.
//!
//! Rooms hand it rows, it answers when they are committed. All rows of one call are stored
//! together or not at all.

mod account_rows;

use sqlx::PgPool;
use thiserror::Error;

pub use account_rows::{
    AccountRow, AuditRow, FamilyRow, ReviewRow, RotationRow, UserRow, VehicleRow,
};

/// Why rows were not stored.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CommitError {
    #[error("refused by {constraint:?}")]
    Refused { constraint: Option<String> },
    #[error("the database did not answer")]
    Unavailable,
    #[error("too much to write")]
    Overloaded,
    #[error("another engine owns this shard")]
    Fenced,
}

/// Writes rows.
#[derive(Debug)]
pub struct Journal {
    pool: PgPool,
}

impl Journal {
    /// A journal that writes through `pool`.
    #[must_use]
    pub const fn new(pool: PgPool) -> Self {
        Self { pool }
    }

    /// Stores `rows` in one transaction; answers after its commit.
    ///
    /// # Errors
    /// [`CommitError`]; nothing is stored then, save that `Unavailable` leaves it open.
    pub async fn record_account(&self, rows: Vec<AccountRow>) -> Result<(), CommitError> {
        self.write(&rows)
            .await
            .map_err(|error| match error.as_database_error() {
                Some(refusal) => CommitError::Refused {
                    constraint: refusal.constraint().map(str::to_owned),
                },
                None => CommitError::Unavailable,
            })
    }

    async fn write(&self, rows: &[AccountRow]) -> Result<(), sqlx::Error> {
        let mut transaction = self.pool.begin().await?;
        for row in rows {
            row.write(&mut transaction).await?;
        }
        transaction.commit().await
    }
}
