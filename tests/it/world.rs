//! A whole engine for one test: its own database, a random port, people in it.
//!
//! When stopped it checks what every test owes: the database holds what the invariants promise.

use std::sync::Arc;

use ibora::actors::{Caller, Command, Dispatch, RideRequest, Sent};
use ibora::app::App;
use ibora::config::Config;
use ibora_domain::category::Category;
use ibora_domain::facts::{Answer, Done};
use ibora_domain::ids::{DriverId, RideId, UserId};
use ibora_domain::person::Role;
use ibora_domain::place::Coordinates;
use ibora_domain::ride::PaymentMethod;
use serde_json::Value;
use sqlx::PgPool;
use uuid::Uuid;

use crate::machine::EVER;
use crate::pg;

/// For a clock that runs fast, or a machine that is busy: no offer, no search, no position is over
/// while a test is at it.
pub(crate) const UNHURRIED: &[(&str, &str)] = &[
    ("dispatch.offer_ttl_ms", "6000000"),
    ("dispatch.search_ms", "6000000"),
    ("dispatch.position_stale_ms", "6000000"),
    ("presence.timeout_ms", "6000000"),
];

/// Praça da Sé, São Paulo: where tests happen.
pub(crate) fn sé() -> Coordinates {
    place(-23.5503, -46.6339)
}

pub(crate) fn place(lat: f64, lng: f64) -> Coordinates {
    Coordinates::new(lat, lng).expect("a place")
}

/// An engine and its database.
pub(crate) struct World {
    app: Option<App>,
    settings: Vec<(String, String)>,
}

impl World {
    /// An engine with the default configuration, but for limits and password costs.
    pub(crate) async fn start() -> Self {
        Self::with(&[]).await
    }

    /// An engine with some keys set.
    pub(crate) async fn with(settings: &[(&str, &str)]) -> Self {
        let (app, owner) = pg::urls().await;
        let base = [
            ("node.id", "test"),
            ("database.url", app.as_str()),
            ("database.migrate_url", owner.as_str()),
            ("http.listen", "127.0.0.1:0"),
            ("http.workers", "1"),
            ("actors.arbiters", "2"),
            ("database.pool_size", "4"),
            ("auth.signing_key", "a key that only tests use, 32 bytes long"),
            ("auth.password_memory_kib", "64"),
            ("auth.password_iterations", "1"),
            ("limits.enabled", "false"),
        ];
        let all = base.iter().chain(settings);
        let settings: Vec<(String, String)> =
            all.map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let app = start(&settings).await;
        Self { app: Some(app), settings }
    }

    /// Ends the engine in order and starts it again on the same database.
    pub(crate) async fn restart(&mut self) {
        self.app.take().expect("runs").stop().await.expect("stops");
        self.app = Some(start(&self.settings).await);
    }

    pub(crate) fn app(&self) -> &App {
        self.app.as_ref().expect("runs")
    }

    pub(crate) fn dispatch(&self) -> &Arc<Dispatch> {
        &self.app().dispatch
    }

    pub(crate) fn database(&self) -> &PgPool {
        &self.app().store.pool
    }

