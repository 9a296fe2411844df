//! Commands answered before: the same id gets the same answer, another command under it none.
//!
//! A machine looks here before it decides. What is remembered is on disk, or on its way: rule 2 of
//! the interpreters holds a repeated answer back until the first one is durable.

use std::collections::{HashMap, VecDeque};
use std::hash::BuildHasherDefault;
use std::hash::Hasher as _;
use std::sync::Arc;

use super::{Ask, Output, Turn};
use crate::facts::{Answer, CommandKey, Decision, Done, ResultRow};
use crate::ids::UserId;
use crate::mutants::{Mutant, is};
use crate::refusal::Refusal;

/// Commands already answered, by id. What was answered is read from the records when needed.
#[derive(Debug, Default)]
pub(crate) struct Known {
    by_id: HashMap<(UserId, Arc<str>), KnownAnswer, BuildHasherDefault<KeyHasher>>,
    elsewhere: Elsewhere,
}

/// Of so many commands that another machine decides, the newest, the ids are known here.
const ELSEWHERE_MAX: usize = 1024;

/// Ids of one person's commands that other machines decide, each for a machine of its own: none of
/// them could see that an id was used before for another.
#[derive(Debug, Default)]
struct Elsewhere {
    fingerprints: HashMap<u64, i64, BuildHasherDefault<KeyHasher>>,
    oldest_first: VecDeque<u64>,
}

impl Elsewhere {
    /// The first command of an id is the one that has it.
    fn add(&mut self, used: UsedId) {
        if self.fingerprints.contains_key(&used.id) {
            return;
        }
        if self.oldest_first.len() >= ELSEWHERE_MAX {
            let oldest = self.oldest_first.pop_front();
            oldest.and_then(|id| self.fingerprints.remove(&id));
        }
        self.fingerprints.insert(used.id, used.fingerprint);
        self.oldest_first.push_back(used.id);
    }

    fn is_of_another(&self, key: &CommandKey) -> bool {
        let UsedId { id, fingerprint } = UsedId::new(&key.id, key.fingerprint);
        self.fingerprints.get(&id).is_some_and(|first| *first != fingerprint)
    }

    fn has(&self, key: &CommandKey) -> bool {
        let UsedId { id, fingerprint } = UsedId::new(&key.id, key.fingerprint);
        self.fingerprints.get(&id) == Some(&fingerprint)
    }

    fn forget(&mut self, key: &CommandKey) {
        let UsedId { id, .. } = UsedId::new(&key.id, key.fingerprint);
        if self.has(key) {
            self.fingerprints.remove(&id);
            self.oldest_first.retain(|known| *known != id);
        }
    }
}

/// A command's id in few bytes, and what makes the command the same: there are many of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UsedId {
    id: u64,
    fingerprint: i64,
}

impl UsedId {
    /// Of a command `id`, whose principal is known.
    #[must_use]
    pub fn new(id: &str, fingerprint: i64) -> Self {
        let mut digest = KeyHasher::default();
        digest.write(id.as_bytes());
        Self { id: digest.finish(), fingerprint }
    }
}

#[derive(Debug, Clone, Copy)]
struct KnownAnswer {
    fingerprint: i64,
    /// A refusal needs no reading. `None`: the stored body must be read.
    refusal: Option<Refusal>,
}

/// FNV-1a: fixed, so that a replay is the same everywhere. Keys come from authenticated people.
#[derive(Debug, Clone, Copy)]
pub(crate) struct KeyHasher(u64);

impl Default for KeyHasher {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl std::hash::Hasher for KeyHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}

impl Known {
    pub(super) fn remember(&mut self, key: &CommandKey, refusal: Option<Refusal>) {
        let known = KnownAnswer { fingerprint: key.fingerprint, refusal };
        self.by_id.insert((key.principal, Arc::clone(&key.id)), known);
    }

    /// The command goes to another machine, which decides it.
    pub(super) fn goes_elsewhere(&mut self, key: &CommandKey) {
        self.elsewhere.add(UsedId::new(&key.id, key.fingerprint));
    }

    /// Whether just this command went to another machine.
    pub(super) fn went_elsewhere(&self, key: &CommandKey) -> bool {
        self.elsewhere.has(key)
    }

    /// Whether a command may go elsewhere under this id, which from now on is its own.
    pub(super) fn claim(&mut self, key: &CommandKey) -> bool {
        let here = self.find(key).is_some_and(|known| known.fingerprint != key.fingerprint);
        let reused = (here || self.elsewhere.is_of_another(key)) && !is(Mutant::IdPassedOn);
        if !reused {
            self.goes_elsewhere(key);
        }
        !reused
    }

    /// A command that went elsewhere left no record: its id is as if it had never been used.
    pub(super) fn forget(&mut self, key: &CommandKey) {
        self.elsewhere.forget(key);
    }

    /// These went to other machines, or are under way, oldest first.
    pub(super) fn with_elsewhere(mut self, used: impl IntoIterator<Item = UsedId>) -> Self {
        used.into_iter().for_each(|used| self.elsewhere.add(used));
        self
    }

    /// Whether a command of this id was answered.
    pub(super) fn has(&self, key: Option<&CommandKey>) -> bool {
        key.is_some_and(|key| self.find(key).is_some())
    }

