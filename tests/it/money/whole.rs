//! The whole way of a fare, through the public interface of an engine process and its provider's:
//! a ride, its charge, a Pix, the hold, a payout, the statement. The books are sound at each step.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use ibora::pix::simulator::Simulator;
use ibora_domain::money::Centavos;
use serde_json::{Value, json};

use crate::clients::HERE;
use crate::process::Process;
use crate::webhooks::bank::{Door, control, settings, simulator};

const PASSWORD: &str = "correct horse battery";
/// Long enough to be seen, short enough to wait for.
const HOLD: (&str, &str) = ("money.hold_ms", "4000");

/// An engine process, its provider, and how people call it.
struct Way {
    process: Process,
    simulator: Simulator,
    dir: PathBuf,
}

impl Way {
    async fn open() -> Self {
        let (simulator, dir) = simulator().await;
        let settings = settings(&simulator, Door::Certificate);
        let settings = settings.iter().map(|(key, value)| (*key, value.as_str()));
        let quick = [HOLD, ("auth.password_memory_kib", "64"), ("auth.password_iterations", "1")];
        let settings: Vec<_> = settings.chain(quick).collect();
        Self { process: Process::start(&settings).await, simulator, dir }
    }

    /// Runs a command of the program beside this thread, on which the provider answers: whether it
    /// went well.
    async fn run(&self, args: &[&str]) -> bool {
        let mut command = self.process.command();
        command.args(args);
        let status = actix_web::web::block(move || command.status()).await.expect("a thread");
        status.expect("runs").success()
    }

    /// Every promise holds, and debits equal credits.
    async fn balanced(&self, step: &str) {
        assert!(self.run(&["audit"]).await, "the audit, {step}");
        assert!(self.run(&["ledger", "trial"]).await, "the trial balance, {step}");
    }

    async fn call(&self, method: &str, path: &str, who: &str, body: &Value) -> (u16, Value) {
        let method = method.parse().expect("a method");
        let call = awc::Client::new().request(method, self.process.url(path));
        let call = call.insert_header(("Authorization", format!("Bearer {who}")));
        let sent = if body.is_null() { call.send() } else { call.send_json(body) };
        let mut answer = sent.await.expect("an answer");
        let read = answer.json().await.unwrap_or_default();
        (answer.status().as_u16(), read)
    }

    /// A change that goes well.
    async fn does(&self, call: (&str, &str), who: &str, body: Value) -> Value {
        let (status, answer) = self.call(call.0, call.1, who, &body).await;
        assert!(matches!(status, 200..=204), "{} {status} {answer}", call.1);
        answer
    }

    async fn sees(&self, path: &str, who: &str) -> Value {
        self.does(("GET", path), who, Value::Null).await
    }

    /// What this person sees there, once it is as wanted.
    async fn until(&self, path: &str, who: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let (_, shown) = self.call("GET", path, who, &Value::Null).await;
            if wanted(&shown) {
                return shown;
            }
            assert!(Instant::now() < deadline, "never as wanted: {path}: {shown}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// An admin made by hand, as the first one is: his token.
    async fn admin(&self) -> String {
        let mut command = self.process.command();
        command.args(["admin", "create", "--name", "Ada", "--email", "ada@example.com"]);
        command.arg("--password-stdin").stdin(Stdio::piped());
        let mut child = command.spawn().expect("runs");
        let mut password = child.stdin.take().expect("a pipe");
        std::io::Write::write_all(&mut password, PASSWORD.as_bytes()).expect("written");
        drop(password);
        let made = actix_web::web::block(move || child.wait()).await.expect("a thread");
        assert!(made.expect("runs").success());
        let login = json!({"email": "ada@example.com", "password": PASSWORD});
        token(&self.does(("POST", "/v1/auth/login"), "", login).await)
    }

    /// Somebody new: the answer to his registration.
    async fn registers(&self, role: &str, cpf: &str) -> Value {
        let form = json!({"role": role, "name": "Maria", "email": format!("{role}@example.com"),
            "phone": format!("+55119{}", &cpf[..8]), "cpf": cpf, "password": PASSWORD});
        self.does(("POST", "/v1/auth/register"), "", form).await
    }

    async fn close(self) {
        drop(self.process);
        self.simulator.stop().await;
        std::fs::remove_dir_all(self.dir).expect("its folder goes");
    }
}

fn token(answer: &Value) -> String {
    let tokens = if answer["tokens"].is_null() { answer } else { &answer["tokens"] };
    tokens["access_token"].as_str().expect("a token").to_owned()
}

fn text<'v>(answer: &'v Value, name: &str) -> &'v str {
    answer[name].as_str().unwrap_or_else(|| panic!("no {name} in {answer}"))
}

fn centavos(answer: &Value, name: &str) -> i64 {
    text(answer, name).parse::<Centavos>().expect("an amount").0
}

