//! A small stream of accepts that need no session: over REST, before and while all sessions are
//! lost.
//!
//! Rides are offered beforehand, each to a driver far from everybody else. Then one is accepted
//! every few milliseconds, whatever became of the ones before. A command is asked under one id
//! until it is answered; while the engine is away nobody can wait for it, from the moment it takes
//! connections again all waiting counts.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use actix_web::http::{Method, StatusCode};
use awc::error::{ConnectError, SendRequestError};
use futures_util::{StreamExt, TryStreamExt};
use ibora::bots::Person;
use ibora_domain::place::Coordinates;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::client::Entity;
use crate::people;
use crate::report::Latencies;
use crate::served::{self, Served, Settings};
use crate::witness::{FAR, FIRST};

/// Rides that are offered beforehand; a restart that takes longer has no accepts in its end.
pub(super) const STOCK: usize = 400;
/// Between two accepts.
const EVERY: Duration = Duration::from_millis(25);
/// Before an unanswered command is sent again, with some chance in it.
const AGAIN: Duration = Duration::from_millis(50);
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// Commands under way at once while rides are prepared.
const AT_ONCE: usize = 16;
const OFFERED_WITHIN: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// What this needs of an engine: nothing ends by itself.
pub(super) fn settings() -> Settings {
    let never = "86400000";
    served::settings([
        ("seed.enabled", "true"),
        // A driver who is not free in time is asked a little later.
        ("dispatch.head_start_ms", "250"),
        ("dispatch.wave_ms", "250"),
        ("dispatch.offer_ttl_ms", never),
        ("dispatch.search_ms", never),
        ("dispatch.position_stale_ms", never),
        ("presence.timeout_ms", never),
        // A passenger cancels ride after ride.
        ("rides.cancel_fee", "0.00"),
    ])
}

/// People whose rides are accepted.
pub(super) struct Stock {
    caller: Rc<Caller>,
    pairs: Vec<Pair>,
}

struct Pair {
    passenger: Person,
    driver: Person,
    place: Coordinates,
}

/// A ride that is offered, and to whom.
struct Offered {
    ride: Uuid,
    passenger: Person,
    driver: Person,
}

/// Accepts of a time.
pub(super) struct Accepts {
    pub(super) latencies: Latencies,
    pub(super) count: usize,
}

/// A stream of accepts that goes on.
pub(super) struct Stream {
    shared: Rc<Shared>,
    sending: tokio::task::JoinHandle<anyhow::Result<()>>,
    offered: Rc<[Offered]>,
}

struct Shared {
    caller: Rc<Caller>,
    accepts: RefCell<Accepts>,
    is_over: Cell<bool>,
}

impl Stock {
    pub(super) fn new(
        served: &Served,
        (passengers, drivers): (Vec<Person>, Vec<Person>),
    ) -> anyhow::Result<Self> {
        let http = awc::Client::builder().timeout(ANSWER_WITHIN).finish();
        let caller = Rc::new(Caller { base: served.url("/v1"), http });
        let mut pairs = Vec::with_capacity(STOCK);
        for (number, (passenger, driver)) in passengers.into_iter().zip(drivers).enumerate() {
            let place = people::place(FIRST + number, FAR)?;
            pairs.push(Pair { passenger, driver, place });
        }
        Ok(Self { caller, pairs })
    }

    /// Has every ride requested and offered, then accepts one after the other.
    pub(super) async fn stream(&self, served: &Served) -> anyhow::Result<Stream> {
        let made = served.metric("ibora_offers_made_total").await?;
        let offered: Vec<Offered> = futures_util::stream::iter(&self.pairs)
            .map(|pair| pair.request(&self.caller))
            .buffer_unordered(AT_ONCE)
            .try_collect()
            .await?;
        let wanted = made + crate::report::number(offered.len());
        let deadline = Instant::now() + OFFERED_WITHIN;
        while served.metric("ibora_offers_made_total").await? < wanted {
            anyhow::ensure!(Instant::now() < deadline, "not every ride is offered");
            tokio::time::sleep(LOOK_EVERY).await;
        }
        let accepts = RefCell::new(Accepts { latencies: Latencies::new(), count: 0 });
        let (caller, is_over) = (Rc::clone(&self.caller), Cell::new(false));
        let shared = Rc::new(Shared { caller, accepts, is_over });
        let offered: Rc<[Offered]> = offered.into();
        let sending = tokio::task::spawn_local(Rc::clone(&shared).send(Rc::clone(&offered)));
        Ok(Stream { shared, sending, offered })
    }
}

