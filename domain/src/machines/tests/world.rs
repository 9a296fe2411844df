//! An interpreter of outputs: it keeps the three rules, and leaves everything else to chance.

use std::collections::{BTreeMap, VecDeque};
use std::marker::PhantomData;
use std::sync::Arc;

use super::Chance;
use super::actor::{Actor, Body, reply_of};
use super::bots::{Asked, Said};
use super::disk::{Disk, Refused};
use crate::category::Category;
use crate::dispatch::Merits;
use crate::facts::{Decision, Entity, Zone};
use crate::ids::{DriverId, OfferId, RideId};
use crate::machines::{
    Candidate, DispatcherInput, DispatcherMachine, DriverInput, DriverMachine, DriverPolicy,
    Driving, Envelope, Market, Output, Outputs, PassengerInput, PassengerMachine, PassengerRecords,
    RideInput, RideMachine, Riding, Seek,
};
use crate::payment::PaymentPolicy;
use crate::policy::RidePolicy;
use crate::ride::sample;
use crate::units::{Metres, Millis, Seconds, UnixMillis};

/// How often things go wrong: one in so many steps, 0 for never.
#[derive(Clone, Copy, Default)]
pub(super) struct Faults {
    pub(super) crash: usize,
    pub(super) lost_commit: usize,
    pub(super) lost_search: usize,
}

/// How fast time goes where nothing waits for it.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Pace {
    Still,
    Slow,
}

struct Submitted {
    entity: Entity,
    life: u32,
    decision: Decision,
}

pub(super) struct World {
    pub(super) now: UnixMillis,
    pub(super) chance: Chance,
    pub(super) faults: Faults,
    pub(super) pace: Pace,
    pub(super) policy: Arc<RidePolicy>,
    pub(super) disk: Disk,
    pub(super) asked: BTreeMap<u64, Asked>,
    /// Offers that drivers were told of and have not reacted to.
    pub(super) offers: Vec<(DriverId, RideId, OfferId)>,
    /// Decisions that a last line refused.
    pub(super) refused: Vec<Refused>,
    pub(super) market: BTreeMap<DriverId, Market>,
    actors: BTreeMap<Entity, Actor>,
    mail: BTreeMap<Entity, VecDeque<Envelope<u64>>>,
    journal: VecDeque<Submitted>,
    receipts: Vec<(Entity, u32)>,
    lives: u32,
    offers_numbered: u32,
}

impl World {
    pub(super) fn new(seed: u64, drivers: u32, policy: RidePolicy) -> Self {
        let mut world = Self {
            now: sample::START,
            chance: Chance::new(seed),
            faults: Faults::default(),
            pace: Pace::Slow,
            policy: Arc::new(policy),
            disk: Disk::default(),
            asked: BTreeMap::new(),
            offers: vec![],
            refused: vec![],
            market: BTreeMap::new(),
            actors: BTreeMap::new(),
            mail: BTreeMap::new(),
            journal: VecDeque::new(),
            receipts: vec![],
            lives: 0,
            offers_numbered: 0,
        };
        for number in 1..=drivers {
            world.build(Entity::Driver(sample::driver(number)));
        }
        world
    }

    /// Puts a message into its mailbox; who holds it owes its answer.
    pub(super) fn post(&mut self, envelope: Envelope<u64>) {
        let to = envelope.entity();
        if let Some(reply) = reply_of(&envelope)
            && let Some(asked) = self.asked.get_mut(&reply)
        {
            asked.holder = to;
        }
        self.mail.entry(to).or_default().push_back(envelope);
    }

    /// One step of chance. False: nothing is left to do, now or later.
    pub(super) fn tick(&mut self) -> bool {
        self.step() || self.wait()
    }

