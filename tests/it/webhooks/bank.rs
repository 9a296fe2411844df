//! An engine and the simulated provider, each calling the other.

use std::net::TcpListener;
use std::path::{Path, PathBuf};

use ibora::actors::Caller;
use ibora::app::provider_options;
use ibora::config::Config;
use ibora::obs::Metrics;
use ibora::pix::client::{Provider, ProviderOptions};
use ibora::pix::simulator::{Rules, Simulator, SimulatorOptions};
use ibora_domain::ids::PaymentId;
use ibora_domain::units::Millis;
use serde_json::{Value, json};
use uuid::Uuid;

use super::line::SECRET;
use crate::machine::http;
use crate::world::{World, json as json_of};

pub(crate) const KEY: &str = "ibora@example.com";

/// How the provider calls the engine.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Door {
    /// On the public listener, by the secret.
    Secret,
    /// On the listener for callbacks, by its certificate.
    Certificate,
    /// Not at all.
    None,
}

pub(super) struct Bank {
    pub(super) world: World,
    pub(super) simulator: Simulator,
    dir: PathBuf,
    provider: ProviderOptions,
}

impl Bank {
    /// With keys of the configuration; the provider settles refunds and payouts at once.
    pub(super) async fn open(door: Door, more: &[(&str, &str)]) -> Self {
        let (simulator, dir) = simulator().await;
        let settings = settings(&simulator, door);
        let settings = settings.iter().map(|(key, value)| (*key, value.as_str()));
        let settings: Vec<_> = settings.chain(more.iter().copied()).collect();
        let config = Config::with(&settings).expect("a valid configuration");
        let provider = provider_options(&config).expect("a provider");
        let world = World::with(&settings).await;
        let bank = Self { world, simulator, dir, provider };
        if door != Door::None {
            let registered = &bank.world.app().metrics.pix_webhook_registered;
            bank.world.until("the address is taken", async || registered.get() == 1).await;
        }
        bank
    }

    /// Another client of the provider, in the engine's name.
    pub(super) fn provider(&self) -> Provider {
        Provider::new(&self.provider, Metrics::new()).expect("a client")
    }

    /// Tells the simulator something.
    pub(super) async fn tell(&self, path: &str, body: Value) -> Value {
        control(&self.simulator, path, body).await
    }

    /// Somebody pays our key so much, for no charge; the number of that Pix.
    pub(super) async fn pay(&self, reais: &str) -> String {
        let paid = self.tell("pay", json!({"key": KEY, "value": reais})).await;
        paid["endToEndId"].as_str().expect("a number").to_owned()
    }

    /// A ride has ended and its fare can be paid: its passenger, its payment, the charge's txid.
    pub(super) async fn owed(&self) -> (Caller, PaymentId, String) {
        let world = &self.world;
        let (passenger, driver) = (world.passenger().await, world.drivers_online(1).await[0]);
        let ride = world.request(passenger).await;
        world.drive(ride, passenger, driver).await;
        let payment = PaymentId::of_ride(ride);
        let charged = async || self.payment(passenger, payment).await["pix"].is_object();
        world.until("a charge", charged).await;
        let shown = self.payment(passenger, payment).await;
        (passenger, payment, shown["pix"]["txid"].as_str().expect("a txid").to_owned())
    }

    /// Somebody pays this charge; the number of his Pix.
    pub(super) async fn pay_charge(&self, txid: &str) -> String {
        let paid = self.tell("pay", json!({"txid": txid})).await;
        paid["endToEndId"].as_str().expect("a number").to_owned()
    }

    /// A payment as its passenger sees it.
    pub(super) async fn payment(&self, passenger: Caller, payment: PaymentId) -> Value {
        let read = self.world.dispatch().payment(passenger, payment).await;
        json_of(&read.expect("reads"))
    }

    /// How many financial events have a key that begins so.
    pub(super) async fn booked(&self, begin: &str) -> i64 {
        sqlx::query_scalar("SELECT count(*) FROM financial_events WHERE starts_with(key, $1)")
            .bind(begin)
            .fetch_one(self.world.database())
            .await
            .expect("reads")
    }

    /// The state of what is told about a Pix, and where it comes from.
    pub(super) async fn state(&self, kind: &str, e2e_id: &str) -> Option<(String, String)> {
        sqlx::query_as("SELECT state, source FROM pix_notices WHERE kind = $1 AND e2e_id = $2")
            .bind(kind)
            .bind(e2e_id)
            .fetch_optional(self.world.database())
            .await
            .expect("reads")
    }

    /// Waits until what is told about a Pix is in this state.
    pub(super) async fn until(&self, kind: &str, e2e_id: &str, state: &str, source: &str) {
        let wanted = Some((state.to_owned(), source.to_owned()));
        let what = format!("{kind} {state} from {source}");
        self.world.until(&what, async || self.state(kind, e2e_id).await == wanted).await;
    }

    pub(super) async fn close(self) {
        self.world.stop().await;
        self.simulator.stop().await;
        std::fs::remove_dir_all(self.dir).expect("its folder goes");
    }
}

/// A provider alone, and where its files are.
pub(crate) async fn simulator() -> (Simulator, PathBuf) {
    let dir = std::env::temp_dir().join(format!("ibora-it-{}", Uuid::now_v7().simple()));
    let rules = Rules { settle_after: Millis(0), ..Rules::default() };
    let options = SimulatorOptions { rules, ..SimulatorOptions::new(dir.clone()) };
    (Simulator::start(options).await.expect("it starts"), dir)
}

/// Tells a simulator something; it must agree.
pub(crate) async fn control(simulator: &Simulator, path: &str, body: Value) -> Value {
    let url = format!("{}/control/{path}", simulator.control_url());
    let mut answer = http().post(url).send_json(&body).await.expect("an answer");
    assert!(answer.status().is_success(), "{path}: {:?}", answer.body().await);
    answer.json().await.unwrap_or_default()
}

/// What an engine has to know of a provider.
pub(crate) fn settings(simulator: &Simulator, door: Door) -> Vec<(&'static str, String)> {
    let certificates = simulator.certificates();
    let text = |path: &Path| path.display().to_string();
    let mut settings = vec![
        ("pix.base_url", simulator.api_url()),
        ("pix.client_id", "Client_Id_simulator".to_owned()),
        ("pix.client_secret", "Client_Secret_simulator".to_owned()),
        ("pix.certificate", text(&certificates.client_p12)),
        ("pix.ca", text(&certificates.ca)),
        ("pix.key", KEY.to_owned()),
    ];
    let port = free_port();
    let (scheme, more) = match door {
        Door::None => return settings,
        Door::Secret => (
            "http",
            vec![
                ("http.listen", format!("127.0.0.1:{port}")),
                ("pix.webhook_secret", SECRET.to_owned()),
            ],
        ),
        Door::Certificate => (
            "https",
            vec![
                ("pix.webhook_listen", format!("127.0.0.1:{port}")),
                ("pix.webhook_certificate", text(&certificates.webhook_server.path)),
                ("pix.webhook_ca", text(&certificates.webhook_ca)),
            ],
        ),
    };
    settings.extend(more);
    let url = format!("{scheme}://localhost:{port}/webhooks/efi/pix");
    settings.push(("pix.webhook_url", url));
    settings
}

/// A port that the system does not hand out, and that nobody listens on.
fn free_port() -> u16 {
    let ports = std::iter::repeat_with(|| rand::random_range(20_000..30_000_u16)).take(100);
    let mut free = ports.filter(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok());
    free.next().expect("a port")
}
