//! The registry: finds an entity's actor, builds it when needed, drops it when idle, and rebuilds
//! it when it died.
//!
//! An entity has at most one actor. Messages that come while one is being built wait, in order, and
//! none is lost when an idle actor is dropped: the entry goes only when nothing is queued.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use actix::{Addr, ArbiterHandle};
use ibora_domain::facts::{Entity, EntityKind};
use ibora_domain::machines::{
    DispatcherMachine, DriverInput, Driving, Envelope, LineInput, PassengerInput, PaymentInput,
    PaymentMachine, PayoutLineMachine, RideInput, RideMachine, Riding, WalletInput, WalletMachine,
};
use parking_lot::Mutex;

use super::admission::{admitted_below, is_telemetry};
use super::ports::{Ports, Reply};
use super::shell::{Crash, Deliver, Leaving, Shell, Vitals};
use crate::obs::failpoint;

/// Locks over which entities are spread.
const STRIPES: usize = 64;
/// Messages that may wait for an actor that is being built.
const WAITING_MAX: usize = 4096;
/// First pause before an actor that panicked, or lost a commit again, is built; ten times longer
/// each time.
const BACK_OFF_FIRST: Duration = Duration::from_millis(100);
/// The longest after lost commits: what is refused now may not be soon.
const BACK_OFF_LOST: Duration = Duration::from_secs(1);
/// Panics in a row after which an entity is left alone for a while.
const PANICS_MAX: u32 = 3;
/// For how long; then it is tried once more.
const QUARANTINE: Duration = Duration::from_secs(600);

/// The address of an actor.
pub(super) enum Address {
    Ride(Addr<Shell<RideMachine<Reply>>>),
    Driver(Addr<Shell<Driving<Reply>>>),
    Passenger(Addr<Shell<Riding<Reply>>>),
    Dispatcher(Addr<Shell<DispatcherMachine<Reply>>>),
    Payment(Addr<Shell<PaymentMachine<Reply>>>),
    Wallet(Addr<Shell<WalletMachine<Reply>>>),
    PayoutLine(Addr<Shell<PayoutLineMachine<Reply>>>),
}

enum Entry {
    /// Being built, with what waits for it.
    Activating(Vec<Envelope<Reply>>),
    Live {
        address: Address,
        vitals: Arc<Vitals>,
    },
    /// Panicked too often; nothing is asked of it for a while.
    Quarantined,
}

type Stripe = Mutex<HashMap<Entity, Entry>>;

/// The actors of this engine.
pub(super) struct Registry {
    stripes: Vec<Stripe>,
    /// Of those that have recorded nothing since.
    deaths: Mutex<HashMap<Entity, Deaths>>,
    arbiters: Vec<ArbiterHandle>,
    next_life: AtomicU64,
    mailbox_max: u32,
    pub(super) ports: Arc<Ports>,
}

impl Registry {
    pub(super) fn new(arbiters: Vec<ArbiterHandle>, mailbox_max: u32, ports: Arc<Ports>) -> Self {
        Self {
            stripes: (0..STRIPES).map(|_| Stripe::default()).collect(),
            deaths: Mutex::default(),
            arbiters,
            next_life: AtomicU64::new(1),
            mailbox_max,
            ports,
        }
    }

    fn stripe(&self, entity: Entity) -> &Stripe {
        &self.stripes[usize::from(entity.shard().number()) % STRIPES]
    }

    fn arbiter(&self, entity: Entity) -> &ArbiterHandle {
        &self.arbiters[usize::from(entity.shard().number()) % self.arbiters.len()]
    }

