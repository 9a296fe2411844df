//! How far jobs have read the lists of others. A cursor that is lost or old costs reading again:
//! whoever reads takes each row once.

use ibora_domain::units::UnixMillis;
use sqlx::Error;
use time::OffsetDateTime;

use super::{moment, timestamp};
use crate::db::Db;

/// The cursors of all jobs.
pub struct Cursors {
    db: Db,
}

impl Cursors {
    pub(super) const fn new(db: Db) -> Self {
        Self { db }
    }

    /// How far a list was read; none where it never was.
    ///
    /// # Errors
    /// Whatever the database reports.
    pub async fn at(&self, name: &str) -> Result<Option<UnixMillis>, Error> {
        let upto: Option<OffsetDateTime> =
            sqlx::query_scalar("SELECT upto FROM job_cursors WHERE name = $1")
                .bind(name)
                .fetch_optional(&self.db)
                .await?;
        Ok(upto.map(moment))
    }

    /// A list was read so far.
    ///
    /// # Errors
    /// Whatever the database reports.
    pub async fn move_to(&self, name: &str, upto: UnixMillis) -> Result<(), Error> {
        sqlx::query(
            "INSERT INTO job_cursors AS c (name, upto) VALUES ($1, $2)
             ON CONFLICT (name) DO UPDATE SET upto = greatest(c.upto, excluded.upto)",
        )
        .bind(name)
        .bind(timestamp(upto))
        .execute(&self.db)
        .await?;
        Ok(())
    }
}
