//! Commands under way: what an engine remembers of them while machines come and go.
//!
//! Of an id, one command is under way at a time. And a driver's machine knows the ids of all that
//! it passed on, for as long as it lives; one that is built before such a command has its outcome
//! recorded can read nothing of it, and is told from here. Kept by the door through which commands
//! come, which outlives every machine. After a start there is nothing to remember: what an earlier
//! engine began is recorded, or never will be.

use std::collections::HashMap;
use std::hash::BuildHasherDefault;
use std::sync::Arc;

use super::UsedId;
use super::known::KeyHasher;
use crate::facts::{Answer, CommandKey};
use crate::ids::UserId;
use crate::refusal::Refusal;

/// Of so many commands of one person whose outcome is open, the newest are remembered.
const OPEN_MAX: usize = 64;

/// How it ended that somebody waited for a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waited {
    /// Its outcome is recorded.
    Recorded,
    /// It was refused, and that is not recorded.
    Refused,
    /// It may be recorded yet, or never.
    InVain,
}

impl From<&Answer> for Waited {
    fn from(answer: &Answer) -> Self {
        match answer {
            Ok(_) => Self::Recorded,
            Err(refusal) if refusal.is_result() => Self::Recorded,
            Err(Refusal::Unavailable | Refusal::NotOwner) => Self::InVain,
            Err(_) => Self::Refused,
        }
    }
}

/// The commands under way, by who sent them.
#[derive(Debug, Default)]
pub struct UnderWay {
    /// Each person's, oldest first. Nobody has an empty list.
    by_person: HashMap<UserId, Vec<Sent>, BuildHasherDefault<KeyHasher>>,
}

#[derive(Debug)]
struct Sent {
    id: Arc<str>,
    fingerprint: i64,
    /// Somebody waits for it.
    awaited: bool,
    /// It went to a machine.
    given: bool,
    /// Somebody waited in vain: it may be recorded at any time.
    open: bool,
    /// It is known to leave no record.
    of_nothing: bool,
}

impl Sent {
    fn is(&self, key: &CommandKey) -> bool {
        self.id == key.id && self.fingerprint == key.fingerprint
    }
}

impl UnderWay {
    /// Somebody sends a command, and waits.
    ///
    /// # Errors
    /// `IdempotencyInProgress` where somebody waits for one of this id. Whether the id is another
    /// command's, the machine that it goes to says.
    pub fn enter(&mut self, key: &CommandKey) -> Result<(), Refusal> {
        let sent = self.by_person.entry(key.principal).or_default();
        if sent.iter().any(|sent| sent.awaited && sent.id == key.id) {
            return Err(Refusal::IdempotencyInProgress);
        }
        match sent.iter_mut().find(|sent| sent.is(key)) {
            Some(sent) => sent.awaited = true,
            None => sent.push(Sent {
                id: Arc::clone(&key.id),
                fingerprint: key.fingerprint,
                awaited: true,
                given: false,
                open: false,
                of_nothing: false,
            }),
        }
        Ok(())
    }

    /// A command under way goes to a machine: from here on it may be recorded.
    pub fn goes_on(&mut self, key: &CommandKey) {
        if let Some(sent) = self.find(key) {
            sent.given = true;
        }
    }

    /// A command under way is known to leave no record: no machine is told of it any more, and who
    /// knows it may forget it. False where an earlier sending of it may leave one yet.
    pub fn leaves_nothing(&mut self, key: &CommandKey) -> bool {
        let Some(sent) = self.find(key).filter(|sent| !sent.open) else { return false };
        sent.of_nothing = true;
        true
    }

    /// Nobody waits for a command any more.
    pub fn leave(&mut self, key: &CommandKey, waited: Waited) {
        let Some(sent) = self.find(key) else { return };
        sent.awaited = false;
        sent.open |= sent.given && waited == Waited::InVain;
        if waited == Waited::Recorded || !sent.open {
            self.forget(key.principal, |sent| sent.is(key));
        } else {
            self.bound(key.principal);
        }
    }

    /// What a machine of this person that is about to read its records must know beside them. Asked
    /// for before it reads: what is recorded in between it may read or not.
    #[must_use]
    pub fn of(&self, person: UserId) -> Vec<UsedId> {
        let sent = self.by_person.get(&person).into_iter().flatten();
        let used = sent.filter(|sent| sent.given && !sent.of_nothing);
        used.map(|sent| UsedId::new(&sent.id, sent.fingerprint)).collect()
    }

    fn find(&mut self, key: &CommandKey) -> Option<&mut Sent> {
        self.by_person.get_mut(&key.principal)?.iter_mut().find(|sent| sent.is(key))
    }

    /// Forgets the oldest of those that nobody waits for, where there are too many.
    fn bound(&mut self, person: UserId) {
        let Some(sent) = self.by_person.get_mut(&person) else { return };
        let open = sent.iter().filter(|sent| !sent.awaited).count();
        if open > OPEN_MAX {
            let oldest = sent.iter().position(|sent| !sent.awaited);
            oldest.map(|oldest| sent.remove(oldest));
        }
    }

