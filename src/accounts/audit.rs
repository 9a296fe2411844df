//! What this room writes into the audit trail. No personal data: an entry outlives the account.

use std::sync::Arc;

pub(super) use ibora_domain::facts::Act;
use ibora_domain::facts::{AuditRow, Origin};
use ibora_domain::units::UnixMillis;

use super::options::Caller;

/// Longest user agent and request id that the trail keeps, in characters.
const TEXT_CHARS_MAX: usize = 256;

impl Caller {
    /// The entry that says that this caller did this.
    pub(super) fn audit(&self, act: Act, at: UnixMillis) -> AuditRow {
        let origin = Origin {
            address: self.ip.map(|ip| ip.to_string()),
            user_agent: self.user_agent.as_deref().map(printable),
            request_id: self.request_id.as_deref().map(printable),
        };
        AuditRow { act, by: self.principal, origin: Some(Arc::new(origin)), at }
    }
}

/// The beginning of a text that a client chose, without control characters.
fn printable(text: &str) -> String {
    text.chars().filter(|symbol| !symbol.is_control()).take(TEXT_CHARS_MAX).collect()
}
