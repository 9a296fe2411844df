//! What this room writes into the audit trail. No personal data: an entry outlives the account.

use ibora_domain::units::UnixMillis;
use uuid::Uuid;

use super::options::Caller;
use crate::journal::AuditRow;

/// Longest user agent and request id that the trail keeps, in characters.
const TEXT_CHARS_MAX: usize = 256;

/// What was done to what.
pub(super) struct Act {
    pub(super) action: &'static str,
    pub(super) entity_type: &'static str,
    pub(super) entity_id: Uuid,
    pub(super) changes: serde_json::Value,
}

impl Caller {
    /// The entry that says that this caller did this.
    pub(super) fn audit(&self, act: Act, at: UnixMillis) -> AuditRow {
        AuditRow {
            action: act.action,
            entity_type: act.entity_type,
            entity_id: act.entity_id,
            user: self.principal.map(|(user, _)| user),
            role: self.principal.map(|(_, role)| role),
            ip: self.ip,
            user_agent: self.user_agent.as_deref().map(printable),
            request_id: self.request_id.as_deref().map(printable),
            changes: act.changes,
            at,
        }
    }
}

/// The beginning of a text that a client chose, without control characters.
fn printable(text: &str) -> String {
    text.chars().filter(|symbol| !symbol.is_control()).take(TEXT_CHARS_MAX).collect()
}
