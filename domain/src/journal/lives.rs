//! Which lives of entities may still record, and what follows from what the database said.
//!
//! A life that lost a record is refused the rest: it rests on what was lost. What must hold: a
//! fenced engine records nothing more.

use std::collections::HashMap;
use std::hash::BuildHasherDefault;

use super::CommitError;
use crate::facts::Entity;
use crate::machines::KeyHasher;
use crate::mutants::{Mutant, is};

/// What the database said of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    Written,
    /// It will never be written as it is.
    Refused {
        constraint: Option<String>,
    },
    /// Another engine owns its shards.
    Fenced,
}

/// What becomes of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    Durable,
    /// One bad decision must not take the others with it: each is tried once by itself.
    Singly,
    Lost(CommitError),
}

impl Verdict {
    /// What becomes of a batch of `count` decisions.
    #[must_use]
    pub fn fate(self, count: usize) -> Fate {
        match self {
            Self::Written => Fate::Durable,
            Self::Refused { .. } if count > 1 => Fate::Singly,
            Self::Refused { constraint } => Fate::Lost(CommitError::Refused { constraint }),
            Self::Fenced => Fate::Lost(CommitError::Fenced),
        }
    }
}

/// The lives that lost a record, as one lane knows them.
#[derive(Debug, Default)]
pub struct Lives {
    broken: HashMap<Entity, u64, BuildHasherDefault<KeyHasher>>,
    fenced: bool,
}

impl Lives {
    /// Whether a decision of this life of `entity` may be recorded.
    ///
    /// # Errors
    /// [`CommitError::Unavailable`] where it rests on a lost one, or [`CommitError::Fenced`].
    pub fn admit(&mut self, entity: Entity, life: u64) -> Result<(), CommitError> {
        self.admit_any()?;
        match self.broken.get(&entity) {
            Some(broken) if *broken == life && !is(Mutant::BrokenLifeGoesOn) => {
                Err(CommitError::Unavailable)
            }
            Some(_) => {
                // A new life was rebuilt from the records: it rests on nothing lost.
                self.broken.remove(&entity);
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// Whether anything may be recorded.
    ///
    /// # Errors
    /// [`CommitError::Fenced`].
    pub const fn admit_any(&self) -> Result<(), CommitError> {
        if self.fenced { Err(CommitError::Fenced) } else { Ok(()) }
    }

    /// This life lost a record.
    pub fn lose(&mut self, entity: Entity, life: u64) {
        self.broken.insert(entity, life);
    }

    /// Another engine owns the shards.
    pub const fn fence(&mut self) {
        self.fenced = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ride::sample;

    #[test]
    fn what_rests_on_a_lost_record_is_refused_until_it_is_rebuilt() {
        let mut lives = Lives::default();
        let ride = Entity::Ride(sample::ride_id(1));
        assert_eq!(lives.admit(ride, 1), Ok(()));
        lives.lose(ride, 1);
        assert_eq!(lives.admit(ride, 1), Err(CommitError::Unavailable));
        assert_eq!(lives.admit(Entity::Ride(sample::ride_id(2)), 2), Ok(()));
        assert_eq!(lives.admit(ride, 3), Ok(()), "a new life");
        lives.fence();
        assert_eq!(lives.admit(ride, 3), Err(CommitError::Fenced));
    }

    #[test]
    fn a_refused_batch_is_tried_one_by_one_and_a_refused_one_is_lost() {
        let refused = || Verdict::Refused { constraint: Some("events_pkey".into()) };
        assert_eq!(refused().fate(2), Fate::Singly);
        let lost = CommitError::Refused { constraint: Some("events_pkey".into()) };
        assert_eq!(refused().fate(1), Fate::Lost(lost));
        assert_eq!(Verdict::Fenced.fate(9), Fate::Lost(CommitError::Fenced));
        assert_eq!(Verdict::Written.fate(9), Fate::Durable);
    }
}
