//! Actors: every ride, driver, passenger and dispatcher, and the one door to them.
//!
//! REST and sessions build the same [`Command`] and hand it to [`Dispatch::command`]; there is no
//! other way to change a ride or a driver. Nothing here sees a database, a socket or HTTP.

mod activate;
mod admission;
mod alarms;
mod clock;
mod commands;
mod credits;
mod decide;
mod disputes;
mod estimates;
mod events;
mod once;
pub mod parse;
mod payments;
mod payouts;
mod ports;
mod positions;
mod quotes;
mod registry;
mod running;
mod shell;
mod snapshot;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use actix::Arbiter;
use ibora_domain::facts::{Answer, Entity, Origin};
use ibora_domain::ids::{DriverId, RideId};
use ibora_domain::machines::{
    DriverInput, DriverPolicy, DriverProfile, Envelope, LinePolicy, RideInput, WalletPolicy,
};
use ibora_domain::place::Coordinates;
use ibora_domain::policy::RidePolicy;
use ibora_domain::refusal::Refusal;
use ibora_domain::ride::DriverPosition;
use ibora_domain::units::{Metres, Millis, UnixMillis};
use tokio::sync::{RwLock, Semaphore, oneshot};

use crate::geo::{LiveIndex, Router};
use crate::journal::{Journal, ReadError, Standing};
use crate::obs::{Metrics, failpoint, vital};
use alarms::Alarms;
use ports::Ports;
use quotes::Quotes;
use registry::Registry;

/// An event of a stream, as sessions and long polls send it.
pub use crate::journal::Published;
pub use clock::Clock;
pub use commands::{Caller, Command, RideRequest, Sent};
pub use events::event_json;
pub use ports::{CarryEffect, PushEphemeral};
pub use quotes::{Quote, Tariffs, Trip};
pub use running::RunningGuard;
pub use snapshot::{Snapshot, Truth, stream_of};

/// How often idle actors are looked for.
const SWEEP_EVERY: Duration = Duration::from_secs(5);
/// How long an engine that stops waits for the answers that are owed.
const ANSWERED_WITHIN: Duration = Duration::from_millis(400);
/// A phone's clock is believed within this of ours.
const TRUSTED_SKEW: Millis = Millis::from_secs(120);

/// What the actors work with.
pub struct DispatchParts {
    pub journal: Arc<Journal>,
    pub index: Arc<LiveIndex>,
    pub router: Arc<dyn Router>,
    pub clock: Clock,
    pub metrics: Arc<Metrics>,
    /// Takes frames for people that are not worth recording.
    pub push: PushEphemeral,
    /// Takes calls to the payment provider, once they may be made.
    pub carry: CarryEffect,
    pub tariffs: Tariffs,
}

/// The numbers the actors work by.
#[derive(Debug, Clone)]
pub struct DispatchOptions {
    pub rides: RidePolicy,
    pub drivers: DriverPolicy,
    pub payouts: PayoutOptions,
    pub quote_ttl: Millis,
    /// Threads of actors; 0: as many as cores.
    pub arbiters: usize,
    pub mailbox_max: u32,
    /// How long a caller waits for an answer before hearing `unavailable`. Real time.
    pub command_deadline: Duration,
}

/// By what drivers are paid.
#[derive(Debug, Clone, Default)]
pub struct PayoutOptions {
    pub wallets: WalletPolicy,
    pub line: LinePolicy,
}

/// A position as a driver reports it.
#[derive(Debug, Clone, Copy)]
pub struct Point {
    pub at: UnixMillis,
    pub place: Coordinates,
    pub accuracy: Metres,
}

/// The door to all actors.
pub struct Dispatch {
    registry: Arc<Registry>,
    arbiters: Vec<Arbiter>,
    tasks: [tokio::task::AbortHandle; 2],
    quotes: Quotes,
    /// Held by every command until it is answered.
    unanswered: RwLock<()>,
    deadline: Duration,
    closed: AtomicBool,
}

