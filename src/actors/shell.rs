//! The shell of every actor: takes a message, lets the machine step, and interprets its outputs.
//!
//! It holds no business rule. A turn is what the mailbox held; its decisions are handed to the
//! journal as one, and what leaves waits for that commit. A lost commit ends the actor.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use actix::prelude::*;
use ibora_domain::facts::{Decision, Entity, Row};
use ibora_domain::machines::{Act, Leave, Machine, Outputs, TurnEnd, Turns};
use ibora_domain::units::Millis;

use super::ports::{Ports, Reply};
use super::registry::Registry;
use crate::journal::{Append, CommitError};
use crate::obs::failpoint;

/// How long a turn waits for company that keeps coming.
const LINGER_MAX: Duration = Duration::from_millis(3);
/// Those who are worth a pause, which is about a tick of the timer, instead of a round.
const CROWD: usize = 16;
const CROWD_PAUSE: Duration = Duration::from_micros(500);
/// A word that leaves with a commit has come within this long, if it ever comes.
const WORD_WITHIN: Millis = Millis::from_secs(2);
/// Inputs after which a turn ends although more wait.
const TURN_MAX: u32 = 4096;

/// What an actor and its registry entry share.
pub(super) struct Vitals {
    pub(super) entity: Entity,
    /// Which activation this is; no other activation of any entity has the same.
    pub(super) life: u64,
    /// Messages sent and not yet handled. Counted by the sender: actix's own bound is none.
    pub(super) queued: AtomicU32,
    /// Commits on their way.
    pub(super) recording: AtomicU32,
    /// Set with the first lost commit, before anything else can be handed over.
    pub(super) broken: AtomicBool,
    /// When it last did something, in domain milliseconds.
    pub(super) last_active: AtomicU64,
    pub(super) passivate_after: AtomicU64,
    /// The activation before this one died, and this one has recorded nothing yet.
    pub(super) ailing: AtomicBool,
}

impl Vitals {
    pub(super) fn new(entity: Entity, life: u64, ailing: bool) -> Self {
        Self {
            entity,
            life,
            queued: AtomicU32::new(0),
            recording: AtomicU32::new(0),
            broken: AtomicBool::new(false),
            last_active: AtomicU64::new(0),
            passivate_after: AtomicU64::new(u64::MAX),
            ailing: AtomicBool::new(ailing),
        }
    }
}

/// An input for the machine inside.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Deliver<I>(pub(super) I);

/// Ends the actor: it was taken out of the registry and has nothing left to do.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Leaving;

/// Panics, for drills of what follows.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Crash;

#[derive(Message)]
#[rtype(result = "()")]
struct Committed {
    number: u64,
    lost: bool,
}

/// An actor.
pub(super) struct Shell<M: Machine<Reply = Reply>> {
    machine: M,
    ports: Arc<Ports>,
    vitals: Arc<Vitals>,
    turn: Outputs<Reply>,
    turns: Turns<Reply>,
    /// Inputs of this turn.
    turn_inputs: u32,
    /// The turn is open for those who are about to send.
    lingering: bool,
    /// A commit was lost: the end comes once all others have their outcome.
    lost: bool,
    _watch: DeathWatch,
}

/// Tells the registry how an actor ended, even by a panic.
struct DeathWatch {
    registry: std::sync::Weak<Registry>,
    vitals: Arc<Vitals>,
}

impl Drop for DeathWatch {
    fn drop(&mut self) {
        if let Some(registry) = self.registry.upgrade() {
            registry.ended(&self.vitals, std::thread::panicking());
        }
    }
}