    /// One step of what can be done now. False: only time can bring more.
    pub(super) fn step(&mut self) -> bool {
        if self.pace == Pace::Slow {
            self.now = self.now + Millis(self.chance.below(3) as u64);
            let leap = if self.chance.one_in(400) { 1500 } else { 0 };
            self.now = self.now + Millis(leap);
        }
        if self.chance.one_in(self.faults.crash) {
            let victim = self.chance.below(self.actors.len());
            if let Some(entity) = self.actors.keys().nth(victim).copied() {
                self.kill(entity);
            }
        }
        let can_run = |entity: &&Entity| {
            self.actors.contains_key(entity)
                || !self.journal.iter().any(|waiting| waiting.entity == **entity)
        };
        let ready: Vec<Entity> = self.mail.keys().filter(can_run).copied().collect();
        let due = self.next_alarm().filter(|(at, _)| *at <= self.now);
        let weights = [
            if ready.is_empty() { 0 } else { 6 },
            if self.journal.is_empty() { 0 } else { 2 },
            if self.receipts.is_empty() { 0 } else { 3 },
            usize::from(due.is_some()),
        ];
        let mut drawn = self.chance.below(weights.iter().sum());
        let choice = weights.iter().position(|weight| {
            let chosen = drawn < *weight;
            drawn = drawn.saturating_sub(*weight);
            chosen
        });
        match (choice, due) {
            (Some(0), _) => {
                let entity = ready[self.chance.below(ready.len())];
                self.run(entity);
            }
            (Some(1), _) => self.commit_some(),
            (Some(2), _) => self.deliver_receipt(),
            (Some(_), Some((_, entity))) => self.ring(entity),
            (Some(_) | None, _) => return false,
        }
        true
    }

    /// Nothing to do now: time passes to the next alarm.
    fn wait(&mut self) -> bool {
        let Some((at, _)) = self.next_alarm() else {
            return false;
        };
        self.now = self.now.max(at);
        true
    }

    pub(super) fn run_until(&mut self, end: UnixMillis) {
        let mut steps = 0;
        while self.now < end && self.tick() {
            steps += 1;
            assert!(steps < 200_000, "the world does not come to rest");
        }
    }

    /// The earliest alarm, or the earliest timer on disk of one that is not there.
    fn next_alarm(&self) -> Option<(UnixMillis, Entity)> {
        let alarms = self.actors.iter();
        let alarms = alarms.filter_map(|(entity, actor)| Some((actor.alarm?, *entity)));
        let waiting = |entity: &Entity| self.journal.iter().any(|one| one.entity == *entity);
        let absent = |entity: &Entity| !self.actors.contains_key(entity) && !waiting(entity);
        let timers = self.disk.timers.iter();
        let timers = timers.filter(|(entity, _)| absent(entity));
        alarms.chain(timers.map(|(entity, at)| (*at, *entity))).min()
    }

    fn build(&mut self, entity: Entity) {
        let mut out = vec![];
        let body = match entity {
            Entity::Ride(id) => {
                let records = self.disk.ride_records(id);
                let machine = RideMachine::new(id, Arc::clone(&self.policy), records);
                out.push(Output::Alarm(machine.deadline()));
                Body::Ride(Box::new(machine))
            }
            Entity::Driver(id) => {
                let records = self.disk.driver_records(id, &self.policy);
                let policy = DriverPolicy {
                    offers_max: 3,
                    presence: Millis::from_secs(600),
                    passivate_after: Millis::from_secs(300),
                };
                let mut machine = DriverMachine::new(id, Arc::new(policy), records, self.now);
                machine.wake(&mut out);
                Body::Driver(Box::new(Driving(machine, PhantomData)))
            }
            Entity::Passenger(id) => {
                let (active, commands) = self.disk.passenger_records(id);
                let records = PassengerRecords { active, commands, ..PassengerRecords::default() };
                let payments = PaymentPolicy::default();
                let machine = PassengerMachine::new(id, &payments, records, Millis(1));
                Body::Passenger(Box::new(Riding(machine, PhantomData)))
            }
            Entity::Dispatcher(zone) => {
                let policy = self.policy.dispatch_policy(zone);
                Body::Dispatcher(DispatcherMachine::new(zone, policy))
            }
            Entity::Wallet(_) | Entity::PayoutLine => unreachable!("nobody is paid here"),
            Entity::Payment(id) => unreachable!("{id}: nothing is charged here"),
        };
        self.lives += 1;
        let actor = Actor {
            body,
            alarm: None,
            life: self.lives,
            submitted: 0,
            durable: 0,
            held: VecDeque::new(),
        };
        self.actors.insert(entity, actor);
        self.carry_out(entity, out);
    }