    /// `http://127.0.0.1:port`
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.app().address)
    }

    /// A passenger who can be a caller; made in the database, without password.
    pub(crate) async fn passenger(&self) -> Caller {
        self.person(Role::Passenger).await
    }

    /// An approved driver, offline.
    pub(crate) async fn driver(&self) -> Caller {
        let caller = self.person(Role::Driver).await;
        sqlx::query("INSERT INTO drivers (id, shard, approval) VALUES ($1, $2, 'approved')")
            .bind(caller.user.0)
            .bind(i16::try_from(caller.user.shard().number()).expect("a shard"))
            .execute(self.owner_pool().await.as_ref())
            .await
            .expect("a driver");
        caller
    }

    /// An admin.
    pub(crate) async fn admin(&self) -> Caller {
        self.person(Role::Admin).await
    }

    /// A token for this person.
    pub(crate) fn token(&self, caller: Caller) -> String {
        self.app().accounts.sign_access(caller.user, caller.role).expect("signs")
    }

    /// How far this person's app has read, by the records.
    pub(crate) async fn acked(&self, caller: Caller) -> i64 {
        sqlx::query_scalar("SELECT acked FROM streams WHERE user_id = $1")
            .bind(caller.user.0)
            .fetch_one(self.database())
            .await
            .expect("a stream")
    }

    /// Takes the oldest events of a person away, up to one, as time does.
    pub(crate) async fn forget_events(&self, caller: Caller, upto: i64) {
        sqlx::query("DELETE FROM stream_events WHERE user_id = $1 AND seq <= $2")
            .bind(caller.user.0)
            .bind(upto)
            .execute(self.database())
            .await
            .expect("deleted");
    }

    /// The database as its owner, who may do what the engine may not.
    pub(crate) async fn owner_pool(&self) -> Arc<PgPool> {
        let url = self.setting("database.migrate_url");
        Arc::new(PgPool::connect(&url).await.expect("connects"))
    }

    fn setting(&self, key: &str) -> String {
        let found = self.settings.iter().find(|(name, _)| name == key);
        found.map(|(_, value)| value.clone()).expect("a setting")
    }

    async fn person(&self, role: Role) -> Caller {
        let user = UserId(Uuid::now_v7());
        sqlx::query(
            "INSERT INTO users (id, shard, role, name, email, created_at)
             VALUES ($1, $2, $3, $4, $5, now())",
        )
        .bind(user.0)
        .bind(i16::try_from(user.shard().number()).expect("a shard"))
        .bind(role.as_str())
        .bind(format!("Test {}", role.as_str()))
        .bind(format!("{user}@example.com"))
        .execute(self.owner_pool().await.as_ref())
        .await
        .expect("a person");
        Caller { user, role }
    }

    /// Carries out a command under a new id.
    pub(crate) async fn send(&self, caller: Caller, command: Command) -> Answer {
        let id = Some(Uuid::now_v7().to_string());
        self.dispatch().command(caller, Sent { id, if_version: None, command }).await
    }

    /// Puts a driver online at a place.
    pub(crate) async fn online(&self, driver: Caller, at: Coordinates) {
        let command = Command::Online { category: None, vehicle_id: None, location: Some(at) };
        self.send(driver, command).await.expect("online");
    }

    /// Approved drivers, online at the pickup.
    pub(crate) async fn drivers_online(&self, count: usize) -> Vec<Caller> {
        let mut drivers = Vec::new();
        for _ in 0..count {
            let driver = self.driver().await;
            self.online(driver, sé()).await;
            drivers.push(driver);
        }
        drivers
    }

    /// A ride requested at the pickup.
    pub(crate) async fn request(&self, passenger: Caller) -> RideId {
        let answer = self.send(passenger, Command::Request(request())).await;
        ride_of(&answer.expect("requested"))
    }

    /// Waits until this driver has an open offer of the ride.
    pub(crate) async fn offered(&self, driver: Caller, ride: RideId) {
        let driver = DriverId::from(driver.user);
        self.until("an offer", async || {
            let records = self.dispatch().journal().records();
            let offers = records.open_offers(driver, self.dispatch().now()).await;
            offers.expect("reads").iter().any(|(offered, _, _)| *offered == ride)
        })
        .await;
    }

    /// Waits for a state, with a deadline.
    pub(crate) async fn until(&self, what: &str, mut holds: impl AsyncFnMut() -> bool) {
        let deadline = std::time::Instant::now() + EVER;
        while !holds().await {
            assert!(std::time::Instant::now() < deadline, "never came: {what}");
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    }

    /// The PIN of a ride, as only its passenger sees it.
    pub(crate) async fn pin(&self, passenger: Caller, ride: RideId) -> String {
        let ride = self.dispatch().ride(passenger, ride).await.expect("reads");
        json(&ride)["pin"].as_str().expect("a pin").to_owned()
    }

    /// The driver accepts this ride of the passenger and takes it to its end, as he is told of it.
    pub(crate) async fn drive(&self, ride: RideId, passenger: Caller, driver: Caller) -> Value {
        self.offered(driver, ride).await;
        self.send(driver, Command::Accept { ride, offer_id: None }).await.expect("accepted");
        self.send(driver, Command::Arrive { ride, location: None }).await.expect("arrived");
        let pin = self.pin(passenger, ride).await;
        self.send(driver, Command::Start { ride, pin }).await.expect("started");
        let complete = Command::Complete { ride, location: None, reason: None };
        json(&self.send(driver, complete).await.expect("completed"))
    }

    /// The status of a ride.
    pub(crate) async fn status(&self, reader: Caller, ride: RideId) -> String {
        let ride = self.dispatch().ride(reader, ride).await.expect("reads");
        json(&ride)["status"].as_str().expect("a status").to_owned()
    }

    /// Checks what every test owes, and ends the engine in order.
    pub(crate) async fn stop(mut self) {
        self.app().journal.flush().await;
        let findings = ibora::readmodel::audit(self.database(), |_| {}).await.expect("audits");
        let broken: Vec<_> = findings.iter().filter(|found| found.violations > 0).collect();
        assert!(broken.is_empty(), "promises broken: {broken:?}");
        self.app.take().expect("runs").stop().await.expect("stops");
    }
}

async fn start(settings: &[(String, String)]) -> App {
    let settings: Vec<(&str, &str)> =
        settings.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    let config = Config::with(&settings).expect("a valid configuration");
    App::start(&config).await.expect("starts")
}

/// An everyday ride.
pub(crate) fn request() -> RideRequest {
    RideRequest {
        quote_id: None,
        pickup: sé(),
        dropoff: place(-23.5614, -46.6559),
        stops: vec![],
        category: Category::Economy,
        payment_method: PaymentMethod::Pix,
        notes: None,
    }
}

pub(crate) fn json(done: &Done) -> serde_json::Value {
    serde_json::from_str(&done.body).expect("JSON")
}

pub(crate) fn ride_of(done: &Done) -> RideId {
    json(done)["id"].as_str().expect("an id").parse().expect("a ride id")
}