impl<M> Shell<M>
where
    M: Machine<Reply = Reply> + Unpin + 'static,
    M::Input: Send,
{
    /// An actor around `machine`; `first` is what it wants done before its first message.
    pub(super) fn new(
        machine: M,
        ports: Arc<Ports>,
        vitals: Arc<Vitals>,
        first: Outputs<Reply>,
    ) -> Self {
        let watch = DeathWatch { registry: ports.registry.clone(), vitals: Arc::clone(&vitals) };
        Self {
            machine,
            ports,
            vitals,
            turn: first,
            turns: Turns::default(),
            turn_inputs: 0,
            lingering: false,
            lost: false,
            _watch: watch,
        }
    }

    fn step(&mut self, input: M::Input) {
        let now = self.ports.clock.now();
        self.machine.step(now, input, &mut self.turn);
        self.turn_inputs += 1;
        let now = u64::try_from(now.0).unwrap_or(0);
        self.vitals.last_active.store(now, Ordering::Relaxed);
    }

    /// Ends the turn if the mailbox is empty; otherwise what waits there comes back here. A machine
    /// that expects company lingers, for as long as each round of this thread's actors, or each
    /// short pause where a crowd is expected, brings some: a race that is run at once is then
    /// decided and recorded in one commit.
    fn end_turn_if_idle(&mut self, ctx: &mut Context<Self>) {
        let waiting = self.vitals.queued.load(Ordering::Acquire) > 0;
        if self.lingering || (waiting && self.turn_inputs < TURN_MAX) {
            return;
        }
        if self.machine.expected_company() > 0 {
            self.linger(Instant::now() + LINGER_MAX, ctx);
        } else {
            self.end_turn(ctx);
        }
    }

    fn linger(&mut self, until: Instant, ctx: &mut Context<Self>) {
        self.lingering = true;
        let before = self.turn_inputs;
        let crowd = self.machine.expected_company() >= CROWD;
        let others = async move {
            match crowd {
                true => tokio::time::sleep(CROWD_PAUSE).await,
                false => tokio::task::yield_now().await,
            }
        };
        ctx.spawn(others.into_actor(self).map(move |(), actor, ctx| {
            if actor.turn_inputs > before && Instant::now() < until {
                actor.linger(until, ctx);
            } else {
                actor.lingering = false;
                actor.end_turn(ctx);
            }
        }));
    }

    fn end_turn(&mut self, ctx: &mut Context<Self>) {
        self.turn_inputs = 0;
        let now = self.ports.clock.now();
        self.machine.settle(now, self.turns.is_recording(), &mut self.turn);
        let (ports, entity) = (&self.ports, self.vitals.entity);
        let end = self.turns.end(self.turn.drain(..), |act| match act {
            Act::Alarm(at) => ports.alarms.set(entity, at),
            Act::Market(driver, market) => ports.market(driver, market),
            Act::Find(seek) => {
                // Rests on nothing durable, so it need not wait for anything.
                if let Entity::Dispatcher(zone) = entity {
                    ports.look(zone, seek);
                }
            }
            Act::Route(ahead) => {
                if let Entity::Ride(ride) = entity {
                    ports.look_ahead(ride, ahead);
                }
            }
            Act::Note(note) => ports.note(note),
        });
        let after = self.machine.passivate_after().0;
        self.vitals.passivate_after.store(after, Ordering::Relaxed);
        match end {
            TurnEnd::Record { number, decision, leaves } => {
                self.record(number, decision, leaves, ctx);
            }
            TurnEnd::Leave(leaves) => self.ports.leave(leaves),
            TurnEnd::Hold => {}
        }
    }

    /// Hands a decision to the journal. What leaves with it does so from the writer, at once.
    fn record(
        &mut self,
        number: u64,
        decision: Box<Decision>,
        leaves: Vec<Leave<Reply>>,
        ctx: &mut Context<Self>,
    ) {
        failpoint!(each crate::obs::failpoints::decided(&decision));
        if self.vitals.broken.load(Ordering::Acquire) {
            self.ports.fail(leaves, &CommitError::Unavailable);
            return self.end_if_lost(ctx);
        }
        self.vitals.recording.fetch_add(1, Ordering::AcqRel);
        self.ports.follow(&decision.rows);
        let of_ride = |row: &Row| match row {
            Row::Ride(row) => Some(super::ports::followed_as(row)),
            _ => None,
        };
        let rides: Vec<_> = decision.rows.iter().filter_map(of_ride).collect();
        let wakes = decision.wakes.clone();
        let (ports, vitals, actor) =
            (Arc::clone(&self.ports), Arc::clone(&self.vitals), ctx.address());
        #[cfg(feature = "failpoints")]
        let passes = crate::obs::failpoints::recorded(&decision);
        let done = move |outcome: Result<(), CommitError>| {
            let lost = outcome.is_err();
            match outcome {
                Ok(()) => {
                    ports.followed(&rides);
                    // Should the word to it be lost with this actor, it wakes all the same.
                    for (entity, at) in wakes {
                        ports.alarms.remind(entity, at.max(ports.clock.now() + WORD_WITHIN));
                    }
                    failpoint!(each passes);
                    ports.leave(leaves);
                }
                Err(error) => {
                    vitals.broken.store(true, Ordering::Release);
                    ports.unfollow(&rides);
                    ports.fail(leaves, &error);
                }
            }
            actor.do_send(Committed { number, lost });
        };
        self.ports.journal.append(Append::decision(decision, self.vitals.life, done));
    }
}