    fn forget(&mut self, person: UserId, which: impl Fn(&Sent) -> bool) {
        let Some(sent) = self.by_person.get_mut(&person) else { return };
        sent.retain(|sent| !which(sent));
        if sent.is_empty() {
            self.by_person.remove(&person);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::Done;
    use crate::ride::sample;

    fn key(id: &str, fingerprint: i64) -> CommandKey {
        CommandKey { principal: sample::driver(1).into(), id: id.into(), fingerprint }
    }

    /// Sends a command on to a machine.
    fn send(under_way: &mut UnderWay, key: &CommandKey) {
        assert_eq!(under_way.enter(key), Ok(()));
        under_way.goes_on(key);
    }

    fn told(under_way: &UnderWay) -> Vec<UsedId> {
        under_way.of(sample::driver(1).into())
    }

    #[test]
    fn a_machine_is_told_of_what_is_under_way_and_not_of_what_is_recorded() {
        let mut under_way = UnderWay::default();
        send(&mut under_way, &key("a", 7));
        assert_eq!(under_way.enter(&key("a", 7)), Err(Refusal::IdempotencyInProgress));
        assert_eq!(under_way.enter(&key("a", 8)), Err(Refusal::IdempotencyInProgress));
        send(&mut under_way, &key("b", 8));
        assert_eq!(under_way.enter(&key("c", 9)), Ok(()), "which no machine was given yet");
        assert_eq!(told(&under_way), [UsedId::new("a", 7), UsedId::new("b", 8)]);
        assert_eq!(under_way.of(sample::driver(2).into()), [], "each person's are his own");
        under_way.leave(&key("a", 7), Waited::Recorded);
        under_way.leave(&key("b", 8), Waited::Refused);
        under_way.leave(&key("c", 9), Waited::InVain);
        assert_eq!(told(&under_way), []);
        assert!(under_way.by_person.is_empty(), "nothing is left of a command that ended");
        assert_eq!(under_way.enter(&key("a", 8)), Ok(()), "who answers it now, its machine knows");
    }

    #[test]
    fn an_open_outcome_is_remembered_until_one_is_recorded() {
        let mut under_way = UnderWay::default();
        send(&mut under_way, &key("a", 7));
        under_way.leave(&key("a", 7), Waited::InVain);
        send(&mut under_way, &key("a", 8));
        let both = [UsedId::new("a", 7), UsedId::new("a", 8)];
        assert_eq!(told(&under_way), both, "the first has it, and the machine says so");
        under_way.leave(&key("a", 8), Waited::Refused);
        for waited in [Waited::Refused, Waited::InVain, Waited::Recorded] {
            send(&mut under_way, &key("a", 7));
            assert!(!under_way.leaves_nothing(&key("a", 7)), "the first may be recorded yet");
            assert_eq!(told(&under_way), [UsedId::new("a", 7)]);
            under_way.leave(&key("a", 7), waited);
        }
        assert_eq!(told(&under_way), [], "a recorded one is read");
    }

    #[test]
    fn of_a_command_that_found_nothing_no_machine_is_told() {
        let mut under_way = UnderWay::default();
        send(&mut under_way, &key("a", 7));
        assert!(under_way.leaves_nothing(&key("a", 7)));
        assert_eq!(told(&under_way), []);
        assert_eq!(under_way.enter(&key("a", 8)), Err(Refusal::IdempotencyInProgress));
        under_way.leave(&key("a", 7), Waited::Refused);
        assert_eq!(under_way.enter(&key("a", 8)), Ok(()));
    }

    #[test]
    fn of_too_many_open_outcomes_the_oldest_are_forgotten_and_none_that_is_awaited() {
        let mut under_way = UnderWay::default();
        send(&mut under_way, &key("awaited", 1));
        for number in 0..=OPEN_MAX {
            let key = key(&number.to_string(), 7);
            send(&mut under_way, &key);
            under_way.leave(&key, Waited::InVain);
        }
        let told = told(&under_way);
        assert_eq!(told.len(), OPEN_MAX + 1);
        assert!(told.contains(&UsedId::new("awaited", 1)) && !told.contains(&UsedId::new("0", 7)));
    }

    #[test]
    fn an_answer_says_whether_anything_is_recorded() {
        let waited = |answer: Answer| Waited::from(&answer);
        let done = Done { version: 1, body: "{}".into() };
        assert_eq!(waited(Ok(done)), Waited::Recorded);
        for refusal in Refusal::ALL {
            let waited = waited(Err(refusal));
            assert_eq!(waited == Waited::Recorded, refusal.is_result(), "{refusal:?}");
        }
        assert_eq!(waited(Err(Refusal::Unavailable)), Waited::InVain);
        assert_eq!(waited(Err(Refusal::Overloaded)), Waited::Refused);
    }
}
