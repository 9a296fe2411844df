//! Pix that are good for nothing: late, twice, too much, too little, for nobody. They go back.

use ibora_domain::pix::{EndToEndId, Txid};
use serde_json::{Value, json};

use super::till::Till;

use crate::machine::ms;

/// Somebody pays as his bank would not let him, and we are told.
pub(super) async fn comes(till: &Till, txid: Option<&str>, value: &str) -> String {
    let key = "ibora@example.com";
    let form = json!({ "txid": txid, "key": key, "value": value, "forced": true });
    let paid = till.bank.tell("pay", form).await;
    let pix = paid["endToEndId"].as_str().expect("a number").to_owned();
    let txid = txid.map(|txid| Txid::parse(txid).expect("a txid"));
    let told = EndToEndId::parse(&pix).expect("a number");
    till.world.dispatch().payment_hint(txid.as_ref(), told, None);
    pix
}

/// Waits until the provider has given all of a Pix back, and we know it.
pub(super) async fn went_back(till: &Till, pix: &str) {
    till.world
        .until("it went back", async || {
            let done: i64 = sqlx::query_scalar(
                "SELECT count(*) FROM pix_refunds WHERE end_to_end = $1 AND status = 'done'",
            )
            .bind(pix)
            .fetch_one(till.world.database())
            .await
            .expect("a count");
            done == 1
        })
        .await;
    let books = till.bank.books().await;
    let receipts = books["receipts"].as_array().expect("receipts").iter();
    let mut of_pix = receipts.filter(|receipt| receipt["e2e_id"] == pix);
    let receipt = of_pix.next().expect("it came in");
    let refunds = receipt["refunds"].as_array().expect("refunds").iter();
    let back: i64 = refunds.filter(|refund| refund["state"] != "failed").map(cents).sum();
    assert_eq!(back, cents(receipt), "all of it, once");
}

fn cents(row: &Value) -> i64 {
    row["value"].as_i64().expect("centavos")
}

/// What the ledger says of money that is nobody's: in suspense, on its way back.
async fn unsettled(till: &Till) -> (i64, i64) {
    (till.balance(2100).await, till.balance(1030).await)
}

#[actix_web::test]
async fn a_second_pix_for_what_was_paid_goes_back() {
    let till = Till::open(&[]).await;
    let (_, passenger, payment) = till.owed().await;
    let txid = till.charged((passenger, payment)).await;
    let paid = till.paid((passenger, payment), &txid).await;
    let pix = comes(&till, Some(&txid), paid["amount"].as_str().expect("a text")).await;
    went_back(&till, &pix).await;
    assert_eq!(unsettled(&till).await, (0, 0));
    assert_eq!(till.payment(passenger, payment).await["status"], "paid");
    assert_eq!(till.payment(passenger, payment).await["refunded"], "0.00", "what paid it stays");
    till.close().await;
}

#[actix_web::test]
async fn another_amount_goes_back_and_the_ride_is_still_owed() {
    let till = Till::open(&[]).await;
    let (_, passenger, payment) = till.owed().await;
    let txid = till.charged((passenger, payment)).await;
    let pix = comes(&till, Some(&txid), "1.00").await;
    went_back(&till, &pix).await;
    let owed = till.payment(passenger, payment).await;
    assert_eq!((&owed["status"], &owed["pix"]), (&json!("expired"), &json!(null)));
    assert_eq!(unsettled(&till).await, (0, 0));
    let body = json!({ "ride_id": payment.ride() });
    let again = till.world.post(passenger, "/v1/payments/intent", &body).await.good(201);
    let second = again["pix"]["txid"].as_str().expect("a new charge");
    assert_ne!(second, txid);
    till.paid((passenger, payment), second).await;
    assert_eq!(till.balance(1100).await, 0);
    till.close().await;
}

#[actix_web::test]
async fn a_pix_that_nobody_asked_for_goes_back_also_when_the_provider_could_not_at_first() {
    let till = Till::open(&[("clock.speed", "60")]).await;
    till.bank.tell("script", json!({ "fail_refunds": 1 })).await;
    let pix = comes(&till, None, "5.00").await;
    went_back(&till, &pix).await;
    let foreign = "z".repeat(32);
    let pix = comes(&till, Some(&foreign), "7.00").await;
    went_back(&till, &pix).await;
    assert_eq!(unsettled(&till).await, (0, 0));
    let tries: i64 = sqlx::query_scalar("SELECT count(*) FROM pix_refunds")
        .fetch_one(till.world.database())
        .await
        .expect("a count");
    assert_eq!(tries, 3, "the first moved nothing");
    till.close().await;
}

#[actix_web::test]
async fn late_and_exact_it_pays_the_ride_all_the_same() {
    let till = Till::open(&[("money.charge_expiry_ms", &ms(1500))]).await;
    let (_, passenger, payment) = till.owed().await;
    let txid = till.charged((passenger, payment)).await;
    let owed = till.when((passenger, payment), |shown| shown["status"] == "expired").await;
    let pix = comes(&till, Some(&txid), owed["amount"].as_str().expect("a text")).await;
    till.when((passenger, payment), |shown| shown["status"] == "paid").await;
    let kinds: Vec<String> = sqlx::query_scalar(
        "SELECT kind FROM financial_events WHERE key LIKE 'pix:' || $1 || '%' ORDER BY id",
    )
    .bind(&pix)
    .fetch_all(till.world.database())
    .await
    .expect("events");
    assert_eq!(kinds, ["pix_suspended", "pix_resolved"], "through suspense");
    assert_eq!(unsettled(&till).await, (0, 0));
    till.close().await;
}
