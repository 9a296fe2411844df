//! From the outputs of a turn to what is recorded and what waits for it: the rules that every
//! interpreter keeps, written once for the actor's shell and for the simulator.
//!
//! The decisions of a turn are handed to the journal as one. What leaves waits for that commit;
//! where the turn decided nothing, for the last commit still on its way. What leaves does so in the
//! order of the turns: an older word that came after a newer one would be believed.

use std::collections::VecDeque;

use super::{Ahead, Effect, Envelope, Ephemeral, Market, Note, Output, Seek};
use crate::facts::{Answer, CommandKey, Decision, StreamId};
use crate::ids::DriverId;
use crate::journal::CommitError;
use crate::mutants::{Mutant, is};
use crate::refusal::Refusal;
use crate::units::UnixMillis;

/// What leaves a machine, once what it rests on is durable.
#[derive(Debug)]
pub enum Leave<R> {
    Reply(R, Answer, Option<CommandKey>),
    Repeat(R, CommandKey),
    Send(Envelope<R>),
    Push(Ephemeral),
    Rated(StreamId),
    Effect(Effect),
}

/// What is done at once: it rests on nothing durable.
#[derive(Debug)]
pub enum Act {
    Alarm(Option<UnixMillis>),
    Market(DriverId, Market),
    Find(Seek),
    Route(Ahead),
    Note(Note),
}

/// How a turn ends.
#[derive(Debug)]
pub enum TurnEnd<R> {
    /// Record `decision`, the `number`th of this life; then let `leaves` leave.
    Record { number: u64, decision: Box<Decision>, leaves: Vec<Leave<R>> },
    /// Nothing is on its way to disk: these leave now.
    Leave(Vec<Leave<R>>),
    /// Whatever leaves is held until an earlier decision is durable.
    Hold,
}

/// The turns of one life of a machine: what was handed over, and what waits.
#[derive(Debug)]
pub struct Turns<R> {
    /// Decisions handed over, and how many of them are durable.
    sent: u64,
    confirmed: u64,
    /// What leaves with a decision that was handed over in an earlier turn.
    held: VecDeque<(u64, Vec<Leave<R>>)>,
}

impl<R> Default for Turns<R> {
    fn default() -> Self {
        Self { sent: 0, confirmed: 0, held: VecDeque::new() }
    }
}

impl<R> Turns<R> {
    /// Whether a decision of an earlier turn is still on its way to disk.
    #[must_use]
    pub fn is_recording(&self) -> bool {
        self.confirmed < self.sent
    }

    /// Ends a turn, whose outputs are carried out in order: `act` is told what is done at once.
    pub fn end(
        &mut self,
        outputs: impl IntoIterator<Item = Output<R>>,
        mut act: impl FnMut(Act),
    ) -> TurnEnd<R> {
        let mut leaves = Vec::new();
        let mut decision: Option<Box<Decision>> = None;
        for output in outputs {
            match output {
                Output::Persist(next) => match &mut decision {
                    Some(decision) => decision.absorb(*next),
                    None => decision = Some(next),
                },
                Output::Reply(reply, answer, key) => leaves.push(Leave::Reply(reply, answer, key)),
                Output::Repeat(reply, key) => leaves.push(Leave::Repeat(reply, key)),
                Output::Send(envelope) => leaves.push(Leave::Send(envelope)),
                Output::Push(frame) => leaves.push(Leave::Push(frame)),
                Output::Rated(person) => leaves.push(Leave::Rated(person)),
                Output::Effect(effect) => leaves.push(Leave::Effect(effect)),
                Output::Alarm(at) => act(Act::Alarm(at)),
                Output::Market(driver, market) => act(Act::Market(driver, market)),
                Output::Find(seek) => act(Act::Find(seek)),
                Output::Route(ahead) => act(Act::Route(ahead)),
                Output::Note(note) => act(Act::Note(note)),
            }
        }
        match decision {
            Some(decision) => {
                self.sent += 1;
                let mut leaves = leaves;
                let behind = !self.held.is_empty() && !leaves.is_empty();
                if behind && !is(Mutant::Overtaken) {
                    // Left from the writer, at once, these would overtake what is held.
                    self.held.push_back((self.sent, std::mem::take(&mut leaves)));
                }
                TurnEnd::Record { number: self.sent, decision, leaves }
            }
            None if self.is_recording() && !is(Mutant::HeldTooShort) => {
                if !leaves.is_empty() {
                    self.held.push_back((self.sent, leaves));
                }
                TurnEnd::Hold
            }
            None => TurnEnd::Leave(leaves),
        }
    }

