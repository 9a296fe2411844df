//! People who work with whichever engine will have them, over REST or a session, and remember all
//! that they are told.
//!
//! A command is sent under its id until it gets an answer that stands, to one engine and then to
//! the other, as an app behind a balancer does. What was told is held against what is told later.

mod rest;
mod session;

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::machine::EVER;
use crate::process::{Person, Process};
use session::Session;

/// How long a command may take until it has an answer that stands.
const ANSWERED_WITHIN: Duration = Duration::from_secs(90);
/// Praça da Sé, where everybody is.
pub(crate) const HERE: (f64, f64) = (-23.5503, -46.6339);
/// Refusals that nothing was recorded for: they may differ when asked again.
const NOT_KEPT: &[&str] = &[
    "forbidden",
    "invalid",
    "not_found",
    "offer_not_found",
    "rate_limited",
    "quote_expired",
    "version_conflict",
];
/// Nothing is decided, or not known to be: to be asked again.
const NOT_NOW: &[&str] = &["idempotency_in_progress", "not_owner", "overloaded", "unavailable"];

/// What came of a command: `ok`, or the code of the refusal.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Said {
    pub(crate) code: String,
    /// Of `ok` only: refusals are told in other words elsewhere.
    pub(crate) body: Value,
}

impl Said {
    pub(crate) fn is_ok(&self) -> bool {
        self.code == "ok"
    }

    /// Recorded, and so the same for ever.
    fn is_result(&self) -> bool {
        !NOT_KEPT.contains(&self.code.as_str()) && self.stands()
    }

    fn stands(&self) -> bool {
        !NOT_NOW.contains(&self.code.as_str())
    }
}

/// A command, and what its sender was told, if anything.
#[derive(Debug, Clone)]
pub(crate) struct Told {
    person: Person,
    id: String,
    op: &'static str,
    ride: Option<String>,
    body: Value,
    said: Option<Said>,
}

/// The people, and what they remember.
pub(crate) struct Clients {
    engines: Vec<String>,
    people: Vec<Person>,
    /// How long one engine is waited for: one that is stopped says nothing.
    patience: Duration,
    /// How often a driver gives a ride back.
    gives_back: f64,
    /// The engine that answered last.
    preferred: Cell<usize>,
    told: RefCell<Vec<Told>>,
    /// Rides that may be open, with the PIN that their passenger knows.
    rides: RefCell<HashMap<String, String>>,
    /// The newest state of each ride that an event told of, and to whom.
    seen: RefCell<HashMap<String, (u64, Person)>>,
    wins: Cell<usize>,
    /// How often each refusal came that is to be asked again.
    put_off: RefCell<HashMap<String, usize>>,
}

impl Clients {
    pub(crate) fn new(engines: &[&Process], people: Vec<Person>) -> Self {
        Self {
            engines: engines.iter().map(|engine| engine.url("")).collect(),
            people,
            patience: Duration::from_millis(1500),
            gives_back: 0.0,
            preferred: Cell::new(0),
            told: RefCell::default(),
            rides: RefCell::default(),
            seen: RefCell::default(),
            wins: Cell::new(0),
            put_off: RefCell::default(),
        }
    }

