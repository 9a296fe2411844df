//! Commands that no actor decides (reviews, vehicles), done once by the same keys as all others.

use ibora_domain::facts::{Answer, CommandKey};
use ibora_domain::ids::DriverId;
use ibora_domain::refusal::Refusal;

use super::commands::RunningGuard;
use super::{Command, Dispatch};

impl Dispatch {
    /// Takes a key for as long as the guard lives; no other command runs under it meanwhile.
    ///
    /// # Errors
    /// `IdempotencyInProgress` where one does.
    pub fn running(&self, key: &CommandKey) -> Result<RunningGuard<'_>, Refusal> {
        self.running.enter(key).ok_or(Refusal::IdempotencyInProgress)
    }

    /// The recorded answer to a command; `None` where there is none.
    ///
    /// # Errors
    /// `IdempotencyKeyReused` where the key was used for another one, `Unavailable`.
    pub async fn answered(&self, key: &CommandKey) -> Result<Option<Answer>, Refusal> {
        let stored = self.journal().records().answer(key.principal, &key.id).await;
        match stored {
            Ok(Some((fingerprint, _))) if fingerprint != key.fingerprint => {
                Err(Refusal::IdempotencyKeyReused)
            }
            Ok(stored) => Ok(stored.map(|(_, answer)| answer)),
            Err(error) => {
                tracing::warn!(%error, "a recorded answer was not read");
                Err(Refusal::Unavailable)
            }
        }
    }

    /// A driver's account was changed in the records: his actor reads it anew.
    ///
    /// # Errors
    /// `Unavailable`; asking again with the same key does this part again.
    pub async fn driver_changed(&self, driver: DriverId) -> Result<(), Refusal> {
        let profile = self.journal().records().driver_profile(driver).await;
        let profile = profile.map_err(|error| {
            tracing::warn!(%error, "a changed driver was not read");
            Refusal::Unavailable
        })?;
        if let Some(profile) = profile {
            self.driver_account(driver, profile);
        }
        Ok(())
    }
}

impl Command {
    /// What makes two commands the same: a digest of op, entity and parsed fields.
    #[must_use]
    pub fn fingerprint_of(command: &serde_json::Value) -> i64 {
        super::commands::digest(command.to_string().as_bytes())
    }
}