    /// Some of the waiting messages, and the end of the turn.
    fn run(&mut self, entity: Entity) {
        let Some(mut waiting) = self.mail.remove(&entity) else {
            return;
        };
        let count = 1 + self.chance.below(waiting.len().min(8));
        let rest = waiting.split_off(count);
        if !rest.is_empty() {
            self.mail.insert(entity, rest);
        }
        self.turn(entity, waiting);
    }

    /// An alarm rings, alone; it never asks to be called again at once.
    pub(super) fn ring(&mut self, entity: Entity) {
        let alarm = match entity {
            Entity::Ride(id) => Envelope::Ride(id, RideInput::Alarm),
            Entity::Driver(id) => Envelope::Driver(id, DriverInput::Alarm),
            Entity::Passenger(id) => Envelope::Passenger(id, PassengerInput::Alarm),
            Entity::Dispatcher(zone) => Envelope::Dispatcher(zone, DispatcherInput::Alarm),
            Entity::Wallet(_) | Entity::PayoutLine => unreachable!("nobody is paid here"),
            Entity::Payment(id) => unreachable!("{id}: nothing is charged here"),
        };
        if let Some(actor) = self.actors.get_mut(&entity) {
            actor.alarm = None;
        }
        self.turn(entity, VecDeque::from([alarm]));
        let next = self.actors.get(&entity).and_then(|actor| actor.alarm);
        assert!(next.is_none_or(|at| at > self.now), "{entity:?}: a busy loop");
    }

    fn turn(&mut self, entity: Entity, inputs: VecDeque<Envelope<u64>>) {
        if !self.actors.contains_key(&entity) {
            self.build(entity);
        }
        let now = self.now;
        let Some(actor) = self.actors.get_mut(&entity) else {
            return;
        };
        let mut out = vec![];
        for input in inputs {
            actor.body.step(now, input, &mut out);
        }
        let recording = actor.durable < actor.submitted;
        actor.body.settle(now, recording, &mut out);
        self.carry_out(entity, out);
    }

    /// Rules 1 and 2: in order, and what leaves waits for every decision made so far.
    fn carry_out(&mut self, entity: Entity, out: Outputs<u64>) {
        let mut decision: Option<Decision> = None;
        let mut leaving = vec![];
        for output in out {
            match output {
                Output::Persist(made) => match &mut decision {
                    Some(earlier) => earlier.absorb(*made),
                    None => decision = Some(*made),
                },
                Output::Alarm(at) => {
                    if let Some(actor) = self.actors.get_mut(&entity) {
                        actor.alarm = at;
                    }
                }
                Output::Market(driver, market) => drop(self.market.insert(driver, market)),
                Output::Find(seek) => {
                    let Entity::Dispatcher(zone) = entity else { panic!("{entity:?} looks") };
                    self.find(zone, &seek);
                }
                Output::Note(_) | Output::Route(_) => {}
                Output::Reply(..)
                | Output::Repeat(..)
                | Output::Send(_)
                | Output::Push(_)
                | Output::Effect(_)
                | Output::Rated(_) => {
                    leaving.push(output);
                }
            }
        }
        let Some(actor) = self.actors.get_mut(&entity) else {
            return;
        };
        if let Some(decision) = decision {
            actor.submitted += 1;
            self.journal.push_back(Submitted { entity, life: actor.life, decision });
        }
        let after = actor.submitted;
        actor.held.extend(leaving.into_iter().map(|one| (after, one)));
        self.let_go(entity);
    }

    fn let_go(&mut self, entity: Entity) {
        while let Some(actor) = self.actors.get_mut(&entity) {
            let durable = actor.durable;
            match actor.held.pop_front_if(|(after, _)| *after <= durable) {
                Some((_, Output::Reply(reply, answer, _))) => self.say(reply, &answer),
                Some((_, Output::Repeat(reply, key))) => {
                    let stored = self.disk.answer(&key).cloned();
                    self.say(reply, &stored.expect("what is repeated is recorded"));
                }
                Some((_, Output::Send(envelope))) => self.post(envelope),
                Some(_) => {}
                None => return,
            }
        }
    }

