//! Debts that end without being paid: fees that an admin waives, and what is written off.

use ibora::actors::{Caller, Command};
use ibora_domain::ids::PaymentId;
use ibora_domain::ride::CancelReason;
use serde_json::{Value, json};

use super::returned::{comes, went_back};
use super::till::Till;
use crate::world::request;

impl Till {
    async fn fee(&self) -> (Caller, PaymentId) {
        let passenger = self.world.passenger().await;
        (passenger, self.fee_of(passenger).await)
    }

    /// A ride that this passenger has called off when its driver was on his way: its fee.
    pub(super) async fn fee_of(&self, passenger: Caller) -> PaymentId {
        let world = &self.world;
        let driver = world.drivers_online(1).await[0];
        let ride = world.request(passenger).await;
        world.offered(driver, ride).await;
        let accept = Command::Accept { ride, offer_id: None };
        world.send(driver, accept).await.expect("his");
        let reason = CancelReason::ChangedMind;
        let cancel = Command::Cancel { ride, reason, note: None };
        world.send(passenger, cancel).await.expect("called off");
        PaymentId::of_ride(ride)
    }

    /// Owed by passengers, promised to drivers, earned by fees.
    async fn fees(&self) -> [i64; 3] {
        [self.balance(1100).await, -self.balance(2005).await, -self.balance(4010).await]
    }
}

fn because() -> Value {
    json!({ "reason": "the driver asked for it" })
}

#[actix_web::test]
async fn a_fee_that_is_waived_is_owed_no_more_and_what_comes_for_it_goes_back() {
    let mut till = Till::open(&[]).await;
    let (passenger, fee) = till.fee().await;
    let txid = till.charged((passenger, fee)).await;
    assert_eq!(till.fees().await, [500, 400, 100]);
    let order = || Command::Request(request());
    let refused = till.world.send(passenger, order()).await.expect_err("owes");
    assert_eq!(refused.code(), "debt_outstanding");

    let admin = till.world.admin().await;
    let path = format!("/v1/payments/{fee}/waive");
    let waived = till.world.post(admin, &path, &because()).await.good(200);
    assert_eq!((&waived["status"], &waived["pix"]), (&json!("waived"), &json!(null)));
    assert_eq!(till.fees().await, [0, 0, 0], "taken back exactly");
    let again = till.world.post(admin, &path, &because()).await;
    assert_eq!(again.problem(409), "illegal_transition", "once");
    till.world.restart().await;
    till.world.send(passenger, order()).await.expect("nothing keeps him from riding");
    let pix = comes(&till, Some(&txid), "5.00").await;
    went_back(&till, &pix).await;
    assert_eq!(till.fees().await, [0, 0, 0]);
    let ride = till.world.get(passenger, &format!("/v1/rides/{}", fee.ride())).await.good(200);
    assert_eq!(ride["payment"]["status"], "waived");
    let trail = till.world.get(admin, "/v1/audit/logs?action=payment.waive").await.good(200);
    assert_eq!(trail["items"].as_array().map(Vec::len), Some(1), "{trail}");
    till.close().await;
}

#[actix_web::test]
async fn a_fee_that_was_paid_goes_back_when_it_is_waived() {
    let till = Till::open(&[]).await;
    let (passenger, fee) = till.fee().await;
    let txid = till.charged((passenger, fee)).await;
    till.paid((passenger, fee), &txid).await;
    let admin = till.world.admin().await;
    let path = format!("/v1/payments/{fee}/waive");
    till.world.post(admin, &path, &because()).await.good(200);
    let back = till.when((passenger, fee), |shown| shown["refunded"] == "5.00").await;
    assert_eq!(back["status"], "refunded");
    assert_eq!((till.balance(5010).await, till.balance(1030).await), (500, 0));
    let again = till.world.post(admin, &path, &because()).await;
    assert_eq!(again.problem(409), "illegal_transition");
    till.close().await;
}

#[actix_web::test]
async fn only_an_admin_waives_and_only_fees_and_says_why() {
    let till = Till::open(&[]).await;
    let (passenger, fee) = till.fee().await;
    let admin = till.world.admin().await;
    let path = format!("/v1/payments/{fee}/waive");
    let told = till.world.post(passenger, &path, &because()).await;
    assert_eq!(told.problem(403), "insufficient_scope");
    for bad in [json!({}), json!({"reason": ""}), json!({"reason": 7}), json!({"why": "x"})] {
        assert_eq!(till.world.post(admin, &path, &bad).await.problem(422), "invalid", "{bad}");
    }
    let (_, _, fare) = till.owed().await;
    let of_fare = format!("/v1/payments/{fare}/waive");
    let fare = till.world.post(admin, &of_fare, &because()).await;
    assert_eq!(fare.problem(409), "illegal_transition", "a fare is no fee");
    let nothing = format!("/v1/payments/{}/waive", PaymentId(uuid::Uuid::now_v7()));
    assert_eq!(till.world.post(admin, &nothing, &because()).await.problem(404), "not_found");
    till.close().await;
}

#[actix_web::test]
async fn what_is_owed_for_too_long_is_written_off_and_keeps_its_passenger_from_riding() {
    let settings = [("money.write_off_after_ms", "2000"), ("pix.janitor_every_ms", "500")];
    let mut till = Till::open(&settings).await;
    let (passenger, fee) = till.fee().await;
    till.charged((passenger, fee)).await;
    till.when((passenger, fee), |shown| shown["status"] == "written_off").await;
    assert_eq!(till.fees().await, [0, 0, 0], "nobody counts on it");
    till.world.restart().await;
    let order = || Command::Request(request());
    let refused = till.world.send(passenger, order()).await.expect_err("owes");
    assert_eq!(refused.code(), "debt_outstanding", "he owes it all the same");
    let admin = till.world.admin().await;
    let trail = till.world.get(admin, "/v1/audit/logs?action=payment.write_off").await.good(200);
    assert_eq!(trail["items"].as_array().map(Vec::len), Some(1), "{trail}");

    let body = json!({ "ride_id": fee.ride() });
    let asked = till.world.post(passenger, "/v1/payments/intent", &body).await.good(201);
    let txid = asked["pix"]["txid"].as_str().expect("a charge").to_owned();
    till.paid((passenger, fee), &txid).await;
    assert_eq!(till.fees().await, [0, 0, 100], "paid after all: taken back, then settled");
    assert_eq!(-till.balance(2000).await, 400, "and its driver has earned his share");
    till.world.send(passenger, order()).await.expect("a ride again");
    till.close().await;
}