    /// The decision `number` has its outcome. Outcomes come in the order of the numbers.
    pub fn settled(&mut self, number: u64) {
        self.confirmed = self.confirmed.max(number);
    }

    /// What waited for a decision that has its outcome, in order, until there is no more.
    pub fn next_held(&mut self) -> Option<Vec<Leave<R>>> {
        let confirmed = self.confirmed;
        let (_, leaves) = self.held.pop_front_if(|(rests_on, _)| *rests_on <= confirmed)?;
        Some(leaves)
    }
}

/// What is said of a decision that was not recorded.
#[derive(Debug)]
pub enum Lost<R> {
    Answer(R, Refusal),
    /// The stored result is the answer.
    Repeat(R, CommandKey),
}

/// What becomes of `leaves` whose decision was lost: askers hear of it, nobody else hears anything.
/// Where an answer was recorded before, under the same key, that one is the answer: the key is the
/// last line against doing a command twice.
pub fn lose<R>(leaves: Vec<Leave<R>>, error: &CommitError, mut say: impl FnMut(Lost<R>)) {
    let known_key = error.constraint() == Some("command_results_pkey");
    for leave in leaves {
        match leave {
            Leave::Reply(reply, _, Some(key)) if known_key => say(Lost::Repeat(reply, key)),
            Leave::Reply(reply, answer, key) => {
                say(Lost::Answer(reply, refusal_of(&answer, error, key.is_some())));
            }
            Leave::Repeat(reply, key) => say(Lost::Repeat(reply, key)),
            Leave::Send(_) | Leave::Push(_) | Leave::Rated(_) | Leave::Effect(_) => {}
        }
    }
}

