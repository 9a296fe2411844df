//! A node: a process that starts, waits for the shards, works, keeps its lease, and goes down. As
//! `src/app` and `src/journal/tenure.rs`; and what the database does with what nodes send.

use std::rc::Rc;
use std::sync::Arc;

use ibora_domain::facts::{CommandKey, Entity};
use ibora_domain::journal::{Lease, RENEWALS, Standing, due_at_start};
use ibora_domain::mutants::{Mutant, is};
use ibora_domain::units::{Millis, UnixMillis};

use crate::command::{Rest, Up};
use crate::database::{Fence, Took, Write, Wrote};
use crate::engine::{Engine, LANES, Reply, Stands};
use crate::provider::Answer;
use crate::queue::{MS, Micros, SECOND};
use crate::tell;
use crate::world::{Event, World};

/// How long an engine may be silent before another may take its shards.
pub const LEASE: Millis = Millis::from_secs(6);
/// How often a standby looks.
const LOOK_EVERY: Micros = SECOND;
/// Pause after a renewal that failed.
const AGAIN_AFTER: Micros = 250 * MS;
/// For how long an engine that was replaced says so.
const LINGER: Micros = 3 * SECOND;
/// Answers to what a database that cannot be reached was asked.
const GIVEN_UP_AFTER: Micros = 3 * SECOND;

/// What a refusal is called that no constraint of the database makes.
pub const SIMULATED: &str = "simulated";

/// What happens to a process.
pub enum NodeEvent {
    Look,
    Took { asked: Millis, took: Option<Took> },
    Loaded,
    Wake { entity: Entity, life: u64 },
    Activate { entity: Entity, life: u64, stage: u8 },
    Settled { entity: Entity, life: u64, number: u64, lost: bool },
    Ring { entity: Entity, place: UnixMillis },
    Pump { lane: usize },
    Retry { lane: usize },
    Wrote { lane: usize, attempt: u64, said: Option<Wrote> },
    Renew,
    Renewed { asked: Millis, renewed: Option<bool> },
    Sweep,
    Frame { link: u64, frame: Up },
    Rest { app: usize, request: u64, rest: Rest },
    Hangup { link: u64 },
    Seen { link: u64 },
    Open { number: u64 },
    Deadline { reply: u64 },
    Repeat { reply: Reply, key: CommandKey },
    Carry { number: u64 },
    Answered { number: u64, answer: Box<Answer> },
    Inbox,
    Janitor,
    Stop,
    Flush,
    Exit,
}

/// What reaches the database.
pub enum DbEvent {
    Write { from: (usize, u64), lane: (usize, u64), write: Rc<Write>, answered: bool },
    Renew { from: (usize, u64), asked: Millis, fence: Rc<Fence> },
    Take { from: (usize, u64), asked: Millis },
}

/// What goes wrong with the next write of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteFault {
    /// It commits, and the answer is lost.
    AnswerLost,
    /// It never comes.
    Lost,
    /// It commits long after the connection was given up.
    Late,
    /// The database refuses it as it is, as for data that its types do not take.
    Refused,
}

impl WriteFault {
    /// Every one.
    pub const ALL: [Self; 4] = [Self::AnswerLost, Self::Lost, Self::Late, Self::Refused];
}

/// A node of the set-up.
pub struct Node {
    pub name: Arc<str>,
    pub up: bool,
    /// Which process this is.
    pub run: u64,
    pub engine: Option<Box<Engine>>,
    pub skew_ms: i64,
    pub paused_until: Micros,
    /// Until then it does not reach the database, nor its clients.
    db_cut_until: Micros,
    pub alone_until: Micros,
    pub write_faults: Vec<WriteFault>,
}

impl Node {
    #[must_use]
    pub fn new(number: usize) -> Self {
        Self {
            name: Arc::from(format!("n{number}")),
            up: false,
            run: 0,
            engine: None,
            skew_ms: 0,
            paused_until: 0,
            db_cut_until: 0,
            alone_until: 0,
            write_faults: Vec::new(),
        }
    }

    /// Whether the database cannot be reached.
    #[must_use]
    pub const fn is_cut_off(&self, now: Micros) -> bool {
        self.db_cut_until > now
    }

    /// Cuts it off from the database.
    pub fn cut_off(&mut self, until: Micros) {
        self.db_cut_until = self.db_cut_until.max(until);
    }

    /// How it stands with the shards, while its process runs.
    #[must_use]
    pub fn acts(&self, now: Millis) -> bool {
        let engine = self.engine.as_ref().filter(|engine| engine.serving);
        engine.is_some_and(|engine| engine.lease.standing(now) == Standing::Holds)
    }
}