    /// The same people, who wait so long for an engine.
    pub(crate) fn waiting(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// The same people, of whom the drivers give so many of their rides back.
    pub(crate) fn giving_back(self, gives_back: f64) -> Self {
        Self { gives_back, ..self }
    }

    /// Keeps everybody busy over REST for as long as `scene` lasts.
    pub(crate) async fn during<T>(&self, scene: impl Future<Output = T>) -> T {
        self.busy(&self.people, &[], scene).await
    }

    /// As [`Clients::during`], every second one over a session.
    pub(crate) async fn during_by_both_doors<T>(&self, scene: impl Future<Output = T>) -> T {
        let (mut rest, mut sessions) = (Vec::new(), Vec::new());
        for role in ["driver", "passenger"] {
            let of = self.people.iter().filter(|person| person.role == role);
            for (number, person) in of.enumerate() {
                if number % 2 == 0 { &mut rest } else { &mut sessions }.push(person.clone());
            }
        }
        self.busy(&rest, &sessions, scene).await
    }

    async fn busy<T>(
        &self,
        rest: &[Person],
        sessions: &[Person],
        scene: impl Future<Output = T>,
    ) -> T {
        let rest = rest.iter().map(|person| (person, None));
        let sessions = sessions.iter().map(|person| (person, Some(Session::default())));
        let all = rest.chain(sessions).enumerate().map(|(number, (person, session))| async move {
            let session = session.as_ref();
            match person.role.as_str() {
                "driver" => self.drive(person, session, number as u64).await,
                _ => self.ride(person, session).await,
            }
        });
        tokio::select! {
            // What is in flight is dropped with its future: its sender is told nothing.
            outcome = scene => outcome,
            _ = join_all(all) => unreachable!("they never stop"),
        }
    }

    /// Waits until so many more rides are won.
    pub(crate) async fn wins(&self, more: usize) {
        let (enough, deadline) = (self.wins.get() + more, Instant::now() + EVER);
        while self.wins.get() < enough {
            assert!(Instant::now() < deadline, "{} of {enough} rides won", self.wins.get());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// How often somebody was refused with this code, to ask again.
    pub(crate) fn put_off(&self, code: &str) -> usize {
        self.put_off.borrow().get(code).copied().unwrap_or(0)
    }

    async fn ride(&self, passenger: &Person, session: Option<&Session>) {
        let mut pace = tokio::time::interval(Duration::from_millis(50));
        loop {
            pace.tick().await;
            let (said, _) = self.order(passenger, session, HERE).await;
            if said.is_ok() {
                let text = |key: &str| said.body[key].as_str().expect("text").to_owned();
                self.rides.borrow_mut().insert(text("id"), text("pin"));
            }
        }
    }

    async fn drive(&self, driver: &Person, session: Option<&Session>, seed: u64) {
        let mut chance = StdRng::seed_from_u64(seed);
        let mut pace = tokio::time::interval(Duration::from_millis(20));
        loop {
            // Again and again: an engine that has just taken over does not know where he is.
            self.go_online(driver, session, HERE).await;
            pace.tick().await;
            let rides: Vec<(String, String)> = {
                let rides = self.rides.borrow();
                rides.iter().map(|(id, pin)| (id.clone(), pin.clone())).collect()
            };
            for (ride, pin) in rides {
                let said = self.step((driver, session), "ride.accept", &ride, json!({})).await;
                if said.code == "ride_closed" {
                    self.rides.borrow_mut().remove(&ride);
                }
                if !said.is_ok() {
                    continue;
                }
                self.wins.set(self.wins.get() + 1);
                if chance.random_bool(self.gives_back) {
                    let why = json!({"reason": "vehicle"});
                    self.step((driver, session), "ride.cancel", &ride, why).await;
                    continue;
                }
                self.carry((driver, session), &ride, &pin).await;
                self.rides.borrow_mut().remove(&ride);
            }
        }
    }

    /// A ride that was accepted, to its end.
    async fn carry(&self, driver: (&Person, Option<&Session>), ride: &str, pin: &str) -> Said {
        self.step(driver, "ride.arrive", ride, json!({})).await;
        self.step(driver, "ride.start", ride, json!({"pin": pin})).await;
        self.step(driver, "ride.complete", ride, json!({})).await
    }

    async fn order(
        &self,
        passenger: &Person,
        session: Option<&Session>,
        (lat, lng): (f64, f64),
    ) -> (Said, String) {
        let order = json!({"pickup": {"lat": lat, "lng": lng},
            "dropoff": {"lat": lat - 0.0111, "lng": lng - 0.022}, "category": "economy",
            "payment_method": "cash"});
        let said = self.send((passenger, session), "ride.request", None, order).await;
        let id = said.body["id"].as_str().unwrap_or_default().to_owned();
        (said, id)
    }

    pub(crate) async fn go_online(
        &self,
        driver: &Person,
        session: Option<&Session>,
        (lat, lng): (f64, f64),
    ) {
        let body = json!({"location": {"lat": lat, "lng": lng}});
        self.send((driver, session), "driver.online", None, body).await;
    }

    /// Gives `driver`, who is online, the ride that `passenger` asks for: its id and PIN.
    pub(crate) async fn open_ride(
        &self,
        passenger: &Person,
        driver: &Person,
        place: (f64, f64),
    ) -> (String, String) {
        let (said, id) = self.order(passenger, None, place).await;
        assert!(said.is_ok(), "{said:?}");
        let pin = said.body["pin"].as_str().expect("a PIN").to_owned();
        self.accept_when_offered(driver, &id).await;
        (id, pin)
    }

    pub(crate) async fn accept_when_offered(&self, driver: &Person, ride: &str) {
        let deadline = Instant::now() + EVER;
        loop {
            let said = self.step((driver, None), "ride.accept", ride, json!({})).await;
            if said.is_ok() {
                return;
            }
            assert!(Instant::now() < deadline, "never offered: {said:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// A ride from its request to its end, by two who are at `place` alone.
    pub(crate) async fn whole_ride(&self, pair: (&Person, &Person), place: (f64, f64)) {
        let (passenger, driver) = pair;
        self.go_online(driver, None, place).await;
        let (ride, pin) = self.open_ride(passenger, driver, place).await;
        let said = self.carry((driver, None), &ride, &pin).await;
        assert!(said.is_ok(), "{said:?}");
    }

    pub(crate) async fn step(
        &self,
        by: (&Person, Option<&Session>),
        op: &'static str,
        ride: &str,
        body: Value,
    ) -> Said {
        self.send(by, op, Some(ride.to_owned()), body).await
    }

    /// Sends a command until it has an answer that stands, and remembers it from the first try on.
    async fn send(
        &self,
        (person, session): (&Person, Option<&Session>),
        op: &'static str,
        ride: Option<String>,
        body: Value,
    ) -> Said {
        let id = Uuid::now_v7().to_string();
        let told = Told { person: person.clone(), id, op, ride, body, said: None };
        let at = {
            let mut memory = self.told.borrow_mut();
            memory.push(told.clone());
            memory.len() - 1
        };
        let said = self.ask(&told, session).await;
        self.told.borrow_mut()[at].said = Some(said.clone());
        said
    }

    async fn ask(&self, told: &Told, session: Option<&Session>) -> Said {
        let deadline = Instant::now() + ANSWERED_WITHIN;
        let mut engine = self.preferred.get();
        loop {
            let url = &self.engines[engine];
            let said = match session {
                Some(session) => {
                    let said = session.ask(url, told, self.patience).await;
                    for (ride, version) in session.seen() {
                        self.see(ride, version, &told.person);
                    }
                    said
                }
                None => rest::ask(url, told, self.patience).await,
            };
            match said {
                Some(said) if said.stands() => {
                    self.preferred.set(engine);
                    return said;
                }
                said => {
                    let code = said.as_ref().map_or("silence", |said| said.code.as_str());
                    *self.put_off.borrow_mut().entry(code.to_owned()).or_default() += 1;
                    assert!(Instant::now() < deadline, "no answer that stands: {said:?} {told:?}");
                }
            }
            engine = (engine + 1) % self.engines.len();
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// A passenger's rides stay his; a driver may have lost one since.
    fn see(&self, ride: String, version: u64, person: &Person) {
        if person.role != "passenger" {
            return;
        }
        let mut seen = self.seen.borrow_mut();
        let newest = seen.entry(ride).or_insert_with(|| (version, person.clone()));
        if version > newest.0 {
            *newest = (version, person.clone());
        }
    }

    /// Asks every command again: what was told is told again, and what was not gets one answer.
    /// Nobody was told of a ride that another has, nor of one that is not so far. How many answers
    /// were compared.
    pub(crate) async fn stands_by_its_word(&self) -> usize {
        let told = self.told.borrow().clone();
        let mut compared = 0;
        for told in &told {
            if told.said.as_ref().is_some_and(|said| !said.is_result()) {
                continue;
            }
            let again = self.ask(told, None).await;
            let before = told.said.clone().unwrap_or_else(|| again.clone());
            if before.is_result() {
                assert_eq!(again, before, "{told:?}");
                assert_eq!(self.ask(told, None).await, again, "{told:?}");
                compared += 1;
            }
        }
        winners_are_unique(&told);
        let seen = self.seen.borrow().clone();
        for (ride, (version, person)) in seen {
            let now = rest::ride(&self.engines[self.preferred.get()], &person, &ride).await;
            assert!(now >= version, "{ride}: an event told of {version}, it is {now}");
        }
        compared
    }
}

fn winners_are_unique(told: &[Told]) {
    let mut winners: HashMap<(String, u64), String> = HashMap::new();
    for told in told.iter().filter(|told| told.op == "ride.accept") {
        if let Some(Said { code, body }) = &told.said
            && code == "ok"
        {
            let version = body["version"].as_u64().expect("a version");
            let won = (body["id"].to_string(), version);
            let winner = winners.entry(won).or_insert_with(|| told.person.id.clone());
            assert_eq!(*winner, told.person.id, "won twice: {body}");
        }
    }
}
