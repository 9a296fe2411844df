//! An engine that pays drivers by a provider whose books a test can look at.

use std::path::PathBuf;

use ibora::actors::{Caller, Command};
use ibora::obs::Metrics;
use ibora::pix::client::{Bounds, IdentityFiles, Provider, ProviderOptions};
use ibora::pix::simulator::{Rules, Simulator, SimulatorOptions};
use ibora::pix::wire::NewWebhook;
use ibora_domain::facts::Answer;
use ibora_domain::money::Centavos;
use ibora_domain::pix::PixKey;
use ibora_domain::units::Millis;
use secrecy::SecretString;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use uuid::Uuid;

use crate::machine::{EVER, http};
use crate::world::{World, json as json_of};

const OUR_KEY: &str = "ibora@example.com";

pub(super) struct Desk {
    pub(super) world: World,
    simulator: Simulator,
    callbacks: JoinHandle<()>,
    dir: PathBuf,
}

impl Desk {
    pub(super) async fn open(settings: &[(&str, &str)]) -> Self {
        let dir = std::env::temp_dir().join(format!("ibora-it-{}", Uuid::now_v7().simple()));
        let rules = Rules { settle_after: Millis(0), ..Rules::default() };
        let options = SimulatorOptions { rules, ..SimulatorOptions::new(dir.clone()) };
        let simulator = Simulator::start(options).await.expect("it starts");
        let callbacks = register(&simulator).await;
        let certificates = simulator.certificates();
        let (url, ca) = (simulator.api_url(), certificates.ca.display().to_string());
        let certificate = certificates.client.path.display().to_string();
        let own = [
            ("pix.base_url", url.as_str()),
            ("pix.client_id", "Client_Id_simulator"),
            ("pix.client_secret", "Client_Secret_simulator"),
            ("pix.certificate", certificate.as_str()),
            ("pix.ca", ca.as_str()),
            ("pix.key", OUR_KEY),
            // What was not found is believed sooner, and looked at sooner, than by real money.
            ("money.payout_absent_ms", "1000"),
            ("money.payout_look_ms", "200"),
            ("pix.pause_ms", "200"),
        ];
        let settings: Vec<_> = own.iter().chain(settings).copied().collect();
        Self { world: World::with(&settings).await, simulator, callbacks, dir }
    }

    /// Tells the simulator something; it must agree.
    pub(super) async fn tell(&self, path: &str, body: Value) {
        let url = format!("{}/control/{path}", self.simulator.control_url());
        let mut answer = http().post(url).send_json(&body).await.expect("an answer");
        assert!(answer.status().is_success(), "{path}: {:?}", answer.body().await);
    }

    /// What the provider's next calls of this kind meet.
    pub(super) async fn fails(&self, (method, path): (&str, &str), count: u32, fault: Value) {
        let form =
            json!({"on": "api", "method": method, "path": path, "count": count, "fault": fault});
        self.tell("faults", form).await;
    }

    /// Nothing fails any more.
    pub(super) async fn heals(&self) {
        let url = format!("{}/control/faults", self.simulator.control_url());
        http().delete(url).send().await.expect("cleared");
    }

    pub(super) async fn books(&self) -> Value {
        let url = format!("{}/control/books", self.simulator.control_url());
        let mut answer = http().get(url).send().await.expect("an answer");
        answer.json().limit(1 << 20).await.expect("books")
    }

    /// The payouts that the provider has.
    pub(super) async fn sends(&self) -> Vec<Value> {
        self.books().await["payouts"].as_array().expect("payouts").clone()
    }

    /// A driver with a key, who has earned so much, which is held until `free_in` is over; the
    /// provider has it for us.
    pub(super) async fn driver(&self, earned: i64, free_in: &str) -> Caller {
        let driver = self.world.driver().await;
        self.registers(driver).await;
        self.earns(driver, earned, free_in).await;
        driver
    }

    /// This driver has a key.
    pub(super) async fn registers(&self, driver: Caller) {
        let key = format!("{}@example.com", driver.user);
        sqlx::query(
            "INSERT INTO driver_pix_keys
                 (driver_id, version, shard, kind, pix_key, set_at, usable_from)
             VALUES ($1, 1, 0, 'email', $2, now(), now())",
        )
        .bind(driver.user.0)
        .bind(key)
        .execute(self.world.database())
        .await
        .expect("a key");
    }

