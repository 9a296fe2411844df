//! Refunds at the driver's cost: each gives back his share, once, whatever happens on the way.

use awc::http::Method;
use ibora::actors::Caller;
use ibora_domain::ids::PaymentId;
use serde_json::{Value, json};

use super::till::Till;

/// A ride that was paid: its driver, its passenger, its payment, and what it cost, in centavos.
pub(super) async fn paid(till: &Till) -> (Caller, Caller, PaymentId, i64) {
    let (driver, passenger, payment) = till.owed().await;
    let txid = till.charged((passenger, payment)).await;
    let paid = till.paid((passenger, payment), &txid).await;
    (driver, passenger, payment, cents(&paid["amount"]))
}

pub(super) fn cents(amount: &Value) -> i64 {
    let text = amount.as_str().expect("a text").replace('.', "");
    text.parse().expect("an amount")
}

pub(super) fn reais(cents: i64) -> String {
    format!("{}.{:02}", cents / 100, cents % 100)
}

/// What of a fare is the driver's: commission is rounded down.
pub(super) const fn share(fare: i64) -> i64 {
    fare - fare / 5
}

async fn refund(till: &Till, payment: PaymentId, amount: i64, key: &str) -> Value {
    let admin = till.world.admin().await;
    refund_by(till, admin, (payment, amount), key).await
}

async fn refund_by(
    till: &Till,
    admin: Caller,
    (payment, amount): (PaymentId, i64),
    key: &str,
) -> Value {
    let admin = till.world.token(admin);
    let body = json!({"amount": reais(amount), "reason": "never driven", "borne_by": "driver"});
    let call = till.world.call(Method::POST, &format!("/v1/payments/{payment}/refund"));
    call.token(&admin).key(key).json(&body).await.good(200)
}

/// The balances of what a driver has of a fare, the platform's commission, and what is on its way.
async fn stand(till: &Till) -> [i64; 5] {
    let mut stand = [0; 5];
    for (balance, code) in stand.iter_mut().zip([2000, 2010, 1110, 4000, 1030]) {
        *balance = till.balance(code).await;
    }
    stand
}

#[actix_web::test]
async fn e10_a_refund_at_the_drivers_cost_takes_both_shares_and_arrives_once() {
    let till = Till::open(&[]).await;
    let (_, passenger, payment, fare) = paid(&till).await;
    assert_eq!(stand(&till).await, [-share(fare), 0, 0, share(fare) - fare, 0]);
    let half = fare / 2;
    refund(&till, payment, half, "first").await;
    till.when((passenger, payment), |shown| shown["refunded"] == reais(half).as_str()).await;
    refund(&till, payment, fare - half, "second").await;
    till.when((passenger, payment), |shown| shown["refunded"] == reais(fare).as_str()).await;
    till.world.until("both shares are given back", async || stand(&till).await == [0; 5]).await;
    let receipts = till.bank.books().await["receipts"].clone();
    assert_eq!(receipts[0]["refunds"].as_array().map(Vec::len), Some(2), "{receipts}");
    till.close().await;
}

#[actix_web::test]
async fn e10c_case_21_what_the_provider_could_not_give_back_is_as_if_it_had_not_been() {
    let till = Till::open(&[]).await;
    till.bank.tell("script", json!({ "fail_refunds": 1 })).await;
    let (_, passenger, payment, fare) = paid(&till).await;
    let before = stand(&till).await;
    refund(&till, payment, fare, "first").await;
    till.world
        .until("it was reversed", async || {
            let reversed: i64 = sqlx::query_scalar(
                "SELECT count(*) FROM financial_events WHERE kind = 'refund_failed'
                 AND reverses IS NOT NULL",
            )
            .fetch_one(till.world.database())
            .await
            .expect("a count");
            reversed == 1
        })
        .await;
    assert_eq!(stand(&till).await, before, "exactly");
    refund(&till, payment, fare, "again").await;
    till.when((passenger, payment), |shown| shown["status"] == "refunded").await;
    till.world.until("now it is gone", async || stand(&till).await == [0; 5]).await;
    till.close().await;
}

#[actix_web::test]
async fn e12_case_22_a_driver_who_was_paid_out_owes_his_share() {
    let mut till = Till::open(&[("money.hold_ms", "0"), ("money.payout_minimum", "1.00")]).await;
    let (driver, passenger, payment, fare) = paid(&till).await;
    let free = async || till.balance(2010).await == -share(fare);
    till.world.until("his share is free", free).await;
    // As a payout that was done would leave it.
    sqlx::query(
        "SELECT ledger_write(9::smallint, ARRAY[gen_random_uuid()], ARRAY['test:paid_out'],
             ARRAY['payout_done'], ARRAY['driver'], ARRAY[$1], ARRAY[0]::smallint[],
             ARRAY[NULL]::text[], ARRAY[2]::smallint[], ARRAY[now()], ARRAY[1, 1],
             ARRAY[1, 2]::smallint[], ARRAY[2010, 3000]::smallint[],
             ARRAY[$1, '00000000-0000-0000-0000-000000000000'::uuid],
             ARRAY[$2, -$2]::bigint[])",
    )
    .bind(driver.user.0)
    .bind(share(fare))
    .execute(&*till.world.owner_pool().await)
    .await
    .expect("booked");
    till.world.restart().await;
    refund(&till, payment, fare, "first").await;
    till.when((passenger, payment), |shown| shown["status"] == "refunded").await;
    let owes = async || stand(&till).await == [0, 0, share(fare), 0, 0];
    till.world.until("he owes it", owes).await;
    till.close().await;
}

#[actix_web::test]
async fn a_refund_that_both_bear_survives_a_restart_and_an_answer_that_is_lost() {
    let mut till = Till::open(&[]).await;
    let (_, passenger, payment, fare) = paid(&till).await;
    till.bank.fails("PUT", "devolucao", json!({"kind": "drop_after"})).await;
    let admin = till.world.admin().await;
    let first = refund_by(&till, admin, (payment, fare), "first").await;
    till.world.restart().await;
    assert_eq!(refund_by(&till, admin, (payment, fare), "first").await, first);
    till.when((passenger, payment), |shown| shown["status"] == "refunded").await;
    till.world.until("it is gone, once", async || stand(&till).await == [0; 5]).await;
    till.close().await;
}