    /// Runs `task` beside the actors.
    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        if let Some(arbiter) = self.arbiters.first() {
            arbiter.spawn(task);
        }
    }

    /// Delivers a message, building its actor if there is none. Whoever waits for the answer to one
    /// that cannot be delivered hears `overloaded` or `unavailable`.
    pub(super) fn send(self: &Arc<Self>, envelope: Envelope<Reply>) {
        let entity = envelope.entity();
        failpoint!(each crate::obs::failpoints::message(&envelope));
        let mut stripe = self.stripe(entity).lock();
        match stripe.get_mut(&entity) {
            Some(Entry::Live { address, vitals }) => self.deliver(address, vitals, envelope),
            Some(Entry::Activating(waiting)) => {
                let most = if is_telemetry(&envelope) { WAITING_MAX / 2 } else { WAITING_MAX };
                if waiting.len() < most {
                    waiting.push(envelope);
                } else {
                    super::commands::refuse_overloaded(envelope);
                }
            }
            Some(Entry::Quarantined) => {}
            None if envelope.is_news() => {}
            None => {
                let new = envelope.opens();
                stripe.insert(entity, Entry::Activating(vec![envelope]));
                drop(stripe);
                self.activate(entity, if new { Build::New } else { Build::Read });
            }
        }
    }

    fn deliver(&self, address: &Address, vitals: &Vitals, envelope: Envelope<Reply>) {
        let waiting = vitals.queued.load(Ordering::Acquire);
        if admitted_below(&envelope, self.mailbox_max).is_some_and(|most| waiting >= most) {
            super::commands::refuse_overloaded(envelope);
            return;
        }
        vitals.queued.fetch_add(1, Ordering::AcqRel);
        match (address, envelope) {
            (Address::Ride(actor), Envelope::Ride(_, input)) => actor.do_send(Deliver(input)),
            (Address::Driver(actor), Envelope::Driver(_, input)) => actor.do_send(Deliver(input)),
            (Address::Passenger(actor), Envelope::Passenger(_, input)) => {
                actor.do_send(Deliver(input));
            }
            (Address::Dispatcher(actor), Envelope::Dispatcher(_, input)) => {
                actor.do_send(Deliver(input));
            }
            (Address::Payment(actor), Envelope::Payment(_, input)) => {
                actor.do_send(Deliver(input));
            }
            (Address::Wallet(actor), Envelope::Wallet(_, input)) => actor.do_send(Deliver(input)),
            (Address::PayoutLine(actor), Envelope::PayoutLine(input)) => {
                actor.do_send(Deliver(input));
            }
            // An entity's kind is part of its name, so an address of another kind is never found.
            (
                Address::Ride(_)
                | Address::Driver(_)
                | Address::Passenger(_)
                | Address::Dispatcher(_)
                | Address::Payment(_)
                | Address::Wallet(_)
                | Address::PayoutLine(_),
                _,
            ) => {}
        }
    }

    /// Rings the alarm of an entity.
    pub(super) fn ring(self: &Arc<Self>, entity: Entity) {
        self.send(match entity {
            Entity::Ride(id) => Envelope::Ride(id, RideInput::Alarm),
            Entity::Driver(id) => Envelope::Driver(id, DriverInput::Alarm),
            Entity::Passenger(id) => Envelope::Passenger(id, PassengerInput::Alarm),
            Entity::Dispatcher(zone) => {
                Envelope::Dispatcher(zone, ibora_domain::machines::DispatcherInput::Alarm)
            }
            Entity::Payment(id) => Envelope::Payment(id, PaymentInput::Alarm),
            Entity::Wallet(id) => Envelope::Wallet(id, WalletInput::Alarm),
            Entity::PayoutLine => Envelope::PayoutLine(LineInput::Alarm),
        });
    }

    /// Builds the actor of an entity whose entry says `Activating`.
    fn activate(self: &Arc<Self>, entity: Entity, build: Build) {
        let registry = Arc::clone(self);
        let life = self.next_life.fetch_add(1, Ordering::Relaxed);
        self.arbiter(entity).spawn(async move {
            let building = Building { registry: Arc::clone(&registry), entity };
            let ailing = matches!(build, Build::Again { .. });
            let vitals = Arc::new(Vitals::new(entity, life, ailing));
            if let Build::Again { after } = build {
                tokio::time::sleep(after).await;
                if registry.ports.journal.settled(entity).await.is_err() {
                    registry.forget(entity);
                    return;
                }
            }
            let read = build != Build::New;
            match super::activate::start(entity, read, &registry.ports, &vitals).await {
                Ok(address) => registry.go_live(address, vitals),
                Err(error) => {
                    let id = entity.id();
                    tracing::warn!(%error, kind = entity.kind().as_str(), %id, "cannot be read");
                    registry.forget(entity);
                }
            }
            drop(building);
        });
    }

    fn go_live(&self, address: Address, vitals: Arc<Vitals>) {
        let kind = [vitals.entity.kind().as_str()];
        self.ports.metrics.actors.with_label_values(&kind).inc();
        self.ports.metrics.actor_activations.with_label_values(&kind).inc();
        let mut stripe = self.stripe(vitals.entity).lock();
        if let Some(Entry::Activating(waiting)) = stripe.remove(&vitals.entity) {
            for envelope in waiting {
                self.deliver(&address, &vitals, envelope);
            }
        }
        stripe.insert(vitals.entity, Entry::Live { address, vitals });
    }

    /// Drops an entry whose actor could not be built, with what waited for it. Asked again in a
    /// while, should it have had a deadline.
    fn forget(&self, entity: Entity) {
        self.stripe(entity).lock().remove(&entity);
        let again = self.ports.clock.now() + ibora_domain::units::Millis::from_secs(5);
        if entity.goes_on() {
            self.ports.alarms.set(entity, Some(again));
        }
    }

    /// An actor ended: dropped when idle (its entry is gone already), or for a lost commit or a
    /// panic, and then it is built again from the records once its last appends are settled.
    pub(super) fn ended(self: &Arc<Self>, vitals: &Vitals, panicked: bool) {
        let entity = vitals.entity;
        let kind = entity.kind().as_str();
        self.ports.metrics.actors.with_label_values(&[kind]).dec();
        let mut stripe = self.stripe(entity).lock();
        let died = matches!(stripe.get(&entity),
            Some(Entry::Live { vitals: entry, .. }) if entry.life == vitals.life);
        if !died {
            return;
        }
        let deaths = self.count_death(entity, panicked);
        if deaths.panics >= PANICS_MAX {
            stripe.insert(entity, Entry::Quarantined);
            drop(stripe);
            return self.quarantined(entity);
        }
        stripe.insert(entity, Entry::Activating(Vec::new()));
        drop(stripe);
        self.activate(entity, Build::Again { after: deaths.back_off(panicked) });
    }

    fn count_death(&self, entity: Entity, panicked: bool) -> Deaths {
        let mut deaths = self.deaths.lock();
        let deaths = deaths.entry(entity).or_default();
        if panicked {
            let kind = entity.kind().as_str();
            self.ports.metrics.actor_panics.with_label_values(&[kind]).inc();
            deaths.panics += 1;
        } else {
            deaths.losses += 1;
        }
        *deaths
    }

    /// An actor has recorded something since it died: what it died of has passed.
    pub(super) fn is_well(&self, entity: Entity) {
        self.deaths.lock().remove(&entity);
    }

    /// An entity is left alone, until it is tried once more.
    fn quarantined(self: &Arc<Self>, entity: Entity) {
        tracing::error!(kind = entity.kind().as_str(), id = %entity.id(), "actor quarantined");
        let registry = Arc::downgrade(self);
        self.spawn(async move {
            tokio::time::sleep(QUARANTINE).await;
            if let Some(registry) = registry.upgrade() {
                registry.forget(entity);
            }
        });
    }

    /// What builds an actor panicked: counted as if the actor had.
    fn build_panicked(self: &Arc<Self>, entity: Entity) {
        if self.count_death(entity, true).panics < PANICS_MAX {
            return self.forget(entity);
        }
        self.stripe(entity).lock().insert(entity, Entry::Quarantined);
        self.quarantined(entity);
    }

    /// Drops actors that have been idle for long enough; they are rebuilt when next needed.
    pub(super) fn sweep(&self) {
        let now = u64::try_from(self.ports.clock.now().0).unwrap_or(0);
        let mut depth = [0_i64; EntityKind::ALL.len()];
        for stripe in &self.stripes {
            stripe.lock().retain(|entity, entry| {
                let Entry::Live { address, vitals } = entry else { return true };
                let queued = vitals.queued.load(Ordering::Acquire);
                depth[kind_index(entity.kind())] += i64::from(queued);
                let idle = queued == 0 && vitals.recording.load(Ordering::Acquire) == 0;
                let since = vitals.last_active.load(Ordering::Relaxed);
                let after = vitals.passivate_after.load(Ordering::Relaxed);
                let keep = !idle || now.saturating_sub(since) < after;
                if !keep {
                    address.leave();
                    self.is_well(*entity);
                }
                keep
            });
        }
        for (kind, depth) in EntityKind::ALL.iter().zip(depth) {
            self.ports.metrics.mailbox_depth.with_label_values(&[kind.as_str()]).set(depth);
        }
    }

    /// Makes an entity's actor panic, if it lives: a drill of what follows.
    pub(super) fn crash(&self, entity: Entity) -> bool {
        match self.stripe(entity).lock().get(&entity) {
            Some(Entry::Live { address, .. }) => {
                address.crash();
                true
            }
            Some(Entry::Activating(_) | Entry::Quarantined) | None => false,
        }
    }
}

