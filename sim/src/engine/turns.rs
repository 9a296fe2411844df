//! Turns: a machine steps through what waits, its outputs are carried out, and what leaves leaves
//! when it may. As `src/actors/shell.rs` and `ports.rs`.

use std::rc::Rc;

use ibora_domain::category::Category;
use ibora_domain::dispatch::Merits;
use ibora_domain::facts::{Decision, Entity, Row};
use ibora_domain::ids::DriverId;
use ibora_domain::journal::CommitError;
use ibora_domain::machines::{
    Act, Candidate, DispatcherInput, DriverInput, Envelope, Leave, Lost, Market, Seek, TurnEnd,
    lose,
};
use ibora_domain::mutants::{Mutant, is};
use ibora_domain::units::{Metres, Millis, Seconds};

use super::{Append, Body, Done, Engine, Had, Place, Reply, Stands};
use crate::node::NodeEvent;
use crate::people;
use crate::tell;
use crate::world::{Ids, World};

/// So many metres away, who, how soon free, and what speaks for him.
type Found = (u32, DriverId, (Option<u32>, Merits));

/// How fast one who is on a ride comes to its drop-off, in metres a second.
const FINISHING_MPS: u32 = 25;

/// A driver whose last position is older than this is no candidate.
const STALE_AFTER_MS: u64 = 45_000;
/// A word that leaves with a commit has come within this long, if it ever comes.
const WORD_WITHIN: Millis = Millis::from_secs(2);

impl Engine {
    /// An actor looks into its mailbox: some of what waits there is one turn.
    pub fn wake_up(&mut self, world: &mut World, entity: Entity, life: u64) {
        let (node, now) = (self.node, world.clock(self.node));
        let Some(actor) = self.actor(entity).filter(|actor| actor.life == life) else { return };
        actor.awake = false;
        let count = 1 + world.chance.index(actor.mailbox.len());
        for _ in 0..count {
            let Some(input) = actor.mailbox.pop_front() else { break };
            if world.trace.is_on() {
                let (text, about) = (crate::watch::input_name(&input), about(&input));
                tell!(world, "n{node} {} <- {text}{about}", people::name(entity.id()));
            }
            actor.body.step(now, input, &mut actor.out);
        }
        actor.last_active = now;
        if !actor.mailbox.is_empty() {
            actor.awake = true;
            let after = world.little();
            world.to_node(node, after, NodeEvent::Wake { entity, life });
        }
        self.end_turn(world, entity);
    }

    pub(super) fn end_turn(&mut self, world: &mut World, entity: Entity) {
        let now = world.clock(self.node);
        let Some(actor) = self.actor(entity) else { return };
        let mut out = std::mem::take(&mut actor.out);
        let recording = actor.turns.is_recording();
        actor.body.machine().settle(now, recording, &mut out);
        actor.passivate_after = actor.body.machine().passivate_after();
        actor.words.decided(&out);
        let life = actor.life;
        let mut acts = Vec::new();
        let end = actor.turns.end(out.drain(..), |act| acts.push(act));
        actor.out = out;
        for act in acts {
            self.act(world, entity, act);
        }
        world.watch_turn(self, entity);
        match end {
            TurnEnd::Record { number, decision, leaves } => {
                self.record(world, (entity, number), *decision, leaves);
            }
            TurnEnd::Leave(leaves) => self.leave(world, (entity, life), leaves),
            TurnEnd::Hold => {}
        }
    }

    fn act(&mut self, world: &mut World, entity: Entity, act: Act) {
        match act {
            Act::Alarm(at) => self.set_alarm(world, entity, at),
            Act::Market(driver, market) => self.market(world, driver, market),
            Act::Find(seek) => {
                if let Entity::Dispatcher(zone) = entity {
                    let candidates = self.find(world, &seek);
                    let (ride, wave) = (seek.ride, seek.wave);
                    let found = DispatcherInput::Found { ride, wave, candidates };
                    self.send(world, Envelope::Dispatcher(zone, found));
                }
            }
            // Nothing rests on when a driver will be there.
            Act::Note(_) | Act::Route(_) => {}
        }
    }

    fn market(&mut self, world: &mut World, driver: DriverId, market: Market) {
        if market == Market::Offline {
            self.index.remove(&driver);
            return;
        }
        let now = world.clock(self.node);
        let metres = u32::try_from(world.chance.between(100, 6000)).unwrap_or(100);
        let place = self.index.entry(driver).or_insert(Place { market, metres, at: now });
        place.market = market;
    }

