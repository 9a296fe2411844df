//! Numbers for the durable events of people's streams: without gap, in the order of the commits.
//!
//! A person's stream may be written by any lane, for rides are pinned to lanes, not people. A lane
//! claims the streams of its batch until the commit is known; what touches a stream that another
//! lane has claimed waits for the next batch. So it is with accounts that have a floor, whose rows
//! lanes would else wait for inside the database, each time for all of the other's commit. A batch
//! that is refused gives its numbers back.

use std::collections::{BTreeSet, HashMap};
use std::hash::BuildHasherDefault;
use std::sync::Arc;

use uuid::Uuid;

use crate::facts::{Decision, Entity};
use crate::ledger::{FinancialEvent, Guard};
use crate::machines::KeyHasher;
use crate::mutants::{Mutant, is};

/// Where a stream stands: its epoch and its last number on disk.
pub type Head = (Arc<str>, u64);

/// The counters of all streams that were used since the start.
#[derive(Debug, Default)]
pub struct Numbers {
    counters: HashMap<Uuid, Counter, BuildHasherDefault<KeyHasher>>,
}

#[derive(Debug, Default)]
struct Counter {
    /// The last number given.
    last: i64,
    /// The last number that is on disk.
    committed: i64,
    claimed_by: Option<usize>,
    /// Whether `last` was read from the database.
    loaded: bool,
    /// Whether the row that holds the epoch exists.
    has_epoch: bool,
    /// The epoch as it was read. One that is made here may lose against another's.
    epoch: Option<Arc<str>>,
}

/// The numbers of a batch's stream rows, in their order.
#[derive(Debug, Default)]
pub struct Numbered {
    pub seqs: Vec<i64>,
    /// Streams that begin with this batch, with the epoch made for each.
    pub new_streams: Vec<(Uuid, String)>,
    /// What to give back should the batch be refused.
    before: HashMap<Uuid, i64, BuildHasherDefault<KeyHasher>>,
}

impl Numbers {
    /// Splits what may be committed now, its streams and accounts claimed, from what must wait: an
    /// append of which another lane holds one, and all later ones of the same entity. An append
    /// without a decision overtakes nothing.
    pub fn claim<A>(
        &mut self,
        lane: usize,
        appends: Vec<A>,
        decided: impl Fn(&A) -> Option<&Decision>,
    ) -> (Vec<A>, Vec<A>) {
        let mut waiting: BTreeSet<Entity> = BTreeSet::new();
        let (mut now, mut later) = (Vec::with_capacity(appends.len()), Vec::new());
        for append in appends {
            let Some(decision) = decided(&append) else {
                let queue = if later.is_empty() { &mut now } else { &mut later };
                queue.push(append);
                continue;
            };
            let held = |user: Uuid| {
                let claim = self.counters.get(&user).and_then(|counter| counter.claimed_by);
                claim.is_some_and(|holder| holder != lane && !is(Mutant::ClaimsIgnored))
            };
            if waiting.contains(&decision.entity) || claimed(decision).any(held) {
                waiting.insert(decision.entity);
                later.push(append);
                continue;
            }
            for user in claimed(decision) {
                self.counters.entry(user).or_default().claimed_by = Some(lane);
            }
            now.push(append);
        }
        (now, later)
    }

