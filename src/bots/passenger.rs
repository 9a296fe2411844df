//! A passenger: asks for the price, requests, waits, tells the PIN, and gets out; rarely changes
//! their mind.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ibora_domain::refusal::Refusal;
use ibora_domain::ride::Status;
use ibora_domain::units::{Millis, UnixMillis};
use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde::Deserialize;
use serde_json::json;
use tokio::sync::mpsc;
use uuid::Uuid;

use super::contract::{CommandError, Done, Engine, Event, Person, SessionError};
use super::habits::PassengerHabits;
use super::seen::{PassengerDoes, PassengerSeen};
use super::session::Session;
use super::town::{Outcome, Ride, Story, Town, Trip};

/// A waiting passenger looks up this often.
const LOOK_EVERY: Duration = Duration::from_secs(60);
/// Stars as passengers give them, by how often.
const RATINGS: [u8; 10] = [5, 5, 5, 5, 5, 5, 5, 4, 4, 2];

/// A passenger.
pub struct PassengerBot {
    session: Session,
    town: Arc<Town>,
    engine: Arc<Engine>,
    habits: Arc<PassengerHabits>,
    rng: StdRng,
    seen: Arc<Mutex<PassengerSeen>>,
}

/// What becomes of a ride while its passenger watches.
struct Watched {
    ride: Ride,
    gives_up_at: UnixMillis,
    /// Decided when a driver is found.
    cancels: bool,
}

impl PassengerBot {
    /// Connects a passenger.
    ///
    /// # Errors
    /// [`SessionError`]
    pub async fn connect(
        (engine, town): (Arc<Engine>, Arc<Town>),
        person: Person,
        habits: Arc<PassengerHabits>,
        seed: u64,
    ) -> Result<Self, SessionError> {
        let session = Session::connect(Arc::clone(&engine), person, seed).await?;
        let does = PassengerDoes::Away;
        let seen = PassengerSeen { does, trip: None, ride: None, since: UnixMillis(0) };
        let rng = StdRng::seed_from_u64(seed ^ 0x9a55_e46e);
        Ok(Self { session, town, engine, habits, rng, seen: Arc::new(Mutex::new(seen)) })
    }

    /// How others see this passenger.
    #[must_use]
    pub fn seen(&self) -> Arc<Mutex<PassengerSeen>> {
        Arc::clone(&self.seen)
    }

    /// Takes one trip after the other until nobody sends any; says `free` before each.
    ///
    /// # Errors
    /// [`SessionError`]
    pub async fn travel(
        mut self,
        mut trips: mpsc::Receiver<Trip>,
        free: impl Fn(),
    ) -> Result<(), SessionError> {
        loop {
            free();
            let trip = loop {
                tokio::select! {
                    trip = trips.recv() => match trip {
                        Some(trip) => break trip,
                        None => return Ok(()),
                    },
                    event = self.session.next(Instant::now() + LOOK_EVERY) => drop(event?),
                }
            };
            self.ride(trip).await?;
        }
    }

    /// One ride, from the question for its price to its end.
    ///
    /// # Errors
    /// [`SessionError`]
    pub async fn ride(&mut self, trip: Trip) -> Result<Story, SessionError> {
        self.session.set_active(true);
        let outcome = match self.request(trip).await {
            Ok(ride) => self.follow(ride).await,
            Err(error) => Err(error),
        };
        self.session.set_active(false);
        self.show(PassengerDoes::Away, None);
        let story = match outcome {
            Ok((ride, outcome)) => Story {
                ride: ride.id,
                trip,
                outcome,
                fare: ride.fare.r#final.as_ref().unwrap_or(&ride.fare.estimated).to_string(),
                wait: ride.wait(),
                pickup: ride.pickup_time(),
            },
            Err(CommandError::Session(error)) => return Err(error),
            Err(error) => {
                tracing::debug!(%error, "a passenger's command");
                self.engine.figures.odd_refusals.add();
                let (ride, fare) = (Uuid::nil(), String::new());
                let (wait, pickup) = (None, None);
                Story { ride, trip, outcome: Outcome::Refused, fare, wait, pickup }
            }
        };
        self.count(&story);
        (self.town.on_end)(&story);
        Ok(story)
    }

