//! Entries of the audit trail as rows. For the journal alone, which writes them in the transaction
//! of what they speak of: those of decisions with their batch, those of accounts among their rows.

use ibora_domain::facts::{AuditRow, Origin};
use ibora_domain::ids::Shard;
use ibora_domain::person::Role;
use sqlx::PgConnection;
use uuid::Uuid;

use super::batch::each;
use super::timestamp;

/// Writes entries by one statement in the caller's transaction.
///
/// # Errors
/// What the database reports.
pub(super) async fn write(
    connection: &mut PgConnection,
    rows: &[&AuditRow],
) -> Result<(), sqlx::Error> {
    let origin = |row: &AuditRow, part: fn(&Origin) -> &Option<String>| {
        row.origin.as_deref().and_then(|origin| part(origin).clone())
    };
    let shard = |row: &&AuditRow| Shard::of(row.act.entity_id).number().cast_signed();
    sqlx::query(
        "INSERT INTO audit_logs
             (id, shard, action, entity_type, entity_id, user_id, user_type, ip_address,
              user_agent, request_id, changes, at)
         SELECT u.id, u.shard, u.action, u.kind, u.entity, u.who, u.role, u.ip::inet, u.agent,
                u.request, u.changes::jsonb, u.at
         FROM unnest($1::uuid[], $2::smallint[], $3::text[], $4::text[], $5::uuid[], $6::uuid[],
                     $7::text[], $8::text[], $9::text[], $10::text[], $11::text[],
                     $12::timestamptz[])
             AS u(id, shard, action, kind, entity, who, role, ip, agent, request, changes, at)",
    )
    .bind(each(rows, |_| Uuid::now_v7()))
    .bind(each(rows, shard))
    .bind(each(rows, |row| row.act.action))
    .bind(each(rows, |row| row.act.entity_type))
    .bind(each(rows, |row| row.act.entity_id))
    .bind(each(rows, |row| row.by.map(|(user, _)| user.0)))
    .bind(each(rows, |row| row.by.map_or("system", |(_, role)| Role::as_str(role))))
    .bind(each(rows, |row| origin(row, |origin| &origin.address)))
    .bind(each(rows, |row| origin(row, |origin| &origin.user_agent)))
    .bind(each(rows, |row| origin(row, |origin| &origin.request_id)))
    .bind(each(rows, |row| row.act.changes.to_string()))
    .bind(each(rows, |row| timestamp(row.at)))
    .execute(connection)
    .await?;
    Ok(())
}
