//! The registry: finds an entity's machine, builds it when needed, drops it when idle, and builds
//! it again when it died. As `src/actors/registry.rs` and `activate.rs`.

use std::collections::BTreeSet;
use std::marker::PhantomData;
use std::sync::Arc;

use ibora_domain::facts::Entity;
use ibora_domain::ids::{DriverId, PassengerId, RideId};
use ibora_domain::machines::{
    DispatcherInput, DispatcherMachine, DriverInput, DriverMachine, Driving, Envelope, LineInput,
    Output, Outputs, PassengerInput, PassengerMachine, PaymentInput, RideInput, RideMachine,
    RideRecords, Riding, WalletInput,
};
use ibora_domain::mutants::{Mutant, is};
use ibora_domain::units::{Millis, UnixMillis};

use super::{Actor, Alarm, Append, Body, Build, Done, Engine, Entry, Had, Read, Reply, Stands};
use crate::node::NodeEvent;
use crate::queue::{MS, Micros, SECOND};
use crate::tell;
use crate::world::World;

/// First pause before a machine that panicked is built again; ten times longer each time.
const BACK_OFF_FIRST: Micros = 100 * MS;
/// Panics in a row after which an entity is left alone until the next start.
const PANICS_MAX: u32 = 3;

impl Engine {
    /// Delivers a message, building its actor if there is none.
    pub fn send(&mut self, world: &mut World, envelope: Envelope<Reply>) {
        let entity = envelope.entity();
        match self.entries.get_mut(&entity) {
            Some(Entry::Live(actor)) => {
                actor.mailbox.push_back(envelope);
                self.wake(world, entity);
            }
            Some(Entry::Activating { waiting, .. }) => waiting.push(envelope),
            Some(Entry::Quarantined) => {}
            // Only news: an actor that is built later reads it.
            None if envelope.is_news() => {}
            None => {
                let build = if envelope.opens() { Build::New } else { Build::Read };
                self.activate(world, entity, build, vec![envelope]);
            }
        }
    }

    fn wake(&mut self, world: &mut World, entity: Entity) {
        let node = self.node;
        let Some(actor) = self.actor(entity) else { return };
        if !std::mem::replace(&mut actor.awake, true) {
            let (life, after) = (actor.life, world.little());
            world.to_node(node, after, NodeEvent::Wake { entity, life });
        }
    }

    /// Begins to build the actor of an entity.
    pub(super) fn activate(
        &mut self,
        world: &mut World,
        entity: Entity,
        build: Build,
        waiting: Vec<Envelope<Reply>>,
    ) {
        self.lives += 1;
        let life = self.lives;
        self.entries.insert(entity, Entry::Activating { life, waiting, read: Read::Nothing });
        let (after, stage) = match build {
            Build::New => (world.little(), 2),
            Build::Read => (world.read_time(), 0),
            Build::Again { after } if is(Mutant::ReadTooEarly) => (after, 0),
            Build::Again { after } => (after, 3),
        };
        world.to_node(self.node, after, NodeEvent::Activate { entity, life, stage });
    }

    /// Goes on building: waits for the last appends (3), reads (0, 1), or there is nothing to (2).
    pub fn go_on(&mut self, world: &mut World, entity: Entity, (life, stage): (u64, u8)) {
        match self.entries.get(&entity) {
            Some(Entry::Activating { life: building, .. }) if *building == life => {}
            Some(_) | None => return,
        }
        if stage == 3 {
            let barrier = Append::barrier(entity, Done::Settled { life });
            self.append(world, barrier);
            return;
        }
        if stage < 2 && world.nodes[self.node].is_cut_off(world.now) {
            self.forget(world, entity);
            return;
        }
        if stage == 0 && self.read_first(world, entity) {
            let (node, after) = (self.node, world.read_time());
            world.to_node(node, after, NodeEvent::Activate { entity, life, stage: 1 });
            return;
        }
        self.build(world, entity, stage != 2);
    }

    /// The first statements of an entity whose records others write too. False: one is enough.
    fn read_first(&mut self, world: &World, entity: Entity) -> bool {
        let first = match entity {
            Entity::Driver(id) => {
                let mut stands = world.db.driver_stands(id);
                if !is(Mutant::IdNotHandedOn) {
                    stands.elsewhere = self.under_way.of(id.into());
                }
                Read::Driver(Box::new(stands))
            }
            Entity::Passenger(id) => Read::Passenger(world.db.active_passengers.get(&id).copied()),
            Entity::Wallet(id) => {
                let (available, owed) = world.db.wallet_balances(id);
                Read::Wallet(available, owed)
            }
            Entity::Ride(_) | Entity::Dispatcher(_) | Entity::Payment(_) | Entity::PayoutLine => {
                return false;
            }
        };
        if let Some(Entry::Activating { read, .. }) = self.entries.get_mut(&entity) {
            *read = first;
        }
        true
    }

