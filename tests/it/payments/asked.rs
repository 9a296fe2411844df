//! Payments over REST: asked for, shown, drawn, given back, and by whom.

use actix_web::http::Method;
use ibora::actors::Command;
use ibora_domain::ids::{PaymentId, RideId};
use ibora_domain::ride::CancelReason;
use serde_json::{Value, json};

use super::till::Till;
use crate::world::request;

#[actix_web::test]
async fn a_passenger_asks_for_the_charge_of_his_ride_and_gets_the_open_one() {
    let till = Till::open(&[]).await;
    let (driver, passenger, payment) = till.owed().await;
    let body = json!({ "ride_id": payment.ride() });
    let asked = till.world.post(passenger, "/v1/payments/intent", &body).await.good(201);
    assert_eq!(asked["payment_id"], json!(payment));
    assert_eq!(asked["status"], "pending");
    let txid = &asked["pix"]["txid"];
    let again = till.world.post(passenger, "/v1/payments/intent", &body).await.good(201);
    assert_eq!(&again["pix"]["txid"], txid, "there is one charge");
    let path = format!("/v1/payments/{payment}");
    assert_eq!(till.world.get(passenger, &path).await.good(200), again);
    let ride = till.world.get(passenger, &format!("/v1/rides/{}", payment.ride())).await.good(200);
    assert_eq!(ride["payment"], json!({ "status": "pending", "payment_id": payment }));

    let other = till.world.passenger().await;
    assert_eq!(till.world.get(other, &path).await.problem(404), "not_found");
    assert_eq!(till.world.get(driver, &path).await.problem(403), "forbidden");
    let theirs = till.world.post(other, "/v1/payments/intent", &body).await;
    assert_eq!(theirs.problem(404), "not_found");
    let nothing = json!({ "ride_id": RideId(uuid::Uuid::now_v7()) });
    let none = till.world.post(passenger, "/v1/payments/intent", &nothing).await;
    assert_eq!(none.problem(404), "not_found");
    till.close().await;
}

#[actix_web::test]
async fn the_code_of_a_charge_is_drawn_for_its_passenger_alone() {
    let till = Till::open(&[]).await;
    let (_, passenger, payment) = till.owed().await;
    let txid = till.charged((passenger, payment)).await;
    let png = format!("/v1/payments/{payment}/qrcode.png");
    let (kind, image) = till.image(passenger, &png).await;
    assert_eq!(kind, "image/png");
    assert!(image.starts_with(b"\x89PNG"));
    let svg = till.world.get(passenger, &format!("/v1/payments/{payment}/qrcode.svg")).await;
    assert_eq!((svg.status, svg.header("content-type")), (200, "image/svg+xml"));
    assert!(svg.text.starts_with("<svg"), "{}", &svg.text[..40]);
    let other = till.world.passenger().await;
    assert_eq!(till.world.get(other, &png).await.problem(404), "not_found");

    till.paid((passenger, payment), &txid).await;
    assert_eq!(till.world.get(passenger, &png).await.problem(404), "not_found", "paid already");
    till.close().await;
}

#[actix_web::test]
async fn who_owes_for_a_ride_gets_no_other_until_it_is_paid() {
    let mut till = Till::open(&[]).await;
    let (_, passenger, payment) = till.owed().await;
    let txid = till.charged((passenger, payment)).await;
    let refused = |answer: ibora_domain::facts::Answer| answer.expect_err("refused").code();
    let order = || Command::Request(request());
    assert_eq!(refused(till.world.send(passenger, order()).await), "debt_outstanding");
    till.world.restart().await;
    assert_eq!(refused(till.world.send(passenger, order()).await), "debt_outstanding");
    till.paid((passenger, payment), &txid).await;
    till.world.send(passenger, order()).await.expect("a ride again");
    till.close().await;
}

#[actix_web::test]
async fn an_admin_gives_back_what_was_paid_once_and_never_more() {
    let till = Till::open(&[]).await;
    let (_, passenger, payment) = till.owed().await;
    let admin = till.world.admin().await;
    let path = format!("/v1/payments/{payment}/refund");
    let body = |amount: &str| json!({ "amount": amount, "reason": "the car was dirty" });
    let early = till.world.post(admin, &path, &body("1.00")).await;
    assert_eq!(early.problem(409), "illegal_transition");
    let txid = till.charged((passenger, payment)).await;
    let paid = till.paid((passenger, payment), &txid).await;
    let whole = paid["amount"].as_str().expect("a text").to_owned();

    for _ in 0..2 {
        let call = till.world.call(Method::POST, &path).token(&till.world.token(admin));
        call.key("once").json(&body("5.00")).await.good(200);
    }
    let too_much = till.world.post(admin, &path, &body(&whole)).await;
    assert_eq!(too_much.problem(422), "refund_too_high");
    let back = till.when((passenger, payment), |shown| shown["refunded"] == "5.00").await;
    assert_eq!(back["status"], "paid", "a part of it");
    assert_eq!((till.balance(1030).await, till.balance(5010).await), (0, 500));
    for bad in [
        json!(5),
        json!(5.0),
        json!("5"),
        json!("-5.00"),
        json!("0.00"),
        json!("5.000"),
        json!("1e2"),
        json!("NaN"),
        json!("５.00"),
        json!(" 5.00"),
        json!("92233720368547758.08"),
        json!(null),
    ] {
        let body = json!({ "amount": bad, "reason": "x" });
        let refused = till.world.post(admin, &path, &body).await;
        assert_eq!(refused.problem(422), "invalid", "{bad}");
    }
    let told = till.world.post(passenger, &path, &body("1.00")).await;
    assert_eq!(told.problem(403), "insufficient_scope");
    let trail: Value =
        till.world.get(admin, "/v1/audit/logs?action=payment.refund").await.good(200);
    assert_eq!(trail["items"].as_array().map(Vec::len), Some(1), "{trail}");
    till.close().await;
}

#[actix_web::test]
async fn who_owes_the_fee_of_a_ride_called_off_gets_no_other_until_it_is_paid() {
    let till = Till::open(&[]).await;
    let world = &till.world;
    let (driver, passenger) = (world.drivers_online(1).await[0], world.passenger().await);
    let ride = world.request(passenger).await;
    world.offered(driver, ride).await;
    world.send(driver, Command::Accept { ride, offer_id: None }).await.expect("accepted");
    let cancel = Command::Cancel { ride, reason: CancelReason::ChangedMind, note: None };
    world.send(passenger, cancel).await.expect("canceled");
    let payment = PaymentId::of_ride(ride);
    let refused = world.send(passenger, Command::Request(request())).await.expect_err("owed");
    assert_eq!(refused.code(), "debt_outstanding");
    let txid = till.charged((passenger, payment)).await;
    let paid = till.paid((passenger, payment), &txid).await;
    assert_eq!(paid["amount"], "5.00");
    assert_eq!((till.balance(2000).await, till.balance(4010).await), (-400, -100));
    world.send(passenger, Command::Request(request())).await.expect("a ride again");
    till.close().await;
}