impl World {
    /// Starts a process.
    pub fn boot_at(&mut self, node: usize, at: Micros) {
        self.nodes[node].run += 1;
        self.nodes[node].up = true;
        let run = self.nodes[node].run;
        self.at(at, Event::Node { node, run, what: NodeEvent::Look });
    }

    /// Ends a process at once. Its sockets are reset; another is started after a while.
    pub fn kill(&mut self, node: usize, again_after: Micros) {
        tell!(self, "n{node} is gone");
        self.nodes[node].run += 1;
        self.nodes[node].up = false;
        self.nodes[node].engine = None;
        let links = self.links.iter().filter(|(_, way)| way.node == node);
        let links: Vec<u64> = links.map(|(link, _)| *link).collect();
        for link in links {
            let Some(way) = self.links.remove(&link) else { continue };
            let reset = self.chance.between(20 * MS, 500 * MS);
            let silent = way.dead || self.cut_until(way.app, node) > 0;
            let after = if silent { reset + 15 * SECOND } else { reset };
            self.to_app(way.app, after, crate::app::AppEvent::Closed { link });
        }
        let at = self.now + again_after;
        self.boot_at(node, at);
    }

    /// Lets an engine do something.
    pub fn with_engine(&mut self, node: usize, act: impl FnOnce(&mut Engine, &mut Self)) {
        let run = self.nodes[node].run;
        let Some(mut engine) = self.nodes[node].engine.take() else { return };
        act(&mut engine, self);
        if self.nodes[node].run == run {
            self.nodes[node].engine = Some(engine);
        }
    }

    /// Something happens to a process, if it is still the one that is meant.
    pub fn node_event(&mut self, node: usize, run: u64, what: NodeEvent) {
        if self.nodes[node].run != run {
            return;
        }
        let resumes = self.nodes[node].paused_until;
        if resumes > self.now {
            self.at(resumes, Event::Node { node, run, what });
            return;
        }
        match what {
            NodeEvent::Look => self.look(node),
            NodeEvent::Took { asked, took } => self.took(node, asked, took),
            NodeEvent::Frame { link, .. } | NodeEvent::Hangup { link } if !self.serves(node) => {
                self.turn_away(link);
            }
            NodeEvent::Rest { app, request, rest } if !self.serves(node) => {
                self.turn_down(node, (app, request), &rest);
            }
            what => self.with_engine(node, |engine, world| engine.happen(world, what)),
        }
    }

    fn serves(&self, node: usize) -> bool {
        self.nodes[node].engine.as_ref().is_some_and(|engine| engine.serving)
    }

    /// A standby has no sessions.
    fn turn_away(&mut self, link: u64) {
        let after = self.hop();
        if let Some(way) = self.links.remove(&link) {
            self.to_app(way.app, after, crate::app::AppEvent::Closed { link });
        }
    }

    fn turn_down(&mut self, node: usize, to: (usize, u64), rest: &Rest) {
        let refusal = ibora_domain::refusal::Refusal::NotOwner;
        match rest {
            Rest::Command { id, .. } => {
                let (app, request) = to;
                let id = Arc::clone(id);
                let target = crate::engine::Target::Rest { app, request, id };
                self.say(node, &target, Err(refusal));
            }
            Rest::Snapshot => self.say_snapshot(node, to, None),
        }
    }

    fn look(&mut self, node: usize) {
        if self.nodes[node].engine.is_some() {
            return;
        }
        let asked = self.steady();
        let from = (node, self.nodes[node].run);
        if self.nodes[node].is_cut_off(self.now) {
            self.to_node(node, LOOK_EVERY, NodeEvent::Look);
        } else {
            let after = self.read_time();
            self.at(self.now + after, Event::Db(DbEvent::Take { from, asked }));
        }
    }

    fn took(&mut self, node: usize, asked: Millis, took: Option<Took>) {
        let Some(Took::Ours(fence)) = took else {
            self.to_node(node, LOOK_EVERY, NodeEvent::Look);
            return;
        };
        tell!(self, "n{node} has the shards, incarnation {}", fence.incarnation);
        let lease = Lease::new(asked, LEASE);
        let engine = Engine::new(node, fence, lease, self.now);
        self.nodes[node].engine = Some(Box::new(engine));
        let after = self.chance.between(2 * MS, 80 * MS);
        self.to_node(node, after, NodeEvent::Loaded);
        self.to_node(node, MS * LEASE.0 / u64::from(RENEWALS), NodeEvent::Renew);
        self.to_node(node, 5 * SECOND, NodeEvent::Sweep);
    }

