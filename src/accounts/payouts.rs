//! The switch that stops all payouts: turned off by the engine itself where its books are wrong, by
//! an admin at will, and on again by an admin alone. Each turn is audited.

use ibora_domain::units::{UnixMillis, rfc3339_option};
use serde::Serialize;
use serde_json::json;
use uuid::Uuid;

use super::Accounts;
use super::audit::Act;
use super::error::{AccountError, FieldError};
use super::options::Caller;
use crate::journal::{AccountRow, PayoutSwitchRow};

/// Longest reason, in characters.
const REASON_CHARS_MAX: usize = 500;

/// Whether payouts go out, in the shape of the public contract.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PayoutSwitch {
    pub stopped: bool,
    pub reason: Option<String>,
    /// Since when; `null` where it was never turned.
    #[serde(serialize_with = "rfc3339_option")]
    pub at: Option<UnixMillis>,
}

impl Accounts {
    /// Whether payouts go out.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn payout_switch(&self) -> Result<PayoutSwitch, AccountError> {
        let turned = self.people.payout_switch().await?;
        Ok(match turned {
            Some((stopped, reason, at)) => {
                PayoutSwitch { stopped, reason: Some(reason), at: Some(at) }
            }
            None => PayoutSwitch { stopped: false, reason: None, at: None },
        })
    }

    /// Stops all payouts, or lets them go out again. What is already so stays so, unaudited.
    ///
    /// # Errors
    /// `Forbidden`, `Invalid` for the reason, `Overloaded`, `Unavailable`.
    pub async fn switch_payouts(
        &self,
        caller: &Caller,
        stopped: bool,
        reason: &str,
    ) -> Result<PayoutSwitch, AccountError> {
        if !caller.is_admin() {
            return Err(AccountError::Forbidden);
        }
        let reason = reason.trim();
        let chars = reason.chars().count();
        if !(1..=REASON_CHARS_MAX).contains(&chars) || reason.chars().any(char::is_control) {
            let detail = "1 to 500 characters, none of which controls anything";
            let fault = FieldError::new("reason", "out_of_range", detail);
            return Err(AccountError::Invalid(vec![fault]));
        }
        let present = self.payout_switch().await?;
        if present.stopped == stopped {
            return Ok(present);
        }
        let at = self.now();
        let act = Act {
            action: if stopped { "stop_payouts" } else { "resume_payouts" },
            entity_type: "platform",
            entity_id: Uuid::nil(),
            changes: json!({
                "stopped": { "from": present.stopped, "to": stopped },
                "reason": reason,
            }),
        };
        let by = caller.principal.map(|(user, _)| user);
        let row = PayoutSwitchRow { stopped, reason: reason.to_owned(), by, at };
        let rows = vec![AccountRow::PayoutsSwitched(row), AccountRow::Audit(caller.audit(act, at))];
        self.store(rows)
            .await?
            .map_err(|constraint| AccountError::NotStored { constraint: Some(constraint) })?;
        Ok(PayoutSwitch { stopped, reason: Some(reason.to_owned()), at: Some(at) })
    }
}
