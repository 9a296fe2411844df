//! People who work over REST with whichever engine will have them, and remember all they are told.
//!
//! A command is sent under its key until it gets an answer that stands, to one engine and then to
//! the other, as an app behind a balancer does.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::process::{Person, Process};

/// How long one engine is waited for: one that is stopped says nothing.
const PATIENCE: Duration = Duration::from_millis(1500);

/// A command, and the answer that its sender was told, if any.
#[derive(Clone)]
struct Told {
    person: Person,
    key: String,
    path: String,
    body: Value,
    answer: Option<(u16, Value)>,
}

/// The people, and what they remember.
pub(crate) struct Load {
    engines: Vec<String>,
    people: Vec<Person>,
    /// The engine that answered last.
    preferred: Cell<usize>,
    told: RefCell<Vec<Told>>,
    /// Rides that may be open, with the PIN that their passenger knows.
    rides: RefCell<HashMap<String, String>>,
    wins: Cell<usize>,
}

impl Load {
    pub(crate) fn new(engines: &[&Process], people: Vec<Person>) -> Self {
        Self {
            engines: engines.iter().map(|engine| engine.url("")).collect(),
            people,
            preferred: Cell::new(0),
            told: RefCell::default(),
            rides: RefCell::default(),
            wins: Cell::new(0),
        }
    }

    /// Keeps everybody busy for as long as `scene` lasts.
    pub(crate) async fn during<T>(&self, scene: impl Future<Output = T>) -> T {
        let busy = join_all(self.people.iter().map(|person| async move {
            match person.role.as_str() {
                "driver" => self.drive(person).await,
                _ => self.ride(person).await,
            }
        }));
        tokio::select! {
            // What is in flight is dropped with its future: its sender is told nothing.
            outcome = scene => outcome,
            _ = busy => unreachable!("they never stop"),
        }
    }