    /// A driver's position is known.
    pub fn locate(&mut self, world: &mut World, driver: DriverId, metres: Option<u32>) {
        let now = world.clock(self.node);
        if let Some(place) = self.index.get_mut(&driver) {
            place.at = now;
            place.metres = metres.unwrap_or(place.metres);
        }
    }

    /// The drivers a wave may be offered to, nearest first, each with an offer id.
    fn find(&mut self, world: &mut World, seek: &Seek) -> Vec<Candidate> {
        let now = world.clock(self.node);
        let within = world.rides.soon_within.0;
        // Whoever is on a ride has so far to its drop-off, and as far again to the pickup.
        let free_in = |place: &Place| match place.market {
            Market::Available(Category::Economy, standing) => Some((None, standing)),
            Market::Finishing(Category::Economy, _, standing) => {
                Some((Some(place.metres / FINISHING_MPS), standing))
            }
            Market::Available(..) | Market::Finishing(..) | Market::Busy | Market::Offline => None,
        };
        let fits = |driver: &DriverId, place: &Place| {
            place.metres <= seek.radius.0
                && now.since(place.at).0 <= STALE_AFTER_MS
                && !seek.excluded.contains(driver)
        };
        let found = self.index.iter().filter(|(driver, place)| fits(driver, place));
        let found = found.filter_map(|(driver, place)| {
            let (free_in, standing) = free_in(place)?;
            let soon = free_in.is_none_or(|free_in| u64::from(free_in) * 1000 <= within);
            soon.then_some((place.metres, *driver, (free_in, standing.merits(now))))
        });
        let mut found: Vec<Found> = found.collect();
        found.sort_unstable_by_key(|(metres, driver, _)| (*metres, *driver));
        found.truncate(usize::from(seek.count).saturating_mul(2).max(8));
        let candidate = |(metres, driver, (free_in, merits)): Found| Candidate {
            driver,
            offer: people::offer(Ids::next(&mut world.ids.offer)),
            distance: Metres(metres),
            eta: Seconds(metres / 8 + free_in.unwrap_or(0)),
            free_in: free_in.map(Seconds),
            merits,
        };
        found.into_iter().map(candidate).collect()
    }

    /// Hands a decision to the journal.
    fn record(
        &mut self,
        world: &mut World,
        (entity, number): (Entity, u64),
        decision: Decision,
        leaves: Vec<Leave<Reply>>,
    ) {
        let Some(actor) = self.actor(entity) else { return };
        if actor.broken {
            self.fail(world, leaves, &CommitError::Unavailable);
            self.die(world, entity, false);
            return;
        }
        actor.recording += 1;
        let life = actor.life;
        for row in &decision.rows {
            if let Row::Ride(row) = row {
                self.gain((row.driver, row.passenger), row.id, Stands::of(row));
            }
        }
        let leaves = match is(Mutant::AnswerBeforeCommit) {
            true => {
                self.leave(world, (entity, life), leaves);
                Vec::new()
            }
            false => leaves,
        };
        let done = Done::Decided { number, leaves };
        self.append(world, Append::decision(entity, life, Rc::new(decision), done));
    }

    /// Carries out what may leave a life of a machine.
    fn leave(
        &mut self,
        world: &mut World,
        (entity, life): (Entity, u64),
        leaves: Vec<Leave<Reply>>,
    ) {
        for leave in leaves {
            match leave {
                Leave::Reply(reply, answer, _) => {
                    self.answer(world, reply.take(), answer);
                }
                Leave::Repeat(reply, key) => self.repeat(world, reply, key),
                Leave::Send(envelope) => {
                    // What an earlier life said rests on its commit; nothing of it waits any more.
                    if let Some(actor) = self.actor(entity).filter(|actor| actor.life == life) {
                        world.watch_word(entity, &mut actor.words, &envelope);
                    }
                    self.send(world, envelope);
                }
                Leave::Effect(effect) => self.carry(world, effect),
                // Shown and forgotten: nobody may rely on it.
                Leave::Push(_) | Leave::Rated(_) => {}
            }
        }
    }

    /// Answers those whose decision was lost; tells nobody else anything.
    pub(super) fn fail(
        &mut self,
        world: &mut World,
        leaves: Vec<Leave<Reply>>,
        error: &CommitError,
    ) {
        let mut said = Vec::new();
        lose(leaves, error, |lost| said.push(lost));
        for lost in said {
            match lost {
                Lost::Answer(reply, refusal) => self.answer(world, reply.take(), Err(refusal)),
                Lost::Repeat(reply, key) => self.repeat(world, reply, key),
            }
        }
    }