impl Dispatch {
    /// Starts the actors' threads, then takes up what was in flight: every deadline with the time
    /// that is left of it.
    ///
    /// # Errors
    /// Whatever the database reports.
    pub async fn start(
        parts: DispatchParts,
        options: DispatchOptions,
    ) -> Result<Arc<Self>, ReadError> {
        let count = match options.arbiters {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            count => count,
        };
        let arbiters: Vec<Arbiter> = (0..count).map(|_| Arbiter::new()).collect();
        let handles = arbiters.iter().map(Arbiter::handle).collect();
        let alarms = Arc::new(Alarms::default());
        let mut in_flight = parts.journal.records().load_in_flight().await?;
        failpoint!(StartRead);
        let registry = Arc::new_cyclic(|registry| {
            let ports = Ports {
                journal: parts.journal,
                index: parts.index,
                router: parts.router,
                clock: parts.clock,
                positions: positions::Counts::new(&parts.metrics),
                asking: Arc::new(Semaphore::new(ports::ASKING_MAX)),
                metrics: parts.metrics,
                push: parts.push,
                carry: parts.carry,
                alarms: Arc::clone(&alarms),
                ride_policy: Arc::new(options.rides),
                driver_policy: Arc::new(options.drivers),
                wallet_policy: Arc::new(options.payouts.wallets),
                line_policy: options.payouts.line,
                on_ride: positions::OnRide::new(&in_flight),
                running: running::Running::default(),
                registry: registry.clone(),
            };
            Registry::new(handles, options.mailbox_max, Arc::new(ports))
        });
        tracing::info!(rides = in_flight.rides, timers = in_flight.timers.len(), "in flight");
        let with_driver = i64::try_from(in_flight.driven.len()).unwrap_or(i64::MAX);
        registry.ports.metrics.active_rides.set(with_driver);
        let (journal, now) = (Arc::clone(&registry.ports.journal), parts.clock.now());
        for (entity, at) in std::mem::take(&mut in_flight.timers) {
            alarms.set(entity, Some(at));
        }
        // A driver's presence starts anew: time in which the engine was down counts against nobody.
        let absent_at = parts.clock.now() + registry.ports.driver_policy.presence;
        for driver in std::mem::take(&mut in_flight.online_drivers) {
            alarms.set(Entity::Driver(driver), Some(absent_at));
        }
        tokio::spawn(async move { journal.preload(&in_flight, now).await });
        let ring = Arc::clone(&registry);
        let ringing = vital("alarms", alarms.run(parts.clock, move |entity| ring.ring(entity)));
        let sweep = Arc::downgrade(&registry);
        let sweeping = tokio::spawn(async move {
            loop {
                tokio::time::sleep(SWEEP_EVERY).await;
                let Some(registry) = sweep.upgrade() else { return };
                registry.sweep();
            }
        });
        Ok(Arc::new(Self {
            registry,
            arbiters,
            tasks: [ringing, sweeping.abort_handle()],
            quotes: Quotes::new(parts.tariffs, options.quote_ttl),
            unanswered: RwLock::new(()),
            deadline: options.command_deadline,
            closed: AtomicBool::new(false),
        }))
    }

    /// Carries out a command: the answer comes when what it rests on is durable.
    ///
    /// # Errors
    /// [`Refusal`], the same for the same command id where it [is a result](Refusal::is_result).
    pub async fn command(&self, caller: Caller, sent: Sent) -> Answer {
        self.command_from(caller, sent, None).await
    }

    /// As [`Dispatch::command`], knowing from where it was sent: what is audited says so.
    ///
    /// # Errors
    /// As there.
    pub async fn command_from(
        &self,
        caller: Caller,
        sent: Sent,
        origin: Option<Arc<Origin>>,
    ) -> Answer {
        let op = sent.command.op();
        failpoint!(CommandTaken);
        let answer = self.decide(caller, sent, origin).await;
        failpoint!(CommandAnswered);
        let labels = [op, commands::outcome(&answer)];
        self.registry.ports.metrics.commands.with_label_values(&labels).inc();
        answer
    }

    /// Sends a message and waits for its answer, for no longer than the deadline.
    async fn ask(&self, make: impl FnOnce(ports::Reply) -> Envelope<ports::Reply>) -> Answer {
        let (reply, answer) = oneshot::channel();
        self.registry.send(make(reply));
        match tokio::time::timeout(self.deadline, answer).await {
            Ok(Ok(answer)) => answer,
            // Its actor ended, or the outcome is open: asking again with the same id tells.
            Ok(Err(_)) | Err(_) => Err(Refusal::Unavailable),
        }
    }

