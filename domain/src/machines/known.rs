//! Commands answered before: the same id gets the same answer, another command under it none.
//!
//! A machine looks here before it decides. What is remembered is on disk, or on its way: rule 2 of
//! the interpreters holds a repeated answer back until the first one is durable.

use std::collections::HashMap;
use std::hash::BuildHasherDefault;
use std::sync::Arc;

use super::{Ask, Output, Turn};
use crate::facts::{Answer, CommandKey, Decision, Done, ResultRow};
use crate::ids::UserId;
use crate::refusal::Refusal;

/// Commands already answered, by id. What was answered is read from the records when needed.
#[derive(Debug, Default)]
pub(crate) struct Known {
    by_id: HashMap<(UserId, Arc<str>), KnownAnswer, BuildHasherDefault<KeyHasher>>,
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
        let Some((key, known)) = ask.key.as_ref().and_then(|key| Some((key, self.find(key)?)))
        else {
            return Some(ask);
        };
        match known.refusal {
            _ if known.fingerprint != key.fingerprint => {
                turn.reply(ask.reply, Err(Refusal::IdempotencyKeyReused));
            }
            Some(refusal) => turn.reply(ask.reply, Err(refusal)),
            None => {
                let key = key.clone();
                turn.out.push(Output::Repeat(ask.reply, key));
            }
        }
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