    /// Sends a batch, with whatever goes wrong on its way.
    pub fn send_write(&mut self, node: usize, lane: (usize, u64), write: Rc<Write>) {
        let there = self.write_time();
        let from = (node, self.nodes[node].run);
        let fault = match self.nodes[node].is_cut_off(self.now) {
            // Whether it was sent before the cut, nobody knows.
            true if self.chance.percent(50) => Some(WriteFault::Lost),
            true => Some(WriteFault::Late),
            false => self.next_write_fault(node),
        };
        if let Some(fault) = fault {
            tell!(self, "n{node} lane {}: {fault:?}", lane.0);
        }
        let (after, answered) = match fault {
            None => (Some(there), true),
            Some(WriteFault::AnswerLost) => (Some(there), false),
            Some(WriteFault::Late) => (Some(self.chance.between(100 * MS, 10 * SECOND)), false),
            Some(WriteFault::Lost) => (None, false),
            Some(WriteFault::Refused) => {
                let (lane, attempt) = lane;
                let said = Some(Wrote::Refused { constraint: SIMULATED });
                self.to_node(node, there, NodeEvent::Wrote { lane, attempt, said });
                return;
            }
        };
        if let Some(after) = after {
            let write = DbEvent::Write { from, lane, write, answered };
            self.at(self.now + after, Event::Db(write));
        }
        if !answered {
            let after = self.chance.between(20 * MS, GIVEN_UP_AFTER);
            let (lane, attempt) = lane;
            self.to_node(node, after, NodeEvent::Wrote { lane, attempt, said: None });
        }
    }

    /// Something reaches the database.
    pub fn db_event(&mut self, what: DbEvent) {
        let back = self.read_time();
        let (from, answer) = match what {
            DbEvent::Write { from, lane: (lane, attempt), write, answered } => {
                let said = self.db.write(&write);
                tell!(self, "db n{}.{lane} {} {said:?}", from.0, self.watch.describe(&write));
                self.watch_write(&write, &said);
                let said = Some(said);
                (from, answered.then_some(NodeEvent::Wrote { lane, attempt, said }))
            }
            DbEvent::Renew { from, asked, fence } => {
                let renewed = self.db.renew(&fence, (self.steady(), LEASE));
                (from, Some(NodeEvent::Renewed { asked, renewed: Some(renewed) }))
            }
            DbEvent::Take { from, asked } => {
                let name = Arc::clone(&self.nodes[from.0].name);
                let lanes = u16::try_from(LANES).unwrap_or(1);
                let before = self.db.shards.first().map_or(0, |owner| owner.epoch);
                let took = self.db.take(&name, lanes, (self.steady(), LEASE));
                self.watch_take(before);
                (from, Some(NodeEvent::Took { asked, took: Some(took) }))
            }
        };
        let (node, run) = from;
        if let Some(what) = answer {
            let lost = self.nodes[node].is_cut_off(self.now);
            let (at, what) = match (lost, what) {
                (false, what) => (self.now + back, what),
                (true, NodeEvent::Wrote { lane, attempt, .. }) => {
                    let what = NodeEvent::Wrote { lane, attempt, said: None };
                    (self.now + GIVEN_UP_AFTER, what)
                }
                (true, NodeEvent::Renewed { asked, .. }) => {
                    (self.now + GIVEN_UP_AFTER, NodeEvent::Renewed { asked, renewed: None })
                }
                (true, NodeEvent::Took { asked, .. }) => {
                    (self.now + GIVEN_UP_AFTER, NodeEvent::Took { asked, took: None })
                }
                (true, what) => (self.now + GIVEN_UP_AFTER, what),
            };
            self.at(at, Event::Node { node, run, what });
        }
    }
}

