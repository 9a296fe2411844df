//! Commands that no actor decides (reviews, vehicles), done once by the same keys as all others.

use ibora_domain::facts::{Answer, CommandKey};
use ibora_domain::ids::DriverId;
use ibora_domain::machines::{DriverInput, Envelope};
use ibora_domain::person::Role;
use ibora_domain::refusal::Refusal;

use super::{Caller, Command, Dispatch, RunningGuard};

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
        if caller.role == Role::Driver {
            self.may_act()?;
        }
        let running = self.registry.ports.running.enter(caller, key)?;
        running.goes_on();
        if caller.role == Role::Driver {
            let (driver, key) = (caller.user.into(), key.clone());
            let claim = |reply| Envelope::Driver(driver, DriverInput::Claim { key, reply });
            if let Err(refusal) = self.ask(claim).await {
                self.conclude(running, &Err(refusal));
                return Err(refusal);
            }
        }
        Ok(running)
    }

    /// A command leaves no record: its key is as if it had not been used.
    pub fn unused(&self, running: &RunningGuard<'_>) {
        if let Some((driver, key)) = running.of_nothing() {
            self.registry.send(Envelope::Driver(driver, DriverInput::Unused { key }));
        }
    }

    /// A command is answered: its key is free, known by its answer, or kept for it.
    pub fn conclude(&self, running: RunningGuard<'_>, answer: &Answer) {
        if answer.as_ref().is_err_and(|refusal| refusal.is_of_nothing()) {
            self.unused(&running);
        }
        running.end(answer.into());
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
