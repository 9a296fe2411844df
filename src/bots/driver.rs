//! A driver who works: goes online, answers offers after a human's time, drives along the roads,
//! asks for the PIN, and goes on from where the ride ended.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Instant;

use ibora_domain::place::Coordinates;
use ibora_domain::refusal::Refusal;
use ibora_domain::ride::Status;
use ibora_domain::units::{Millis, UnixMillis};
use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;
use uuid::Uuid;

use super::contract::{CommandError, Engine, Event, Person, SessionError, moment};
use super::frames::Fix;
use super::habits::DriverHabits;
use super::leg::{Leg, Motion};
use super::seen::{DriverDoes, DriverSeen};
use super::session::Session;
use super::town::{Ride, Town};

mod next;
mod pay;

/// Accuracy that a bot's phone claims.
const ACCURACY_M: u32 = 8;
/// Haunts looked at for the next place to wait; the nearest is taken.
const HAUNTS_SEEN: u32 = 5;
/// After this long at the kerb a driver declares a no-show, a little over the engine's own limit.
const NO_SHOW_AFTER: Millis = Millis::from_secs(310);
/// How often a waiting driver looks for the passenger.
const LOOK_EVERY: Millis = Millis::from_secs(5);

/// A driver.
pub struct DriverBot {
    session: Session,
    town: Arc<Town>,
    engine: Arc<Engine>,
    habits: Arc<DriverHabits>,
    rng: StdRng,
    phase: Phase,
    at: Coordinates,
    leg: Option<Leg>,
    /// Offers that wait until the one he looks at is settled.
    waiting: Vec<Offer>,
    /// The ride that he does after the one he is on.
    next: Option<Ride>,
    report_at: Instant,
    seen: Arc<Mutex<DriverSeen>>,
}

enum Phase {
    Idle { moves_at: UnixMillis },
    Deciding { offer: Offer, at: UnixMillis, takes: bool },
    ToPickup { ride: Ride },
    Boarding { ride: Ride, looks_at: UnixMillis, gives_up_at: UnixMillis },
    Driving { ride: Ride },
}

#[derive(Clone, Deserialize)]
struct Offer {
    offer_id: Uuid,
    ride_id: Uuid,
    expires_at: Box<str>,
}

type Step = Result<(), SessionError>;

impl DriverBot {
    /// Connects a driver who is at a place, and not yet online.
    ///
    /// # Errors
    /// [`SessionError`]
    pub async fn connect(
        (engine, town): (Arc<Engine>, Arc<Town>),
        person: Person,
        habits: Arc<DriverHabits>,
        (at, seed): (Coordinates, u64),
    ) -> Result<Self, SessionError> {
        let session = Session::connect(Arc::clone(&engine), person, seed).await?;
        let does = DriverDoes::Offline;
        let seen = DriverSeen { does, at, leg: None, ride: None, change: town.change() };
        Ok(Self {
            session,
            town,
            engine,
            habits,
            rng: StdRng::seed_from_u64(seed ^ 0xd41f_e400),
            phase: Phase::Idle { moves_at: UnixMillis(0) },
            at,
            leg: None,
            waiting: Vec::new(),
            next: None,
            report_at: Instant::now(),
            seen: Arc::new(Mutex::new(seen)),
        })
    }

    /// How others see this driver; stays current while he works.
    #[must_use]
    pub fn seen(&self) -> Arc<Mutex<DriverSeen>> {
        Arc::clone(&self.seen)
    }

    /// Works until the session ends for good. Drop the future to send him home.
    ///
    /// # Errors
    /// [`SessionError`]: there is no other end.
    pub async fn work(mut self) -> Result<Infallible, SessionError> {
        loop {
            let due = self.session.clock().when(self.acts_at()).min(self.report_at);
            match self.session.next(due).await? {
                Some(event) => self.hear(event).await?,
                None => self.act().await?,
            }
        }
    }

    fn now(&self) -> UnixMillis {
        self.session.clock().now()
    }