    fn commit_some(&mut self) {
        let count = 1 + self.chance.below(self.journal.len());
        for _ in 0..count {
            let Some(next) = self.journal.pop_front() else {
                return;
            };
            let lost = self.chance.one_in(self.faults.lost_commit);
            let committed =
                if lost { Err(None) } else { self.disk.commit(&next.decision).map_err(Some) };
            match committed {
                Ok(()) => {
                    self.receipts.push((next.entity, next.life));
                    self.read_offers(&next.decision);
                }
                Err(reason) => {
                    self.refused.extend(reason);
                    let same = |one: &Submitted| (one.entity, one.life) == (next.entity, next.life);
                    self.journal.retain(|later| !same(later));
                    let life = self.actors.get(&next.entity).map(|actor| actor.life);
                    if life == Some(next.life) {
                        self.kill(next.entity);
                    }
                }
            }
        }
    }

    fn read_offers(&mut self, decision: &Decision) {
        for event in decision.streams.iter().filter(|event| event.op == "offer.made") {
            let body: serde_json::Value = serde_json::from_str(&event.body).expect("is JSON");
            let offer = serde_json::from_value(body["offer_id"].clone()).expect("has an id");
            let driver = DriverId(event.stream.user().0);
            self.offers.push((driver, RideId(event.key), offer));
        }
    }

    /// A receipt reaches its machine, if that still lives; each machine's come in order.
    fn deliver_receipt(&mut self) {
        let drawn = self.chance.below(self.receipts.len());
        let (entity, life) = self.receipts.remove(drawn);
        let now = self.now;
        let Some(actor) = self.actors.get_mut(&entity) else {
            return;
        };
        if actor.life != life {
            return;
        }
        actor.durable += 1;
        let rests = actor.durable == actor.submitted;
        self.let_go(entity);
        if let Some(actor) = self.actors.get_mut(&entity).filter(|_| rests) {
            let mut out = vec![];
            actor.body.settle(now, false, &mut out);
            self.carry_out(entity, out);
        }
    }

    /// The machine is gone with its mailbox and all it held back. Its decisions may still commit.
    pub(super) fn kill(&mut self, entity: Entity) {
        self.actors.remove(&entity);
        self.mail.remove(&entity);
        for asked in self.asked.values_mut() {
            if asked.holder == entity && asked.said.is_none() {
                asked.said = Some(Said::Died);
            }
        }
    }

    /// The live index: everyone available, best first by chance.
    fn find(&mut self, zone: Zone, seek: &Seek) {
        if self.chance.one_in(self.faults.lost_search) {
            return;
        }
        let free_in = |market: &Market| match market {
            Market::Available(Category::Economy, _) => Some(None),
            Market::Finishing(Category::Economy, ..) => Some(Some(Seconds(30))),
            Market::Available(..) | Market::Finishing(..) | Market::Busy | Market::Offline => None,
        };
        let found = self.market.iter().filter(|(driver, _)| !seek.excluded.contains(driver));
        let found = found.filter_map(|(driver, market)| Some((*driver, free_in(market)?)));
        let mut drivers: Vec<(DriverId, Option<Seconds>)> = found.collect();
        let mut candidates = vec![];
        while !drivers.is_empty() {
            let (driver, free_in) = drivers.swap_remove(self.chance.below(drivers.len()));
            self.offers_numbered += 1;
            candidates.push(Candidate {
                driver,
                offer: sample::offer_id(self.offers_numbered),
                distance: Metres(100 * u32::try_from(candidates.len()).expect("few")),
                eta: Seconds(60),
                free_in,
                merits: Merits::default(),
            });
        }
        let found = DispatcherInput::Found { ride: seek.ride, wave: seek.wave, candidates };
        self.post(Envelope::Dispatcher(zone, found));
    }

    pub(super) fn driver(&self, id: DriverId) -> Option<&DriverMachine> {
        match &self.actors.get(&Entity::Driver(id))?.body {
            Body::Driver(driving) => Some(&driving.0),
            Body::Ride(_) | Body::Passenger(_) | Body::Dispatcher(_) => None,
        }
    }

    pub(super) fn drivers(&self) -> impl Iterator<Item = &DriverMachine> {
        self.market.keys().filter_map(|id| self.driver(*id))
    }

    pub(super) fn passengers(&self) -> impl Iterator<Item = &PassengerMachine> {
        self.actors.values().filter_map(|actor| match &actor.body {
            Body::Passenger(riding) => Some(&riding.0),
            Body::Ride(_) | Body::Driver(_) | Body::Dispatcher(_) => None,
        })
    }
}
