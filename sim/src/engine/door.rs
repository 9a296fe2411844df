//! The door: commands come in, answers go out. As `src/actors/decide.rs` and
//! `commands.rs`.

use std::rc::Rc;
use std::sync::Arc;

use ibora_domain::facts::{Answer, CommandKey};
use ibora_domain::ids::UserId;
use ibora_domain::journal::Standing;
use ibora_domain::machines::{Ask, DriverInput, Envelope, Waited};
use ibora_domain::mutants::{Mutant, is};
use ibora_domain::refusal::Refusal;

use super::{Asked, Engine, Reply};
use crate::app::AppEvent;
use crate::command::{self, Command, Down, New, Rest, Snapshot};
use crate::node::NodeEvent;
use crate::people;
use crate::queue::{Micros, SECOND};
use crate::tell;
use crate::world::{Ids, World};

/// How long a caller waits for an answer before hearing `unavailable`.
const COMMAND_DEADLINE: Micros = 5 * SECOND;

/// Who waits for an answer.
#[derive(Debug, Clone)]
pub enum Target {
    Rest {
        app: usize,
        request: u64,
        id: Arc<str>,
    },
    Frame {
        link: u64,
        id: Arc<str>,
    },
    /// A snapshot in the making.
    Opening {
        number: u64,
    },
}

/// An answer that is owed.
pub struct Pending {
    pub node: usize,
    pub run: u64,
    pub target: Target,
    /// What was asked; a snapshot's questions are no commands.
    pub asked: Option<Asked>,
}

impl Engine {
    /// Whether this engine may act.
    pub(super) fn may_act(&self, world: &World) -> Result<(), Refusal> {
        match self.lease.standing(world.steady()) {
            Standing::Lost => Err(Refusal::NotOwner),
            Standing::Lapsed | Standing::Left => Err(Refusal::Unavailable),
            Standing::Holds if self.closed => Err(Refusal::Unavailable),
            Standing::Holds => Ok(()),
        }
    }

    /// A REST request.
    pub fn rest(&mut self, world: &mut World, (app, request): (usize, u64), rest: Rest) {
        let user = world.apps[app].user;
        if people::is_driver(user) {
            self.locate(world, user.into(), None);
            self.send(world, Envelope::Driver(user.into(), DriverInput::Seen));
        }
        match rest {
            Rest::Snapshot => self.open(world, super::sessions::For::Rest { app, request }, user),
            Rest::Command { id, command } => {
                let target = Target::Rest { app, request, id: Arc::clone(&id) };
                self.command(world, (user, target), &id, &command);
            }
        }
    }

    /// A command: its answer comes when what it rests on is durable.
    pub fn command(
        &mut self,
        world: &mut World,
        (user, target): (UserId, Target),
        id: &Arc<str>,
        command: &Rc<Command>,
    ) {
        let key = command.key(user, id);
        if let Err(refusal) = self.may_act(world).and_then(|()| self.under_way.enter(&key)) {
            world.say(self.node, &target, Err(refusal));
            return;
        }
        self.under_way.goes_on(&key);
        let (reply, dropped) = world.expect(self.node, target);
        let asked = Asked { user, key: key.clone(), command: Rc::clone(command) };
        if let Some(pending) = world.pending.get_mut(&reply) {
            pending.asked = Some(asked);
        }
        let reply = Reply::new((reply, dropped));
        world.to_node(self.node, COMMAND_DEADLINE, NodeEvent::Deadline { reply: reply.id });
        let ask = Ask { by: user, key: Some(key), if_version: None, origin: None, reply };
        let ride = people::ride(Ids::next(&mut world.ids.ride));
        let payout = people::payout(Ids::next(&mut world.ids.payout));
        let dispute = people::dispute(Ids::next(&mut world.ids.dispute));
        self.send(world, command.envelope(ask, New { ride, payout, dispute }));
    }

