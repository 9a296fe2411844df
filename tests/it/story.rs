//! People of an engine process who pay and are paid, whatever becomes of the engine or of its
//! provider: each goes on with what he began until it is done, under the same keys.

use std::cell::Cell;
use std::io::Write;
use std::process::Stdio;
use std::time::{Duration, Instant};

use actix_web::web::block;
use ibora::pix::simulator::Simulator;
use ibora::readmodel::audit;
use ibora_domain::money::Centavos;
use serde_json::{Value, json};
use sqlx::PgPool;
use uuid::Uuid;

use crate::clients::HERE;
use crate::machine::{EVER, http};
use crate::process::{Person, Process};
use crate::webhooks::bank::control;

const PAUSE: Duration = Duration::from_millis(20);
/// An engine that says nothing for so long is asked again.
const ANSWERED_WITHIN: Duration = Duration::from_secs(10);

/// What an engine is told, so that nobody in a story waits for long.
pub(crate) const QUICK: &[(&str, &str)] = &[
    ("auth.password_memory_kib", "64"),
    ("auth.password_iterations", "1"),
    ("money.hold_ms", "0"),
    ("pix.pause_ms", "200"),
    ("pix.callback_within_ms", "0"),
];

/// Everybody's.
pub(crate) const PASSWORD: &str = "correct horse battery";

/// Makes an admin by hand, as the first one is.
pub(crate) async fn make_admin(process: &Process, name: &'static str) {
    let mut command = process.command();
    let email = format!("{name}@example.com");
    command.args(["admin", "create", "--name", name, "--email", &email, "--password-stdin"]);
    let mut child = command.stdin(Stdio::piped()).spawn().expect("runs");
    let mut password = child.stdin.take().expect("a pipe");
    password.write_all(PASSWORD.as_bytes()).expect("written");
    drop(password);
    let made = block(move || child.wait()).await.expect("a thread");
    assert!(made.expect("runs").success());
}

/// Calls an engine that may be away.
pub(crate) struct Line {
    engine: String,
    http: awc::Client,
    /// Whether everything that is posted is posted twice, under its key.
    pub(crate) repeats: bool,
}

impl Line {
    pub(crate) fn new(engine: String) -> Self {
        let http = awc::Client::builder().timeout(ANSWERED_WITHIN).finish();
        Self { engine, http, repeats: false }
    }

    /// Status and JSON of an answer, if one comes.
    async fn call(
        &self,
        (method, path): (&str, &str),
        token: &str,
        key: &str,
        body: &Value,
    ) -> Option<(u16, Value)> {
        let method = method.parse().expect("a method");
        let call = self.http.request(method, format!("{}{path}", self.engine));
        let call = call.insert_header(("Authorization", format!("Bearer {token}")));
        let call = call.insert_header(("Idempotency-Key", key));
        let sent = if body.is_null() { call.send() } else { call.send_json(body) };
        let mut answer = sent.await.ok()?;
        let text = answer.body().limit(1 << 20).await.ok()?;
        let read = serde_json::from_slice(&text).unwrap_or_default();
        Some((answer.status().as_u16(), read))
    }

