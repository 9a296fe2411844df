//! Commands that are being decided: a second sending meanwhile is told so, and a driver's actor
//! that is built meanwhile is told of them.

use ibora_domain::facts::CommandKey;
use ibora_domain::ids::DriverId;
use ibora_domain::machines::{UnderWay, UsedId, Waited};
use ibora_domain::person::Role;
use ibora_domain::refusal::Refusal;
use parking_lot::Mutex;

use super::Caller;

/// The commands under way of this engine.
#[derive(Default)]
pub(super) struct Running {
    commands: Mutex<UnderWay>,
}

/// One who waits for a command. Dropped, as when a caller hangs up, he waited in vain.
pub struct RunningGuard<'a> {
    running: &'a Running,
    caller: Caller,
    key: CommandKey,
    waited: Waited,
}

impl Running {
    /// Enters a command.
    ///
    /// # Errors
    /// `IdempotencyInProgress` where one of the same key is being decided.
    pub(super) fn enter(
        &self,
        caller: Caller,
        key: &CommandKey,
    ) -> Result<RunningGuard<'_>, Refusal> {
        self.commands.lock().enter(key)?;
        // Made only where it is given out: one that is dropped ends the entry of the one running.
        let (key, waited) = (key.clone(), Waited::InVain);
        Ok(RunningGuard { running: self, caller, key, waited })
    }

    /// What a driver's actor that is about to be read must know beside its records.
    pub(super) fn of(&self, driver: DriverId) -> Vec<UsedId> {
        self.commands.lock().of(driver.into())
    }
}

impl RunningGuard<'_> {
    /// The command goes to whoever decides it: from here on it may be recorded.
    pub(super) fn goes_on(&self) {
        self.running.commands.lock().goes_on(&self.key);
    }

    /// The command leaves no record. The driver whose actor may forget its key, if there is one.
    pub(super) fn of_nothing(&self) -> Option<(DriverId, CommandKey)> {
        let free = self.running.commands.lock().leaves_nothing(&self.key);
        let driver = free && self.caller.role == Role::Driver;
        driver.then(|| (self.caller.user.into(), self.key.clone()))
    }

    /// Ends the wait.
    pub fn end(mut self, waited: Waited) {
        self.waited = waited;
    }
}

impl Drop for RunningGuard<'_> {
    fn drop(&mut self) {
        // All answers to others are in one table, whose key sees to an outcome that is open.
        let waited = match self.waited {
            Waited::InVain if self.caller.role != Role::Driver => Waited::Refused,
            waited => waited,
        };
        self.running.commands.lock().leave(&self.key, waited);
    }
}

#[cfg(test)]
mod tests {
    use ibora_domain::ids::UserId;
    use uuid::Uuid;

    use super::*;

    fn sent(role: Role) -> (Caller, CommandKey) {
        let user = UserId(Uuid::from_u128(7));
        let key = CommandKey { principal: user, id: "k".into(), fingerprint: 0 };
        (Caller { user, role }, key)
    }

    #[test]
    fn a_key_is_free_again_only_when_the_command_that_took_it_ends() {
        let running = Running::default();
        let (caller, key) = sent(Role::Passenger);
        let first = running.enter(caller, &key).expect("free");
        for _ in 0..2 {
            let second = running.enter(caller, &key).err();
            assert_eq!(second, Some(Refusal::IdempotencyInProgress), "that ended nothing");
        }
        drop(first);
        assert!(running.enter(caller, &key).is_ok());
    }

    #[test]
    fn a_driver_who_hangs_up_leaves_a_command_that_his_next_actor_is_told_of() {
        let running = Running::default();
        let (caller, key) = sent(Role::Driver);
        drop(running.enter(caller, &key));
        assert_eq!(running.of(caller.user.into()), [], "no actor had been given it");
        running.enter(caller, &key).expect("free").goes_on();
        assert_eq!(running.of(caller.user.into()).len(), 1);
        running.enter(caller, &key).expect("free").end(Waited::Recorded);
        assert_eq!(running.of(caller.user.into()), []);
        running.enter(sent(Role::Passenger).0, &key).expect("free").goes_on();
        assert_eq!(running.of(caller.user.into()), [], "nobody is told of a passenger's");
    }
}
