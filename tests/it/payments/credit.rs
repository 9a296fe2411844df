//! Credit over REST: put in by Pix, given by an admin, and what rides and fees are paid with it.

use actix_web::http::Method;
use ibora::actors::{Caller, Command};
use ibora::db::Db;
use ibora::readmodel::{Ledger, audit};
use ibora_domain::ids::PaymentId;
use ibora_domain::money::Centavos;
use serde_json::{Value, json};

use super::returned::{comes, went_back};
use super::till::Till;
use crate::machine::ms;
use crate::world::request;

const CREDIT: &str = "/v1/me/credit";

impl Till {
    /// Has the charge of a top-up made: its payment, and its txid.
    async fn puts_in(&self, passenger: Caller, amount: &str) -> (PaymentId, String) {
        let body = json!({ "amount": amount });
        let asked = self.world.post(passenger, CREDIT, &body).await.good(201);
        assert_eq!((&asked["due"], &asked["amount"]), (&json!("top_up"), &json!(amount)));
        assert_eq!(asked["ride_id"], json!(null));
        let id = asked["payment_id"].as_str().expect("an id").parse().expect("an id");
        (id, asked["pix"]["txid"].as_str().expect("a charge").to_owned())
    }

    /// Tops up, and pays.
    async fn tops_up(&self, passenger: Caller, amount: &str) -> PaymentId {
        let (payment, txid) = self.puts_in(passenger, amount).await;
        self.paid((passenger, payment), &txid).await;
        payment
    }

    async fn gives(&self, passenger: Caller, amount: &str) -> Value {
        let admin = self.world.admin().await;
        let path = format!("/v1/admin/passengers/{}/credit", passenger.user);
        let body = json!({ "amount": amount, "reason": "waited for half an hour" });
        self.world.post(admin, &path, &body).await.good(201)
    }

    /// What there is beyond what is owed to clients.
    async fn surplus(&self) -> Centavos {
        let ledger = Ledger::new(Db::new(self.world.database().clone()));
        ledger.solvency().await.expect("sums").surplus()
    }

    /// What this passenger has, by what he is shown.
    async fn has(&self, passenger: Caller) -> Value {
        self.world.get(passenger, CREDIT).await.good(200)
    }

    /// His credit as it is booked, what he owes, what is promised to drivers, and held for them;
    /// and that every promise holds.
    async fn stands(&self) -> [i64; 4] {
        let trial: i64 =
            sqlx::query_scalar("SELECT coalesce(sum(amount), 0)::bigint FROM ledger_postings")
                .fetch_one(self.world.database())
                .await
                .expect("a sum");
        assert_eq!(trial, 0, "debits are credits");
        let findings = audit(self.world.database(), |_| {}).await.expect("audits");
        let broken: Vec<_> = findings.iter().filter(|found| found.violations > 0).collect();
        assert!(broken.is_empty(), "promises broken: {broken:?}");
        let (credit, owed) = (-self.balance(2020).await, self.balance(1100).await);
        [credit, owed, -self.balance(2005).await, -self.balance(2000).await]
    }
}

fn centavos(value: &Value) -> i64 {
    value.as_str().expect("a text").parse::<Centavos>().expect("an amount").0
}

fn kinds(credit: &Value) -> Vec<(&str, &str)> {
    let lines = credit["items"].as_array().expect("lines").iter();
    lines
        .map(|line| {
            (line["kind"].as_str().expect("a kind"), line["amount"].as_str().expect("a text"))
        })
        .collect()
}

#[actix_web::test]
async fn what_a_passenger_puts_in_pays_for_his_next_ride_and_a_charge_asks_for_the_rest() {
    let mut till = Till::open(&[]).await;
    let passenger = till.world.passenger().await;
    assert_eq!(till.has(passenger).await["balance"], "0.00");
    let top_up = till.tops_up(passenger, "5.00").await;
    assert_eq!(till.stands().await, [500, 0, 0, 0]);
    let has = till.has(passenger).await;
    assert_eq!((&has["balance"], kinds(&has)), (&json!("5.00"), vec![("pix_prepaid", "5.00")]));
    assert_eq!(has["items"][0]["payment_id"], json!(top_up));

    till.world.restart().await;
    let (_, ride) = till.ended(passenger).await;
    let payment = PaymentId::of_ride(ride);
    let txid = till.charged((passenger, payment)).await;
    let shown = till.payment(passenger, payment).await;
    assert_eq!((&shown["status"], &shown["credited"]), (&json!("pending"), &json!("5.00")));
    let fare = centavos(&shown["amount"]);
    let [credit, owed, promised, held] = till.stands().await;
    assert_eq!((credit, owed, held), (0, fare - 500, 0));
    assert_eq!(till.surplus().await, Centavos(0), "what credit has paid is not the platform's own");
    let refused = till.world.send(passenger, Command::Request(request())).await.expect_err("owes");
    assert_eq!(refused.code(), "debt_outstanding", "the rest is owed");

    till.paid((passenger, payment), &txid).await;
    assert_eq!(till.stands().await, [0, 0, 0, promised]);
    let received = till.bank.books().await;
    let received = received["receipts"].as_array().expect("receipts").last().cloned();
    assert_eq!(received.expect("one")["value"], json!(fare - 500), "what the charge asked for");
    let has = till.has(passenger).await;
    assert_eq!(kinds(&has), [("credit_used", "-5.00"), ("pix_prepaid", "5.00")]);
    assert_eq!(has["items"][0]["payment_id"], json!(payment));
    till.world.send(passenger, Command::Request(request())).await.expect("nothing is owed");
    let admin = till.world.admin().await;
    let back = json!({"amount": shown["amount"], "reason": "all of it"});
    let path = format!("/v1/payments/{payment}/refund");
    let refused = till.world.post(admin, &path, &back).await;
    assert_eq!(refused.problem(422), "refund_too_high", "by Pix goes back what came by Pix");
    till.close().await;
}