    /// A commit has its outcome: what rests on it leaves at once, the actor hears of it later.
    pub(super) fn outcome(
        &mut self,
        world: &mut World,
        append: Append,
        outcome: Result<(), CommitError>,
    ) {
        let entity = append.entity;
        let (number, leaves) = match append.done {
            Done::Settled { life } => {
                let after = world.read_time();
                let build = NodeEvent::Activate { entity, life, stage: 0 };
                if outcome.is_ok() {
                    world.to_node(self.node, after, build);
                } else {
                    self.forget_building(entity, life);
                }
                return;
            }
            Done::Decided { number, leaves } => (number, leaves),
        };
        let lost = outcome.is_err();
        if let Err(error) = &outcome {
            if let Some(actor) = self.actor(entity).filter(|actor| actor.life == append.life) {
                actor.broken = true;
            }
            self.unfollow(append.decision.as_deref());
            world.watch_refused(self, append.decision.as_deref(), error);
        }
        match outcome {
            Ok(()) => {
                for row in append.decision.iter().flat_map(|decision| &decision.rows) {
                    if let Row::Ride(row) = row {
                        self.follow((row.driver, row.passenger), row.id, Stands::of(row));
                    }
                }
                let soon = world.clock(self.node) + WORD_WITHIN;
                for (woken, at) in append.decision.iter().flat_map(|decision| &decision.wakes) {
                    self.remind(world, *woken, (*at).max(soon));
                }
                self.leave(world, (entity, append.life), leaves);
            }
            Err(error) => self.fail(world, leaves, &error),
        }
        let (node, now, little) = (self.node, world.now, world.little());
        let Some(actor) = self.actor(entity).filter(|actor| actor.life == append.life) else {
            return;
        };
        // The words of two commits do not overtake each other.
        actor.settled_at = actor.settled_at.max(now + little);
        let (life, after) = (actor.life, actor.settled_at - now);
        world.to_node(node, after, NodeEvent::Settled { entity, life, number, lost });
    }

    fn forget_building(&mut self, entity: Entity, life: u64) {
        if let Some(super::Entry::Activating { life: building, .. }) = self.entries.get(&entity)
            && *building == life
        {
            self.entries.remove(&entity);
        }
    }

    fn unfollow(&mut self, decision: Option<&Decision>) {
        for row in decision.into_iter().flat_map(|decision| &decision.rows) {
            if let Row::Ride(row) = row {
                let people = row.driver.map(|driver| driver.0).into_iter().chain([row.passenger.0]);
                for person in people {
                    self.on_ride.insert(person, Had::Unsure);
                }
            }
        }
    }

    /// The actor hears what became of its decision.
    pub fn settled(
        &mut self,
        world: &mut World,
        (entity, life): (Entity, u64),
        (number, lost): (u64, bool),
    ) {
        let Some(actor) = self.actor(entity).filter(|actor| actor.life == life) else { return };
        actor.recording -= 1;
        actor.turns.settled(number);
        let mut held = Vec::new();
        while let Some(leaves) = actor.turns.next_held() {
            held.push(leaves);
        }
        for leaves in held {
            if lost {
                self.fail(world, leaves, &CommitError::Unavailable);
            } else {
                self.leave(world, (entity, life), leaves);
            }
        }
        if lost {
            self.die(world, entity, false);
        } else if self.actor(entity).is_some_and(|actor| actor.mailbox.is_empty()) {
            self.end_turn(world, entity);
        }
    }

    /// The ride's machine, if it lives.
    #[must_use]
    pub fn ride_machine(
        &self,
        entity: Entity,
    ) -> Option<&ibora_domain::machines::RideMachine<Reply>> {
        match self.entries.get(&entity)? {
            super::Entry::Live(actor) => match &actor.body {
                Body::Ride(machine) => Some(machine),
                Body::Driver(_)
                | Body::Passenger(_)
                | Body::Dispatcher(_)
                | Body::Payment(_)
                | Body::Wallet(_)
                | Body::PayoutLine(_) => None,
            },
            super::Entry::Activating { .. } | super::Entry::Quarantined => None,
        }
    }
}

/// Of which ride's offer a message to a driver is, for a story.
fn about<R>(input: &Envelope<R>) -> String {
    let (ride, of) = match input {
        Envelope::Driver(_, DriverInput::Slot { slot, .. } | DriverInput::Offered { slot }) => {
            (slot.ride, slot.of)
        }
        Envelope::Driver(_, DriverInput::OfferClosed { ride, of }) => (*ride, *of),
        _ => return String::new(),
    };
    format!(" {} {}.{}", people::name(ride.0), of.search, of.wave)
}
