//! What bots were told: every answer, every version and every gap, for an audit at the end.
//!
//! A promise is an answer that rests on state: the same command must get it for ever, and the
//! database must agree. Refusals that may be tried again promise nothing and are not kept.

use std::collections::HashMap;

use ibora_domain::refusal::Refusal;
use parking_lot::Mutex;
use uuid::Uuid;

/// One answer to one command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Promise {
    pub person: Uuid,
    /// `cmd.id`.
    pub command: Uuid,
    pub op: &'static str,
    /// The ride it is about; of `ride.request` the one that was made.
    pub ride: Option<Uuid>,
    pub told: Told,
}

/// What an answer said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    /// Done, and the entity was then of this version.
    Yes {
        version: u64,
    },
    No(Refusal),
}

/// How a stream of events behaved.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StreamFaults {
    /// Numbers that never came.
    pub missing: u64,
    /// Numbers that came a second time: allowed, at least once is the promise.
    pub repeated: u64,
    /// Times the server could not continue a stream and sent a snapshot.
    pub restarted: u64,
    /// Versions of a ride that went back for one reader.
    pub backwards: u64,
}

/// The log of all bots of a run.
#[derive(Default)]
pub struct Promises {
    told: Mutex<Vec<Promise>>,
    versions: Mutex<HashMap<Uuid, u64>>,
    faults: Mutex<StreamFaults>,
}

impl Promises {
    pub(super) fn add(&self, promise: Promise) {
        if let (Some(ride), Told::Yes { version }) = (promise.ride, promise.told) {
            self.saw(ride, version);
        }
        self.told.lock().push(promise);
    }

    /// Somebody was shown this version of a ride.
    pub(super) fn saw(&self, ride: Uuid, version: u64) {
        let mut versions = self.versions.lock();
        let newest = versions.entry(ride).or_default();
        *newest = version.max(*newest);
    }

    pub(super) fn fault(&self, change: impl FnOnce(&mut StreamFaults)) {
        change(&mut self.faults.lock());
    }

    /// Every promise so far, oldest first.
    #[must_use]
    pub fn told(&self) -> Vec<Promise> {
        self.told.lock().clone()
    }

    /// The newest version that anybody was shown of each ride.
    #[must_use]
    pub fn versions(&self) -> HashMap<Uuid, u64> {
        self.versions.lock().clone()
    }

    /// How the streams behaved.
    #[must_use]
    pub fn faults(&self) -> StreamFaults {
        *self.faults.lock()
    }

    /// Who was told that a ride is theirs, per ride, in the order of the answers.
    #[must_use]
    pub fn winners(&self) -> HashMap<Uuid, Vec<Uuid>> {
        let mut winners: HashMap<Uuid, Vec<Uuid>> = HashMap::new();
        for promise in self.told.lock().iter() {
            let won = promise.op == "ride.accept" && matches!(promise.told, Told::Yes { .. });
            if let (true, Some(ride)) = (won, promise.ride) {
                let of_ride = winners.entry(ride).or_default();
                if !of_ride.contains(&promise.person) {
                    of_ride.push(promise.person);
                }
            }
        }
        winners
    }

    /// Rides that more drivers were told to have won than gave them back.
    #[must_use]
    pub fn duplicates(&self) -> Vec<Uuid> {
        let mut given_back: HashMap<Uuid, usize> = HashMap::new();
        let winners = self.winners();
        for promise in self.told.lock().iter() {
            let canceled = promise.op == "ride.cancel" && matches!(promise.told, Told::Yes { .. });
            let by_winner =
                |ride| winners.get(&ride).is_some_and(|won| won.contains(&promise.person));
            if let Some(ride) = promise.ride.filter(|ride| canceled && by_winner(*ride)) {
                *given_back.entry(ride).or_default() += 1;
            }
        }
        let excess = |(ride, won): &(Uuid, Vec<Uuid>)| {
            won.len() > 1 + given_back.get(ride).copied().unwrap_or(0)
        };
        winners.into_iter().filter(excess).map(|(ride, _)| ride).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn promise(person: u128, op: &'static str, told: Told) -> Promise {
        let ride = Some(Uuid::from_u128(100));
        Promise { person: Uuid::from_u128(person), command: Uuid::now_v7(), op, ride, told }
    }

    #[test]
    fn a_ride_told_to_two_drivers_is_found_and_a_returned_one_is_not() {
        let promises = Promises::default();
        promises.add(promise(1, "ride.accept", Told::Yes { version: 3 }));
        promises.add(promise(1, "ride.accept", Told::Yes { version: 3 }));
        promises.add(promise(2, "ride.accept", Told::No(Refusal::RideAlreadyAssigned)));
        assert!(promises.duplicates().is_empty(), "asking twice is not winning twice");
        promises.add(promise(1, "ride.cancel", Told::Yes { version: 4 }));
        promises.add(promise(2, "ride.accept", Told::Yes { version: 6 }));
        assert!(promises.duplicates().is_empty(), "the first gave it back");
        promises.add(promise(3, "ride.accept", Told::Yes { version: 6 }));
        assert_eq!(promises.duplicates(), [Uuid::from_u128(100)]);
        assert_eq!(promises.versions()[&Uuid::from_u128(100)], 6);
    }
}
