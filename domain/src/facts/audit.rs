//! Entries of the audit trail: who did what to what. Machines and accounts make them, the journal
//! writes them in the commit of what they speak of.
//!
//! Nothing personal is in one: it outlives the accounts that it names by id.

use std::fmt;
use std::sync::Arc;

use serde_json::Value;
use uuid::Uuid;

use crate::ids::UserId;
use crate::machines::Ask;
use crate::person::Role;
use crate::units::UnixMillis;

/// From where somebody asked.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Origin {
    pub address: Option<String>,
    pub user_agent: Option<String>,
    /// The name under which the logs know the request.
    pub request_id: Option<String>,
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Origin({})", self.request_id.as_deref().unwrap_or("unnamed"))
    }
}

/// What was done to what.
#[derive(Clone, PartialEq)]
pub struct Act {
    pub action: &'static str,
    pub entity_type: &'static str,
    pub entity_id: Uuid,
    /// What was before and what is after, as an object.
    pub changes: Value,
}

impl fmt::Debug for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Act({} {} {})", self.action, self.entity_type, self.entity_id)
    }
}

/// Who did it, from where, and when.
#[derive(Debug, Clone, PartialEq)]
pub struct AuditRow {
    pub act: Act,
    /// `None`: the system itself, as from the command line.
    pub by: Option<(UserId, Role)>,
    pub origin: Option<Arc<Origin>>,
    pub at: UnixMillis,
}

impl AuditRow {
    /// The system did it by itself.
    #[must_use]
    pub const fn of_system(act: Act, at: UnixMillis) -> Self {
        Self { act, by: None, origin: None, at }
    }
}

impl<R> Ask<R> {
    /// The entry that says that whoever asks this did `act`, being `role`.
    #[must_use]
    pub fn audit(&self, role: Role, act: Act, at: UnixMillis) -> AuditRow {
        AuditRow { act, by: Some((self.by, role)), origin: self.origin.clone(), at }
    }
}
