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

use super::ports::{Ports, Reply};
use super::shell::{Crash, Deliver, Leaving, Shell, Vitals};
use crate::obs::failpoint;

/// Locks over which entities are spread.
const STRIPES: usize = 64;
/// Messages that may wait for an actor that is being built.
const WAITING_MAX: usize = 4096;
/// First pause before an actor that panicked is built again; ten times longer each time.
const BACK_OFF_FIRST: Duration = Duration::from_millis(100);
/// Panics in a row after which an entity is left alone until the next start.
const PANICS_MAX: u32 = 3;

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
    /// Panicked too often; nothing more is asked of it.
    Quarantined,
}

type Stripe = Mutex<HashMap<Entity, Entry>>;

/// The actors of this engine.
pub(super) struct Registry {
    stripes: Vec<Stripe>,
    panics: Mutex<HashMap<Entity, u32>>,
    arbiters: Vec<ArbiterHandle>,
    next_life: AtomicU64,
    mailbox_max: u32,
    pub(super) ports: Arc<Ports>,
}

impl Registry {
    pub(super) fn new(arbiters: Vec<ArbiterHandle>, mailbox_max: u32, ports: Arc<Ports>) -> Self {
        Self {
            stripes: (0..STRIPES).map(|_| Stripe::default()).collect(),
            panics: Mutex::default(),
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
            let vitals = Arc::new(Vitals::new(entity, life));
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
        let panics = if panicked { self.count_panic(entity) } else { 0 };
        if panics >= PANICS_MAX {
            tracing::error!(kind, id = %entity.id(), panics, "actor quarantined");
            stripe.insert(entity, Entry::Quarantined);
            return;
        }
        stripe.insert(entity, Entry::Activating(Vec::new()));
        drop(stripe);
        let after = match panics {
            0 => Duration::ZERO,
            count => BACK_OFF_FIRST * 10_u32.pow(count - 1),
        };
        self.activate(entity, Build::Again { after });
    }

    fn count_panic(&self, entity: Entity) -> u32 {
        let kind = entity.kind().as_str();
        self.ports.metrics.actor_panics.with_label_values(&[kind]).inc();
        let mut panics = self.panics.lock();
        let count = panics.entry(entity).or_insert(0);
        *count += 1;
        *count
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

/// How many messages may wait before this one is refused; `None` where it never is. Telemetry goes
/// first, since the next tells more than the last; then commands and reads, whose askers are told.
/// What actors tell each other is bounded by those; dropped, it would leave reservations behind.
fn admitted_below(envelope: &Envelope<Reply>, mailbox_max: u32) -> Option<u32> {
    if is_telemetry(envelope) {
        return Some(mailbox_max / 2);
    }
    is_refusable(envelope).then_some(mailbox_max)
}

const fn is_telemetry(envelope: &Envelope<Reply>) -> bool {
    matches!(
        envelope,
        Envelope::Ride(_, RideInput::Position { .. } | RideInput::Ahead { .. })
            | Envelope::Driver(_, DriverInput::Seen)
    )
}

fn is_refusable(envelope: &Envelope<Reply>) -> bool {
    match envelope {
        Envelope::Ride(_, input) => matches!(
            input,
            RideInput::Drive { .. }
                | RideInput::Cancel { .. }
                | RideInput::Decline { .. }
                | RideInput::Rate { .. }
                | RideInput::Tip { .. }
                | RideInput::Read { .. }
        ),
        Envelope::Driver(_, input) => matches!(
            input,
            DriverInput::Accept { .. }
                | DriverInput::Online { .. }
                | DriverInput::Offline { .. }
                | DriverInput::PassOn { .. }
                | DriverInput::Claim { .. }
                | DriverInput::Read { .. }
        ),
        Envelope::Passenger(_, input) => matches!(
            input,
            PassengerInput::Request { .. }
                | PassengerInput::TopUp { .. }
                | PassengerInput::GiveCredit { .. }
                | PassengerInput::Active { .. }
        ),
        Envelope::Payment(_, input) => matches!(
            input,
            PaymentInput::Intent { .. }
                | PaymentInput::Read { .. }
                | PaymentInput::GiveBack { .. }
                | PaymentInput::Waive { .. }
                | PaymentInput::Contest { .. }
        ),
        Envelope::Wallet(_, input) => matches!(
            input,
            WalletInput::Payout { .. }
                | WalletInput::Review { .. }
                | WalletInput::Evidence { .. }
                | WalletInput::Rule { .. }
        ),
        Envelope::Dispatcher(..) | Envelope::PayoutLine(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use ibora_domain::facts::Answer;
    use ibora_domain::ids::{DriverId, RideId};
    use ibora_domain::machines::{Ask, ReadAs};
    use ibora_domain::place::Coordinates;
    use ibora_domain::ride::DriverPosition;
    use ibora_domain::units::{Metres, UnixMillis};
    use tokio::sync::oneshot;
    use uuid::Uuid;

    use super::*;

    #[test]
    fn telemetry_is_shed_before_commands_and_what_actors_tell_each_other_never() {
        let (ride, driver) = (RideId(Uuid::nil()), DriverId(Uuid::nil()));
        let reply = || oneshot::channel::<Answer>().0;
        let ask =
            Ask { by: driver.into(), key: None, if_version: None, origin: None, reply: reply() };
        let place = Coordinates::new(-23.55, -46.63).expect("a place");
        let position = DriverPosition { place, at: UnixMillis(1), accuracy: Metres(5) };
        let table = [
            (Envelope::Ride(ride, RideInput::Position { driver, position }), Some(4)),
            (Envelope::Driver(driver, DriverInput::Seen), Some(4)),
            (Envelope::Driver(driver, DriverInput::Offline { ask }), Some(8)),
            (Envelope::Ride(ride, RideInput::Read { reply: reply(), by: ReadAs::Admin }), Some(8)),
            (Envelope::Ride(ride, RideInput::Alarm), None),
            (Envelope::Driver(driver, DriverInput::SessionClosed), None),
        ];
        for (envelope, most) in table {
            assert_eq!(admitted_below(&envelope, 8), most, "{:?}", envelope.entity());
        }
    }
}