#[actix_web::test]
async fn goodwill_pays_a_ride_whole_and_nothing_of_it_goes_back_by_pix() {
    let mut till = Till::open(&[]).await;
    let (passenger, admin) = (till.world.passenger().await, till.world.admin().await);
    let given = till.gives(passenger, "100.00").await;
    assert_eq!((&given["kind"], &given["balance"]), (&json!("goodwill"), &json!("100.00")));
    let path = format!("/v1/admin/passengers/{}/credit", passenger.user);
    let token = till.world.token(admin);
    let body = json!({ "amount": "2.00", "reason": "once" });
    let send =
        async || till.world.call(Method::POST, &path).token(&token).key("g").json(&body).await;
    let first = send().await.good(201);
    assert_eq!(send().await.good(201), first);
    assert_eq!(till.stands().await, [10_200, 0, 0, 0], "once a key");
    let trail = till.world.get(admin, "/v1/audit/logs?action=passenger.credit").await.good(200);
    assert_eq!(trail["items"].as_array().map(Vec::len), Some(2), "{trail}");
    till.world.restart().await;
    let token = till.world.token(admin);
    let again = till.world.call(Method::POST, &path).token(&token).key("g").json(&body).await;
    assert_eq!(again.good(201), first, "also after a restart");

    let (driver, ride) = till.ended(passenger).await;
    let payment = PaymentId::of_ride(ride);
    let paid = till.when((passenger, payment), |shown| shown["status"] == "paid").await;
    assert_eq!((&paid["credited"], &paid["pix"]), (&paid["amount"], &json!(null)));
    let [credit, owed, promised, held] = till.stands().await;
    let fare = centavos(&paid["amount"]);
    assert_eq!((credit, owed, promised), (10_200 - fare, 0, 0));
    let balance = till.world.get(driver, "/v1/me/balance").await.good(200);
    assert_eq!(centavos(&balance["held"]), held, "his share is held as ever");
    let charges = till.bank.books().await["charges"].as_array().map(Vec::len);
    assert_eq!(charges, Some(0), "nobody was charged");
    till.world.send(passenger, Command::Request(request())).await.expect("nothing is owed");

    let back = json!({"amount": "1.00", "reason": "dirty"});
    let refund = till.world.post(admin, &format!("/v1/payments/{payment}/refund"), &back).await;
    assert_eq!(refund.problem(409), "paid_by_credit");
    let contest = json!({"reason": "wrong_fare"});
    for who in [passenger, driver] {
        let path = format!("/v1/rides/{ride}/dispute");
        let contested = till.world.post(who, &path, &contest).await;
        assert!(matches!(contested.status, 409 | 422), "{}", contested.text);
        assert!(contested.text.contains("paid_by_credit"), "{}", contested.text);
    }
    assert_eq!(till.stands().await, [10_200 - fare, 0, 0, held]);
    till.close().await;
}

