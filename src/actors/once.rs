//! Commands that no actor decides (reviews, vehicles), done once by the same keys as all others.

use ibora_domain::facts::{Answer, CommandKey};
use ibora_domain::ids::DriverId;
use ibora_domain::machines::{DriverInput, Envelope};
use ibora_domain::person::Role;
use ibora_domain::refusal::Refusal;

use super::commands::RunningGuard;
use super::{Caller, Command, Dispatch};

impl Dispatch {
    /// Takes a key for as long as the guard lives; no other command runs under it meanwhile. A
    /// driver's is this command's from now on: his actor knows all his keys.
    ///
    /// # Errors
    /// `IdempotencyInProgress` where another command runs, `IdempotencyKeyReused` where another one
    /// had this key, `NotOwner`, `Unavailable`.
    pub async fn claim(
        &self,
        caller: Caller,
        key: &CommandKey,
    ) -> Result<RunningGuard<'_>, Refusal> {
        let running = self.running.enter(key).ok_or(Refusal::IdempotencyInProgress)?;
        if caller.role == Role::Driver {
            self.may_act()?;
            let (driver, key) = (caller.user.into(), key.clone());
            self.ask(|reply| Envelope::Driver(driver, DriverInput::Claim { key, reply })).await?;
        }
        Ok(running)
    }

    /// A command left no record: its key is as if it had not been used.
    pub fn unused(&self, caller: Caller, key: CommandKey) {
        if caller.role == Role::Driver {
            let unused = DriverInput::Unused { key };
            self.registry.send(Envelope::Driver(caller.user.into(), unused));
        }
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
