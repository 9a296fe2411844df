//! A lane: commits what has arrived, asks again where an answer was lost, tells what became of it.
//! As `src/journal/lane.rs` and `store.rs`.

use std::collections::VecDeque;
use std::rc::Rc;

use ibora_domain::facts::{Decision, Entity};
use ibora_domain::journal::{
    CommitError, Fate, Heard, Inquiry, Lives, Numbered, Question, Verdict,
};
use ibora_domain::machines::Leave;
use ibora_domain::mutants::{Mutant, is};
use uuid::Uuid;

use super::{Engine, LANES, Reply};
use crate::database::{Write, Wrote};
use crate::node::NodeEvent;
use crate::queue::{MS, Micros};
use crate::tell;
use crate::world::{Ids, World};

/// Decisions in a batch, at most.
const BATCH_MAX: usize = 64;
/// How long a failed connection is left alone before the next try; doubled up to the maximum.
const RETRY_FIRST: Micros = 50 * MS;
const RETRY_MAX: Micros = 1000 * MS;

/// Something to record, and who is told of its outcome.
pub struct Append {
    pub entity: Entity,
    pub life: u64,
    /// `None`: a barrier, which overtakes nothing.
    pub decision: Option<Rc<Decision>>,
    pub done: Done,
}

/// Who waits for an outcome.
pub enum Done {
    Decided {
        number: u64,
        leaves: Vec<Leave<Reply>>,
    },
    /// A machine that is built again once all before it has its outcome.
    Settled {
        life: u64,
    },
}

impl Append {
    pub(super) const fn decision(
        entity: Entity,
        life: u64,
        decision: Rc<Decision>,
        done: Done,
    ) -> Self {
        Self { entity, life, decision: Some(decision), done }
    }

    fn decided(&self) -> Option<&Decision> {
        self.decision.as_deref()
    }

    pub(super) const fn barrier(entity: Entity, done: Done) -> Self {
        Self { entity, life: 0, decision: None, done }
    }
}

/// A batch on its way.
pub struct Writing {
    appends: Vec<Append>,
    numbered: Option<Numbered>,
    write: Option<Rc<Write>>,
    inquiry: Inquiry,
    /// Tells apart the answers of its attempts.
    pub attempt: u64,
    pause: Micros,
}

/// One writer.
#[derive(Default)]
pub struct Lane {
    inbox: VecDeque<Append>,
    /// What touches a stream that the other lane holds.
    waiting: Vec<Append>,
    /// Of a refused batch, what is still to be tried by itself.
    singly: VecDeque<Append>,
    writing: Option<Writing>,
    lives: Lives,
}

impl Lane {
    pub(super) fn is_idle(&self) -> bool {
        self.inbox.is_empty()
            && self.waiting.is_empty()
            && self.singly.is_empty()
            && self.writing.is_none()
    }
}

impl Engine {
    /// Hands something over.
    pub(super) fn append(&mut self, world: &mut World, append: Append) {
        let lane = Self::lane_of(append.entity);
        self.lanes[lane].inbox.push_back(append);
        let after = world.chance.between(5, 100);
        world.to_node(self.node, after, NodeEvent::Pump { lane });
    }

    /// Takes what waits, if nothing is on its way.
    pub fn pump(&mut self, world: &mut World, number: usize) {
        while self.lanes[number].writing.is_none() {
            let lane = &mut self.lanes[number];
            let one = lane.singly.pop_front();
            let singly = one.is_some();
            let mut taken: Vec<Append> = match one {
                Some(one) => vec![one],
                None => std::mem::take(&mut lane.waiting),
            };
            if !singly {
                let room = BATCH_MAX.saturating_sub(taken.len()).min(lane.inbox.len());
                taken.extend(lane.inbox.drain(..room));
            }
            let is_done = taken.is_empty();
            let admitted = self.refuse_broken(world, number, taken);
            let (batch, mut later) = self.numbers.claim(number, admitted, Append::decided);
            let is_held_up = !later.is_empty();
            let lane = &mut self.lanes[number];
            if singly {
                if let Some(one) = later.pop() {
                    lane.singly.push_front(one);
                }
            } else {
                lane.waiting = later;
            }
            if !batch.is_empty() {
                self.begin(world, number, batch);
            } else if is_done || is_held_up {
                return;
            }
            // Else all that was taken was refused, and more may wait behind it.
        }
    }

    fn refuse_broken(
        &mut self,
        world: &mut World,
        number: usize,
        appends: Vec<Append>,
    ) -> Vec<Append> {
        let mut admitted = Vec::with_capacity(appends.len());
        for append in appends {
            let lives = &mut self.lanes[number].lives;
            let refused = match append.decision {
                Some(_) => lives.admit(append.entity, append.life),
                None => lives.admit_any(),
            };
            match refused {
                Ok(()) => admitted.push(append),
                Err(error) => self.outcome(world, append, Err(error)),
            }
        }
        admitted
    }

    fn begin(&mut self, world: &mut World, number: usize, appends: Vec<Append>) {
        if appends.iter().all(|append| append.decision.is_none()) {
            for append in appends {
                self.outcome(world, append, Ok(()));
            }
            return;
        }
        let writing = Writing {
            appends,
            numbered: None,
            write: None,
            inquiry: Inquiry::default(),
            attempt: 0,
            pause: RETRY_FIRST,
        };
        self.lanes[number].writing = Some(writing);
        self.attempt(world, number);
    }

