//! The end of a charge that nobody paid in time, or of which nobody told.

use serde_json::json;

use super::till::Till;

use crate::machine::ms;
use crate::world::UNHURRIED;

#[actix_web::test]
async fn a_charge_that_is_not_paid_in_time_is_taken_back_and_another_can_be_asked_for() {
    let till = Till::open(&[("money.charge_expiry_ms", &ms(1500))]).await;
    let (_, passenger, payment) = till.owed().await;
    let first = till.charged((passenger, payment)).await;
    let over = till.when((passenger, payment), |shown| shown["status"] == "expired").await;
    assert_eq!(over["pix"], json!(null));
    let books = till.bank.books().await;
    let removed = &books["charges"][0];
    assert_eq!(removed["state"], "removed", "{removed}");
    let body = json!({ "ride_id": payment.ride() });
    let again = till.world.post(passenger, "/v1/payments/intent", &body).await.good(201);
    assert_eq!(again["status"], "pending");
    assert_ne!(again["pix"]["txid"], json!(first));
    till.close().await;
}

#[actix_web::test]
async fn a_payment_that_nobody_told_of_is_found_when_its_charge_is_taken_back() {
    let till = Till::open(&[("money.charge_expiry_ms", &ms(1500))]).await;
    let (_, passenger, payment) = till.owed().await;
    let txid = till.charged((passenger, payment)).await;
    till.bank.pay(&txid).await;
    till.when((passenger, payment), |shown| shown["status"] == "paid").await;
    assert_eq!(till.balance(1100).await, 0);
    till.close().await;
}

#[actix_web::test]
async fn a_live_charge_is_looked_at_now_and_then_also_after_a_restart() {
    let mut till = Till::open(&[&[("clock.speed", "20")], UNHURRIED].concat()).await;
    let (_, passenger, payment) = till.owed().await;
    let txid = till.charged((passenger, payment)).await;
    till.world.restart().await;
    till.bank.pay(&txid).await;
    till.when((passenger, payment), |shown| shown["status"] == "paid").await;
    till.close().await;
}
