//! The whole way of a fare, through the public interface of an engine process and its provider's:
//! a ride, its charge, a Pix, the hold, a payout, the statement. The books are sound at each step.

use std::path::PathBuf;

use ibora::pix::simulator::Simulator;
use serde_json::{Value, json};

use crate::clients::HERE;
use crate::process::Process;
use crate::story::{Line, PASSWORD, books_of, centavos, make_admin, pix_order, text, token};
use crate::webhooks::bank::{Door, control, settings, simulator};

/// Long enough to be seen, short enough to wait for.
const HOLD: (&str, &str) = ("money.hold_ms", "4000");

/// An engine process, its provider, and how people call it.
struct Way {
    process: Process,
    line: Line,
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
        let process = Process::start(&settings).await;
        let line = Line::new(process.url(""));
        Self { process, line, simulator, dir }
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

    /// Somebody new: the answer to his registration.
    async fn registers(&self, role: &str, cpf: &str) -> Value {
        let form = json!({"role": role, "name": "Maria", "email": format!("{role}@example.com"),
            "phone": format!("+55119{}", &cpf[..8]), "cpf": cpf, "password": PASSWORD});
        self.line.does(("POST", "/v1/auth/register"), "", form).await
    }

    async fn close(self) {
        drop(self.process);
        self.simulator.stop().await;
        std::fs::remove_dir_all(self.dir).expect("its folder goes");
    }
}

/// A driver of whom everybody knows what is needed, online: his token.
async fn driver(way: &Way) -> String {
    make_admin(&way.process, "ada").await;
    let admin = way.line.logs_in("ada").await;
    let made = way.registers("driver", "52998224725").await;
    let (id, driver) = (text(&made["user"], "id"), token(&made));
    way.line.does(("POST", &format!("/v1/drivers/{id}/approve")), &admin, json!({})).await;
    let key = json!({"pix_key": "maria@example.com", "password": PASSWORD});
    way.line.does(("PUT", "/v1/me/pix-key"), &driver, key).await;
    let here = json!({"status": "online", "location": {"lat": HERE.0, "lng": HERE.1}});
    way.line.does(("PUT", "/v1/me/availability"), &driver, here).await;
    driver
}

/// A ride by Pix from its request to its end: its path.
async fn ridden(way: &Way, driver: &str, passenger: &str) -> String {
    let ride = way.line.does(("POST", "/v1/rides"), passenger, pix_order()).await;
    let path = format!("/v1/rides/{}", text(&ride, "id"));
    way.balanced("a ride was requested").await;
    way.line.accepts(&path, driver).await;
    way.balanced("it was accepted").await;
    way.line.does(("POST", &format!("{path}/arrive")), driver, json!({})).await;
    let pin = json!({"pin": text(&ride, "pin")});
    way.line.does(("POST", &format!("{path}/start")), driver, pin).await;
    way.line.does(("POST", &format!("{path}/complete")), driver, json!({})).await;
    way.balanced("it was completed").await;
    path
}

/// The ride's fare is paid at the provider, who tells us: the centavos of it.
async fn paid(way: &Way, ride: &str, passenger: &str) -> i64 {
    let shown = way.line.until(ride, passenger, |ride| ride["payment"].is_object()).await;
    let path = format!("/v1/payments/{}", text(&shown["payment"], "payment_id"));
    let charged = way.line.until(&path, passenger, |payment| payment["pix"].is_object()).await;
    way.balanced("it was charged").await;
    control(&way.simulator, "pay", json!({"txid": charged["pix"]["txid"]})).await;
    let paid = way.line.until(&path, passenger, |payment| payment["status"] == "paid").await;
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
    let before = way.line.sees("/v1/me/balance", &driver).await;
    let share = centavos(&before, "uncollected");
    let fare = paid(&way, &ride, &passenger).await;
    assert_eq!(share, fare - fare / 5, "all but the commission");

    let free = |has: &Value| centavos(has, "available") == share;
    let has = way.line.until("/v1/me/balance", &driver, free).await;
    assert_eq!((centavos(&has, "held"), centavos(&has, "uncollected")), (0, 0));
    way.balanced("the hold has ended").await;

    let wish = json!({"amount": has["available"]});
    let asked = way.line.does(("POST", "/v1/payouts"), &driver, wish).await;
    way.balanced("a payout was asked for").await;
    let payout = format!("/v1/payouts/{}", text(&asked, "payout_id"));
    let done = way.line.until(&payout, &driver, |payout| payout["status"] == "done").await;
    way.balanced("it was paid out").await;
    assert_eq!(centavos(&done, "net"), share - 50, "all but the fee");

    let books = books_of(&way.simulator).await;
    assert_eq!(books["consistent"], true);
    assert_eq!(books["balance"], fare - (share - 50), "what is left is the platform's");
    assert!(way.run(&["pix", "reconcile"]).await, "and so says the ledger");
    it_is_all_in_the_statement(&way, &driver).await;
    way.balanced("at the end").await;
    way.close().await;
}

/// Held, let go after its time, taken out: nothing else, in this order.
async fn it_is_all_in_the_statement(way: &Way, driver: &str) {
    let lines = way.line.sees("/v1/me/statement", driver).await;
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
    let nothing = way.line.sees("/v1/me/balance", driver).await;
    assert_eq!((&nothing["available"], &nothing["held"]), (&json!("0.00"), &json!("0.00")));
    let earned = way.line.sees("/v1/me/earnings", driver).await;
    assert!(!earned.is_null(), "{earned}");
}
