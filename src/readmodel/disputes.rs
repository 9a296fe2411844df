//! Questions about disputes. Who may see one the dispute itself says (`Dispute::is_of`); lists are
//! cut to the same.

use ibora_domain::dispute::{Dispute, shown};
use ibora_domain::facts::Done;
use ibora_domain::ids::{DisputeId, UserId};
use ibora_domain::person::Role;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use uuid::Uuid;

use super::rides::Rides;
use super::{Page, ReadError};

/// Who asks.
type Reader = (UserId, Role);

impl Rides {
    /// A dispute as it is shown, with what was said to it; `None` where there is none, or not for
    /// who asks.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn dispute(
        &self,
        id: DisputeId,
        (user, role): Reader,
    ) -> Result<Option<Done>, ReadError> {
        let state: Option<String> = sqlx::query_scalar("SELECT state FROM disputes WHERE id = $1")
            .bind(id.0)
            .fetch_optional(self.db())
            .await?;
        let dispute = state.as_deref().map(read).transpose()?;
        let Some(dispute) = dispute.filter(|dispute| dispute.is_of(user, role)) else {
            return Ok(None);
        };
        let said: Vec<(i32, String, String, OffsetDateTime)> = sqlx::query_as(
            "SELECT number, role, body, at FROM dispute_evidence WHERE dispute_id = $1
             ORDER BY number",
        )
        .bind(id.0)
        .fetch_all(self.db())
        .await?;
        let evidence: Vec<_> = said
            .into_iter()
            .map(|(number, by, text, at)| {
                let at = at.format(&Rfc3339).unwrap_or_default();
                json!({"number": number, "by": by, "text": text, "at": at})
            })
            .collect();
        let mut view: Map<String, Value> = serde_json::from_str(&shown(&dispute))
            .map_err(|_| ReadError::Corrupt { what: "dispute" })?;
        view.insert("evidence".to_owned(), evidence.into());
        let body = Value::Object(view).to_string().into();
        Ok(Some(Done { version: dispute.version, body }))
    }

    /// Disputes that who asks may see, the newest first: of one status, or any.
    ///
    /// # Errors
    /// [`ReadError`]; `Cursor` for one that this list did not give.
    pub async fn disputes(
        &self,
        (user, role): Reader,
        status: Option<&str>,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<Page<Box<RawValue>>, ReadError> {
        let limit = limit.clamp(1, 100);
        let (micros, before) = match cursor {
            Some(text) => parse(text).ok_or(ReadError::Cursor)?,
            None => (i64::MAX, Uuid::max()),
        };
        let rows: Vec<(i64, Uuid, String)> = sqlx::query_as(
            "SELECT at, id, state FROM (
                 SELECT (extract(epoch FROM opened_at) * 1000000)::bigint AS at, id, state, status,
                        passenger_id, driver_id, kind FROM disputes) d
             WHERE ($1 = 'admin' OR $1 = 'driver' AND driver_id = $2
                    OR $1 = 'passenger' AND passenger_id = $2 AND kind = 'contested')
               AND ($3::text IS NULL OR status = $3) AND (at, id) < ($4, $5)
             ORDER BY at DESC, id DESC LIMIT $6",
        )
        .bind(role.as_str())
        .bind(user.0)
        .bind(status)
        .bind(micros)
        .bind(before)
        .bind(i64::from(limit) + 1)
        .fetch_all(self.db())
        .await?;
        let page = Page::cut(rows, limit as usize, |(at, id, _)| format!("{at}.{id}"));
        let json = |(_, _, state): (i64, Uuid, String)| {
            RawValue::from_string(shown(&read(&state)?))
                .map_err(|_| ReadError::Corrupt { what: "dispute" })
        };
        let items = page.items.into_iter().map(json).collect::<Result<_, _>>()?;
        Ok(Page { items, next_cursor: page.next_cursor })
    }
}

fn parse(cursor: &str) -> Option<(i64, Uuid)> {
    let (at, id) = cursor.split_once('.')?;
    Some((at.parse().ok()?, Uuid::try_parse(id).ok()?))
}

fn read(state: &str) -> Result<Dispute, ReadError> {
    serde_json::from_str(state).map_err(|_| ReadError::Corrupt { what: "dispute" })
}