impl<M> Shell<M>
where
    M: Machine<Reply = Reply> + Unpin + 'static,
    M::Input: Send,
{
    /// Ends an actor whose memory is ahead of the disk, which is right. Not before every commit on
    /// its way has its outcome: one that a full queue refused is heard of before those in the
    /// queue, and what rests on those may leave yet.
    fn end_if_lost(&mut self, ctx: &mut Context<Self>) {
        self.lost = true;
        if self.vitals.recording.load(Ordering::Acquire) > 0 {
            return;
        }
        self.turns.settled(u64::MAX);
        while let Some(leaves) = self.turns.next_held() {
            self.ports.fail(leaves, &CommitError::Unavailable);
        }
        ctx.stop();
    }
}

impl<M> Actor for Shell<M>
where
    M: Machine<Reply = Reply> + Unpin + 'static,
    M::Input: Send,
{
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.end_turn(ctx);
    }
}

impl<M> Handler<Deliver<M::Input>> for Shell<M>
where
    M: Machine<Reply = Reply> + Unpin + 'static,
    M::Input: Send,
{
    type Result = ();

    fn handle(&mut self, Deliver(input): Deliver<M::Input>, ctx: &mut Self::Context) {
        self.step(input);
        self.vitals.queued.fetch_sub(1, Ordering::AcqRel);
        self.end_turn_if_idle(ctx);
    }
}

impl<M> Handler<Committed> for Shell<M>
where
    M: Machine<Reply = Reply> + Unpin + 'static,
    M::Input: Send,
{
    type Result = ();

    fn handle(&mut self, Committed { number, lost }: Committed, ctx: &mut Self::Context) {
        self.vitals.recording.fetch_sub(1, Ordering::AcqRel);
        if lost {
            return self.end_if_lost(ctx);
        }
        self.turns.settled(number);
        while let Some(leaves) = self.turns.next_held() {
            self.ports.leave(leaves);
        }
        if self.vitals.ailing.swap(false, Ordering::AcqRel) {
            self.ports.is_well(self.vitals.entity);
        }
        if self.lost {
            return self.end_if_lost(ctx);
        }
        // What was gathered while the commit ran may be recorded now.
        self.end_turn_if_idle(ctx);
    }
}

impl<M> Handler<Leaving> for Shell<M>
where
    M: Machine<Reply = Reply> + Unpin + 'static,
    M::Input: Send,
{
    type Result = ();

    fn handle(&mut self, Leaving: Leaving, ctx: &mut Self::Context) {
        ctx.stop();
    }
}

impl<M> Handler<Crash> for Shell<M>
where
    M: Machine<Reply = Reply> + Unpin + 'static,
    M::Input: Send,
{
    type Result = ();

    #[expect(clippy::panic, reason = "a drill: the point is to panic")]
    fn handle(&mut self, Crash: Crash, _ctx: &mut Self::Context) {
        panic!("drill: this actor was told to panic");
    }
}
