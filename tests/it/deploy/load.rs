//! People who work over REST with whichever engine will have them, and remember all they are told.
//!
//! A command is sent under its key until it gets an answer that stands, to one engine and then to
//! the other, as an app behind a balancer does.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::clients::{
    Heard, Told, is_settled, nothing_is_won_twice, online, order, stand_by_their_word,
};
use crate::process::{Person, Process};

/// How long one engine is waited for: one that is stopped says nothing.
const PATIENCE: Duration = Duration::from_millis(1500);

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
        let mut pace = tokio::time::interval(Duration::from_millis(50));
        loop {
            pace.tick().await;
            let (status, ride) = self.send(passenger, "/v1/rides".into(), order()).await;
            if status == 201 {
                let text = |key: &str| ride[key].as_str().expect("text").to_owned();
                self.rides.borrow_mut().insert(text("id"), text("pin"));
            }
        }
    }

    async fn drive(&self, driver: &Person) {
        let mut pace = tokio::time::interval(Duration::from_millis(20));
        loop {
            // Again and again: an engine that has just taken over does not know where he is.
            self.send(driver, "/v1/me/availability".into(), online()).await;
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

    async fn step(&self, driver: &Person, ride: &str, step: &str, body: Value) -> Heard {
        self.send(driver, format!("/v1/rides/{ride}/{step}"), body).await
    }

    /// Sends a command until it has an answer that stands, and remembers it from the first try on.
    async fn send(&self, person: &Person, path: String, body: Value) -> Heard {
        let told = Told::new(person, path, body);
        let at = {
            let mut memory = self.told.borrow_mut();
            memory.push(told.clone());
            memory.len() - 1
        };
        let answer = self.ask(&told).await;
        self.told.borrow_mut()[at].answer = Some(answer.clone());
        answer
    }

    async fn ask(&self, told: &Told) -> Heard {
        let deadline = Instant::now() + Duration::from_secs(60);
        let mut engine = self.preferred.get();
        loop {
            // One connection a request: none is left that leads to an engine's past.
            let http = awc::Client::builder().timeout(PATIENCE).finish();
            match told.send(&http, &self.engines[engine]).await {
                Some(heard) if is_settled(&heard) => {
                    self.preferred.set(engine);
                    return heard;
                }
                heard => assert!(Instant::now() < deadline, "no answer that stands: {heard:?}"),
            }
            engine = (engine + 1) % self.engines.len();
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Asks every command again: what was told is told again, and what was not gets one answer.
    /// Nobody was told of a ride that another has.
    pub(crate) async fn stands_by_its_word(&self) {
        let told = self.told.borrow().clone();
        nothing_is_won_twice(&told);
        let answered = stand_by_their_word(&told, async |told| self.ask(told).await).await;
        assert!(answered.len() > 20, "the load must have been answered: {}", answered.len());
    }
}
