//! What actors act through: everything outside an actor that its outputs name.

use std::sync::{Arc, Weak};

use ibora_domain::category::Category;
use ibora_domain::dispatch::Merits;
use ibora_domain::facts::{Answer, CommandKey, Entity, RideRow, Row, StreamId, Zone};
use ibora_domain::ids::{DriverId, OfferId, PassengerId, RideId};
use ibora_domain::machines::{
    Ahead, Candidate, DispatcherInput, DriverInput, DriverPolicy, Effect, Envelope, Ephemeral,
    Leave, LinePolicy, Lost, Market, Note, RideInput, Seek, WalletPolicy, lose,
};
use ibora_domain::place::Coordinates;
use ibora_domain::policy::RidePolicy;
use ibora_domain::refusal::Refusal;
use ibora_domain::units::{Metres, Millis, Seconds};
use tokio::sync::{Semaphore, oneshot};
use uuid::Uuid;

use super::alarms::Alarms;
use super::clock::Clock;
use super::positions::Stands;
use super::registry::Registry;
use crate::geo::{CategoryBits, Drive, LiveIndex, Nearby, Query, Route, Router};
use crate::journal::{CommitError, Journal};
use crate::obs::{Metrics, failpoint};

/// Where an answer goes. Dropped without one, its asker hears `unavailable`.
pub(super) type Reply = oneshot::Sender<Answer>;

/// Rides that wait at once for a server's word of how long their way takes.
pub(super) const ASKING_MAX: usize = 4;

/// Drivers on a ride who are looked at for a wave, at most: those whose drop-offs are nearest.
const SOON_LOOKED_AT: usize = 8;

/// Metres a second that no car in a city exceeds.
const FAST_MPS: u64 = 30;

/// Takes frames that are shown and forgotten. Must not wait.
pub type PushEphemeral = Arc<dyn Fn(Ephemeral) + Send + Sync>;

/// Takes calls to the payment provider that are to be made. Must not wait.
pub type CarryEffect = Arc<dyn Fn(Effect) + Send + Sync>;

/// A ride's driver and passenger, the ride, and where it stands.
pub(super) type Followed = ((Option<DriverId>, PassengerId), RideId, Stands);

/// How [`Followed`] a ride's row is.
pub(super) fn followed_as(row: &RideRow) -> Followed {
    let stands = Stands { status: row.status, chained: row.chained };
    ((row.driver, row.passenger), row.id, stands)
}

/// The outside of all actors of an engine.
pub(super) struct Ports {
    pub(super) journal: Arc<Journal>,
    pub(super) index: Arc<LiveIndex>,
    pub(super) router: Arc<dyn Router>,
    pub(super) clock: Clock,
    pub(super) metrics: Arc<Metrics>,
    pub(super) push: PushEphemeral,
    pub(super) carry: CarryEffect,
    pub(super) alarms: Arc<Alarms>,
    pub(super) ride_policy: Arc<RidePolicy>,
    pub(super) driver_policy: Arc<DriverPolicy>,
    pub(super) wallet_policy: Arc<WalletPolicy>,
    pub(super) line_policy: LinePolicy,
    pub(super) on_ride: super::positions::OnRide,
    pub(super) running: super::running::Running,
    pub(super) positions: super::positions::Counts,
    /// Places for rides that ask a server how long their way takes.
    pub(super) asking: Arc<Semaphore>,
    /// The registry holds the ports; they hold it only loosely.
    pub(super) registry: Weak<Registry>,
}

impl Ports {
    /// Carries out what may leave.
    pub(super) fn leave(&self, leaves: Vec<Leave<Reply>>) {
        for leave in leaves {
            match leave {
                // The asker may be gone; what it asked for is recorded all the same.
                Leave::Reply(reply, answer, _) => drop(reply.send(answer)),
                Leave::Repeat(reply, key) => self.repeat(reply, key),
                Leave::Send(envelope) => self.send(envelope),
                Leave::Push(frame) => (self.push)(frame),
                Leave::Rated(person) => self.rated(person),
                Leave::Effect(effect) => (self.carry)(effect),
            }
        }
    }