/// A driver of whom everybody knows what is needed, online: his token.
async fn driver(way: &Way) -> String {
    let admin = way.admin().await;
    let made = way.registers("driver", "52998224725").await;
    let (id, driver) = (text(&made["user"], "id"), token(&made));
    way.does(("POST", &format!("/v1/drivers/{id}/approve")), &admin, json!({})).await;
    let key = json!({"pix_key": "maria@example.com", "password": PASSWORD});
    way.does(("PUT", "/v1/me/pix-key"), &driver, key).await;
    let here = json!({"status": "online", "location": {"lat": HERE.0, "lng": HERE.1}});
    way.does(("PUT", "/v1/me/availability"), &driver, here).await;
    driver
}

/// A ride by Pix from its request to its end: its path.
async fn ridden(way: &Way, driver: &str, passenger: &str) -> String {
    let order = json!({"pickup": {"lat": HERE.0, "lng": HERE.1},
        "dropoff": {"lat": HERE.0 - 0.02, "lng": HERE.1}, "category": "economy",
        "payment_method": "pix"});
    let ride = way.does(("POST", "/v1/rides"), passenger, order).await;
    let path = format!("/v1/rides/{}", text(&ride, "id"));
    way.balanced("a ride was requested").await;
    let deadline = Instant::now() + Duration::from_secs(60);
    while way.call("POST", &format!("{path}/accept"), driver, &json!({})).await.0 != 200 {
        assert!(Instant::now() < deadline, "never offered");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    way.balanced("it was accepted").await;
    way.does(("POST", &format!("{path}/arrive")), driver, json!({})).await;
    let pin = json!({"pin": text(&ride, "pin")});
    way.does(("POST", &format!("{path}/start")), driver, pin).await;
    way.does(("POST", &format!("{path}/complete")), driver, json!({})).await;
    way.balanced("it was completed").await;
    path
}

/// The ride's fare is paid at the provider, who tells us: the centavos of it.
async fn paid(way: &Way, ride: &str, passenger: &str) -> i64 {
    let shown = way.until(ride, passenger, |ride| ride["payment"].is_object()).await;
    let path = format!("/v1/payments/{}", text(&shown["payment"], "payment_id"));
    let charged = way.until(&path, passenger, |payment| payment["pix"].is_object()).await;
    way.balanced("it was charged").await;
    control(&way.simulator, "pay", json!({"txid": charged["pix"]["txid"]})).await;
    let paid = way.until(&path, passenger, |payment| payment["status"] == "paid").await;
    way.balanced("it was paid").await;
    centavos(&paid, "amount")
}

#[actix_web::test]
async fn a_fare_goes_from_the_passenger_s_bank_to_the_driver_s_and_the_books_are_sound_throughout()
{
    let way = Way::open().await;
    let driver = driver(&way).await;
    let passenger = token(&way.registers("passenger", "11144477735").await);
    let ride = ridden(&way, &driver, &passenger).await;
    let before = way.sees("/v1/me/balance", &driver).await;
    let share = centavos(&before, "uncollected");
    let fare = paid(&way, &ride, &passenger).await;
    assert_eq!(share, fare - fare / 5, "all but the commission");

    let free = |has: &Value| centavos(has, "available") == share;
    let has = way.until("/v1/me/balance", &driver, free).await;
    assert_eq!((centavos(&has, "held"), centavos(&has, "uncollected")), (0, 0));
    way.balanced("the hold has ended").await;

    let wish = json!({"amount": has["available"]});
    let asked = way.does(("POST", "/v1/payouts"), &driver, wish).await;
    way.balanced("a payout was asked for").await;
    let payout = format!("/v1/payouts/{}", text(&asked, "payout_id"));
    let done = way.until(&payout, &driver, |payout| payout["status"] == "done").await;
    way.balanced("it was paid out").await;
    assert_eq!(centavos(&done, "net"), share - 50, "all but the fee");

    let url = format!("{}/control/books", way.simulator.control_url());
    let mut books = awc::Client::new().get(url).send().await.expect("an answer");
    let books: Value = books.json().limit(1 << 20).await.expect("books");
    assert_eq!(books["consistent"], true);
    assert_eq!(books["balance"], fare - (share - 50), "what is left is the platform's");
    assert!(way.run(&["pix", "reconcile"]).await, "and so says the ledger");
    it_is_all_in_the_statement(&way, &driver).await;
    way.balanced("at the end").await;
    way.close().await;
}

/// Held, let go after its time, taken out: nothing else, in this order.
async fn it_is_all_in_the_statement(way: &Way, driver: &str) {
    let lines = way.sees("/v1/me/statement", driver).await;
    let lines = lines["items"].as_array().expect("lines");
    let of = |line: &Value| (text(line, "kind").to_owned(), text(line, "pocket").to_owned());
    let expected = [
        ("payout_requested", "available"),
        ("hold_released", "available"),
        ("hold_released", "held"),
        ("pix_received", "held"),
    ];
    let expected = expected.map(|(kind, pocket)| (kind.to_owned(), pocket.to_owned()));
    assert_eq!(lines.iter().map(of).collect::<Vec<_>>(), expected);
    let nothing = way.sees("/v1/me/balance", driver).await;
    assert_eq!((&nothing["available"], &nothing["held"]), (&json!("0.00"), &json!("0.00")));
    let earned = way.sees("/v1/me/earnings", driver).await;
    assert!(!earned.is_null(), "{earned}");
}