#[actix_web::test]
async fn what_is_done_to_credit_behind_the_engine_is_found() {
    let till = Till::open(&[]).await;
    let passenger = till.world.passenger().await;
    till.gives(passenger, "3.00").await;
    let top_up = till.tops_up(passenger, "5.00").await;
    let (_, ride) = till.ended(passenger).await;
    let payment = PaymentId::of_ride(ride);
    let txid = till.charged((passenger, payment)).await;
    till.paid((passenger, payment), &txid).await;
    till.stands().await;
    let lots = "passenger_credits SET";
    for (change, back, promise) in [
        (format!("{lots} used = used - 1"), format!("{lots} used = used + 1"), "MONEY_15"),
        (
            format!("{lots} payment_id = '{payment}' WHERE payment_id = '{top_up}'"),
            format!("{lots} payment_id = '{top_up}' WHERE payment_id = '{payment}'"),
            "MONEY_16",
        ),
        (
            format!("payment_intents SET amount = amount + 1 WHERE id = '{payment}'"),
            format!("payment_intents SET amount = amount - 1 WHERE id = '{payment}'"),
            "MONEY_16",
        ),
    ] {
        let update = async |what: &str| {
            let update = sqlx::AssertSqlSafe(format!("UPDATE {what}"));
            sqlx::raw_sql(update).execute(till.world.database()).await.expect("changed");
        };
        update(&change).await;
        let findings = audit(till.world.database(), |_| {}).await.expect("audits");
        let broken = findings.iter().filter(|found| found.violations > 0);
        let broken: Vec<_> = broken.map(|found| found.invariant.id()).collect();
        assert_eq!(broken, [promise], "{change}");
        update(&back).await;
    }
    till.close().await;
}

#[actix_web::test]
async fn a_waived_fee_gives_the_credit_back_that_had_paid_of_it() {
    let till = Till::open(&[]).await;
    let passenger = till.world.passenger().await;
    till.gives(passenger, "2.00").await;
    let fee = till.fee_of(passenger).await;
    till.charged((passenger, fee)).await;
    assert_eq!(till.stands().await, [0, 300, 400, 0]);
    let admin = till.world.admin().await;
    let path = format!("/v1/payments/{fee}/waive");
    let waived = till.world.post(admin, &path, &json!({"reason": "rain"})).await.good(200);
    assert_eq!((&waived["status"], &waived["credited"]), (&json!("waived"), &json!("0.00")));
    assert_eq!(till.stands().await, [200, 0, 0, 0]);
    let has = till.has(passenger).await;
    let lines =
        [("credit_returned", "2.00"), ("credit_used", "-2.00"), ("goodwill_credit", "2.00")];
    assert_eq!(kinds(&has), lines);
    let again = till.fee_of(passenger).await;
    till.charged((passenger, again)).await;
    assert_eq!(till.stands().await, [0, 300, 400, 0], "it pays for the next");
    till.close().await;
}

#[actix_web::test]
async fn credit_that_came_meanwhile_pays_of_a_ride_when_its_charge_is_asked_for_anew() {
    let till = Till::open(&[("money.charge_expiry_ms", &ms(1500))]).await;
    let (_, passenger, payment) = till.owed().await;
    till.when((passenger, payment), |shown| shown["status"] == "expired").await;
    till.gives(passenger, "5.00").await;
    let body = json!({ "ride_id": payment.ride() });
    let again = till.world.post(passenger, "/v1/payments/intent", &body).await.good(201);
    assert_eq!((&again["status"], &again["credited"]), (&json!("pending"), &json!("5.00")));
    let txid = again["pix"]["txid"].as_str().expect("a charge").to_owned();
    till.paid((passenger, payment), &txid).await;
    let [credit, owed, promised, _] = till.stands().await;
    assert_eq!((credit, owed, promised), (0, 0, 0));
    till.close().await;
}

#[actix_web::test]
async fn a_top_up_that_is_not_paid_lapses_and_what_comes_for_it_later_goes_back() {
    let till = Till::open(&[("money.charge_expiry_ms", &ms(1500))]).await;
    let passenger = till.world.passenger().await;
    let (payment, txid) = till.puts_in(passenger, "20.00").await;
    till.world.send(passenger, Command::Request(request())).await.expect("it is no debt");
    till.when((passenger, payment), |shown| shown["status"] == "lapsed").await;
    let late = comes(&till, Some(&txid), "20.00").await;
    went_back(&till, &late).await;
    assert_eq!(till.stands().await, [0, 0, 0, 0]);
    till.close().await;
}

#[actix_web::test]
async fn a_top_up_that_is_paid_wrong_or_twice_is_credit_once_and_the_rest_goes_back() {
    let mut till = Till::open(&[]).await;
    let passenger = till.world.passenger().await;
    let (payment, txid) = till.puts_in(passenger, "30.00").await;
    till.world.restart().await;
    let wrong = comes(&till, Some(&txid), "29.99").await;
    went_back(&till, &wrong).await;
    till.when((passenger, payment), |shown| shown["status"] == "lapsed").await;
    let (payment, txid) = till.puts_in(passenger, "30.00").await;
    till.paid((passenger, payment), &txid).await;
    let twice = comes(&till, Some(&txid), "30.00").await;
    went_back(&till, &twice).await;
    assert_eq!(till.stands().await, [3000, 0, 0, 0]);
    till.close().await;
}