    /// Answers those whose decision was lost; tells nobody else anything.
    pub(super) fn fail(&self, leaves: Vec<Leave<Reply>>, error: &CommitError) {
        lose(leaves, error, |lost| match lost {
            Lost::Answer(reply, refusal) => drop(reply.send(Err(refusal))),
            Lost::Repeat(reply, key) => self.repeat(reply, key),
        });
    }

    /// An actor that was built after a death has recorded something.
    pub(super) fn is_well(&self, entity: Entity) {
        if let Some(registry) = self.registry.upgrade() {
            registry.is_well(entity);
        }
    }

    pub(super) fn send(&self, envelope: Envelope<Reply>) {
        if let Some(registry) = self.registry.upgrade() {
            registry.send(envelope);
        }
    }

    /// Answers with the stored result of a command.
    pub(super) fn repeat(&self, reply: Reply, key: CommandKey) {
        let journal = Arc::clone(&self.journal);
        self.spawn(async move {
            let answer = match journal.records().answer(key.principal, &key.id).await {
                Ok(Some((fingerprint, _))) if fingerprint != key.fingerprint => {
                    Err(Refusal::IdempotencyKeyReused)
                }
                Ok(Some((_, answer))) => answer,
                Ok(None) => Err(Refusal::Unavailable),
                Err(error) => {
                    tracing::warn!(%error, "a stored answer cannot be read");
                    Err(Refusal::Unavailable)
                }
            };
            failpoint!(CommandRepeated);
            drop(reply.send(answer));
        });
    }