    /// Ends the claims of `decisions`.
    pub fn release<'a>(&mut self, decisions: impl Iterator<Item = &'a Decision>) {
        for user in decisions.flat_map(claimed) {
            if let Some(counter) = self.counters.get_mut(&user) {
                counter.claimed_by = None;
            }
        }
    }

    /// The streams of `decisions` that have to be read before they can be numbered.
    #[must_use]
    pub fn unknown(&self, decisions: &[&Decision]) -> Vec<Uuid> {
        let rows = decisions.iter().flat_map(|decision| &decision.streams);
        let users = rows.map(|row| row.stream.user().0);
        let unknown = users.filter(|user| self.counters.get(user).is_none_or(|c| !c.loaded));
        let mut unknown: Vec<Uuid> = unknown.collect();
        unknown.sort_unstable();
        unknown.dedup();
        unknown
    }

    /// Takes in what was read of a claimed stream: its last number, and its epoch if it has begun.
    pub fn learn(&mut self, user: Uuid, last: i64, epoch: Option<Arc<str>>) {
        if let Some(counter) = self.counters.get_mut(&user) {
            counter.loaded = true;
            (counter.last, counter.committed) = (last, last);
            counter.has_epoch = epoch.is_some();
            counter.epoch = epoch;
        }
    }

    /// Gives each stream row of `decisions` its number. The streams must be claimed and known.
    pub fn number(
        &mut self,
        decisions: &[&Decision],
        mut new_epoch: impl FnMut() -> String,
    ) -> Numbered {
        let mut numbered = Numbered::default();
        for row in decisions.iter().flat_map(|decision| &decision.streams) {
            let user = row.stream.user().0;
            let Some(counter) = self.counters.get_mut(&user) else { continue };
            numbered.before.entry(user).or_insert(counter.last);
            if !counter.has_epoch {
                counter.has_epoch = true;
                numbered.new_streams.push((user, new_epoch()));
            }
            counter.last += 1;
            numbered.seqs.push(counter.last);
        }
        numbered
    }

    /// The rows of `decisions`, whose streams are still claimed, are on disk.
    pub fn committed(&mut self, decisions: &[&Decision]) {
        for row in decisions.iter().flat_map(|decision| &decision.streams) {
            if let Some(counter) = self.counters.get_mut(&row.stream.user().0) {
                counter.committed = counter.last;
            }
        }
    }

    /// Takes back the numbers of a batch that was refused.
    pub fn give_back(&mut self, numbered: &Numbered) {
        if is(Mutant::NumbersKept) {
            return;
        }
        for (user, last) in &numbered.before {
            if let Some(counter) = self.counters.get_mut(user) {
                counter.last = *last;
            }
        }
        for (user, _) in &numbered.new_streams {
            if let Some(counter) = self.counters.get_mut(user) {
                counter.has_epoch = false;
            }
        }
    }

    /// Where a stream stands, if that is known here.
    #[must_use]
    pub fn head(&self, user: Uuid) -> Option<Head> {
        let counter = self.counters.get(&user).filter(|counter| counter.loaded)?;
        let seq = u64::try_from(counter.committed).unwrap_or(0);
        counter.epoch.clone().map(|epoch| (epoch, seq))
    }

    /// Takes in the head of a stream as it was just read.
    pub fn begin(&mut self, user: Uuid, epoch: &Arc<str>, seq: i64) {
        let counter = self.counters.entry(user).or_default();
        // A lane that is writing this stream knows better, or is about to read it itself.
        if !counter.loaded && counter.claimed_by.is_none() {
            counter.loaded = true;
            (counter.last, counter.committed) = (seq, seq);
        }
        counter.has_epoch = true;
        counter.epoch = Some(Arc::clone(epoch));
    }
}