    /// An answer leaves.
    pub fn answer(&mut self, world: &mut World, reply: u64, answer: Answer) {
        let Some(pending) = world.pending.remove(&reply) else { return };
        if let Some(asked) = &pending.asked {
            world.watch_answer(asked, &answer);
            self.nobody_waits(world, asked, &answer);
            if world.trace.is_on() {
                let (who, what) = (people::name(asked.user.0), asked.command.name());
                let said = answer.as_ref().map_or_else(|refusal| refusal.code(), |_| "ok");
                tell!(world, "n{} {who} {} {what}: {said}", self.node, asked.key.id);
            }
        }
        match pending.target {
            Target::Opening { number } => self.opened(world, number, answer),
            target => world.say(self.node, &target, answer),
        }
    }

    /// Nobody waits for a command any more.
    fn nobody_waits(&mut self, world: &mut World, asked: &Asked, answer: &Answer) {
        let (key, driver) = (&asked.key, people::is_driver(asked.user));
        let of_nothing = answer.as_ref().is_err_and(|refusal| refusal.is_of_nothing());
        if of_nothing && self.under_way.leaves_nothing(key) && driver && !is(Mutant::IdKept) {
            let unused = DriverInput::Unused { key: key.clone() };
            self.send(world, Envelope::Driver(asked.user.into(), unused));
        }
        let waited = match Waited::from(answer) {
            Waited::InVain if !driver => Waited::Refused,
            waited => waited,
        };
        self.under_way.leave(key, waited);
    }

    /// Answers with the stored result of a command, once it is read.
    pub(super) fn repeat(&mut self, world: &mut World, reply: Reply, key: CommandKey) {
        let after = world.read_time();
        world.to_node(self.node, after, NodeEvent::Repeat { reply, key });
    }

    /// The stored result is read.
    pub fn repeated(&mut self, world: &mut World, reply: Reply, key: &CommandKey) {
        let stored = match world.nodes[self.node].is_cut_off(world.now) {
            true => None,
            false => world.db.result(key),
        };
        let answer = match stored {
            Some(stored) if stored.fingerprint != key.fingerprint => {
                Err(Refusal::IdempotencyKeyReused)
            }
            Some(stored) => stored.answer.clone(),
            None => Err(Refusal::Unavailable),
        };
        self.answer(world, reply.take(), answer);
    }
}

impl World {
    /// Sends an answer on its way.
    pub fn say(&mut self, node: usize, target: &Target, answer: Answer) {
        match target {
            Target::Rest { app, request, id } => {
                let reply = command::Reply::Answer { id: Arc::clone(id), answer };
                self.rest_answer(node, (*app, *request), reply);
            }
            Target::Frame { link, id } => {
                self.send_down(*link, Down::Res { id: Arc::clone(id), answer });
            }
            Target::Opening { .. } => {}
        }
    }

    /// Answers a snapshot that was asked for by REST.
    pub fn say_snapshot(&mut self, node: usize, to: (usize, u64), snapshot: Option<Rc<Snapshot>>) {
        self.rest_answer(node, to, command::Reply::Snapshot(snapshot));
    }

    fn rest_answer(&mut self, node: usize, (app, request): (usize, u64), reply: command::Reply) {
        let hop = self.hop();
        if self.cut_until(app, node) > self.now + hop || self.loses(app) {
            return;
        }
        self.to_app(app, hop, AppEvent::Answer { request, reply });
    }

    /// A place to answer to was dropped: its asker hears `unavailable`, if the process still is
    /// the one that was asked.
    pub fn answer_unavailable(&mut self, reply: u64) {
        let Some(pending) = self.pending.get(&reply) else { return };
        let node = pending.node;
        if self.nodes[node].run != pending.run {
            self.pending.remove(&reply);
            return;
        }
        self.with_engine(node, |engine, world| {
            engine.answer(world, reply, Err(Refusal::Unavailable));
        });
        // Without an engine, as while one goes down, nobody is left to say so.
        self.pending.remove(&reply);
    }
}