    fn build(&mut self, world: &mut World, entity: Entity, read: bool) {
        let Some(Entry::Activating { life, waiting, read: first }) = self.entries.remove(&entity)
        else {
            return;
        };
        let now = world.clock(self.node);
        let mut out = Outputs::new();
        let body = match (entity, first) {
            (Entity::Ride(id), _) => {
                let known = if read { world.db.ride_records(id) } else { RideRecords::default() };
                let machine = RideMachine::new(id, Arc::clone(&world.rides), known);
                out.push(Output::Alarm(machine.deadline()));
                Body::Ride(Box::new(machine))
            }
            (Entity::Driver(id), first) => {
                let mut known = match first {
                    Read::Driver(records) => *records,
                    Read::Nothing | Read::Passenger(_) | Read::Wallet(..) => {
                        world.db.driver_stands(id)
                    }
                };
                world.db.driver_has(id, now, &mut known);
                let policy = Arc::clone(&world.drivers);
                let mut machine = DriverMachine::new(id, policy, known, now);
                machine.wake(&mut out);
                Body::Driver(Box::new(Driving(machine, PhantomData)))
            }
            (Entity::Passenger(id), first) => {
                let active = match first {
                    Read::Passenger(active) => active,
                    Read::Nothing | Read::Driver(_) | Read::Wallet(..) => {
                        world.db.active_passengers.get(&id).copied()
                    }
                };
                let known = world.db.passenger_records(id, active);
                let (payments, idle) = (&world.rides.payments, world.drivers.passivate_after);
                let machine = PassengerMachine::new(id, payments, known, idle);
                Body::Passenger(Box::new(Riding(machine, PhantomData)))
            }
            (Entity::Dispatcher(zone), _) => {
                let policy = world.rides.dispatch_policy(zone);
                Body::Dispatcher(DispatcherMachine::new(zone, policy))
            }
            (Entity::Payment(_) | Entity::Wallet(_) | Entity::PayoutLine, first) => {
                self.build_of_money(world, (entity, read), &first, &mut out)
            }
        };
        let mut actor = Actor::new(body, life, out, world.now);
        actor.last_active = now;
        self.follow_built(&actor);
        let waits = !waiting.is_empty();
        actor.mailbox.extend(waiting);
        self.entries.insert(entity, Entry::Live(Box::new(actor)));
        self.end_turn(world, entity);
        if waits {
            self.wake(world, entity);
        }
    }

    fn follow_built(&mut self, actor: &Actor) {
        if let Body::Ride(machine) = &actor.body
            && let Some(ride) = machine.ride()
        {
            let people = (ride.driver_id(), ride.order.passenger.id);
            let stands = Stands { status: ride.status, chained: ride.chain.is_some() };
            self.follow(people, ride.id, stands);
        }
    }

    /// Takes note of who has a ride by a decision that is not recorded yet. Who has it no more is
    /// known only after.
    pub(super) fn gain(
        &mut self,
        (driver, passenger): (Option<DriverId>, PassengerId),
        ride: RideId,
        stands: Stands,
    ) {
        if is(Mutant::ToldTooEarly) {
            return self.follow((driver, passenger), ride, stands);
        }
        if let Some(driver) = driver.filter(|_| stands.is_driven()) {
            self.on_ride.insert(driver.0, Had::Ride(ride));
        } else if let Some(driver) = driver.filter(|_| stands.is_next()) {
            self.note_next(driver, ride, stands);
        }
        if !stands.status.is_final() {
            self.on_ride.insert(passenger.0, Had::Ride(ride));
        }
    }

    /// Takes note of a ride's new state.
    pub(crate) fn follow(
        &mut self,
        (driver, passenger): (Option<DriverId>, PassengerId),
        ride: RideId,
        stands: Stands,
    ) {
        let mut note = |person, has_it| {
            if has_it {
                self.on_ride.insert(person, Had::Ride(ride));
            } else if self.on_ride.get(&person) == Some(&Had::Ride(ride)) {
                self.on_ride.remove(&person);
            }
        };
        if let Some(driver) = driver {
            note(driver.0, stands.is_driven());
        }
        note(passenger.0, !stands.status.is_final());
        if let Some(driver) = driver {
            self.note_next(driver, ride, stands);
        }
    }

    fn note_next(&mut self, driver: DriverId, ride: RideId, stands: Stands) {
        if stands.is_next() {
            self.next_ride.insert(driver, ride);
        } else if self.next_ride.get(&driver) == Some(&ride) {
            self.next_ride.remove(&driver);
        }
    }

    /// Drops an entry whose actor could not be built; whoever may have a deadline is asked again.
    fn forget(&mut self, world: &mut World, entity: Entity) {
        self.entries.remove(&entity);
        if entity.goes_on() {
            let again = world.clock(self.node) + Millis::from_secs(5);
            self.set_alarm(world, entity, Some(again));
        }
    }

    /// An actor died, for a lost commit or by a panic: it is built again.
    pub(super) fn die(&mut self, world: &mut World, entity: Entity, panicked: bool) {
        // Its mailbox, and all that it held back, go with it.
        if !matches!(self.entries.remove(&entity), Some(Entry::Live(_))) {
            return;
        }
        tell!(world, "n{} {} died", self.node, crate::people::name(entity.id()));
        let mut panics = 0;
        if panicked {
            let count = self.panics.entry(entity).or_default();
            *count += 1;
            panics = *count;
        }
        if panics >= PANICS_MAX {
            self.entries.insert(entity, Entry::Quarantined);
            return;
        }
        let after = match panics {
            0 => 0,
            count => BACK_OFF_FIRST * 10_u64.pow(count - 1),
        };
        self.activate(world, entity, Build::Again { after }, Vec::new());
    }