    /// When he does something by himself.
    fn acts_at(&self) -> UnixMillis {
        let arrives = self.leg.as_ref().map_or(UnixMillis(0), Leg::ends);
        match &self.phase {
            Phase::Idle { moves_at } => *moves_at,
            Phase::Deciding { at, .. } => *at,
            Phase::Boarding { looks_at, .. } => *looks_at,
            Phase::ToPickup { .. } | Phase::Driving { .. } => arrives,
        }
    }

    async fn hear(&mut self, event: Event) -> Step {
        match event {
            Event::Snapshot(snapshot) => self.adopt(&snapshot).await,
            Event::Durable { op, key, body, .. } => match &*op {
                "offer.made" => {
                    self.engine.figures.offers.add();
                    self.waiting.extend(serde_json::from_str::<Offer>(body.get()));
                    self.look_at_offers();
                    self.take_next().await
                }
                "offer.withdrawn" => {
                    self.withdrawn(key);
                    Ok(())
                }
                "ride.updated" => {
                    let ride = Ride::within(&body);
                    ride.map_or(Ok(()), |ride| self.ride_changed(ride))
                }
                "payout.updated" => {
                    self.payout_moved(&body);
                    Ok(())
                }
                _ => Ok(()),
            },
            Event::Shown { .. } => Ok(()),
        }
    }

    /// Takes over what the server says is true.
    async fn adopt(&mut self, snapshot: &RawValue) -> Step {
        #[derive(Deserialize)]
        struct Known {
            #[serde(default)]
            offers: Vec<Offer>,
        }
        let known = serde_json::from_str::<Known>(snapshot.get());
        self.waiting = known.map(|known| known.offers).unwrap_or_default();
        self.next = Ride::next_within(snapshot);
        if let Some(ride) = Ride::within(snapshot).filter(|ride| ride.status.has_driver()) {
            self.follow(ride);
            return Ok(());
        }
        let place = json!({"lat": self.place().lat(), "lng": self.place().lng()});
        let online = json!({"category": "economy", "location": place});
        let done = self.session.command("driver.online", self.session.me(), &online).await;
        self.go_idle();
        // Online already, or refused: then no offers come, and the figures show it.
        self.or_odd(done.map(drop))
    }

    fn ride_changed(&mut self, ride: Ride) -> Step {
        let mine = self.ride() == Some(ride.id);
        self.next.take_if(|next| next.id == ride.id);
        if ride.chained {
            self.next = Some(ride);
            return Ok(());
        }
        let on_the_way = matches!(self.phase, Phase::ToPickup { .. });
        if mine && !ride.status.has_driver() {
            self.go_idle();
        } else if mine && on_the_way && ride.status == Status::Arrived {
            // His positions said so before him.
            self.follow(ride);
        } else if !mine && ride.status.has_driver() {
            // An accept whose answer was lost was heard all the same.
            self.follow(ride);
        }
        Ok(())
    }

    fn ride(&self) -> Option<Uuid> {
        match &self.phase {
            Phase::ToPickup { ride } | Phase::Boarding { ride, .. } | Phase::Driving { ride } => {
                Some(ride.id)
            }
            Phase::Idle { .. } | Phase::Deciding { .. } => None,
        }
    }

    /// Does for a ride what its status asks for.
    fn follow(&mut self, ride: Ride) {
        self.session.set_active(true);
        self.waiting.clear();
        match ride.status {
            Status::Arrived => self.board(ride),
            Status::Started => {
                self.drive_to(ride.dropoff);
                self.phase = Phase::Driving { ride };
            }
            _ => {
                self.drive_to(ride.pickup);
                self.phase = Phase::ToPickup { ride };
            }
        }
        self.show();
    }

    fn board(&mut self, ride: Ride) {
        self.at = self.place();
        self.leg = None;
        let now = self.now();
        let boards = Millis(self.rng.random_range(self.habits.boarding_ms.clone()));
        let (looks_at, gives_up_at) = (now + boards, now + NO_SHOW_AFTER);
        self.phase = Phase::Boarding { ride, looks_at, gives_up_at };
    }

    fn go_idle(&mut self) {
        self.at = self.place();
        self.leg = None;
        if let Some(next) = self.next.take() {
            return self.follow(next);
        }
        self.session.set_active(false);
        let stands = Millis(self.rng.random_range(self.habits.standing_ms.clone()));
        self.phase = Phase::Idle { moves_at: self.now() + stands };
        self.look_at_offers();
        self.show();
    }