impl Engine {
    fn happen(&mut self, world: &mut World, what: NodeEvent) {
        match what {
            NodeEvent::Look | NodeEvent::Took { .. } => {}
            NodeEvent::Loaded => self.loaded(world),
            NodeEvent::Wake { entity, life } => self.wake_up(world, entity, life),
            NodeEvent::Activate { entity, life, stage } => {
                self.go_on(world, entity, (life, stage));
            }
            NodeEvent::Settled { entity, life, number, lost } => {
                self.settled(world, (entity, life), (number, lost));
            }
            NodeEvent::Ring { entity, place } => self.ring(world, entity, place),
            NodeEvent::Pump { lane } => self.pump(world, lane),
            NodeEvent::Retry { lane } => self.attempt(world, lane),
            NodeEvent::Wrote { lane, attempt, said } => self.written(world, lane, (attempt, said)),
            NodeEvent::Renew => self.renew(world),
            NodeEvent::Renewed { asked, renewed } => self.renewed(world, asked, renewed),
            NodeEvent::Sweep => {
                self.sweep(world);
                world.to_node(self.node, 5 * SECOND, NodeEvent::Sweep);
            }
            NodeEvent::Frame { link, frame } => {
                if world.links.get(&link).is_some_and(|way| !way.dead) {
                    self.frame(world, link, frame);
                }
            }
            NodeEvent::Rest { app, request, rest } => self.rest(world, (app, request), rest),
            NodeEvent::Hangup { link } => {
                self.forget_session(world, link);
                world.links.remove(&link);
            }
            NodeEvent::Seen { link } => self.seen(world, link),
            NodeEvent::Open { number } => self.open_on(world, number),
            NodeEvent::Deadline { reply } => {
                let refusal = ibora_domain::refusal::Refusal::Unavailable;
                self.answer(world, reply, Err(refusal));
            }
            NodeEvent::Repeat { reply, key } => self.repeated(world, reply, &key),
            NodeEvent::Carry { number } => self.carry_on(world, number),
            NodeEvent::Answered { number, answer } => self.heard(world, number, *answer),
            NodeEvent::Inbox => self.look_at_inbox(world),
            NodeEvent::Janitor => self.janitor(world),
            NodeEvent::Stop => {
                self.closed = true;
                world.to_node(self.node, 20 * MS, NodeEvent::Flush);
            }
            NodeEvent::Flush => self.flush(world),
            NodeEvent::Exit => world.kill(self.node, 5 * SECOND),
        }
    }

    /// Takes up what was in flight: every deadline with the time that is left of it.
    fn loaded(&mut self, world: &mut World) {
        if world.nodes[self.node].is_cut_off(world.now) {
            world.kill(self.node, SECOND);
            return;
        }
        let timers = due_at_start(world.db.timers.values().copied(), world.db.next_releases());
        let late = Millis(if is(Mutant::TimerArmedAnew) { 60_000 } else { 0 });
        for (entity, at) in &timers {
            self.set_alarm(world, *entity, Some(*at + late));
        }
        let online = world.db.drivers.values().filter(|row| row.online);
        let online: Vec<_> = online.map(|row| row.id).collect();
        // Time in which the engine was down counts against nobody.
        let absent_at = world.clock(self.node) + world.drivers.presence;
        for driver in online {
            self.set_alarm(world, Entity::Driver(driver), Some(absent_at));
        }
        let flying: Vec<_> = world.db.rides.values().filter(|row| !row.status.is_final()).collect();
        let flying: Vec<_> = flying
            .iter()
            .map(|row| ((row.driver, row.passenger), row.id, Stands::of(row)))
            .collect();
        for (people, ride, stands) in flying {
            self.follow(people, ride, stands);
        }
        self.serving = true;
        world.watch_rearmed(self);
        self.take_up_inbox(world);
    }

    fn renew(&mut self, world: &mut World) {
        let asked = world.steady();
        if !matches!(self.lease.standing(asked), Standing::Holds | Standing::Lapsed) {
            return;
        }
        if world.nodes[self.node].is_cut_off(world.now) {
            world.to_node(self.node, AGAIN_AFTER, NodeEvent::Renew);
            return;
        }
        let from = (self.node, world.nodes[self.node].run);
        let after = world.read_time();
        let renew = DbEvent::Renew { from, asked, fence: Rc::clone(&self.fence) };
        world.at(world.now + after, Event::Db(renew));
    }

    fn renewed(&mut self, world: &mut World, asked: Millis, renewed: Option<bool>) {
        let after = match renewed {
            None => AGAIN_AFTER,
            Some(false) => return self.lose_shards(world),
            Some(true) => {
                self.lease.renewed(asked, LEASE);
                let every = LEASE.0 / u64::from(RENEWALS);
                let spent = world.steady().0.saturating_sub(asked.0);
                every.saturating_sub(spent) * MS
            }
        };
        world.to_node(self.node, after, NodeEvent::Renew);
    }

    /// Another engine has the shards: says so for a while, and ends.
    pub(crate) fn lose_shards(&mut self, world: &mut World) {
        if !self.lease.lose() {
            return;
        }
        tell!(world, "n{} lost the shards", self.node);
        let links: Vec<u64> = self.sessions.keys().copied().collect();
        for link in links {
            self.close(world, link);
        }
        world.to_node(self.node, LINGER, NodeEvent::Exit);
    }

    /// Stops in order: gives the shards up once all is recorded.
    fn flush(&mut self, world: &mut World) {
        if !self.is_flushed() {
            world.to_node(self.node, 20 * MS, NodeEvent::Flush);
            return;
        }
        if self.lease.leave() && !world.nodes[self.node].is_cut_off(world.now) {
            world.db.leave(&self.fence);
        }
        world.to_node(self.node, 50 * MS, NodeEvent::Exit);
    }
}