/// How an entity's actors died in a row.
#[derive(Debug, Clone, Copy, Default)]
struct Deaths {
    panics: u32,
    losses: u32,
}

impl Deaths {
    /// How long until it is built again. After one lost commit at once: the records know better.
    fn back_off(self, panicked: bool) -> Duration {
        let longer = |times: u32| BACK_OFF_FIRST * 10_u32.saturating_pow(times);
        match (panicked, self.losses) {
            (true, _) => longer(self.panics.saturating_sub(1)),
            (false, 0 | 1) => Duration::ZERO,
            (false, losses) => longer(losses.min(4) - 2).min(BACK_OFF_LOST),
        }
    }
}

/// An actor in the making: what panics then has no actor that could tell of it.
struct Building {
    registry: Arc<Registry>,
    entity: Entity,
}

impl Drop for Building {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.registry.build_panicked(self.entity);
        }
    }
}

/// From what an actor is built.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Build {
    /// A new entity: there is nothing to read.
    New,
    Read,
    /// After a death: its last appends must have their outcome before anything is read.
    Again {
        after: Duration,
    },
}

impl Address {
    fn leave(&self) {
        match self {
            Self::Ride(actor) => actor.do_send(Leaving),
            Self::Driver(actor) => actor.do_send(Leaving),
            Self::Passenger(actor) => actor.do_send(Leaving),
            Self::Dispatcher(actor) => actor.do_send(Leaving),
            Self::Payment(actor) => actor.do_send(Leaving),
            Self::Wallet(actor) => actor.do_send(Leaving),
            Self::PayoutLine(actor) => actor.do_send(Leaving),
        }
    }

    fn crash(&self) {
        match self {
            Self::Ride(actor) => actor.do_send(Crash),
            Self::Driver(actor) => actor.do_send(Crash),
            Self::Passenger(actor) => actor.do_send(Crash),
            Self::Dispatcher(actor) => actor.do_send(Crash),
            Self::Payment(actor) => actor.do_send(Crash),
            Self::Wallet(actor) => actor.do_send(Crash),
            Self::PayoutLine(actor) => actor.do_send(Crash),
        }
    }
}

fn kind_index(kind: EntityKind) -> usize {
    EntityKind::ALL.iter().position(|each| *each == kind).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_lost_commit_costs_no_pause_and_the_next_ones_no_more_than_a_second() {
        let pause = |panics, losses, panicked| Deaths { panics, losses }.back_off(panicked);
        let lost = [1, 2, 3, 4, 40].map(|losses| pause(0, losses, false).as_millis());
        assert_eq!(lost, [0, 100, 1000, 1000, 1000]);
        let panicked = [1, 2].map(|panics| pause(panics, 7, true).as_millis());
        assert_eq!(panicked, [100, 1000]);
    }
}
