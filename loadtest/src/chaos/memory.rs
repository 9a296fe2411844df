//! What clients remember: every command they sent, and what they were told, if anything.
//!
//! An answer that rests on state must be the same for ever, whichever way it is asked for again:
//! each is held against the first one as it comes in.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use ibora::bots::Person;
use ibora_domain::refusal::Refusal;
use serde_json::Value;
use uuid::Uuid;

use crate::report::say;

/// A command as its sender remembers it.
#[derive(Clone)]
pub(super) struct Asked {
    pub(super) person: Person,
    pub(super) op: &'static str,
    pub(super) key: Option<Uuid>,
    pub(super) d: Value,
    pub(super) told: Told,
}

/// What its sender was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    /// Nothing: whether it was done is open.
    Nothing,
    /// Something that rests on no state, and may be otherwise another time.
    Passing,
    /// Done; the entity was then of this version. The body by its hash.
    Yes {
        version: u64,
        body: u64,
    },
    No(Refusal),
}

impl Told {
    /// Done, with this answer.
    pub(super) fn yes(version: u64, body: &str) -> Self {
        let mut hasher = DefaultHasher::new();
        body.hash(&mut hasher);
        Self::Yes { version, body: hasher.finish() }
    }

    /// Refused, by this code.
    pub(super) fn no(code: &str) -> Self {
        match Refusal::from_code(code) {
            Some(refusal) if refusal.is_result() => Self::No(refusal),
            Some(_) | None => Self::Passing,
        }
    }

    /// Whether the same must be told for ever.
    pub(super) fn is_kept(self) -> bool {
        matches!(self, Self::Yes { .. } | Self::No(_))
    }
}

/// The memory of all clients of a run.
#[derive(Default)]
pub(super) struct Memory {
    asked: RefCell<HashMap<Uuid, Asked>>,
    /// Answers that another answer to the same command contradicts.
    contradictions: Cell<u64>,
}

/// Contradictions that are shown.
const SHOWN: u64 = 10;

impl Memory {
    /// Before a command is sent for the first time.
    pub(super) fn asks(&self, id: Uuid, asked: Asked) {
        self.asked.borrow_mut().insert(id, asked);
    }

    /// An answer came, the first or another.
    pub(super) fn told(&self, id: Uuid, told: Told) {
        let mut all = self.asked.borrow_mut();
        let Some(asked) = all.get_mut(&id) else { return };
        if asked.told.is_kept() && told.is_kept() && asked.told != told {
            self.contradicted(id, asked, told);
        }
        if !asked.told.is_kept() {
            asked.told = told;
        }
    }

    /// A command that got an answer which must be the same again got this instead.
    pub(super) fn contradicted(&self, id: Uuid, asked: &Asked, now: Told) {
        self.contradictions.set(self.contradictions.get() + 1);
        if self.contradictions.get() <= SHOWN {
            let Asked { person, op, key, told, .. } = asked;
            say(format!(
                "CONTRADICTED: {op} {id} of {} about {key:?}: {told:?}, now {now:?}",
                person.id
            ));
        }
    }

    pub(super) fn contradictions(&self) -> u64 {
        self.contradictions.get()
    }

    /// A command; `None` where nobody asked it.
    pub(super) fn get(&self, id: Uuid) -> Option<Asked> {
        self.asked.borrow().get(&id).cloned()
    }

    /// The ids of all commands, oldest first.
    pub(super) fn ids(&self) -> Vec<Uuid> {
        let mut ids: Vec<Uuid> = self.asked.borrow().keys().copied().collect();
        ids.sort_unstable();
        ids
    }

    /// Rides with what was told of them: the op, who, and the version.
    pub(super) fn done(&self, op: &str) -> Vec<(Uuid, Uuid, u64)> {
        let all = self.asked.borrow();
        let done = all.values().filter(|asked| asked.op == op).filter_map(|asked| {
            let Told::Yes { version, .. } = asked.told else { return None };
            Some((asked.key?, asked.person.id, version))
        });
        done.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_answer_to_the_same_command_is_a_contradiction_unless_nothing_was_decided() {
        let (memory, id) = (Memory::default(), Uuid::from_u128(1));
        let person = Person { id: Uuid::nil(), token: "".into() };
        let (op, key, d) = ("ride.accept", None, Value::Null);
        memory.asks(id, Asked { person, op, key, d, told: Told::Nothing });
        for told in [Told::no("unavailable"), Told::yes(2, "{}"), Told::yes(2, "{}")] {
            memory.told(id, told);
        }
        memory.told(id, Told::no("overloaded"));
        assert_eq!(memory.contradictions(), 0);
        memory.told(id, Told::yes(3, "{}"));
        memory.told(id, Told::no("ride_already_assigned"));
        assert_eq!(memory.contradictions(), 2);
        assert_eq!(memory.get(id).map(|asked| asked.told), Some(Told::yes(2, "{}")), "the first");
    }
}