    /// The same driver earns more.
    pub(super) async fn earns(&self, driver: Caller, earned: i64, free_in: &str) {
        self.tell("deposit", json!({"value": Centavos(earned).to_string()})).await;
        let pool = self.world.owner_pool().await;
        let mut transaction = pool.begin().await.expect("a transaction");
        sqlx::query(
            "SELECT ledger_write(9::smallint, ARRAY[$1], ARRAY[$2], ARRAY['test_earned'],
                 ARRAY['driver'], ARRAY[$3], ARRAY[0]::smallint[], ARRAY[NULL]::text[],
                 ARRAY[2]::smallint[], ARRAY[now()], ARRAY[1, 1], ARRAY[1, 2]::smallint[],
                 ARRAY[1000, 2000]::smallint[], ARRAY[$4, $3], ARRAY[$5, -$5]::bigint[])",
        )
        .bind(Uuid::now_v7())
        .bind(format!("test:{}", Uuid::now_v7()))
        .bind(driver.user.0)
        .bind(Uuid::nil())
        .bind(earned)
        .execute(&mut *transaction)
        .await
        .expect("booked");
        sqlx::query(
            "INSERT INTO holds (ride_id, due, driver_id, amount, release_at)
             VALUES ($1, 'fare', $2, $3, now() + $4::interval)",
        )
        .bind(Uuid::now_v7())
        .bind(driver.user.0)
        .bind(earned)
        .bind(free_in)
        .execute(&mut *transaction)
        .await
        .expect("held");
        transaction.commit().await.expect("committed");
    }

    pub(super) async fn asks(&self, driver: Caller, amount: i64) -> Answer {
        let command = Command::Payout { amount: Centavos(amount), pix_key: None };
        self.world.send(driver, command).await
    }

    /// A payout that this driver asks for: its id.
    pub(super) async fn asked(&self, driver: Caller, amount: i64) -> Uuid {
        let answer = json_of(&self.asks(driver, amount).await.expect("asked for"));
        answer["payout_id"].as_str().expect("an id").parse().expect("an id")
    }

    /// The status of a payout.
    pub(super) async fn status(&self, payout: Uuid) -> String {
        sqlx::query_scalar("SELECT status FROM payouts WHERE id = $1")
            .bind(payout)
            .fetch_one(self.world.database())
            .await
            .expect("a payout")
    }

    pub(super) async fn until(&self, payout: Uuid, status: &str) {
        let is = async || self.status(payout).await == status;
        self.world.until(&format!("a payout that is {status}"), is).await;
    }

    /// Centavos of an account of the ledger, debits positive.
    pub(super) async fn balance(&self, code: i16) -> i64 {
        sqlx::query_scalar(
            "SELECT coalesce(sum(balance), 0)::bigint FROM ledger_running_balances WHERE code = $1",
        )
        .bind(code)
        .fetch_one(self.world.database())
        .await
        .expect("a balance")
    }

    /// What drivers can take out.
    pub(super) async fn available(&self) -> i64 {
        -self.balance(2010).await
    }

    /// Ends both: both books must be sound, and say the same.
    pub(super) async fn close(self) {
        let books = self.books().await;
        assert_eq!(books["consistent"], true);
        let ours = self.balance(1000).await + self.balance(1010).await;
        assert_eq!(books["balance"], ours, "the provider's books are ours");
        assert_eq!(self.balance(1020).await, 0, "nothing is on its way");
        self.world.stop().await;
        self.simulator.stop().await;
        self.callbacks.abort();
        std::fs::remove_dir_all(&self.dir).expect("its folder goes");
    }
}

/// Registers a webhook for our key, without which the provider pays nobody. It says yes to all.
async fn register(simulator: &Simulator) -> JoinHandle<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let callbacks = tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            if stream.read(&mut [0; 4096]).await.is_ok_and(|bytes| bytes > 0) {
                let answer = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
                stream.write_all(answer.as_bytes()).await.ok();
            }
        }
    });
    let certificates = simulator.certificates();
    let options = ProviderOptions {
        base_url: simulator.api_url(),
        client_id: SecretString::from("Client_Id_simulator"),
        client_secret: SecretString::from("Client_Secret_simulator"),
        identity: IdentityFiles {
            certificate: certificates.client.path.clone(),
            key: None,
            password: None,
        },
        ca: Some(certificates.ca.clone()),
        bounds: Bounds {
            connect_timeout: EVER,
            call_timeout: EVER,
            retries_max: 2,
            retry_permille: 100,
            reads_per_s: 100,
            writes_per_s: 100,
            burst: 10,
            calls_max: 4,
            failures_max: 100,
            pause: EVER,
            answer_bytes_max: 1 << 20,
        },
    };
    let metrics = Metrics::new();
    let provider = Provider::new(&options, metrics).expect("a client");
    let webhook = NewWebhook { url: format!("http://{address}/webhooks?ignorar=") };
    let key = PixKey::parse(OUR_KEY).expect("a key");
    provider.put_webhook(&key, &webhook, true).await.done().expect("registered");
    callbacks
}