    /// Waits until so many more rides are won.
    pub(crate) async fn wins(&self, more: usize) {
        let (enough, deadline) = (self.wins.get() + more, Instant::now() + Duration::from_secs(30));
        while self.wins.get() < enough {
            assert!(Instant::now() < deadline, "{} of {enough} rides won", self.wins.get());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    async fn ride(&self, passenger: &Person) {
        let order = json!({"pickup": {"lat": -23.5503, "lng": -46.6339},
            "dropoff": {"lat": -23.5614, "lng": -46.6559}, "category": "economy",
            "payment_method": "cash"});
        let mut pace = tokio::time::interval(Duration::from_millis(50));
        loop {
            pace.tick().await;
            let (status, ride) = self.send(passenger, "/v1/rides".into(), order.clone()).await;
            if status == 201 {
                let text = |key: &str| ride[key].as_str().expect("text").to_owned();
                self.rides.borrow_mut().insert(text("id"), text("pin"));
            }
        }
    }

    async fn drive(&self, driver: &Person) {
        let here = json!({"status": "online", "location": {"lat": -23.5503, "lng": -46.6339}});
        let mut pace = tokio::time::interval(Duration::from_millis(20));
        loop {
            // Again and again: an engine that has just taken over does not know where he is.
            self.send(driver, "/v1/me/availability".into(), here.clone()).await;
            pace.tick().await;
            let rides: Vec<(String, String)> = {
                let rides = self.rides.borrow();
                rides.iter().map(|(id, pin)| (id.clone(), pin.clone())).collect()
            };
            for (ride, pin) in rides {
                let (status, answer) = self.step(driver, &ride, "accept", json!({})).await;
                if answer["code"] == "ride_closed" {
                    self.rides.borrow_mut().remove(&ride);
                }
                if status != 200 {
                    continue;
                }
                self.wins.set(self.wins.get() + 1);
                let (nothing, pin) = (json!({}), json!({"pin": pin}));
                for (step, body) in
                    [("arrive", nothing.clone()), ("start", pin), ("complete", nothing)]
                {
                    self.step(driver, &ride, step, body).await;
                }
                self.rides.borrow_mut().remove(&ride);
            }
        }
    }

    async fn step(&self, driver: &Person, ride: &str, step: &str, body: Value) -> (u16, Value) {
        self.send(driver, format!("/v1/rides/{ride}/{step}"), body).await
    }

    /// Sends a command until it has an answer that stands, and remembers it from the first try on.
    async fn send(&self, person: &Person, path: String, body: Value) -> (u16, Value) {
        let key = Uuid::now_v7().to_string();
        let told = Told { person: person.clone(), key, path, body, answer: None };
        let at = {
            let mut memory = self.told.borrow_mut();
            memory.push(told.clone());
            memory.len() - 1
        };
        let answer = self.ask(&told).await;
        self.told.borrow_mut()[at].answer = Some(answer.clone());
        answer
    }

    async fn ask(&self, told: &Told) -> (u16, Value) {
        let deadline = Instant::now() + Duration::from_secs(60);
        let mut engine = self.preferred.get();
        loop {
            match post(&self.engines[engine], told).await {
                Some((status, body)) if stands(status, &body) => {
                    self.preferred.set(engine);
                    return (status, body);
                }
                answer => assert!(Instant::now() < deadline, "no answer that stands: {answer:?}"),
            }
            engine = (engine + 1) % self.engines.len();
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Asks every command again: what was told is told again, and what was not gets one answer.
    /// Nobody was told of a ride that another has.
    pub(crate) async fn stands_by_its_word(&self) {
        let told = self.told.borrow().clone();
        let mut compared = 0;
        for told in &told {
            if told.answer.as_ref().is_some_and(|answer| !is_result(answer)) {
                continue;
            }
            let again = self.ask(told).await;
            let before = told.answer.clone().unwrap_or_else(|| again.clone());
            if is_result(&before) {
                let more = self.ask(told).await;
                assert_eq!(comparable(&again), comparable(&before), "{} {}", told.path, told.key);
                assert_eq!(comparable(&more), comparable(&again), "{}", told.path);
                compared += 1;
            }
        }
        assert!(compared > 20, "the load must have been answered: {compared}");
        let mut winners: HashMap<(String, u64), String> = HashMap::new();
        for told in told.iter().filter(|told| told.path.ends_with("/accept")) {
            if let Some((200, ride)) = &told.answer {
                let version = ride["version"].as_u64().expect("a version");
                let won = (ride["id"].to_string(), version);
                let winner = winners.entry(won).or_insert_with(|| told.person.id.clone());
                assert_eq!(*winner, told.person.id, "won twice: {ride}");
            }
        }
    }
}

async fn post(engine: &str, told: &Told) -> Option<(u16, Value)> {
    let method = if told.path.ends_with("availability") { "PUT" } else { "POST" };
    // One connection a request: none is left that leads to an engine's past.
    let request = awc::Client::builder().timeout(PATIENCE).finish();
    let request = request
        .request(method.parse().expect("a method"), format!("{engine}{}", told.path))
        .bearer_auth(&told.person.token)
        .insert_header(("Idempotency-Key", told.key.clone()));
    let mut answer = request.send_json(&told.body).await.ok()?;
    let body = answer.body().limit(1 << 20).await.ok()?;
    let body = if body.is_empty() { Value::Null } else { serde_json::from_slice(&body).ok()? };
    Some((answer.status().as_u16(), body))
}

/// Whether this settles a command; all else is asked again, here or elsewhere.
fn stands(status: u16, body: &Value) -> bool {
    status != 503 && body["code"] != "idempotency_in_progress"
}

/// Answers that are recorded, and so the same for ever.
fn is_result((status, body): &(u16, Value)) -> bool {
    matches!(status, 200 | 201 | 409) || matches!(body["code"].as_str(), Some("pin_wrong"))
}

/// An answer without the id of the request that fetched it.
fn comparable((status, body): &(u16, Value)) -> (u16, Value) {
    let mut body = body.clone();
    if let Some(fields) = body.as_object_mut() {
        fields.remove("request_id");
    }
    (*status, body)
}
