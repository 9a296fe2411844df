//! From the end of a ride to a charge that can be paid.

use ibora::pix::brcode::BrCode;
use ibora_domain::money::Centavos;
use ibora_domain::payment::Payment;
use ibora_domain::pix::Txid;
use serde_json::json;

use super::till::Till;

use crate::machine::http;

#[actix_web::test]
async fn a_ride_that_ends_is_charged_under_our_reference() {
    let till = Till::open(&[]).await;
    let (_, passenger, payment) = till.owed().await;
    let charged = till.when((passenger, payment), |shown| shown["pix"].is_object()).await;
    assert_eq!((&charged["status"], &charged["currency"]), (&json!("pending"), &json!("BRL")));
    let txid = Txid::parse(charged["pix"]["txid"].as_str().expect("a text")).expect("a txid");
    assert_eq!(Payment::of_txid(&txid), Some(payment), "it says whose it is");
    let code = charged["pix"]["copy_paste"].as_str().expect("a text");
    assert!(BrCode::parse(code).is_ok());

    let books = till.bank.books().await;
    let charges = books["charges"].as_array().expect("charges");
    assert_eq!(charges.len(), 1);
    let row: (String, i64, String) = sqlx::query_as(
        "SELECT txid, amount, copy_paste FROM pix_charges
         WHERE payment_id = $1 AND status = 'live'",
    )
    .bind(payment.0)
    .fetch_one(till.world.database())
    .await
    .expect("a charge");
    assert_eq!((row.0.as_str(), row.2.as_str()), (txid.as_str(), code));
    let amount: Centavos = charged["amount"].as_str().expect("a text").parse().expect("an amount");
    assert_eq!((row.1, till.balance(1100).await), (amount.0, amount.0), "it is what is owed");
    till.close().await;
}

#[actix_web::test]
async fn whatever_is_lost_on_the_way_there_is_one_charge() {
    let till = Till::open(&[]).await;
    for (fault, count) in [
        (json!({"kind": "drop_before"}), 1),
        (json!({"kind": "drop_after"}), 2),
        (json!({"kind": "status", "status": 500, "after": true}), 3),
        (json!({"kind": "truncate"}), 4),
    ] {
        till.bank.fails("PUT", "/v2/cob/*", fault).await;
        let (_, passenger, payment) = till.owed().await;
        till.charged((passenger, payment)).await;
        let books = till.bank.books().await;
        assert_eq!(books["charges"].as_array().map(Vec::len), Some(count));
    }
    till.close().await;
}

#[actix_web::test]
async fn an_engine_that_ends_before_its_charge_is_made_makes_it_when_it_starts_again() {
    let mut till = Till::open(&[]).await;
    let unreachable = json!({"kind": "status", "status": 503, "after": false});
    let form = json!({"on": "api", "path": "/v2/cob/*", "count": 1000, "fault": unreachable});
    till.bank.tell("faults", form).await;
    let (_, passenger, payment) = till.owed().await;
    till.world.restart().await;
    assert_eq!(till.payment(passenger, payment).await["pix"], json!(null));
    let url = format!("{}/control/faults", till.bank.control_url());
    http().delete(url).send().await.expect("cleared");
    till.charged((passenger, payment)).await;
    till.close().await;
}