    /// A machine panics: the `number`th of those that are at work, or whose people wait for an
    /// answer, or else of those that live, if it has not panicked too often.
    pub fn panic(&mut self, world: &mut World, number: usize) {
        let may = |entity: &Entity| self.panics.get(entity).is_none_or(|count| *count < 2);
        let living = self.actors().filter(|(entity, _)| may(entity));
        let asked = world.pending.values().filter(|pending| pending.node == self.node);
        let asked: BTreeSet<_> =
            asked.filter_map(|pending| Some(pending.asked.as_ref()?.user.0)).collect();
        let (idle, busy): (Vec<_>, Vec<_>) =
            living.partition(|(entity, actor)| actor.is_idle() && !asked.contains(&entity.id()));
        let those = if busy.is_empty() { idle } else { busy };
        if let Some((entity, _)) = those.get(number % those.len().max(1)) {
            let entity = *entity;
            self.die(world, entity, true);
        }
    }

    /// Drops actors that have been idle for long enough.
    pub fn sweep(&mut self, world: &World) {
        let now = world.clock(self.node);
        self.entries.retain(|_, entry| {
            let Entry::Live(actor) = entry else { return true };
            let idle = actor.mailbox.is_empty() && actor.recording == 0;
            !idle || now.since(actor.last_active).0 < actor.passivate_after
        });
    }

    /// Sets the one alarm of an entity, instead of any before.
    pub fn set_alarm(&mut self, world: &mut World, entity: Entity, at: Option<UnixMillis>) {
        match (self.alarms.get_mut(&entity), at) {
            (None, None) => return,
            (Some(alarm), at) if at.is_none_or(|at| at >= alarm.place) => {
                alarm.rings = at;
                return;
            }
            (Some(_) | None, _) => {}
        }
        let Some(place) = at else { return };
        self.alarms.insert(entity, Alarm { place, rings: at });
        self.look_at(world, entity, place);
    }

    /// Sets the alarm of an entity, unless it has one that rings by then.
    pub(super) fn remind(&mut self, world: &mut World, entity: Entity, at: UnixMillis) {
        let rings = self.alarms.get(&entity).and_then(|alarm| alarm.rings);
        if rings.is_none_or(|rings| rings > at) {
            self.set_alarm(world, entity, Some(at));
        }
    }

    fn look_at(&self, world: &mut World, entity: Entity, place: UnixMillis) {
        let after = world.until(self.node, place) + world.little();
        world.to_node(self.node, after.min(600 * SECOND), NodeEvent::Ring { entity, place });
    }

    /// An alarm's place has come.
    pub fn ring(&mut self, world: &mut World, entity: Entity, place: UnixMillis) {
        let now = world.clock(self.node);
        let Some(alarm) = self.alarms.get(&entity).copied() else { return };
        if alarm.place != place || self.closed {
            return;
        }
        if place > now {
            // The clock was set back.
            self.look_at(world, entity, place);
            return;
        }
        match alarm.rings {
            Some(later) if later > now => {
                self.alarms.insert(entity, Alarm { place: later, rings: Some(later) });
                self.look_at(world, entity, later);
            }
            rings => {
                self.alarms.remove(&entity);
                if rings.is_some() {
                    self.send(world, alarm_of(entity));
                }
            }
        }
    }
}

fn alarm_of(entity: Entity) -> Envelope<Reply> {
    match entity {
        Entity::Ride(id) => Envelope::Ride(id, RideInput::Alarm),
        Entity::Driver(id) => Envelope::Driver(id, DriverInput::Alarm),
        Entity::Passenger(id) => Envelope::Passenger(id, PassengerInput::Alarm),
        Entity::Dispatcher(zone) => Envelope::Dispatcher(zone, DispatcherInput::Alarm),
        Entity::Payment(id) => Envelope::Payment(id, PaymentInput::Alarm),
        Entity::Wallet(id) => Envelope::Wallet(id, WalletInput::Alarm),
        Entity::PayoutLine => Envelope::PayoutLine(LineInput::Alarm),
    }
}

impl Actor {
    fn new(mut body: Body, life: u64, out: Outputs<Reply>, built_at: Micros) -> Self {
        let passivate_after = body.idle_for();
        Self {
            body,
            life,
            turns: ibora_domain::machines::Turns::default(),
            words: crate::watch::Words::default(),
            out,
            mailbox: std::collections::VecDeque::new(),
            awake: false,
            recording: 0,
            settled_at: 0,
            broken: false,
            last_active: UnixMillis(0),
            passivate_after,
            built_at,
        }
    }

    /// Whether no message waits, and no commit is on its way.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.mailbox.is_empty() && self.recording == 0
    }
}