    fn find(&self, key: &CommandKey) -> Option<KnownAnswer> {
        if self.by_id.is_empty() {
            return None;
        }
        self.by_id.get(&(key.principal, Arc::clone(&key.id))).copied()
    }

    /// Answers `ask` if its command is known; gives it back if not.
    pub(super) fn replay<R>(&self, turn: &mut Turn<'_, R>, ask: Ask<R>) -> Option<Ask<R>> {
        let Some(key) = &ask.key else { return Some(ask) };
        let reused = match self.find(key) {
            Some(known) if known.fingerprint != key.fingerprint => true,
            Some(KnownAnswer { refusal: Some(refusal), .. }) => {
                turn.reply(ask.reply, Err(refusal));
                return None;
            }
            Some(KnownAnswer { refusal: None, .. }) => {
                let key = key.clone();
                turn.out.push(Output::Repeat(ask.reply, key));
                return None;
            }
            None => self.elsewhere.is_of_another(key),
        };
        if !reused || is(Mutant::IdReused) {
            return Some(ask);
        }
        turn.reply(ask.reply, Err(Refusal::IdempotencyKeyReused));
        None
    }

    /// Answers `ask`; an answer that rests on state is recorded with `decision`, and remembered.
    pub(super) fn answer<R>(
        &mut self,
        turn: &mut Turn<'_, R>,
        ask: Ask<R>,
        answer: Answer,
        decision: &mut Decision,
    ) {
        let stored = answer.as_ref().map_or_else(|refusal| refusal.is_result(), |_| true);
        let key = ask.key.filter(|_| stored);
        if let Some(key) = key.clone() {
            self.remember(&key, answer.as_ref().err().copied());
            let owner = decision.entity.id();
            decision.results.push(ResultRow { key, owner, answer: answer.clone() });
        }
        turn.out.push(Output::Reply(ask.reply, answer, key));
    }
}

/// A command answered earlier, as the records hold it.
#[derive(Debug, Clone)]
pub struct PastCommand {
    pub key: CommandKey,
    pub refusal: Option<Refusal>,
}

impl FromIterator<PastCommand> for Known {
    fn from_iter<T: IntoIterator<Item = PastCommand>>(past: T) -> Self {
        let mut known = Self::default();
        for command in past {
            known.remember(&command.key, command.refusal);
        }
        known
    }
}

/// An answer that goes well.
pub(super) fn done(version: u64, body: String) -> Done {
    Done { version, body: body.into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ride::sample;

    /// Whether a command of this id and meaning may be decided, or passed on.
    fn passes(known: &Known, id: &str, fingerprint: i64) -> bool {
        let key = CommandKey { principal: sample::driver(1).into(), id: id.into(), fingerprint };
        let ask =
            Ask { by: key.principal, key: Some(key), if_version: None, origin: None, reply: 1_u8 };
        let mut out = vec![];
        let passes = known.replay(&mut Turn::new(sample::START, &mut out), ask).is_some();
        let reused = |output: &Output<u8>| {
            matches!(output, Output::Reply(1, Err(Refusal::IdempotencyKeyReused), None))
        };
        assert_eq!(out.iter().any(reused), !passes, "{out:?}");
        passes
    }

    fn passed_on(known: &mut Known, id: &str, fingerprint: i64) {
        let principal = sample::driver(1).into();
        known.goes_elsewhere(&CommandKey { principal, id: id.into(), fingerprint });
    }

    #[test]
    fn an_id_that_another_machine_knows_is_that_command_s_alone() {
        let mut known = Known::default();
        passed_on(&mut known, "a", 7);
        passed_on(&mut known, "a", 8);
        assert!(passes(&known, "a", 7), "the machine that knows it answers again");
        assert!(!passes(&known, "a", 8));
        assert!(passes(&known, "b", 8));
        let again = Known::default().with_elsewhere([UsedId::new("a", 7)]);
        assert!(passes(&again, "a", 7) && !passes(&again, "a", 8), "as read back");
    }

    #[test]
    fn an_id_is_free_again_once_its_command_is_known_to_have_left_no_record() {
        let mut known = Known::default();
        let key = |fingerprint| {
            let principal = sample::driver(1).into();
            CommandKey { principal, id: "a".into(), fingerprint }
        };
        assert!(known.claim(&key(7)) && known.claim(&key(7)) && !known.claim(&key(8)));
        known.forget(&key(8));
        assert!(!known.claim(&key(8)), "it was another command that left no record");
        known.forget(&key(7));
        assert!(known.claim(&key(8)) && !known.claim(&key(7)));
        known.remember(&key(8), None);
        known.forget(&key(8));
        assert!(!known.claim(&key(7)), "what was answered here is answered for ever");
    }

    #[test]
    fn of_too_many_ids_the_oldest_are_forgotten() {
        let mut known = Known::default();
        (0..=ELSEWHERE_MAX).for_each(|number| passed_on(&mut known, &number.to_string(), 7));
        assert!(passes(&known, "0", 8));
        assert!(!passes(&known, "1", 8) && !passes(&known, &ELSEWHERE_MAX.to_string(), 8));
    }
}