    /// Numbers the batch, if it is not numbered yet, and sends it.
    pub fn attempt(&mut self, world: &mut World, number: usize) {
        let Some(mut writing) = self.lanes[number].writing.take() else { return };
        if writing.write.is_none() {
            if world.nodes[self.node].is_cut_off(world.now) {
                self.lanes[number].writing = Some(writing);
                world.to_node(self.node, 100 * MS, NodeEvent::Retry { lane: number });
                return;
            }
            let write = self.number(world, number, &mut writing);
            writing.write = Some(Rc::new(write));
        }
        if is(Mutant::RetriedBlindly)
            && writing.attempt > 0
            && let Some(write) = &mut writing.write
        {
            let id = Uuid::from_u128(u128::from(Ids::next(&mut world.ids.batch)));
            Rc::make_mut(write).id = id;
        }
        writing.attempt = Ids::next(&mut world.ids.request);
        let attempt = writing.attempt;
        let write = writing.write.as_ref().map(|write| match writing.inquiry.question() {
            Question::Batch => Rc::clone(write),
            Question::Seal => Rc::new(Write::seal(write)),
        });
        if let Some(write) = write {
            world.send_write(self.node, (number, attempt), write);
        }
        self.lanes[number].writing = Some(writing);
    }

    fn number(&mut self, world: &mut World, lane: usize, writing: &mut Writing) -> Write {
        let decisions: Vec<Rc<Decision>> =
            writing.appends.iter().filter_map(|append| append.decision.clone()).collect();
        let borrowed: Vec<&Decision> = decisions.iter().map(|decision| &**decision).collect();
        for user in self.numbers.unknown(&borrowed) {
            let (last, epoch) = world.db.stream(user);
            self.numbers.learn(user, last, epoch);
        }
        let epochs = &mut world.ids.epoch;
        let numbered = self.numbers.number(&borrowed, || format!("{:08x}", Ids::next(epochs)));
        let write = Write {
            id: Uuid::from_u128(u128::from(Ids::next(&mut world.ids.batch))),
            lane: u16::try_from(lane).unwrap_or(0),
            fence: Rc::clone(&self.fence),
            decisions,
            seqs: numbered.seqs.clone(),
            new_streams: numbered.new_streams.clone(),
            seal: false,
        };
        writing.numbered = Some(numbered);
        write
    }

    /// The answer to an attempt, or the news that there will be none.
    pub fn written(
        &mut self,
        world: &mut World,
        number: usize,
        (attempt, said): (u64, Option<Wrote>),
    ) {
        let lane = &mut self.lanes[number];
        let Some(writing) = lane.writing.as_mut().filter(|writing| writing.attempt == attempt)
        else {
            return;
        };
        let heard = match said {
            Some(Wrote::Written) => Heard::Recorded,
            Some(Wrote::Already) => Heard::Known,
            Some(Wrote::Fenced) => Heard::Fenced,
            Some(Wrote::Refused { constraint }) => {
                Heard::Refused { constraint: Some(constraint.to_owned()) }
            }
            None => Heard::Nothing,
        };
        let in_doubt = heard == Heard::Nothing;
        let Some(verdict) = writing.inquiry.hear(heard) else {
            let after = if in_doubt { writing.pause } else { 0 };
            if in_doubt {
                writing.pause = (after * 2).min(RETRY_MAX);
            }
            tell!(world, "n{} lane {number}: in doubt, asking again", self.node);
            world.to_node(self.node, after, NodeEvent::Retry { lane: number });
            return;
        };
        if let Some(writing) = lane.writing.take() {
            self.conclude(world, number, writing, verdict);
        }
        for lane in 0..LANES {
            self.pump(world, lane);
        }
    }

    fn conclude(&mut self, world: &mut World, number: usize, writing: Writing, verdict: Verdict) {
        let decisions = writing.appends.iter().filter_map(|append| append.decision.clone());
        let decisions: Vec<Rc<Decision>> = decisions.collect();
        let borrowed: Vec<&Decision> = decisions.iter().map(|decision| &**decision).collect();
        let numbered = writing.numbered.unwrap_or_default();
        match &verdict {
            Verdict::Written => {
                self.numbers.committed(&borrowed);
                let rows = borrowed.iter().flat_map(|decision| &decision.streams);
                for (row, seq) in rows.zip(&numbered.seqs) {
                    self.publish(world, u64::try_from(*seq).unwrap_or(0), row);
                }
            }
            Verdict::Refused { .. } => self.numbers.give_back(&numbered),
            Verdict::Fenced => {
                self.numbers.give_back(&numbered);
                self.lanes[number].lives.fence();
                self.lose_shards(world);
            }
        }
        self.numbers.release(borrowed.into_iter());
        match verdict.fate(writing.appends.len()) {
            Fate::Durable => {
                for append in writing.appends {
                    self.outcome(world, append, Ok(()));
                }
            }
            Fate::Singly => self.lanes[number].singly.extend(writing.appends),
            Fate::Lost(error) => {
                for append in writing.appends {
                    self.lose(world, number, append, &error);
                }
            }
        }
    }

    fn lose(&mut self, world: &mut World, number: usize, append: Append, error: &CommitError) {
        if append.decision.is_some() {
            self.lanes[number].lives.lose(append.entity, append.life);
        }
        self.outcome(world, append, Err(error.clone()));
    }
}
