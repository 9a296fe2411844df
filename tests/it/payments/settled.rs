//! What comes in for a charge: what settles it, what goes back.

use ibora_domain::money::Centavos;
use ibora_domain::pix::{EndToEndId, Txid};
use serde_json::json;

use super::till::Till;

#[actix_web::test]
async fn a_pix_that_is_confirmed_settles_once_however_often_it_is_told() {
    let till = Till::open(&[]).await;
    let (driver, passenger, payment) = till.owed().await;
    let txid = till.charged((passenger, payment)).await;
    let pix = EndToEndId::parse(&till.bank.pay(&txid).await).expect("a number");
    let txid = Txid::parse(&txid).expect("a txid");
    for _ in 0..100 {
        till.world.dispatch().payment_hint(Some(&txid), pix.clone(), None);
        till.world.dispatch().payment_hint(None, pix.clone(), None);
    }
    let paid = till.when((passenger, payment), |shown| shown["status"] == "paid").await;
    assert_eq!(paid["pix"], json!(null), "there is nothing to pay any more");
    let amount: Centavos = paid["amount"].as_str().expect("a text").parse().expect("an amount");
    assert_eq!((till.balance(1100).await, till.balance(1010).await), (0, amount.0));
    assert_eq!((till.balance(2100).await, till.balance(1030).await), (0, 0));
    let held: (uuid::Uuid, i64) = sqlx::query_as("SELECT driver_id, amount FROM holds")
        .fetch_one(till.world.database())
        .await
        .expect("one hold");
    assert_eq!(held, (driver.user.0, -till.balance(2000).await));
    till.close().await;
}

#[actix_web::test]
async fn a_word_of_a_pix_that_the_provider_does_not_know_books_nothing() {
    let till = Till::open(&[]).await;
    let (_, passenger, payment) = till.owed().await;
    let txid = Txid::parse(&till.charged((passenger, payment)).await).expect("a txid");
    let forged = EndToEndId::parse("E00000000202611261200forged00001").expect("a number");
    till.world.dispatch().payment_hint(Some(&txid), forged.clone(), None);
    till.world.dispatch().payment_hint(None, forged, None);
    let asked = "ibora_effects_total{effect=\"confirm\",outcome=\"absent\"}";
    till.world
        .until("the provider is asked", async || till.world.app().metrics.render().contains(asked))
        .await;
    assert_eq!(till.payment(passenger, payment).await["status"], "pending");
    let came_in: i64 = sqlx::query_scalar("SELECT count(*) FROM pix_received")
        .fetch_one(till.world.database())
        .await
        .expect("a count");
    assert_eq!(came_in, 0);
    till.close().await;
}