#[actix_web::test]
async fn one_key_puts_in_once_and_another_amount_under_it_nothing() {
    let mut till = Till::open(&[]).await;
    let passenger = till.world.passenger().await;
    let send = async |till: &Till, key: &'static str, amount: &str| {
        let token = till.world.token(passenger);
        let call = till.world.call(Method::POST, CREDIT).token(&token);
        call.key(key).json(&json!({ "amount": amount })).await
    };
    let first = send(&till, "k", "20.00").await.good(201);
    assert_eq!(send(&till, "k", "20.00").await.good(201), first, "the same answer");
    assert_eq!(send(&till, "k", "21.00").await.problem(422), "idempotency_key_reused");
    till.world.restart().await;
    assert_eq!(send(&till, "k", "20.00").await.good(201), first);
    assert_eq!(send(&till, "k", "21.00").await.problem(422), "idempotency_key_reused");
    let other = send(&till, "l", "20.00").await.good(201);
    assert_ne!(other["payment_id"], first["payment_id"], "another wish");
    let charges = till.bank.books().await["charges"].as_array().map(Vec::len);
    assert_eq!(charges, Some(2));
    till.close().await;
}

#[actix_web::test]
async fn what_is_no_amount_or_not_allowed_is_refused_and_moves_nothing() {
    let till = Till::open(&[("money.credit_max", "600.00")]).await;
    let (passenger, admin) = (till.world.passenger().await, till.world.admin().await);
    let give = format!("/v1/admin/passengers/{}/credit", passenger.user);
    for bad in [
        json!(20),
        json!(20.0),
        json!("20"),
        json!("20.0"),
        json!("20.000"),
        json!("2e1"),
        json!("-20.00"),
        json!("0.00"),
        json!("NaN"),
        json!("２０.００"),
        json!("92233720368547758.08"),
        json!(null),
        json!(["20.00"]),
    ] {
        let refused = till.world.post(passenger, CREDIT, &json!({ "amount": bad })).await;
        assert_eq!(refused.problem(422), "invalid", "{bad}");
        let body = json!({ "amount": bad, "reason": "x" });
        assert_eq!(till.world.post(admin, &give, &body).await.problem(422), "invalid", "{bad}");
    }
    for beyond in ["0.01", "4.99", "500.01", "92233720368547758.07"] {
        let refused = till.world.post(passenger, CREDIT, &json!({ "amount": beyond })).await;
        assert_eq!(refused.problem(422), "amount_out_of_range", "{beyond}");
    }
    for beyond in ["600.01", "92233720368547758.07"] {
        let body = json!({ "amount": beyond, "reason": "x" });
        let refused = till.world.post(admin, &give, &body).await;
        assert_eq!(refused.problem(422), "amount_out_of_range", "{beyond}");
    }
    let good = json!({ "amount": "20.00", "reason": "x" });
    for bad in [json!({"amount": "20.00"}), json!({"amount": "20.00", "reason": ""})] {
        assert_eq!(till.world.post(admin, &give, &bad).await.problem(422), "invalid", "{bad}");
    }
    assert_eq!(till.world.post(passenger, &give, &good).await.problem(403), "insufficient_scope");
    let driver = till.world.driver().await;
    let of_driver = format!("/v1/admin/passengers/{}/credit", driver.user);
    assert_eq!(till.world.post(admin, &of_driver, &good).await.problem(404), "not_found");
    let nobody = format!("/v1/admin/passengers/{}/credit", uuid::Uuid::now_v7());
    assert_eq!(till.world.post(admin, &nobody, &good).await.problem(404), "not_found");
    let amount = json!({ "amount": "20.00" });
    assert_eq!(till.world.post(driver, CREDIT, &amount).await.problem(403), "forbidden");
    assert_eq!(till.world.get(driver, CREDIT).await.problem(403), "forbidden");
    assert_eq!(till.stands().await, [0, 0, 0, 0]);

    till.puts_in(passenger, "500.00").await;
    let more = till.world.post(passenger, CREDIT, &json!({ "amount": "101.00" })).await;
    assert_eq!(more.problem(422), "amount_out_of_range", "with what he is about to put in");
    let (_, debtor, _) = till.owed().await;
    let owes = till.world.post(debtor, CREDIT, &amount).await;
    assert_eq!(owes.problem(409), "debt_outstanding");
    let (payment, _) = till.puts_in(till.world.passenger().await, "20.00").await;
    let others = till.world.get(passenger, &format!("/v1/payments/{payment}")).await;
    assert_eq!(others.problem(404), "not_found");
    let refund = json!({"amount": "1.00", "reason": "x"});
    let asked = till.world.post(admin, &format!("/v1/payments/{payment}/refund"), &refund).await;
    assert_eq!(asked.problem(409), "illegal_transition", "a top-up is not refunded");
    till.close().await;
}