    /// Somebody's mean is a new one: reads it for whoever asks next, and for the driver's actor.
    fn rated(&self, person: StreamId) {
        let (journal, registry) = (Arc::clone(&self.journal), self.registry.clone());
        self.spawn(async move {
            let rated = match journal.records().person_anew(person.user()).await {
                Ok(rated) => rated,
                Err(error) => return tracing::warn!(%error, "a mean rating cannot be read"),
            };
            if let (StreamId::Driver(driver), Some(rated), Some(registry)) =
                (person, rated, registry.upgrade())
            {
                registry.send(Envelope::Driver(driver, DriverInput::Rated(rated.rating)));
            }
        });
    }

    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        if let Some(registry) = self.registry.upgrade() {
            registry.spawn(task);
        }
    }

    /// Changes what the live index says of a driver.
    pub(super) fn market(&self, driver: DriverId, market: Market) {
        match market {
            Market::Available(category, standing) => {
                self.index.set_standing(driver, standing);
                self.index.set_available(driver, CategoryBits(category.bit()));
            }
            Market::Finishing(category, dropoff, standing) => {
                self.index.set_standing(driver, standing);
                self.index.set_finishing(driver, CategoryBits(category.bit()), dropoff);
            }
            Market::Busy => self.index.set_unavailable(driver),
            Market::Offline => self.index.forget(driver),
        }
    }

    /// Looks for drivers and tells the dispatcher of `zone`. Where the router asks a server, on a
    /// thread that may wait.
    pub(super) fn look(self: &Arc<Self>, zone: Zone, seek: Seek) {
        let ports = Arc::clone(self);
        let work = move || {
            let candidates = ports.find(zone, &seek);
            let found = DispatcherInput::Found { ride: seek.ride, wave: seek.wave, candidates };
            ports.send(Envelope::Dispatcher(zone, found));
        };
        if self.router.is_remote() {
            drop(tokio::task::spawn_blocking(work));
        } else {
            work();
        }
    }

    /// Says how long a way takes, to the ride whose it is. Where the router asks a server, on a
    /// thread that may wait, and only for a few rides at once: the others are told next time.
    pub(super) fn look_ahead(self: &Arc<Self>, ride: RideId, ahead: Ahead) {
        let ports = Arc::clone(self);
        let work = move || {
            ports.router.tell_time(ports.clock.now());
            let eta = ports.router.route(ahead.from, ahead.to).duration;
            ports.send(Envelope::Ride(ride, RideInput::Ahead { to: ahead.to, eta }));
        };
        let count = |outcome| self.metrics.ride_etas.with_label_values(&[outcome]).inc();
        if !self.router.is_remote() {
            work();
        } else if let Ok(place) = Arc::clone(&self.asking).try_acquire_owned() {
            drop(tokio::task::spawn_blocking(move || {
                work();
                drop(place);
            }));
        } else {
            return count("shed");
        }
        count("asked");
    }

    /// Lets the router know how long a drive took.
    fn learn(&self, (from, to): (Coordinates, Coordinates), lasted: Millis) {
        let took = Seconds(u32::try_from(lasted.0 / 1000).unwrap_or(u32::MAX));
        let began = self.clock.now() - lasted;
        self.router.learn(&Drive { from, to, began, took });
    }

    /// The drivers a wave may be offered to, nearest by road time first, each with an offer id.
    /// Twice as many as asked for, since some will have no slot.
    fn find(&self, zone: Zone, seek: &Seek) -> Vec<Candidate> {
        let _timer = self.metrics.dispatch_wave_seconds.start_timer();
        let mut excluded = seek.excluded.clone();
        excluded.sort_unstable();
        let query = Query {
            at: seek.pickup,
            radius: seek.radius,
            limit: usize::from(seek.count).saturating_mul(2).max(8),
            category: CategoryBits(seek.category.bit()),
            now: self.clock.now(),
            excluded: &excluded,
        };
        self.router.tell_time(self.clock.now());
        let mut found: Vec<(Nearby, Option<Seconds>)> =
            self.index.nearest(&query).into_iter().map(|near| (near, None)).collect();
        if self.ride_policy.zones.rules(zone).policy.looks_ahead() {
            found.extend(self.soon_free(&Query { limit: SOON_LOOKED_AT, ..query }));
        }
        let places: Vec<Coordinates> = found.iter().map(|(near, _)| near.position).collect();
        let routes = self.router.routes(&places, seek.pickup);
        let candidate = |((near, free_in), route): ((Nearby, Option<Seconds>), Route)| Candidate {
            driver: near.driver,
            offer: OfferId(Uuid::now_v7()),
            distance: near.distance,
            eta: Seconds(route.duration.0.saturating_add(free_in.map_or(0, |free_in| free_in.0))),
            free_in,
            merits: near.standing.map_or_else(Merits::default, |of| of.merits(query.now)),
        };
        let mut candidates: Vec<Candidate> = found.into_iter().zip(routes).map(candidate).collect();
        candidates.sort_by_key(|candidate| (candidate.eta, candidate.distance));
        candidates
    }

    /// Drivers who end their rides soon near the pickup, and when.
    fn soon_free(&self, query: &Query<'_>) -> Vec<(Nearby, Option<Seconds>)> {
        let within = self.ride_policy.soon_within;
        let soon = |(near, from): (Nearby, Coordinates)| {
            // No car is that fast: do not ask the router.
            let too_far = u64::from(from.distance_to(near.position).0) > within.0 / 1000 * FAST_MPS;
            let free_in = (!too_far).then(|| self.router.route(from, near.position).duration)?;
            let is_soon = u64::from(free_in.0) * 1000 <= within.0;
            is_soon.then_some((near, Some(free_in)))
        };
        self.index.finishing(query).into_iter().filter_map(soon).collect()
    }

    /// How long the nearest free driver of each category would take to a place.
    pub(super) fn nearest_etas(
        &self,
        at: Coordinates,
        categories: &[Category],
    ) -> Vec<Option<Seconds>> {
        let radius = self.ride_policy.wave_radii.iter().copied().max().unwrap_or(Metres(0));
        let now = self.clock.now();
        let nearest = |category: &Category| {
            let category = CategoryBits(category.bit());
            let query = Query { at, radius, limit: 1, category, now, excluded: &[] };
            Some(self.index.nearest(&query).into_iter().next()?.position)
        };
        let nearest: Vec<_> = categories.iter().map(nearest).collect();
        // Asked for together: a server is asked once.
        let places: Vec<_> = nearest.iter().copied().flatten().collect();
        let mut routes = self.router.routes(&places, at).into_iter();
        nearest.iter().map(|place| place.and_then(|_| Some(routes.next()?.duration))).collect()
    }

    /// Counts what operators watch.
    pub(super) fn note(&self, note: Note) {
        let metrics = &self.metrics;
        match note {
            Note::RideMoved { from, to, category } => {
                let labels = [from.unwrap_or("none"), to];
                metrics.ride_transitions.with_label_values(&labels).inc();
                if from.is_none() {
                    metrics.rides_created.with_label_values(&[category.as_str()]).inc();
                }
                let bound =
                    |status| matches!(status, "accepted" | "arriving" | "arrived" | "started");
                match (from.is_some_and(bound), bound(to)) {
                    (false, true) => metrics.active_rides.inc(),
                    (true, false) => metrics.active_rides.dec(),
                    (true, true) | (false, false) => {}
                }
            }
            Note::RideCanceled { by, reason } => {
                metrics.rides_canceled.with_label_values(&[by, reason]).inc();
            }
            Note::RideEnded { category, lasted, drive } => {
                if let Some(ends) = drive {
                    self.learn(ends, lasted);
                }
                let category = [category.as_str()];
                metrics.rides_completed.with_label_values(&category).inc();
                let minutes = lasted.as_secs_f64() / 60.0;
                metrics.ride_duration_minutes.with_label_values(&category).observe(minutes);
            }
            Note::Accepted { waited } => {
                metrics.ride_accept_duration_seconds.observe(waited.as_secs_f64());
            }
            Note::Attempt { outcome } => {
                metrics.accept_attempts.with_label_values(&[outcome]).inc();
            }
            Note::Rated { by, stars } => {
                let labels = [by.as_str(), &u8::from(stars).to_string()];
                metrics.rides_rated.with_label_values(&labels).inc();
            }
            Note::PlanRefused => metrics.dispatch_plans_refused.inc(),
            Note::Payout { event } => metrics.payouts.with_label_values(&[event]).inc(),
            Note::Dispute { event } => metrics.disputes.with_label_values(&[event]).inc(),
            Note::PayoutsWait { why } => {
                metrics.payouts_wait.with_label_values(&[why.as_str()]).inc();
            }
            Note::PayoutOdd => {
                tracing::error!("the provider says of a payout what cannot be");
                metrics.payouts_mismatched.inc();
            }
            Note::OffersMade { count } => {
                metrics.offers_made.inc_by(u64::try_from(count).unwrap_or(0));
            }
        }
    }

    /// Keeps what positions need to know: who drives which ride.
    pub(super) fn follow(&self, rows: &[Row]) {
        for row in rows {
            if let Row::Ride(row) = row {
                let (people, ride, stands) = followed_as(row);
                self.on_ride.decided(people, ride, stands);
            }
        }
    }

    /// Keeps what positions and snapshots need to know of rows that are recorded.
    pub(super) fn followed(&self, rides: &[Followed]) {
        for (people, ride, stands) in rides {
            self.on_ride.set(*people, *ride, *stands);
        }
    }

    /// Forgets what was kept of rows that were not recorded.
    pub(super) fn unfollow(&self, rides: &[Followed]) {
        for ((driver, passenger), _, _) in rides {
            self.on_ride.lose(*driver, *passenger);
        }
    }
}