    /// Takes up the next offer, if he is free to.
    fn look_at_offers(&mut self) {
        let now = self.now();
        let open = |offer: &Offer| moment(&offer.expires_at).is_some_and(|until| now < until);
        self.waiting.retain(open);
        if !matches!(self.phase, Phase::Idle { .. }) || self.waiting.is_empty() {
            return;
        }
        let offer = self.waiting.remove(0);
        let reacts = Millis(self.rng.random_range(self.habits.reaction_ms.clone()));
        let takes = !self.rng.random_bool(self.habits.declines);
        self.session.set_active(true);
        self.phase = Phase::Deciding { offer, at: now + reacts, takes };
        self.show();
    }

    fn withdrawn(&mut self, ride: Option<Uuid>) {
        self.waiting.retain(|offer| Some(offer.ride_id) != ride);
        let looking = |offer: &Offer| Some(offer.ride_id) == ride;
        if matches!(&self.phase, Phase::Deciding { offer, .. } if looking(offer)) {
            self.keep_waiting();
        }
    }

    /// Idle again, without leaving the way he is on.
    fn keep_waiting(&mut self) {
        let stands = Millis(self.rng.random_range(self.habits.standing_ms.clone()));
        let ends = self.leg.as_ref().map_or(self.now(), Leg::ends);
        self.session.set_active(false);
        self.phase = Phase::Idle { moves_at: ends + stands };
        self.look_at_offers();
        self.show();
    }

    async fn act(&mut self) -> Step {
        if Instant::now() >= self.report_at {
            self.report().await?;
        }
        let now = self.now();
        if now < self.acts_at() {
            return Ok(());
        }
        match &self.phase {
            Phase::Idle { .. } => {
                self.wander();
                Ok(())
            }
            Phase::Deciding { .. } => self.answer().await,
            Phase::ToPickup { ride } => {
                let ride = ride.clone();
                self.arrive(ride).await
            }
            Phase::Boarding { ride, .. } => {
                let ride = ride.clone();
                self.start(ride).await
            }
            Phase::Driving { ride } => {
                let ride = ride.clone();
                self.complete(ride).await
            }
        }
    }

    fn wander(&mut self) {
        let here = self.place();
        let count = self.town.haunts.len();
        let town = Arc::clone(&self.town);
        let mut drawn = || town.haunts.get(self.rng.random_range(0..count.max(1))).copied();
        let seen = (0..HAUNTS_SEEN).filter_map(|_| drawn());
        let near = seen.filter(|place| *place != here).min_by_key(|at| here.distance_to(*at));
        if let Some(haunt) = near {
            self.drive_to(haunt);
        }
        self.keep_waiting();
    }

    async fn answer(&mut self) -> Step {
        let Phase::Deciding { offer, takes, .. } = &self.phase else { return Ok(()) };
        let (offer, takes) = (offer.clone(), *takes);
        let (ride, d) = (Some(offer.ride_id), json!({"offer_id": offer.offer_id}));
        if !takes {
            self.engine.figures.declines.add();
            let done = self.session.command("ride.decline", ride, &d).await;
            self.keep_waiting();
            return self.or_odd(done.map(drop));
        }
        let asked = Instant::now();
        let done = self.session.command("ride.accept", ride, &d).await;
        self.engine.figures.accept_us.add_micros(asked.elapsed());
        match done {
            Ok(done) => {
                self.engine.figures.accepts_won.add();
                match Ride::read(&done.body) {
                    Some(ride) => self.follow(ride),
                    None => self.session.start_over(),
                }
                Ok(())
            }
            Err(CommandError::Session(error)) => Err(error),
            Err(CommandError::Refused { .. }) => {
                self.engine.figures.accepts_lost.add();
                self.keep_waiting();
                Ok(())
            }
            Err(CommandError::Unanswered) => {
                self.session.start_over();
                Ok(())
            }
        }
    }

