//! Questions about the audit trail: what people did, and what was booked, as one list.

use ibora_domain::ids::UserId;
use ibora_domain::units::{UnixMillis, rfc3339};
use serde::Serialize;
use sqlx::FromRow;
use uuid::Uuid;

use super::{Page, People, ReadError};

/// Which entries are listed.
#[derive(Debug, Clone, Default)]
pub struct AuditFilter {
    pub action: Option<String>,
    pub entity_type: Option<String>,
    pub entity_id: Option<Uuid>,
    pub user: Option<UserId>,
    pub from: Option<UnixMillis>,
    /// Before this moment.
    pub to: Option<UnixMillis>,
}

/// One line of the audit trail, in the shape of the public contract.
#[derive(Debug, Serialize)]
pub struct AuditEntry {
    pub id: Uuid,
    pub action: String,
    pub entity_type: String,
    pub entity_id: Uuid,
    pub user_id: Option<UserId>,
    pub user_type: String,
    pub ip_address: Option<String>,
    pub user_agent: Option<String>,
    pub request_id: Option<String>,
    pub changes: serde_json::Value,
    #[serde(serialize_with = "rfc3339")]
    pub at: UnixMillis,
}

impl People {
    /// The audit trail, the newest first.
    ///
    /// # Errors
    /// [`ReadError`]; `Cursor` for one that this list did not give.
    pub async fn audit(
        &self,
        filter: &AuditFilter,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<Page<AuditEntry>, ReadError> {
        let limit = limit.clamp(1, 100);
        let (before, before_id) = match cursor {
            Some(text) => audit_cursor(text).ok_or(ReadError::Cursor)?,
            None => (LATEST_US, Uuid::max()),
        };
        let us = |at: UnixMillis| at.0.saturating_mul(1000).clamp(0, LATEST_US);
        let rows: Vec<AuditRecord> = sqlx::query_as(
            "SELECT id, action, entity_type, entity_id, user_id, user_type, ip_address, user_agent,
                    request_id, changes, (extract(epoch FROM at) * 1000000)::bigint AS at
             FROM audit_trail
             WHERE (at, id) < (to_timestamp(0) + $1 * interval '1 microsecond', $2)
               AND at >= to_timestamp(0) + $4 * interval '1 microsecond'
               AND at < to_timestamp(0) + $5 * interval '1 microsecond'
               AND ($6::text IS NULL OR action = $6)
               AND ($7::text IS NULL OR entity_type = $7)
               AND ($8::uuid IS NULL OR entity_id = $8)
               AND ($9::uuid IS NULL OR user_id = $9)
             ORDER BY at DESC, id DESC LIMIT $3",
        )
        .bind(before)
        .bind(before_id)
        .bind(i64::from(limit) + 1)
        .bind(filter.from.map_or(0, us))
        .bind(filter.to.map_or(LATEST_US, us))
        .bind(filter.action.as_deref())
        .bind(filter.entity_type.as_deref())
        .bind(filter.entity_id)
        .bind(filter.user.map(|user| user.0))
        .fetch_all(&self.db)
        .await?;
        let page = Page::cut(rows, limit as usize, |row| format!("{}.{}", row.at, row.id));
        let items: Result<Vec<_>, _> = page.items.into_iter().map(AuditRecord::entry).collect();
        Ok(Page { items: items?, next_cursor: page.next_cursor })
    }
}

/// 9999-01-01, later than any entry, in microseconds: the database keeps those.
const LATEST_US: i64 = 253_370_764_800_000_000;

fn audit_cursor(text: &str) -> Option<(i64, Uuid)> {
    let (at, id) = text.split_once('.')?;
    let at = at.parse().ok().filter(|us| (0..=LATEST_US).contains(us))?;
    Some((at, Uuid::try_parse(id).ok()?))
}

#[derive(FromRow)]
struct AuditRecord {
    id: Uuid,
    action: String,
    entity_type: String,
    entity_id: Uuid,
    user_id: Option<Uuid>,
    user_type: String,
    ip_address: Option<String>,
    user_agent: Option<String>,
    request_id: Option<String>,
    changes: String,
    at: i64,
}

impl AuditRecord {
    fn entry(self) -> Result<AuditEntry, ReadError> {
        let changes = serde_json::from_str(&self.changes)
            .map_err(|_| ReadError::Corrupt { what: "audit entry" })?;
        Ok(AuditEntry {
            id: self.id,
            action: self.action,
            entity_type: self.entity_type,
            entity_id: self.entity_id,
            user_id: self.user_id.map(UserId),
            user_type: self.user_type,
            ip_address: self.ip_address,
            user_agent: self.user_agent,
            request_id: self.request_id,
            changes,
            at: UnixMillis(self.at / 1000),
        })
    }
}