    /// The price, a moment of thought, then the request.
    async fn request(&mut self, trip: Trip) -> Result<Ride, CommandError> {
        let place =
            |at: ibora_domain::place::Coordinates| json!({"lat": at.lat(), "lng": at.lng()});
        let (pickup, dropoff) = (place(trip.pickup), place(trip.dropoff));
        let d = json!({"pickup": pickup, "dropoff": dropoff, "category": "economy"});
        let quotes = self.session.command("ride.estimate", None, &d).await?;
        let thinks = Millis(self.rng.random_range(self.habits.thinks_ms.clone()));
        self.pause(thinks).await?;
        let mut d = json!({"pickup": pickup, "dropoff": dropoff, "category": "economy",
            "payment_method": if self.rng.random_bool(0.8) { "pix" } else { "cash" }});
        if let Some(quote) = quote_of(&quotes) {
            d["quote_id"] = json!(quote);
        }
        let since = self.session.clock().now();
        *self.seen.lock() =
            PassengerSeen { does: PassengerDoes::Searching, trip: Some(trip), ride: None, since };
        let asked = Instant::now();
        let mut answer = self.session.command("ride.request", None, &d).await;
        if answer.as_ref().is_err_and(|error| error.is(Refusal::QuoteExpired)) {
            d["quote_id"] = json!(null);
            answer = self.session.command("ride.request", None, &d).await;
        }
        self.engine.figures.request_us.add_micros(asked.elapsed());
        let done = answer?;
        self.engine.figures.requested.add();
        let ride = Ride::read(&done.body).ok_or(CommandError::Unanswered)?;
        self.town.pins.tell(ride.id, ride.pin.as_deref().unwrap_or_default());
        Ok(ride)
    }

    /// Follows a ride to its end, and perhaps says what the driver was like.
    async fn follow(&mut self, ride: Ride) -> Result<(Ride, Outcome), CommandError> {
        let (ride, outcome) = self.watch(ride).await?;
        if outcome == Outcome::Completed && self.rng.random_bool(self.habits.rates) {
            let stars = RATINGS[self.rng.random_range(0..RATINGS.len())];
            let d = json!({"stars": stars});
            let said = self.session.command("ride.rate", Some(ride.id), &d).await;
            if let Err(CommandError::Session(error)) = said {
                return Err(error.into());
            }
        }
        Ok((ride, outcome))
    }

    /// Watches a ride until it ends.
    async fn watch(&mut self, ride: Ride) -> Result<(Ride, Outcome), CommandError> {
        let now = self.session.clock().now();
        let patience = Millis(self.rng.random_range(self.habits.patience_ms.clone()));
        let mut watched = Watched { ride, gives_up_at: now + patience, cancels: false };
        let outcome = loop {
            if watched.ride.status.is_final() {
                break outcome_of(&watched.ride);
            }
            self.show(does(watched.ride.status), Some(watched.ride.id));
            if self.leaves(&watched) {
                if let Some(ended) = self.cancel(&watched.ride).await? {
                    watched.ride = ended;
                    break Outcome::GaveUp;
                }
                watched.cancels = false;
                watched.gives_up_at = self.session.clock().now() + patience;
            }
            self.look(&mut watched).await?;
        };
        self.town.pins.forget(watched.ride.id);
        Ok((watched.ride, outcome))
    }

    fn leaves(&self, watched: &Watched) -> bool {
        let now = self.session.clock().now();
        match watched.ride.status {
            Status::Searching => now >= watched.gives_up_at,
            Status::Accepted | Status::Arriving => watched.cancels,
            _ => false,
        }
    }