    /// Does something once, however often it takes to hear of it.
    pub(crate) async fn does(&self, call: (&str, &str), token: &str, body: Value) -> Value {
        let (key, deadline) = (Uuid::now_v7().to_string(), Instant::now() + EVER);
        let mut before = None;
        loop {
            let heard = self.call(call, token, &key, &body).await;
            match heard {
                // Said twice, done once.
                Some((200..=204, answer)) if !self.repeats || before.as_ref() == Some(&answer) => {
                    return answer;
                }
                Some((200..=204, answer)) => {
                    assert!(before.is_none_or(|before| before == answer), "{call:?} {answer}");
                    before = Some(answer);
                }
                Some((status, answer))
                    if status < 500 && answer["code"] != "idempotency_in_progress" =>
                {
                    panic!("{} {status} {answer}", call.1)
                }
                heard => assert!(Instant::now() < deadline, "{} {heard:?}", call.1),
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    pub(crate) async fn sees(&self, path: &str, token: &str) -> Value {
        self.until(path, token, |_| true).await
    }

    /// The token of an admin.
    pub(crate) async fn logs_in(&self, name: &str) -> String {
        let login = json!({"email": format!("{name}@example.com"), "password": PASSWORD});
        token(&self.does(("POST", "/v1/auth/login"), "", login).await)
    }

    /// What this person sees there, once it is as wanted.
    pub(crate) async fn until(
        &self,
        path: &str,
        token: &str,
        wanted: impl Fn(&Value) -> bool,
    ) -> Value {
        let deadline = Instant::now() + EVER;
        loop {
            let heard = self.call(("GET", path), token, "", &Value::Null).await;
            match heard {
                Some((200, shown)) if wanted(&shown) => return shown,
                heard => assert!(Instant::now() < deadline, "{path} {heard:?}"),
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Accepts a ride once it is offered. An engine that ended and came back meanwhile knows no
    /// places, so the driver says where he is, as an app does.
    pub(crate) async fn accepts(&self, ride: &str, driver: &str) {
        let (path, deadline) = (format!("{ride}/accept"), Instant::now() + EVER);
        let here = json!({"status": "online", "location": {"lat": HERE.0, "lng": HERE.1}});
        loop {
            let key = Uuid::now_v7().to_string();
            let heard = self.call(("POST", &path), driver, &key, &json!({})).await;
            if heard.as_ref().is_some_and(|(status, _)| *status == 200) {
                return;
            }
            assert!(Instant::now() < deadline, "never offered: {heard:?}");
            let key = Uuid::now_v7().to_string();
            self.call(("PUT", "/v1/me/availability"), driver, &key, &here).await;
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// A ride by Pix from where everybody is.
pub(crate) fn pix_order() -> Value {
    json!({"pickup": {"lat": HERE.0, "lng": HERE.1},
        "dropoff": {"lat": HERE.0 - 0.02, "lng": HERE.1}, "category": "economy",
        "payment_method": "pix"})
}

/// The access token in an answer.
pub(crate) fn token(answer: &Value) -> String {
    let tokens = answer.get("tokens").unwrap_or(answer);
    text(tokens, "access_token").to_owned()
}

pub(crate) fn text<'v>(answer: &'v Value, name: &str) -> &'v str {
    answer[name].as_str().unwrap_or_else(|| panic!("no {name} in {answer}"))
}

pub(crate) fn centavos(answer: &Value, name: &str) -> i64 {
    text(answer, name).parse::<Centavos>().expect("an amount").0
}

/// The provider's books.
pub(crate) async fn books_of(simulator: &Simulator) -> Value {
    let url = format!("{}/control/books", simulator.control_url());
    let mut answer = http().get(url).send().await.expect("an answer");
    answer.json().limit(1 << 20).await.expect("books")
}

/// Centavos of the refunds of a receipt that are in this state.
fn refunded(receipt: &Value, state: &str) -> i64 {
    let refunds = receipt["refunds"].as_array().expect("refunds").iter();
    let of_state = refunds.filter(|refund| refund["state"] == state);
    of_state.map(|refund| refund["value"].as_i64().expect("centavos")).sum()
}

/// A driver and a passenger, and their bank.
pub(crate) struct Story<'s> {
    pub(crate) line: Line,
    simulator: &'s Simulator,
    pub(crate) driver: Person,
    pub(crate) passenger: Person,
    /// Charges and payouts that the provider is to have, once each.
    charges: Cell<usize>,
    payouts: Cell<usize>,
}

impl<'s> Story<'s> {
    pub(crate) fn new(engine: String, simulator: &'s Simulator, people: &[Person]) -> Self {
        let one = |role: &str| {
            people.iter().find(|person| person.role == role).expect("one of each").clone()
        };
        Self {
            line: Line::new(engine),
            simulator,
            driver: one("driver"),
            passenger: one("passenger"),
            charges: Cell::new(0),
            payouts: Cell::new(0),
        }
    }

    /// Tells the provider something.
    pub(crate) async fn tell(&self, path: &str, body: Value) -> Value {
        control(self.simulator, path, body).await
    }

    /// The provider's next call of this kind meets this.
    pub(crate) async fn fails(&self, (method, path): (&str, &str), fault: &Value) {
        let form = json!({"on": "api", "method": method, "path": path, "fault": fault});
        self.tell("faults", form).await;
    }

    /// Waits until every fault of a call has happened.
    pub(crate) async fn met(&self) {
        let url = format!("{}/control/faults", self.simulator.control_url());
        let deadline = Instant::now() + EVER;
        loop {
            let mut answer = http().get(&url).send().await.expect("an answer");
            let faults: Value = answer.json().await.expect("faults");
            let faults = faults.as_array().expect("faults").iter();
            let mut of_calls = faults.filter(|fault| fault["on"] == "api");
            if of_calls.all(|fault| fault["hits"].as_u64().is_some_and(|hits| hits > 0)) {
                return;
            }
            assert!(Instant::now() < deadline, "a call that never came");
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Waits until the provider knows where to call for a key.
    pub(crate) async fn is_registered(&self, key: &str) {
        let deadline = Instant::now() + EVER;
        while !self.knows(key).await {
            assert!(Instant::now() < deadline, "never registered");
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn knows(&self, key: &str) -> bool {
        let url = format!("{}/control/webhooks", self.simulator.control_url());
        let mut answer = http().get(url).send().await.expect("an answer");
        let known: Value = answer.json().await.expect("what is known");
        known["registered"].to_string().contains(key)
    }

    /// Nothing fails at the provider any more.
    pub(crate) async fn heals(&self) {
        let url = format!("{}/control/faults", self.simulator.control_url());
        http().delete(url).send().await.expect("cleared");
    }

    /// A ride whose driver is on his way: its path, and its PIN.
    async fn accepted(&self) -> (String, Value) {
        let driver = &self.driver.token;
        let here = json!({"status": "online", "location": {"lat": HERE.0, "lng": HERE.1}});
        self.line.does(("PUT", "/v1/me/availability"), driver, here).await;
        let passenger = &self.passenger.token;
        let ride = self.line.does(("POST", "/v1/rides"), passenger, pix_order()).await;
        let path = format!("/v1/rides/{}", text(&ride, "id"));
        self.line.accepts(&path, driver).await;
        (path, json!({"pin": text(&ride, "pin")}))
    }

    /// The path of what is to be paid for a ride that has ended.
    async fn owed(&self, ride: &str) -> String {
        let token = &self.passenger.token;
        let ended = self.line.until(ride, token, |ride| ride["payment"].is_object()).await;
        format!("/v1/payments/{}", text(&ended["payment"], "payment_id"))
    }

    /// A ride from its request to its end: the path of its payment.
    pub(crate) async fn rides(&self) -> String {
        let (path, pin) = self.accepted().await;
        for (step, body) in [("arrive", json!({})), ("start", pin), ("complete", json!({}))] {
            let call = format!("{path}/{step}");
            self.line.does(("POST", &call), &self.driver.token, body).await;
        }
        self.owed(&path).await
    }

    /// A ride that its passenger calls off when its driver is on his way: the path of its fee.
    pub(crate) async fn calls_off(&self) -> String {
        let (path, _) = self.accepted().await;
        let call = format!("{path}/cancel");
        let body = json!({"reason": "changed_mind"});
        self.line.does(("POST", &call), &self.passenger.token, body).await;
        self.owed(&path).await
    }

    /// The path of the ride that a payment is of.
    pub(crate) async fn ride_of(&self, payment: &str) -> String {
        let shown = self.line.sees(payment, &self.passenger.token).await;
        format!("/v1/rides/{}", text(&shown, "ride_id"))
    }

    /// The passenger gives his driver something on top: the path of his tip.
    pub(crate) async fn tips(&self, ride: &str) -> String {
        self.charges.set(self.charges.get() + 1);
        let (call, body) = (format!("{ride}/tip"), json!({"amount": "5.00"}));
        let tip = self.line.does(("POST", &call), &self.passenger.token, body).await;
        format!("/v1/payments/{}", text(&tip, "payment_id"))
    }

    /// Waits until a payment is in this state.
    pub(crate) async fn is(&self, payment: &str, status: &str) -> Value {
        let token = &self.passenger.token;
        self.line.until(payment, token, |payment| payment["status"] == status).await
    }

    /// Waits until a payment can be paid: its txid.
    pub(crate) async fn charged(&self, payment: &str) -> Value {
        self.charges.set(self.charges.get() + 1);
        let token = &self.passenger.token;
        let shown = self.line.until(payment, token, |shown| shown["pix"].is_object()).await;
        shown["pix"]["txid"].clone()
    }

    /// Asks for another charge of a payment whose charge has ended: its txid.
    pub(crate) async fn charged_again(&self, payment: &str) -> Value {
        let token = &self.passenger.token;
        let shown = self.line.sees(payment, token).await;
        let body = json!({"ride_id": shown["ride_id"]});
        self.line.does(("POST", "/v1/payments/intent"), token, body).await;
        self.charged(payment).await
    }

    /// Somebody pays this charge, as no bank would let him if it cannot be paid any more: the
    /// number of his Pix.
    pub(crate) async fn pays(&self, txid: &Value) -> Value {
        self.tell("pay", json!({"txid": txid, "forced": true})).await["endToEndId"].clone()
    }

    /// An admin gives the passenger credit.
    pub(crate) async fn is_given(&self, admin: &str, amount: &str) {
        let path = format!("/v1/admin/passengers/{}/credit", self.passenger.id);
        let body = json!({"amount": amount, "reason": "waited"});
        self.line.does(("POST", &path), admin, body).await;
    }

    /// The passenger puts credit in.
    pub(crate) async fn tops_up(&self, amount: &str) {
        let body = json!({"amount": amount});
        let asked = self.line.does(("POST", "/v1/me/credit"), &self.passenger.token, body).await;
        let payment = format!("/v1/payments/{}", text(&asked, "payment_id"));
        let txid = self.charged(&payment).await;
        self.pays(&txid).await;
        self.is(&payment, "paid").await;
    }

    /// Waits until the passenger has just so much credit.
    pub(crate) async fn has_credit(&self, amount: &str) {
        let token = &self.passenger.token;
        self.line.until("/v1/me/credit", token, |has| has["balance"] == amount).await;
    }

    /// A ride that is paid: its txid.
    pub(crate) async fn rides_and_pays(&self) -> Value {
        let payment = self.rides().await;
        let txid = self.charged(&payment).await;
        self.pays(&txid).await;
        self.is(&payment, "paid").await;
        txid
    }

    /// Waits until all of a Pix has gone back.
    pub(crate) async fn goes_back(&self, pix: &Value) {
        let deadline = Instant::now() + EVER;
        loop {
            let books = books_of(self.simulator).await;
            let receipts = books["receipts"].as_array().expect("receipts");
            let receipt = receipts.iter().find(|receipt| receipt["e2e_id"] == *pix);
            let receipt = receipt.expect("it came in");
            if receipt["value"] == refunded(receipt, "returned") {
                return;
            }
            assert!(Instant::now() < deadline, "never went back: {receipt}");
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// The driver asks for all that he can take out: the path of his payout.
    pub(crate) async fn takes_out(&self) -> String {
        let token = &self.driver.token;
        let worth_it = |has: &Value| centavos(has, "available") >= 500;
        let has = self.line.until("/v1/me/balance", token, worth_it).await;
        let wish = json!({"amount": has["available"]});
        let asked = self.line.does(("POST", "/v1/payouts"), token, wish).await;
        format!("/v1/payouts/{}", text(&asked, "payout_id"))
    }

    /// Waits until a payout has come to this end.
    pub(crate) async fn ends(&self, payout: &str, status: &str) -> Value {
        self.payouts.set(self.payouts.get() + usize::from(status == "done"));
        let token = &self.driver.token;
        self.line.until(payout, token, |payout| payout["status"] == status).await
    }

    /// Nothing is under way, the provider's books are the ledger, each thing is there once, and
    /// every promise holds.
    pub(crate) async fn is_sound(&self, pool: &PgPool) {
        let deadline = Instant::now() + EVER;
        loop {
            let books = books_of(self.simulator).await;
            let theirs = books["balance"].as_i64();
            let (ours, under_way) = standing(pool).await;
            if theirs == Some(ours) && under_way == 0 {
                self.is_there_once(&books);
                break;
            }
            let said = format!("{theirs:?} there, {ours} here, {under_way} under way");
            assert!(Instant::now() < deadline, "the books never agree: {said}: {books}");
            tokio::time::sleep(PAUSE).await;
        }
        let findings = audit(pool, |_| {}).await.expect("audits");
        let broken: Vec<_> = findings.iter().filter(|found| found.violations > 0).collect();
        assert!(broken.is_empty(), "promises broken: {broken:?}");
    }

    fn is_there_once(&self, books: &Value) {
        assert_eq!(books["consistent"], true);
        let rows = |name: &str| books[name].as_array().expect("rows").iter();
        assert_eq!(rows("charges").count(), self.charges.get(), "{books}");
        let done = rows("payouts").filter(|payout| payout["state"] == "done").count();
        assert_eq!(done, self.payouts.get(), "{books}");
        for receipt in rows("receipts") {
            let value = receipt["value"].as_i64().expect("centavos");
            assert!([0, value].contains(&refunded(receipt, "returned")), "{receipt}");
            assert_eq!(refunded(receipt, "pending"), 0, "{receipt}");
        }
    }
}

/// Centavos that the ledger has with the provider, and that are on their way there or nobody's.
async fn standing(pool: &PgPool) -> (i64, i64) {
    sqlx::query_as(
        "SELECT coalesce(sum(balance) FILTER (WHERE code IN (1000, 1010)), 0)::bigint,
                coalesce(sum(abs(balance)) FILTER (WHERE code IN (1020, 1030, 2100)), 0)::bigint
         FROM (SELECT code, sum(balance) AS balance FROM ledger_running_balances
               GROUP BY code) accounts",
    )
    .fetch_one(pool)
    .await
    .expect("balances")
}
