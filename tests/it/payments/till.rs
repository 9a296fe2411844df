//! An engine with a provider of its own, whose books a test can look at.

use std::path::PathBuf;

use ibora::actors::Caller;
use ibora::pix::simulator::{Rules, Simulator, SimulatorOptions};
use ibora_domain::ids::{PaymentId, RideId};
use ibora_domain::pix::{EndToEndId, Txid};
use ibora_domain::units::Millis;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::machine::http;
use crate::world::{World, json as json_of};

/// The simulated provider.
pub(super) struct Bank {
    simulator: Simulator,
    dir: PathBuf,
}

impl Bank {
    pub(super) async fn open() -> Self {
        let dir = std::env::temp_dir().join(format!("ibora-it-{}", Uuid::now_v7().simple()));
        let rules = Rules { settle_after: Millis(0), ..Rules::default() };
        let options = SimulatorOptions { rules, ..SimulatorOptions::new(dir.clone()) };
        Self { simulator: Simulator::start(options).await.expect("it starts"), dir }
    }

    pub(super) fn control_url(&self) -> String {
        self.simulator.control_url()
    }

    /// Tells the simulator something; it must agree.
    pub(super) async fn tell(&self, path: &str, body: Value) -> Value {
        let url = format!("{}/control/{path}", self.simulator.control_url());
        let mut answer = http().post(url).send_json(&body).await.expect("an answer");
        assert!(answer.status().is_success(), "{path}: {:?}", answer.body().await);
        answer.json().await.unwrap_or_default()
    }

    pub(super) async fn books(&self) -> Value {
        let url = format!("{}/control/books", self.simulator.control_url());
        let mut answer = http().get(url).send().await.expect("an answer");
        answer.json().limit(1 << 20).await.expect("books")
    }

    /// What the provider's next call of this kind meets.
    pub(super) async fn fails(&self, method: &str, path: &str, fault: Value) {
        let form = json!({"on": "api", "method": method, "path": path, "fault": fault});
        self.tell("faults", form).await;
    }

    /// Ends it; its books must be sound.
    pub(super) async fn close(self) {
        assert_eq!(self.books().await["consistent"], true);
        self.simulator.stop().await;
        std::fs::remove_dir_all(&self.dir).expect("its folder goes");
    }

    /// Somebody pays this charge: the number of his Pix.
    pub(super) async fn pay(&self, txid: &str) -> String {
        let paid = self.tell("pay", json!({"txid": txid})).await;
        paid["endToEndId"].as_str().expect("a number").to_owned()
    }
}

/// What an engine is told to call this provider.
pub(super) fn settings(bank: &Bank) -> [(&'static str, String); 6] {
    let certificates = bank.simulator.certificates();
    [
        ("pix.base_url", bank.simulator.api_url()),
        ("pix.client_id", "Client_Id_simulator".to_owned()),
        ("pix.client_secret", "Client_Secret_simulator".to_owned()),
        ("pix.certificate", certificates.client.path.display().to_string()),
        ("pix.ca", certificates.ca.display().to_string()),
        ("pix.key", "ibora@example.com".to_owned()),
    ]
}

/// An engine that charges by that provider.
pub(super) struct Till {
    pub(super) world: World,
    pub(super) bank: Bank,
}

impl Till {
    pub(super) async fn open(settings: &[(&str, &str)]) -> Self {
        let bank = Bank::open().await;
        let own = self::settings(&bank);
        let own = own.iter().map(|(key, value)| (*key, value.as_str()));
        let settings: Vec<_> = own.chain(settings.iter().copied()).collect();
        Self { world: World::with(&settings).await, bank }
    }

    /// A ride that has just ended with its fare to pay: its driver, its passenger, its payment.
    pub(super) async fn owed(&self) -> (Caller, Caller, PaymentId) {
        let passenger = self.world.passenger().await;
        let (driver, ride) = self.ended(passenger).await;
        (driver, passenger, PaymentId::of_ride(ride))
    }

    /// This passenger takes a ride to its end.
    pub(super) async fn ended(&self, passenger: Caller) -> (Caller, RideId) {
        let world = &self.world;
        let driver = world.drivers_online(1).await[0];
        let ride = world.request(passenger).await;
        world.drive(ride, passenger, driver).await;
        (driver, ride)
    }

    /// The payment as its passenger sees it.
    pub(super) async fn payment(&self, passenger: Caller, payment: PaymentId) -> Value {
        let read = self.world.dispatch().payment(passenger, payment).await;
        json_of(&read.expect("reads"))
    }

    /// The payment, once it is as wanted.
    pub(super) async fn when(
        &self,
        (passenger, payment): (Caller, PaymentId),
        wanted: impl Fn(&Value) -> bool,
    ) -> Value {
        let mut seen = Value::Null;
        self.world
            .until("a payment as wanted", async || {
                seen = self.payment(passenger, payment).await;
                wanted(&seen)
            })
            .await;
        seen
    }

    /// Waits until the payment can be paid: its txid.
    pub(super) async fn charged(&self, who: (Caller, PaymentId)) -> String {
        let payment = self.when(who, |payment| payment["pix"].is_object()).await;
        payment["pix"]["txid"].as_str().expect("a txid").to_owned()
    }

    /// Somebody pays this charge, and we are told: the payment then.
    pub(super) async fn paid(&self, who: (Caller, PaymentId), txid: &str) -> Value {
        let pix = EndToEndId::parse(&self.bank.pay(txid).await).expect("a number");
        let txid = Txid::parse(txid).expect("a txid");
        self.world.dispatch().payment_hint(Some(&txid), pix, None);
        self.when(who, |payment| payment["status"] == "paid").await
    }

    /// An image that this person gets: its type and its bytes.
    pub(super) async fn image(&self, who: Caller, path: &str) -> (String, Vec<u8>) {
        let url = format!("{}{path}", self.world.url());
        let bearer = format!("Bearer {}", self.world.token(who));
        let call = http().get(url).insert_header(("Authorization", bearer));
        let mut answer = call.send().await.expect("an answer");
        assert_eq!(answer.status().as_u16(), 200);
        let kind = answer.headers().get("content-type").expect("a type").to_str().expect("ASCII");
        (kind.to_owned(), answer.body().await.expect("bytes").to_vec())
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

    /// Ends both: the provider's books must be sound, and every promise kept.
    pub(super) async fn close(self) {
        self.world.stop().await;
        self.bank.close().await;
    }
}