impl Pair {
    async fn request(&self, caller: &Caller) -> anyhow::Result<Offered> {
        let Self { passenger, driver, place } = self;
        // Tells where he is, too: an engine that was started again does not know.
        let d = json!({"status": "online", "category": "economy", "location": place});
        caller.done(driver, (Method::PUT, "/me/availability"), &d).await?;
        let dropoff = Coordinates::new(place.lat() + 0.03, place.lng())?;
        let d = json!({"pickup": place, "dropoff": dropoff, "category": "economy",
            "payment_method": "pix"});
        let body = caller.done(passenger, (Method::POST, "/rides"), &d).await?.body;
        let Entity { id } = serde_json::from_slice(&body)?;
        Ok(Offered { ride: id, passenger: passenger.clone(), driver: driver.clone() })
    }
}

impl Stream {
    /// Sends no more; how long those took that were sent. Then ends all rides.
    pub(super) async fn end(self) -> anyhow::Result<Accepts> {
        self.shared.is_over.set(true);
        self.sending.await??;
        let caller = &self.shared.caller;
        futures_util::stream::iter(&*self.offered)
            .map(|Offered { ride, passenger, .. }| async move {
                let path = format!("/rides/{ride}/cancel");
                caller.done(passenger, (Method::POST, &path), &json!({"reason": "other"})).await
            })
            .buffer_unordered(AT_ONCE)
            .try_collect::<Vec<_>>()
            .await?;
        let empty = Accepts { latencies: Latencies::new(), count: 0 };
        Ok(self.shared.accepts.replace(empty))
    }
}

impl Shared {
    /// Each at its time; returns when all are answered.
    async fn send(self: Rc<Self>, offered: Rc<[Offered]>) -> anyhow::Result<()> {
        let mut accepting = JoinSet::new();
        let mut next = Instant::now();
        for number in 0..offered.len() {
            tokio::time::sleep_until(next.into()).await;
            next += EVERY;
            if self.is_over.get() {
                break;
            }
            let (shared, offered) = (Rc::clone(&self), Rc::clone(&offered));
            accepting.spawn_local(async move { shared.accept(&offered[number]).await });
        }
        while let Some(accepted) = accepting.join_next().await {
            accepted??;
        }
        Ok(())
    }

    async fn accept(&self, Offered { ride, driver, .. }: &Offered) -> anyhow::Result<()> {
        let path = format!("/rides/{ride}/accept");
        let took = self.caller.done(driver, (Method::POST, &path), &json!({})).await?.took;
        let mut accepts = self.accepts.borrow_mut();
        accepts.latencies.record(took);
        accepts.count += 1;
        Ok(())
    }
}

/// Calls over REST.
struct Caller {
    base: String,
    http: awc::Client,
}

struct Answer {
    status: StatusCode,
    body: Vec<u8>,
    /// From its sending; from the last one where the engine was away before.
    took: Duration,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Problem {
    code: String,
}

impl Caller {
    /// Asks for what must go well.
    async fn done(
        &self,
        person: &Person,
        (method, path): (Method, &str),
        d: &Value,
    ) -> anyhow::Result<Answer> {
        let answer = self.ask(person, (method, path), d).await;
        let Problem { code } = serde_json::from_slice(&answer.body).unwrap_or_default();
        anyhow::ensure!(answer.status.is_success(), "{path}: {} {code}", answer.status);
        Ok(answer)
    }

    /// Asks until there is an answer.
    async fn ask(&self, person: &Person, (method, path): (Method, &str), d: &Value) -> Answer {
        let (id, url) = (Uuid::now_v7().to_string(), format!("{}{path}", self.base));
        let mut asked = Instant::now();
        loop {
            let request = self.http.request(method.clone(), &url).bearer_auth(&*person.token);
            let sent = request.insert_header(("Idempotency-Key", id.as_str())).send_json(d).await;
            let is_away = match sent {
                Ok(mut answer) => {
                    let (status, body) = (answer.status(), answer.body().await);
                    let took = asked.elapsed();
                    match body {
                        Ok(body) if is_final(status, &body) => {
                            return Answer { status, body: body.to_vec(), took };
                        }
                        Ok(_) => false,
                        Err(_) => true,
                    }
                }
                // Too slow is not away.
                Err(
                    SendRequestError::Timeout | SendRequestError::Connect(ConnectError::Timeout),
                ) => false,
                Err(_) => true,
            };
            tokio::time::sleep(AGAIN.mul_f64(rand::random_range(0.5..1.5))).await;
            if is_away {
                asked = Instant::now();
            }
        }
    }
}

/// Whether asking again would give the same.
fn is_final(status: StatusCode, body: &[u8]) -> bool {
    let is_running = || {
        let problem: Problem = serde_json::from_slice(body).unwrap_or_default();
        problem.code == "idempotency_in_progress"
    };
    !(status.is_server_error() || status == StatusCode::CONFLICT && is_running())
}
