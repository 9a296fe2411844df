//! kill -9 at any moment: no acknowledged step is lost, no ride is won twice, and whoever was told
//! nothing asks again and gets one answer, the same for ever.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::process::{Person, Process};

/// Rounds of load and kill; more by `IBORA_CRASH_ROUNDS`.
fn rounds() -> u64 {
    std::env::var("IBORA_CRASH_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(20)
}

/// A command as a client remembers it, and what it was told, if anything.
#[derive(Clone)]
struct Told {
    person: Person,
    key: String,
    path: String,
    body: Value,
    answer: Option<(u16, Value)>,
}

/// What all clients remember.
#[derive(Default)]
struct Memory {
    told: Vec<Told>,
    /// Rides that may be open, with the PIN that their passenger knows.
    rides: HashMap<String, String>,
}

type Shared = Rc<RefCell<Memory>>;

struct Client<'a> {
    process: &'a Process,
    memory: Shared,
    http: awc::Client,
}

impl<'a> Client<'a> {
    fn new(process: &'a Process, memory: &Shared) -> Self {
        let http = awc::Client::builder().timeout(Duration::from_secs(10)).finish();
        Self { process, memory: Rc::clone(memory), http }
    }

    async fn post(&self, told: &Told) -> Option<(u16, Value)> {
        let method = if told.path.ends_with("availability") { "PUT" } else { "POST" };
        let request = self
            .http
            .request(method.parse().expect("a method"), self.process.url(&told.path))
            .bearer_auth(&told.person.token)
            .insert_header(("Idempotency-Key", told.key.clone()));
        let mut answer = request.send_json(&told.body).await.ok()?;
        let body = answer.body().limit(1 << 20).await.ok()?;
        let body =
            if body.is_empty() { Value::Null } else { serde_json::from_slice(&body).ok()? };
        Some((answer.status().as_u16(), body))
    }

    /// Asks until there is an answer: 503 says that nothing was decided, and to ask again.
    async fn ask(&self, told: &Told) -> (u16, Value) {
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            match self.post(told).await {
                Some((503, _)) | None if Instant::now() < deadline => {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                answer => return answer.expect("an answer"),
            }
        }
    }

    /// Sends a command and remembers it, answered or not.
    async fn send(&self, person: &Person, path: String, body: Value) -> Option<(u16, Value)> {
        let key = Uuid::now_v7().to_string();
        let mut told = Told { person: person.clone(), key, path, body, answer: None };
        told.answer = self.post(&told).await;
        let answer = told.answer.clone();
        self.memory.borrow_mut().told.push(told);
        answer
    }

    async fn passenger(&self, person: Person) {
        let pickup = json!({"lat": -23.5503, "lng": -46.6339});
        let dropoff = json!({"lat": -23.5614, "lng": -46.6559});
        let request = json!({"pickup": pickup, "dropoff": dropoff, "category": "economy",
            "payment_method": "cash"});
        let mut pace = tokio::time::interval(Duration::from_millis(20));
        loop {
            pace.tick().await;
            let Some((status, ride)) =
                self.send(&person, "/v1/rides".into(), request.clone()).await
            else {
                return;
            };
            if status == 201 {
                let text = |key: &str| ride[key].as_str().expect("text").to_owned();
                self.memory.borrow_mut().rides.insert(text("id"), text("pin"));
            }
        }
    }

    async fn driver(&self, person: Person, mut chance: StdRng) {
        let here = json!({"status": "online", "location": {"lat": -23.5503, "lng": -46.6339}});
        if self.send(&person, "/v1/me/availability".into(), here).await.is_none() {
            return;
        }
        let mut pace = tokio::time::interval(Duration::from_millis(5));
        loop {
            pace.tick().await;
            let rides: Vec<(String, String)> = {
                let memory = self.memory.borrow();
                memory.rides.iter().map(|(id, pin)| (id.clone(), pin.clone())).collect()
            };
            for (ride, pin) in rides {
                let Some((status, _)) = self.step(&person, &ride, "accept", json!({})).await else {
                    return;
                };
                if status != 200 {
                    continue;
                }
                if chance.random_bool(0.2) {
                    let why = json!({"reason": "vehicle"});
                    if self.step(&person, &ride, "cancel", why).await.is_none() {
                        return;
                    }
                    continue;
                }
                for (step, body) in
                    [("arrive", json!({})), ("start", json!({"pin": pin})), ("complete", json!({}))]
                {
                    if self.step(&person, &ride, step, body).await.is_none() {
                        return;
                    }
                }
                self.memory.borrow_mut().rides.remove(&ride);
            }
        }
    }

