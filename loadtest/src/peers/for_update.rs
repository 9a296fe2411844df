//! The row lock: `SELECT ... FOR UPDATE`, look, write, commit; one statement a table, as people
//! write it.

use super::statements::{open_ride, store_rest};
use super::{Call, Desk, Peer};
use crate::facts::Step;

/// Locks the ride's row.
pub(crate) struct ForUpdate {
    desk: Desk,
}

impl ForUpdate {
    pub(crate) const NAME: &'static str = "for_update";

    pub(crate) fn new(desk: Desk) -> Self {
        Self { desk }
    }
}

impl Peer for ForUpdate {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn desk(&self) -> &Desk {
        &self.desk
    }

    async fn step(&self, call: &Call<'_>) -> anyhow::Result<bool> {
        let mut transaction = self.desk.pool.begin().await?;
        if call.step == Step::Request {
            open_ride(&mut transaction, &self.desk, call).await?;
            transaction.commit().await?;
            return Ok(true);
        }
        let (status, version): (String, i64) =
            sqlx::query_as("SELECT status, version FROM rides WHERE id = $1 FOR UPDATE")
                .bind(call.ride)
                .fetch_one(&mut *transaction)
                .await?;
        if status != call.step.from() {
            transaction.rollback().await?;
            return Ok(false);
        }
        let facts = self.desk.script.facts(call.step);
        sqlx::query(
            "UPDATE rides SET status = $2, driver_id = $3, version = $4, state = $5 WHERE id = $1",
        )
        .bind(call.ride)
        .bind(call.step.to())
        .bind(call.driver)
        .bind(version + 1)
        .bind(&facts.state)
        .execute(&mut *transaction)
        .await?;
        store_rest(&mut transaction, &self.desk, call, version + 1).await?;
        transaction.commit().await?;
        Ok(true)
    }
}