/// What an asker is told whose decision was not recorded. `keyed`: who asks again under the same id
/// is to hear the same, so nothing is said that is not recorded.
fn refusal_of(answer: &Answer, error: &CommitError, keyed: bool) -> Refusal {
    match error {
        CommitError::Overloaded => Refusal::Overloaded,
        CommitError::Unavailable => Refusal::Unavailable,
        CommitError::Fenced => Refusal::NotOwner,
        CommitError::Refused { .. } if keyed => Refusal::Unavailable,
        CommitError::Refused { constraint } => match (constraint.as_deref(), answer) {
            (Some("rides_one_active_per_driver"), Ok(_)) => Refusal::DriverBusy,
            (Some("rides_one_active_per_passenger"), Ok(_)) => Refusal::ActiveRideExists,
            _ => Refusal::Unavailable,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::{Done, Entity, Timer};
    use crate::ride::sample;

    fn reply(number: u8) -> Output<u8> {
        Output::Reply(number, Err(Refusal::NotFound), None)
    }

    fn decided() -> Output<u8> {
        let mut decision = Decision::new(Entity::Ride(sample::ride_id(1)), sample::START);
        decision.timer = Some(Timer::Off);
        Output::Persist(Box::new(decision))
    }

    fn numbers(leaves: &[Leave<u8>]) -> Vec<u8> {
        leaves
            .iter()
            .map(|leave| match leave {
                Leave::Reply(number, ..) => *number,
                other => unreachable!("{other:?}"),
            })
            .collect()
    }

    #[test]
    fn what_leaves_waits_for_every_decision_made_before_it() {
        let mut turns = Turns::default();
        let end = turns.end([reply(1)], |_| {});
        assert!(matches!(end, TurnEnd::Leave(leaves) if numbers(&leaves) == [1]));
        let end = turns.end([reply(2), decided(), decided(), reply(3)], |_| {});
        let TurnEnd::Record { number: 1, leaves, .. } = end else { unreachable!("{end:?}") };
        assert_eq!(numbers(&leaves), [2, 3], "with their decision, the two as one");
        assert!(matches!(turns.end([reply(4)], |_| {}), TurnEnd::Hold));
        assert!(matches!(turns.end([decided()], |_| {}), TurnEnd::Record { number: 2, .. }));
        assert!(matches!(turns.end([reply(5)], |_| {}), TurnEnd::Hold));
        turns.settled(1);
        assert_eq!(turns.next_held().map(|leaves| numbers(&leaves)), Some(vec![4]));
        assert!(turns.next_held().is_none() && turns.is_recording());
        turns.settled(2);
        assert_eq!(turns.next_held().map(|leaves| numbers(&leaves)), Some(vec![5]));
        assert!(!turns.is_recording());
    }

    #[test]
    fn what_leaves_later_does_not_overtake() {
        let mut turns = Turns::default();
        assert!(matches!(turns.end([decided()], |_| {}), TurnEnd::Record { number: 1, .. }));
        assert!(matches!(turns.end([reply(1)], |_| {}), TurnEnd::Hold));
        let end = turns.end([decided(), reply(2)], |_| {});
        let TurnEnd::Record { number: 2, leaves, .. } = end else { unreachable!("{end:?}") };
        assert!(leaves.is_empty(), "it waits behind what is held");
        turns.settled(1);
        turns.settled(2);
        let held = [turns.next_held(), turns.next_held()];
        assert_eq!(
            held.map(|leaves| leaves.map(|leaves| numbers(&leaves))),
            [Some(vec![1]), Some(vec![2])]
        );
    }

    fn key(id: &str) -> CommandKey {
        CommandKey { principal: sample::driver(1).into(), id: id.into(), fingerprint: 7 }
    }

    fn won() -> Answer {
        Ok(Done { version: 1, body: "{}".into() })
    }

    fn refused(constraint: &str) -> CommitError {
        CommitError::Refused { constraint: Some(constraint.into()) }
    }

    fn told(leaves: Vec<Leave<u8>>, error: &CommitError) -> Vec<Lost<u8>> {
        let mut told = vec![];
        lose(leaves, error, |lost| told.push(lost));
        told
    }

    #[test]
    fn a_refusal_that_is_not_recorded_is_none_for_who_may_ask_again() {
        let leaves = vec![Leave::Reply(1, won(), Some(key("a")))];
        let told = told(leaves, &refused("rides_one_active_per_driver"));
        assert!(matches!(told[..], [Lost::Answer(1, Refusal::Unavailable)]));
    }

    #[test]
    fn a_lost_decision_is_told_to_its_askers_by_what_refused_it() {
        let cases = [
            (refused("rides_one_active_per_driver"), Refusal::DriverBusy),
            (refused("rides_one_active_per_passenger"), Refusal::ActiveRideExists),
            (refused("events_pkey"), Refusal::Unavailable),
            (CommitError::Unavailable, Refusal::Unavailable),
            (CommitError::Overloaded, Refusal::Overloaded),
            (CommitError::Fenced, Refusal::NotOwner),
        ];
        for (error, expected) in cases {
            let told = told(vec![Leave::Reply(1, won(), None)], &error);
            assert!(matches!(&told[..], [Lost::Answer(1, refusal)] if *refusal == expected));
        }
    }

    #[test]
    fn a_command_that_was_decided_before_gets_the_stored_answer() {
        // Two more were told the same: one asked under no id, the other under another.
        let leaves = vec![
            Leave::Reply(1, won(), None),
            Leave::Reply(2, won(), Some(key("a"))),
            Leave::Reply(3, won(), Some(key("b"))),
            Leave::Reply(4, Err(Refusal::NotFound), None),
        ];
        let told = told(leaves, &refused("command_results_pkey"));
        assert!(matches!(told[0], Lost::Answer(1, Refusal::Unavailable)));
        assert!(matches!(&told[1], Lost::Repeat(2, known) if *known == key("a")));
        assert!(matches!(&told[2], Lost::Repeat(3, known) if *known == key("b")));
        assert!(matches!(told[3], Lost::Answer(4, Refusal::Unavailable)));
    }
}