    /// Puts a driver online and gives him the ride of a passenger.
    async fn open_ride(&self, passenger: &Person, driver: &Person) -> String {
        self.go_online(driver).await;
        let (pickup, dropoff) =
            (json!({"lat": -23.5503, "lng": -46.6339}), json!({"lat": -23.5614, "lng": -46.6559}));
        let order = json!({"pickup": pickup, "dropoff": dropoff, "category": "economy",
            "payment_method": "cash"});
        let (status, ride) =
            self.send(passenger, "/v1/rides".into(), order).await.expect("an answer");
        assert_eq!(status, 201, "{ride}");
        let id = ride["id"].as_str().expect("an id").to_owned();
        self.memory.borrow_mut().rides.insert(id.clone(), String::new());
        self.accept_when_offered(driver, &id).await;
        id
    }

    async fn go_online(&self, driver: &Person) {
        let online = json!({"status": "online", "location": {"lat": -23.5503, "lng": -46.6339}});
        self.send(driver, "/v1/me/availability".into(), online).await.expect("an answer");
    }

    async fn accept_when_offered(&self, driver: &Person, ride: &str) {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let answer = self.step(driver, ride, "accept", json!({})).await;
            if matches!(answer, Some((200, _))) {
                return;
            }
            assert!(Instant::now() < deadline, "never offered: {answer:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn step(
        &self,
        person: &Person,
        ride: &str,
        step: &str,
        body: Value,
    ) -> Option<(u16, Value)> {
        self.send(person, format!("/v1/rides/{ride}/{step}"), body).await
    }
}

/// Runs load until the process is killed under it.
async fn load_and_kill(process: &mut Process, people: &[Person], memory: &Shared, seed: u64) {
    let mut chance = StdRng::seed_from_u64(seed);
    let after = Duration::from_millis(chance.random_range(30..600));
    {
        let client = Client::new(process, memory);
        let clients = people.iter().map(|person| async {
            match person.role.as_str() {
                "driver" => client.driver(person.clone(), StdRng::seed_from_u64(seed)).await,
                _ => client.passenger(person.clone()).await,
            }
        });
        // What is in flight is dropped with its future, as a dead process drops it.
        tokio::time::timeout(after, join_all(clients)).await.ok();
    }
    process.kill();
    process.launch().await;
}

/// Answers that may differ when asked again: nothing was stored, because nothing was decided.
fn is_result(status: u16, body: &Value) -> bool {
    matches!(status, 200 | 201)
        || (status == 409 && body["code"] != "idempotency_in_progress")
        || matches!(body["code"].as_str(), Some("pin_wrong" | "pin_locked"))
}

/// Asks every command again: what was told stays true, what was not told gets one answer.
async fn ask_again(process: &Process, memory: &Shared) -> usize {
    let client = Client::new(process, memory);
    let told = memory.borrow().told.clone();
    let mut compared = 0;
    for told in &told {
        let again = client.ask(told).await;
        let expected = match &told.answer {
            Some((status, body)) if is_result(*status, body) => (*status, body.clone()),
            Some(_) => continue,
            None => again.clone(),
        };
        if is_result(again.0, &again.1) || told.answer.is_some() {
            let once_more = client.ask(told).await;
            assert_eq!(comparable(&again), comparable(&expected), "{} {}", told.path, told.key);
            assert_eq!(comparable(&once_more), comparable(&again), "{}", told.path);
            compared += 1;
        }
    }
    compared
}

/// An answer without the id of the request that fetched it.
fn comparable((status, body): &(u16, Value)) -> (u16, Value) {
    let mut body = body.clone();
    if let Some(fields) = body.as_object_mut() {
        fields.remove("request_id");
    }
    (*status, body)
}

/// Nobody was told of a ride that he does not have.
fn winners_are_unique(memory: &Shared) {
    let mut winners: HashMap<String, Vec<(String, u64)>> = HashMap::new();
    for told in &memory.borrow().told {
        if let (true, Some((200, ride))) = (told.path.ends_with("/accept"), &told.answer) {
            let version = ride["version"].as_u64().expect("a version");
            let winner = (told.person.id.clone(), version);
            winners.entry(ride["id"].to_string()).or_default().push(winner);
        }
    }
    for (ride, mut told) in winners {
        told.sort_by_key(|(_, version)| *version);
        let mut versions: Vec<_> = told.iter().map(|(_, version)| version).collect();
        versions.dedup();
        assert_eq!(versions.len(), told.len(), "{ride}: two winners of one version: {told:?}");
    }
}

#[actix_web::test]
async fn killed_at_any_moment_nothing_acknowledged_is_lost() {
    let mut process = Process::start(&[("dispatch.waves", "[4]")]).await;
    let people = process.seed(8, 6);
    let mut compared = 0;
    for round in 0..rounds() {
        let memory = Shared::default();
        load_and_kill(&mut process, &people, &memory, round).await;
        compared += ask_again(&process, &memory).await;
        winners_are_unique(&memory);
    }
    assert!(compared > 50, "the load must have been answered: {compared}");
    assert_eq!(process.audit(), Some(0), "every promise holds");
}

#[actix_web::test]
async fn a_terminated_engine_ends_in_order_under_load() {
    let mut process = Process::start(&[("dispatch.waves", "[4]")]).await;
    let people = process.seed(4, 4);
    let memory = Shared::default();
    {
        let client = Client::new(&process, &memory);
        let clients = people.iter().map(|person| async {
            match person.role.as_str() {
                "driver" => client.driver(person.clone(), StdRng::seed_from_u64(1)).await,
                _ => client.passenger(person.clone()).await,
            }
        });
        tokio::time::timeout(Duration::from_millis(700), join_all(clients)).await.ok();
    }
    assert_eq!(process.terminate().await, Some(0), "{}", process.log_text());
    process.launch().await;
    assert!(ask_again(&process, &memory).await > 5);
    assert_eq!(process.audit(), Some(0));
}

/// What was answered before a kill is answered after it, also to one who gave the ride back and
/// to one whose ride was canceled since.
#[actix_web::test]
async fn an_answer_outlives_the_kill_whatever_became_of_the_ride() {
    let mut process = Process::start(&[("dispatch.waves", "[4]")]).await;
    let people = process.seed(2, 2);
    let memory = Shared::default();
    let of = |role: &str| people.iter().filter(|person| person.role == role).cloned().collect();
    let (drivers, passengers): (Vec<Person>, Vec<Person>) = (of("driver"), of("passenger"));
    {
        let client = Client::new(&process, &memory);
        client.go_online(&drivers[1]).await;
        let given_back = client.open_ride(&passengers[0], &drivers[0]).await;
        let why = json!({"reason": "vehicle"});
        let (status, _) =
            client.step(&drivers[0], &given_back, "cancel", why).await.expect("an answer");
        assert_eq!(status, 200);
        client.accept_when_offered(&drivers[1], &given_back).await;
        client.open_ride(&passengers[1], &drivers[0]).await;
    }
    process.kill();
    process.launch().await;
    assert!(ask_again(&process, &memory).await >= 6);
    let ride = memory.borrow().rides.keys().last().cloned().expect("a ride");
    for passenger in &passengers {
        let client = Client::new(&process, &memory);
        let why = json!({"reason": "changed_mind"});
        client.step(passenger, &ride, "cancel", why).await.expect("an answer");
    }
    ask_again(&process, &memory).await;
    assert_eq!(process.audit(), Some(0));
}
