//! The notices in the inbox on their way: handed to whom they are about, looked at again until what
//! they tell is booked, or known to be false.

use ibora_domain::pix::EndToEndId;
use ibora_domain::provider::Fate;
use sqlx::{Error, FromRow};
use uuid::Uuid;

use super::inbox::Inbox;

/// A try counts and puts the next look off: 1 s, 3 s, 10 s, a minute, then ten.
const TAKE: &str = "
    UPDATE pix_notices n SET
        state = CASE n.state WHEN 'new' THEN 'handed' ELSE n.state END,
        tries = n.tries + 1,
        due_at = now() + (ARRAY[1, 3, 10, 60, 600])[least(n.tries + 1, 5)] * interval '1 s'
    FROM (
        SELECT id FROM pix_notices WHERE state IN ('new', 'handed', 'parked')
            AND (state = 'new') = $1 AND due_at <= now()
        ORDER BY due_at LIMIT $2 FOR UPDATE SKIP LOCKED
    ) due
    WHERE n.id = due.id
    RETURNING n.id, n.kind, n.e2e_id, n.part, n.status, n.body, n.tries, n.confirmed";

/// A notice that somebody looks at.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct Notice {
    pub id: Uuid,
    pub kind: String,
    #[sqlx(try_from = "String")]
    pub e2e_id: EndToEndId,
    pub part: String,
    pub status: String,
    /// As it came, in JSON.
    pub body: String,
    /// How often it was taken, this time among them.
    pub tries: i32,
    /// The provider says so itself.
    pub confirmed: bool,
}

impl Inbox {
    /// Takes up what an earlier start left: whatever was handed on then, nobody remembers.
    ///
    /// # Errors
    /// Whatever the database reports.
    pub async fn take_up(&self) -> Result<(), Error> {
        sqlx::query(
            "UPDATE pix_notices SET state = 'new', due_at = now()
             WHERE state IN ('handed', 'parked')",
        )
        .execute(&self.db)
        .await?;
        Ok(())
    }

    /// Takes notices that are due: those that are new, or those that wait.
    ///
    /// # Errors
    /// Whatever the database reports.
    pub async fn take(&self, new: bool, count: u32) -> Result<Vec<Notice>, Error> {
        sqlx::query_as(TAKE).bind(new).bind(i64::from(count)).fetch_all(&self.db).await
    }

    /// Says what becomes of notices.
    ///
    /// # Errors
    /// Whatever the database reports.
    pub async fn settle(&self, ids: &[Uuid], fate: Fate) -> Result<(), Error> {
        if ids.is_empty() {
            return Ok(());
        }
        sqlx::query(
            "UPDATE pix_notices SET state = $2, confirmed = confirmed OR $2 = 'parked'
             WHERE id = ANY ($1) AND state IN ('new', 'handed', 'parked')",
        )
        .bind(ids)
        .bind(fate.as_str())
        .execute(&self.db)
        .await?;
        Ok(())
    }

    /// Which of these financial events there are, by their keys.
    ///
    /// # Errors
    /// Whatever the database reports.
    pub async fn booked(&self, keys: &[String]) -> Result<Vec<String>, Error> {
        sqlx::query_scalar("SELECT key FROM financial_events WHERE key = ANY ($1)")
            .bind(keys)
            .fetch_all(&self.db)
            .await
    }

    /// How many notices wait, by their state.
    ///
    /// # Errors
    /// Whatever the database reports.
    pub async fn waiting(&self) -> Result<Vec<(String, i64)>, Error> {
        sqlx::query_as(
            "SELECT state, count(*) FROM pix_notices
             WHERE state IN ('new', 'handed', 'parked') GROUP BY state",
        )
        .fetch_all(&self.db)
        .await
    }
}