/// What a decision's lane claims: people, by their streams and by their accounts with a floor.
fn claimed(decision: &Decision) -> impl Iterator<Item = Uuid> {
    let streams = decision.streams.iter().map(|row| row.stream.user().0);
    let postings = decision.money.iter().flat_map(FinancialEvent::postings);
    let floored = postings.filter(|posting| posting.account.guard() == Guard::Floor);
    streams.chain(floored.map(|posting| posting.account.owner()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::{StreamId, StreamRow};
    use crate::ledger::goodwill;
    use crate::money::Centavos;
    use crate::ride::sample;

    fn told(ride: u32, passengers: &[u32]) -> Decision {
        let mut decision = Decision::new(Entity::Ride(sample::ride_id(ride)), sample::START);
        decision.streams = passengers
            .iter()
            .map(|number| StreamRow {
                stream: StreamId::Passenger(sample::passenger(*number)),
                op: "ride.updated",
                key: sample::ride_id(ride).0,
                version: 1,
                expires_at: None,
                urgent: false,
                body: "{}".into(),
            })
            .collect();
        decision
    }

    fn itself(decision: &Decision) -> Option<&Decision> {
        Some(decision)
    }

    fn numbers() -> Numbers {
        let mut numbers = Numbers::default();
        for passenger in 1..=3 {
            numbers.begin(sample::passenger(passenger).0, &Arc::from("e"), 0);
        }
        numbers
    }

    #[test]
    fn what_touches_a_claimed_stream_waits_and_so_does_what_follows_it() {
        let mut numbers = numbers();
        let (first, rest) = numbers.claim(0, vec![told(1, &[1, 2])], itself);
        assert_eq!((first.len(), rest.len()), (1, 0));
        let other = vec![told(2, &[3]), told(3, &[2]), told(3, &[3]), told(4, &[3])];
        let (now, later) = numbers.claim(1, other, itself);
        assert_eq!(now, [told(2, &[3]), told(4, &[3])]);
        assert_eq!(later, [told(3, &[2]), told(3, &[3])], "in the order of their entity");
        numbers.release(first.iter());
        assert!(numbers.claim(1, later, itself).1.is_empty());
    }

    #[test]
    fn what_touches_a_claimed_account_waits_and_accounts_without_a_floor_are_claimed_by_nobody() {
        let given = |passenger: u32| {
            let mut decision = told(passenger, &[]);
            let passenger = sample::passenger(passenger);
            let credit = goodwill("1", passenger, Centavos(5), sample::START);
            decision.money.push(credit.expect("an event"));
            decision
        };
        let mut numbers = numbers();
        let (first, _) = numbers.claim(0, vec![given(1)], itself);
        let (now, later) = numbers.claim(1, vec![given(1), told(5, &[1]), given(2)], itself);
        assert_eq!(now, [given(2)], "promotions are on both sides");
        assert_eq!(later, [given(1), told(5, &[1])]);
        numbers.release(first.iter());
        assert!(numbers.claim(1, later, itself).1.is_empty());
    }

    #[test]
    fn a_refused_batch_gives_its_numbers_back() {
        let mut numbers = numbers();
        let batch = [told(1, &[1, 1]), told(2, &[1])];
        let decisions: Vec<&Decision> = batch.iter().collect();
        let epoch = || "e".to_owned();
        let numbered = numbers.number(&decisions, epoch);
        assert_eq!(numbered.seqs, [1, 2, 3]);
        numbers.give_back(&numbered);
        assert_eq!(numbers.head(sample::passenger(1).0), Some((Arc::from("e"), 0)));
        assert_eq!(numbers.number(&decisions[1..], epoch).seqs, [1]);
        numbers.committed(&decisions[1..]);
        assert_eq!(numbers.head(sample::passenger(1).0), Some((Arc::from("e"), 1)));
    }

    #[test]
    fn a_stream_that_is_not_known_is_read_and_begins_once() {
        let mut numbers = Numbers::default();
        let batch = vec![told(1, &[2, 1, 2])];
        let (batch, _) = numbers.claim(0, batch, itself);
        let decisions: Vec<&Decision> = batch.iter().collect();
        assert_eq!(numbers.unknown(&decisions), [1, 2].map(|n| sample::passenger(n).0));
        numbers.learn(sample::passenger(1).0, 7, Some(Arc::from("old")));
        numbers.learn(sample::passenger(2).0, 0, None);
        assert!(numbers.unknown(&decisions).is_empty());
        let numbered = numbers.number(&decisions, || "new".to_owned());
        assert_eq!(numbered.seqs, [1, 8, 2]);
        assert_eq!(numbered.new_streams, [(sample::passenger(2).0, "new".to_owned())]);
    }
}
