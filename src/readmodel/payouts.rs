//! Questions about payouts. Whose they may be is the caller's to say.

use ibora_domain::facts::Done;
use ibora_domain::ids::{DriverId, PayoutId};
use ibora_domain::payout::Payout;
use serde_json::value::RawValue;
use uuid::Uuid;

use super::rides::Rides;
use super::{Page, ReadError};

impl Rides {
    /// A payout as it is shown; `None` where there is none, or not this driver's.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn payout(
        &self,
        id: PayoutId,
        driver: Option<DriverId>,
    ) -> Result<Option<Done>, ReadError> {
        let state: Option<String> = sqlx::query_scalar(
            "SELECT state FROM payouts WHERE id = $1 AND ($2::uuid IS NULL OR driver_id = $2)",
        )
        .bind(id.0)
        .bind(driver.map(|driver| driver.0))
        .fetch_optional(self.db())
        .await?;
        let Some(payout) = state.as_deref().map(read).transpose()? else { return Ok(None) };
        Ok(Some(Done { version: payout.version, body: payout.json().into() }))
    }

    /// Payouts, the newest first: of one driver or all, of one status or any.
    ///
    /// # Errors
    /// [`ReadError`]; `Cursor` for one that this list did not give.
    pub async fn payouts(
        &self,
        (driver, status): (Option<DriverId>, Option<&str>),
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<Page<Box<RawValue>>, ReadError> {
        let limit = limit.clamp(1, 100);
        let before = match cursor {
            Some(text) => Uuid::try_parse(text).map_err(|_| ReadError::Cursor)?,
            None => Uuid::max(),
        };
        let rows: Vec<(Uuid, String)> = sqlx::query_as(
            "SELECT id, state FROM payouts
             WHERE ($1::uuid IS NULL OR driver_id = $1) AND ($2::text IS NULL OR status = $2)
               AND id < $3 ORDER BY id DESC LIMIT $4",
        )
        .bind(driver.map(|driver| driver.0))
        .bind(status)
        .bind(before)
        .bind(i64::from(limit) + 1)
        .fetch_all(self.db())
        .await?;
        let page = Page::cut(rows, limit as usize, |(id, _)| id.to_string());
        let shown = |(_, state): (Uuid, String)| {
            let json = read(&state)?.json();
            RawValue::from_string(json).map_err(|_| ReadError::Corrupt { what: "payout" })
        };
        let items = page.items.into_iter().map(shown).collect::<Result<_, _>>()?;
        Ok(Page { items, next_cursor: page.next_cursor })
    }
}

fn read(state: &str) -> Result<Payout, ReadError> {
    serde_json::from_str(state).map_err(|_| ReadError::Corrupt { what: "payout" })
}
