//! The Pix key that a driver is paid to.
//!
//! Who changes it says his password once more, and is paid to the new key only when it has cooled:
//! who has stolen a phone, or a token, has not stolen the money. The audit entry is in the commit
//! of the change and names no key.

use ibora_domain::ids::DriverId;
use ibora_domain::pix::{PixKey, PixKeyKind};
use ibora_domain::units::{UnixMillis, rfc3339};
use secrecy::SecretString;
use serde::Serialize;
use serde_json::json;

use super::Accounts;
use super::audit::Act;
use super::error::{AccountError, FieldError};
use super::options::Caller;
use crate::journal::{AccountRow, PixKeyRow};
use crate::readmodel::UserStatus;

/// What a driver sends to be paid to a key.
pub struct PixKeyForm {
    pub pix_key: String,
    pub password: SecretString,
}

/// A driver's key, as only he sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PixKeyView {
    pub kind: PixKeyKind,
    pub pix_key: PixKey,
    #[serde(serialize_with = "rfc3339")]
    pub usable_from: UnixMillis,
}

impl Accounts {
    /// Makes a key the one that a driver is paid to; `now` is domain time. The first is good at
    /// once, one that replaces another has to cool. The same key again changes nothing.
    ///
    /// # Errors
    /// `Invalid` for what is no key, `InvalidCredentials` for another password, `NotFound` for who
    /// is no driver, `Overloaded`, `Unavailable`.
    pub async fn set_pix_key(
        &self,
        caller: &Caller,
        driver: DriverId,
        form: PixKeyForm,
        now: UnixMillis,
    ) -> Result<PixKeyView, AccountError> {
        let (key, kind) = PixKey::of_person(&form.pix_key).map_err(|error| {
            AccountError::Invalid(vec![FieldError::new(
                "pix_key",
                "invalid_format",
                error.to_string(),
            )])
        })?;
        self.check_password(driver, form.password).await?;
        // Twice: whoever loses against another change decides again on what that one left.
        for _ in 0..2 {
            let present = self.people.pix_key(driver).await?;
            if let Some(present) = present.as_ref().filter(|present| present.key == key) {
                let usable_from = present.usable_from;
                return Ok(PixKeyView { kind, pix_key: key, usable_from });
            }
            let cooling = present.as_ref().map(|_| self.pix_key_cooling);
            let row = PixKeyRow {
                driver,
                version: present.as_ref().map_or(0, |present| present.version) + 1,
                kind,
                key: key.clone(),
                set_at: now,
                usable_from: cooling.map_or(now, |cooling| now + cooling),
            };
            let view = PixKeyView { kind, pix_key: key.clone(), usable_from: row.usable_from };
            let act = Act {
                action: "set_pix_key",
                entity_type: "driver",
                entity_id: driver.0,
                changes: json!({
                    "kind": { "from": present.map(|present| present.kind), "to": kind },
                    "usable_from": row.usable_from.to_string(),
                }),
            };
            let audit = AccountRow::Audit(caller.audit(act, self.now()));
            match self.store(vec![AccountRow::PixKeySet(row), audit]).await? {
                Ok(()) => return Ok(view),
                Err(constraint) => match constraint.as_str() {
                    "driver_pix_keys_pkey" => {}
                    "driver_pix_keys_driver_fkey" => return Err(AccountError::NotFound),
                    _ => return Err(AccountError::NotStored { constraint: Some(constraint) }),
                },
            }
        }
        Err(AccountError::Overloaded)
    }

    /// That this is the password of who asks: a token alone shall not be enough.
    async fn check_password(
        &self,
        driver: DriverId,
        password: SecretString,
    ) -> Result<(), AccountError> {
        let account = self.people.credentials_of(driver.into()).await?;
        let kept = account.as_ref().and_then(|account| account.password_hash.clone());
        let right = self.passwords.verify(password, kept).await?;
        let active = account.is_some_and(|account| account.status == UserStatus::Active);
        (right && active).then_some(()).ok_or(AccountError::InvalidCredentials)
    }
}