    /// Waits for the next thing that is told about the ride.
    async fn look(&mut self, watched: &mut Watched) -> Result<(), SessionError> {
        let clock = self.session.clock();
        let until = match watched.ride.status {
            Status::Searching => clock.when(watched.gives_up_at),
            _ => Instant::now() + LOOK_EVERY,
        };
        let ride = match self.session.next(until).await? {
            Some(Event::Durable { op, body, .. }) if &*op == "ride.updated" => Ride::within(&body),
            Some(Event::Snapshot(snapshot)) => match Ride::within(&snapshot) {
                Some(ride) => Some(ride),
                // It ended while nobody listened.
                None => return self.read(watched).await,
            },
            Some(_) | None => None,
        };
        if let Some(ride) = ride.filter(|ride| ride.id == watched.ride.id) {
            let found = watched.ride.status == Status::Searching && ride.status.has_driver();
            watched.ride = ride;
            if found {
                self.engine.figures.accepted.add();
                watched.cancels = self.rng.random_bool(self.habits.cancels);
            }
        }
        Ok(())
    }

    /// A ride that a snapshot no longer has is over; how is for its own record to say.
    async fn read(&mut self, watched: &mut Watched) -> Result<(), SessionError> {
        // Canceling an ended ride changes nothing, and tells that it has ended.
        let d = json!({"reason": "other"});
        let answer = self.session.command("ride.cancel", Some(watched.ride.id), &d).await;
        match answer {
            Err(CommandError::Session(error)) => Err(error),
            Ok(done) => {
                watched.ride = Ride::read(&done.body).unwrap_or_else(|| watched.ride.clone());
                Ok(())
            }
            Err(_) => {
                let was = watched.ride.status;
                let ended =
                    if was == Status::Started { Status::Completed } else { Status::Canceled };
                watched.ride.status = ended;
                Ok(())
            }
        }
    }

    async fn cancel(&mut self, ride: &Ride) -> Result<Option<Ride>, CommandError> {
        let d = json!({"reason": "changed_mind"});
        match self.session.command("ride.cancel", Some(ride.id), &d).await {
            Ok(done) => Ok(Ride::read(&done.body)),
            // Too late: what happened meanwhile is on its way.
            Err(CommandError::Refused { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn pause(&mut self, length: Millis) -> Result<(), SessionError> {
        let until = Instant::now() + self.session.clock().real(length);
        while self.session.next(until).await?.is_some() {}
        Ok(())
    }

    fn show(&self, does: PassengerDoes, ride: Option<Uuid>) {
        let mut seen = self.seen.lock();
        seen.does = does;
        seen.ride = ride;
    }

    fn count(&self, story: &Story) {
        let figures = &self.engine.figures;
        match story.outcome {
            Outcome::Completed => figures.completed.add(),
            Outcome::GaveUp | Outcome::Canceled => figures.canceled.add(),
            Outcome::NoDriver => figures.no_driver.add(),
            Outcome::Refused => {}
        }
        if let Some(wait) = story.wait {
            figures.wait_ms.add(wait.0);
        }
        if let Some(pickup) = story.pickup {
            figures.pickup_ms.add(pickup.0);
        }
    }
}

fn does(status: Status) -> PassengerDoes {
    match status {
        Status::Searching => PassengerDoes::Searching,
        Status::Accepted | Status::Arriving | Status::Arrived => PassengerDoes::Waiting,
        Status::Started => PassengerDoes::Riding,
        Status::Completed | Status::Canceled | Status::NoDriver => PassengerDoes::Away,
    }
}

fn outcome_of(ride: &Ride) -> Outcome {
    match ride.status {
        Status::Completed => Outcome::Completed,
        Status::NoDriver => Outcome::NoDriver,
        _ => Outcome::Canceled,
    }
}

fn quote_of(quotes: &Done) -> Option<Uuid> {
    #[derive(Deserialize)]
    struct Quotes {
        quotes: Vec<Quote>,
    }
    #[derive(Deserialize)]
    struct Quote {
        quote_id: Uuid,
    }
    let quotes = serde_json::from_str::<Quotes>(quotes.body.get()).ok()?;
    quotes.quotes.first().map(|quote| quote.quote_id)
}