    async fn arrive(&mut self, mut ride: Ride) -> Step {
        self.report().await?;
        let d = json!({"location": {"lat": ride.pickup.lat(), "lng": ride.pickup.lng()}});
        let done = self.session.command("ride.arrive", Some(ride.id), &d).await;
        match done {
            Ok(_) => {
                ride.status = Status::Arrived;
                self.follow(ride);
                Ok(())
            }
            // His positions may have said so before him.
            Err(error) if error.is(Refusal::IllegalTransition) => {
                self.session.start_over();
                Ok(())
            }
            Err(error) => self.lost_track(error),
        }
    }

    async fn start(&mut self, mut ride: Ride) -> Step {
        let Some(pin) = self.town.pins.ask(ride.id) else {
            return self.wait_for_passenger(&ride).await;
        };
        let done = self.session.command("ride.start", Some(ride.id), &json!({"pin": pin})).await;
        match done {
            Ok(_) => {
                ride.status = Status::Started;
                self.follow(ride);
                Ok(())
            }
            Err(error) => self.lost_track(error),
        }
    }

    async fn wait_for_passenger(&mut self, ride: &Ride) -> Step {
        let now = self.now();
        let Phase::Boarding { looks_at, gives_up_at, .. } = &mut self.phase else { return Ok(()) };
        if now < *gives_up_at {
            *looks_at = now + LOOK_EVERY;
            return Ok(());
        }
        let d = json!({"reason": "no_show"});
        let done = self.session.command("ride.cancel", Some(ride.id), &d).await;
        self.go_idle();
        self.or_odd(done.map(drop))
    }

    async fn complete(&mut self, ride: Ride) -> Step {
        self.report().await?;
        let d = json!({"location": {"lat": ride.dropoff.lat(), "lng": ride.dropoff.lng()}});
        let done = self.session.command("ride.complete", Some(ride.id), &d).await;
        match done {
            Ok(_) => {
                self.go_idle();
                Ok(())
            }
            Err(error) => self.lost_track(error),
        }
    }

    /// A refusal that no own mistake explains: the ride was ended by others, or the answer is open.
    fn lost_track(&mut self, error: CommandError) -> Step {
        if error.is(Refusal::RideClosed) {
            self.go_idle();
            return Ok(());
        }
        self.session.start_over();
        self.or_odd(Err(error))
    }

    fn or_odd(&self, done: Result<(), CommandError>) -> Step {
        match done {
            Err(CommandError::Session(error)) => Err(error),
            Err(error) => {
                tracing::debug!(%error, "a driver's command");
                self.engine.figures.odd_refusals.add();
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }

    fn place(&self) -> Coordinates {
        self.motion().place
    }

    fn motion(&self) -> Motion {
        let still = Motion { place: self.at, speed_mps: 0.0, bearing_deg: 0.0 };
        self.leg.as_ref().map_or(still, |leg| leg.at(self.now()))
    }

    fn drive_to(&mut self, to: Coordinates) {
        let way = (self.place(), to);
        self.leg = Some(Leg::drive(&*self.town.router, way, self.now()));
        self.report_at = self.report_at.min(Instant::now() + self.habits.moving_every);
    }

    async fn report(&mut self) -> Step {
        let (now, motion) = (self.now(), self.motion());
        let moving = self.leg.as_ref().is_some_and(|leg| now < leg.ends());
        let every = if moving { self.habits.moving_every } else { self.habits.standing_every };
        self.report_at = Instant::now() + every;
        let Motion { place, speed_mps, bearing_deg } = motion;
        let fix = Fix { at_ms: now.0, place, accuracy_m: ACCURACY_M, speed_mps, bearing_deg };
        self.session.report(&[fix]).await
    }

    fn show(&self) {
        let does = match &self.phase {
            Phase::Idle { .. } => DriverDoes::Idle,
            Phase::Deciding { .. } => DriverDoes::Offered,
            Phase::ToPickup { .. } => DriverDoes::ToPickup,
            Phase::Boarding { .. } => DriverDoes::Boarding,
            Phase::Driving { .. } => DriverDoes::WithPassenger,
        };
        let (at, leg, ride) = (self.place(), self.leg.clone(), self.ride());
        // Numbered under the lock, so that who reads up to a number misses nothing below it.
        let mut seen = self.seen.lock();
        *seen = DriverSeen { does, at, leg, ride, change: self.town.change() };
    }
}
