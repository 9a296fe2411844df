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

use crate::clients::{
    Heard, Told, is_settled, nothing_is_won_twice, online, order, stand_by_their_word,
};
use crate::process::{Person, Process};

/// Rounds of load and kill; more by `IBORA_CRASH_ROUNDS`.
fn rounds() -> u64 {
    std::env::var("IBORA_CRASH_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(20)
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

    /// Asks until there is an answer: 503 says that nothing was decided, and to ask again.
    async fn ask(&self, told: &Told) -> Heard {
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            match told.send(&self.http, &self.process.url("")).await {
                Some(heard) if is_settled(&heard) => return heard,
                heard => assert!(Instant::now() < deadline, "{} {heard:?}", told.path),
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Sends a command and remembers it, answered or not.
    async fn send(&self, person: &Person, path: String, body: Value) -> Option<Heard> {
        let mut told = Told::new(person, path, body);
        let at = {
            let mut memory = self.memory.borrow_mut();
            memory.told.push(told.clone());
            memory.told.len() - 1
        };
        told.answer = told.send(&self.http, &self.process.url("")).await;
        self.memory.borrow_mut().told[at].answer = told.answer.clone();
        told.answer
    }

    async fn passenger(&self, person: Person) {
        let mut pace = tokio::time::interval(Duration::from_millis(20));
        loop {
            pace.tick().await;
            let Some((status, ride)) = self.send(&person, "/v1/rides".into(), order()).await else {
                return;
            };
            if status == 201 {
                let text = |key: &str| ride[key].as_str().expect("text").to_owned();
                self.memory.borrow_mut().rides.insert(text("id"), text("pin"));
            }
        }
    }

    async fn driver(&self, person: Person, mut chance: StdRng) {
        if self.send(&person, "/v1/me/availability".into(), online()).await.is_none() {
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
        let (status, ride) =
            self.send(passenger, "/v1/rides".into(), order()).await.expect("an answer");
        assert_eq!(status, 201, "{ride}");
        let id = ride["id"].as_str().expect("an id").to_owned();
        self.memory.borrow_mut().rides.insert(id.clone(), String::new());
        self.accept_when_offered(driver, &id).await;
        id
    }

    async fn go_online(&self, driver: &Person) {
        self.send(driver, "/v1/me/availability".into(), online()).await.expect("an answer");
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

    async fn step(&self, person: &Person, ride: &str, step: &str, body: Value) -> Option<Heard> {
        self.send(person, format!("/v1/rides/{ride}/{step}"), body).await
    }
}

/// Runs load until the process is killed under it; how long it then takes to be ready again.
async fn load_and_kill(
    process: &mut Process,
    people: &[Person],
    memory: &Shared,
    seed: u64,
) -> Duration {
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
    let began = Instant::now();
    process.launch().await;
    began.elapsed()
}

/// Says how long it took to be ready again. A figure, no promise: machines differ.
#[expect(clippy::print_stderr, reason = "read by whoever measures, with --nocapture")]
fn tell(mut took: Vec<Duration>, compared: usize) {
    took.sort_unstable();
    let at = |percent: usize| took[(took.len() * percent).div_ceil(100).max(1) - 1];
    let percentiles = [50, 90, 99, 100].map(at);
    let kills = took.len();
    eprintln!(
        "{kills} kills, {compared} answers compared, ready again p50/90/99/max {percentiles:?}"
    );
}

/// Asks every command again: what was told stays true, what was not told gets one answer.
async fn ask_again(process: &Process, memory: &Shared) -> usize {
    let client = Client::new(process, memory);
    let told = memory.borrow().told.clone();
    nothing_is_won_twice(&told);
    stand_by_their_word(&told, async |told| client.ask(told).await).await.len()
}

#[actix_web::test]
async fn killed_at_any_moment_nothing_acknowledged_is_lost() {
    let mut process = Process::start(&[("dispatch.waves", "[4]")]).await;
    let people = process.seed(8, 6);
    let (mut compared, mut took) = (0, Vec::new());
    for round in 0..rounds() {
        let memory = Shared::default();
        took.push(load_and_kill(&mut process, &people, &memory, round).await);
        compared += ask_again(&process, &memory).await;
    }
    tell(took, compared);
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