    /// Does what asks the router. Where that asks a server, on a thread that may wait: this one
    /// serves others.
    async fn by_road<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Ports) -> T + Send + 'static,
    ) -> Result<T, Refusal> {
        let ports = Arc::clone(&self.registry.ports);
        if !ports.router.is_remote() {
            return Ok(work(&ports));
        }
        let done = tokio::task::spawn_blocking(move || work(&ports)).await;
        done.map_err(|_| Refusal::Unavailable)
    }

    /// A ride as the caller may see it; its people and admins only.
    ///
    /// # Errors
    /// [`Refusal::NotFound`] for a ride that is not there, or not the caller's.
    pub async fn ride(&self, caller: Caller, ride: RideId) -> Answer {
        self.may_act()?;
        let by = commands::read_as(caller);
        self.ask(|reply| Envelope::Ride(ride, RideInput::Read { by, reply })).await
    }

    /// A driver as he himself sees it.
    ///
    /// # Errors
    /// [`Refusal::NotFound`] for one who is no driver.
    pub async fn driver(&self, driver: DriverId) -> Answer {
        self.may_act()?;
        self.ask(|reply| Envelope::Driver(driver, DriverInput::Read { reply })).await
    }

    /// A driver as his app shows him, and whether an offer may be open to him.
    async fn driver_stand(&self, driver: DriverId) -> Answer {
        self.ask(|reply| Envelope::Driver(driver, DriverInput::Stand { reply })).await
    }

    /// Takes a driver's positions, oldest first; the newest counts. True if it told anything new.
    pub fn report_positions(&self, driver: DriverId, points: &[Point]) -> bool {
        let Some(newest) = points.last() else { return false };
        let ports = &self.registry.ports;
        let now = self.now();
        let skewed = newest.at.since(now) > TRUSTED_SKEW || now.since(newest.at) > TRUSTED_SKEW;
        let at = if skewed { now } else { newest.at.min(now) };
        let fresh = ports.index.update(driver, newest.place, at);
        ports.positions.count(fresh);
        if fresh && let Some(ride) = ports.on_ride.of(driver) {
            if !ports.journal.has_room_for_telemetry() {
                ports.positions.shed();
                return fresh;
            }
            let position = DriverPosition { place: newest.place, at, accuracy: newest.accuracy };
            let input = RideInput::Position { driver, position };
            self.registry.send(Envelope::Ride(ride, input));
        }
        fresh
    }

    /// Where a driver was last.
    #[must_use]
    pub fn last_position(&self, driver: DriverId) -> Option<DriverPosition> {
        let (place, at) = self.registry.ports.index.position(driver)?;
        Some(DriverPosition { place, at, accuracy: Metres(u32::MAX) })
    }

    /// A driver's session opened or closed.
    pub fn driver_session(&self, driver: DriverId, open: bool) {
        let input = if open { DriverInput::SessionOpened } else { DriverInput::SessionClosed };
        self.registry.send(Envelope::Driver(driver, input));
    }

    /// A REST call of a driver: a sign of life.
    pub fn driver_seen(&self, driver: DriverId) {
        self.registry.send(Envelope::Driver(driver, DriverInput::Seen));
    }

    /// A driver's account changed.
    pub fn driver_account(&self, driver: DriverId, profile: DriverProfile) {
        self.registry.send(Envelope::Driver(driver, DriverInput::Profile(Box::new(profile))));
    }

    /// Domain time.
    #[must_use]
    pub fn now(&self) -> UnixMillis {
        self.registry.ports.clock.now()
    }

    /// The journal behind the actors, for reading.
    #[must_use]
    pub fn journal(&self) -> &Arc<Journal> {
        &self.registry.ports.journal
    }

    /// The live index, for gauges and measurements.
    #[must_use]
    pub fn index(&self) -> &Arc<LiveIndex> {
        &self.registry.ports.index
    }

    /// Makes an entity's actor panic: a drill that its neighbours must not notice. True if it
    /// lives.
    #[must_use]
    pub fn crash(&self, entity: Entity) -> bool {
        self.registry.crash(entity)
    }

    /// Whether this engine may act: it has the shards, and is neither stopping nor cut off from the
    /// database for so long that another may have them.
    ///
    /// # Errors
    /// [`Refusal::NotOwner`] where another engine has them, else [`Refusal::Unavailable`].
    pub fn may_act(&self) -> Result<(), Refusal> {
        match self.journal().standing() {
            Standing::Lost => Err(Refusal::NotOwner),
            Standing::Lapsed | Standing::Left => Err(Refusal::Unavailable),
            Standing::Holds if self.closed.load(Ordering::Acquire) => Err(Refusal::Unavailable),
            Standing::Holds => Ok(()),
        }
    }

    /// Takes no new command, and lets no deadline ring any more.
    pub fn halt(&self) {
        self.closed.store(true, Ordering::Release);
        for task in &self.tasks {
            task.abort();
        }
    }

    /// After [`Dispatch::halt`]: returns once the commands under way are answered and all that was
    /// decided is recorded.
    pub async fn settle(&self) {
        // One who waits long, as for a provider, keeps nothing of the others from being recorded.
        let answered = tokio::time::timeout(ANSWERED_WITHIN, self.unanswered.write());
        if answered.await.is_err() {
            tracing::info!("a command is left unanswered");
        }
        self.registry.ports.journal.flush().await;
    }

    /// Ends the actors, after a halt.
    pub fn end(&self) {
        for arbiter in &self.arbiters {
            arbiter.stop();
        }
    }

    /// Refuses new commands, waits until everything decided is recorded, and ends the actors.
    pub async fn close(&self) {
        self.halt();
        self.settle().await;
        self.end();
    }
}
