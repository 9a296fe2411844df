//! Tips: given after a ride, paid by a charge of their own, all of it the driver's.

use actix_web::http::Method;
use ibora::actors::{Caller, Command, RideRequest};
use ibora_domain::ids::{PaymentId, RideId};
use ibora_domain::ride::PaymentMethod;
use serde_json::{Value, json};

use super::till::Till;
use crate::machine::ms;
use crate::world::{request, ride_of};

fn path(ride: RideId) -> String {
    format!("/v1/rides/{ride}/tip")
}

/// A tip of so much, which its passenger may give: the payment.
async fn tipped(till: &Till, passenger: Caller, ride: RideId, amount: &str) -> Value {
    till.world.post(passenger, &path(ride), &json!({ "amount": amount })).await.good(201)
}

/// What is held for the driver and promised to him, owed by passengers, the platform's.
async fn figures(till: &Till) -> [i64; 4] {
    let held = -till.balance(2000).await;
    [held, -till.balance(2005).await, till.balance(1100).await, -till.balance(4000).await]
}

#[actix_web::test]
async fn a_tip_is_paid_by_a_charge_of_its_own_and_all_of_it_is_held_for_the_driver() {
    let mut till = Till::open(&[]).await;
    let (_, passenger, fare) = till.owed().await;
    let ride = fare.ride();
    let txid = till.charged((passenger, fare)).await;
    till.paid((passenger, fare), &txid).await;
    let [held, _, _, ours] = figures(&till).await;

    let given = tipped(&till, passenger, ride, "5.00").await;
    let tip = PaymentId::of_tip(ride);
    let shown = (&given["payment_id"], &given["due"], &given["amount"], &given["status"]);
    assert_eq!(shown, (&json!(tip), &json!("tip"), &json!("5.00"), &json!("pending")));
    let code = given["pix"]["txid"].as_str().expect("a charge").to_owned();
    let (kind, image) = till.image(passenger, &format!("/v1/payments/{tip}/qrcode.png")).await;
    assert_eq!((kind.as_str(), image.starts_with(b"\x89PNG")), ("image/png", true));
    assert_eq!(figures(&till).await, [held, 500, 500, ours], "promised, not yet his");
    till.world.restart().await;
    assert_eq!(till.charged((passenger, tip)).await, code, "the same charge after a restart");

    till.paid((passenger, tip), &code).await;
    assert_eq!(figures(&till).await, [held + 500, 0, 0, ours], "without commission");
    let hold: (i64, bool) = sqlx::query_as(
        "SELECT amount, release_at > now() FROM holds WHERE ride_id = $1 AND due = 'tip'",
    )
    .bind(ride.0)
    .fetch_one(till.world.database())
    .await
    .expect("a hold of its own");
    assert_eq!(hold, (500, true), "held as the fare's share is");
    let again = till.world.post(passenger, &path(ride), &json!({ "amount": "5.00" })).await;
    assert_eq!(again.problem(409), "illegal_transition", "one a ride");
    let of_ride = till.world.get(passenger, &format!("/v1/rides/{ride}")).await.good(200);
    assert_eq!(of_ride["payment"]["payment_id"], json!(fare), "the ride's own is another");
    till.close().await;
}

#[actix_web::test]
async fn a_ride_in_cash_is_tipped_by_pix() {
    let till = Till::open(&[]).await;
    let (passenger, driver) = (till.world.passenger().await, till.world.drivers_online(1).await[0]);
    let cash = RideRequest { payment_method: PaymentMethod::Cash, ..request() };
    let asked = till.world.send(passenger, Command::Request(cash)).await;
    let ride = ride_of(&asked.expect("a ride"));
    till.world.offered(driver, ride).await;
    till.world.drive(ride, passenger, driver).await;
    let given = tipped(&till, passenger, ride, "3.50").await;
    let txid = given["pix"]["txid"].as_str().expect("a charge").to_owned();
    till.paid((passenger, PaymentId::of_tip(ride)), &txid).await;
    let earned = till.world.get(driver, "/v1/me/earnings").await.good(200);
    assert_eq!(earned["days"][0]["tips"], "3.50", "{earned}");
    till.close().await;
}

#[actix_web::test]
async fn a_tip_that_is_not_paid_lapses_and_keeps_nobody_from_riding() {
    let till = Till::open(&[("money.charge_expiry_ms", &ms(1500))]).await;
    let (_, passenger, fare) = till.owed().await;
    let txid = till.charged((passenger, fare)).await;
    till.paid((passenger, fare), &txid).await;
    let (ride, tip) = (fare.ride(), PaymentId::of_tip(fare.ride()));
    let [held, ..] = figures(&till).await;
    tipped(&till, passenger, ride, "5.00").await;
    till.world.send(passenger, Command::Request(request())).await.expect("no debt");
    let lapsed = till.when((passenger, tip), |shown| shown["status"] == "lapsed").await;
    assert_eq!(lapsed["pix"], json!(null));
    assert_eq!(figures(&till).await[..3], [held, 0, 0], "as if it had never been");
    let again = tipped(&till, passenger, ride, "7.00").await;
    assert_eq!((&again["amount"], &again["status"]), (&json!("7.00"), &json!("pending")));
    let code = again["pix"]["txid"].as_str().expect("a charge").to_owned();
    till.paid((passenger, tip), &code).await;
    assert_eq!(figures(&till).await[..3], [held + 700, 0, 0]);
    till.close().await;
}

#[actix_web::test]
async fn one_key_gives_one_tip_and_another_amount_under_it_none() {
    let till = Till::open(&[]).await;
    let (_, passenger, fare) = till.owed().await;
    let (path, token) = (path(fare.ride()), till.world.token(passenger));
    let send = async |key: &'static str, amount: &str| {
        let call = till.world.call(Method::POST, &path).token(&token);
        call.key(key).json(&json!({ "amount": amount })).await
    };
    let first = send("k", "5.00").await.good(201);
    assert_eq!(send("k", "5.00").await.good(201), first, "the same answer");
    assert_eq!(send("k", "6.00").await.problem(422), "idempotency_key_reused");
    assert_eq!(send("l", "6.00").await.problem(409), "illegal_transition", "one at a time");
    let open = send("m", "5.00").await.good(201);
    assert_eq!(open["pix"], first["pix"], "just this again is the open one");
    let charges = till.bank.books().await["charges"].as_array().map(Vec::len);
    assert_eq!(charges, Some(2), "the fare's and the tip's");
    till.close().await;
}

#[actix_web::test]
async fn only_the_passenger_of_a_completed_ride_tips_and_only_an_amount_within_limits() {
    let till = Till::open(&[]).await;
    let (driver, passenger, fare) = till.owed().await;
    let path = path(fare.ride());
    for bad in [
        json!(5),
        json!(5.0),
        json!("5"),
        json!("5.0"),
        json!("5.000"),
        json!("1e2"),
        json!("-5.00"),
        json!("0.00"),
        json!("NaN"),
        json!("５.００"),
        json!("92233720368547758.08"),
        json!(null),
        json!(["5.00"]),
    ] {
        let refused = till.world.post(passenger, &path, &json!({ "amount": bad })).await;
        assert_eq!(refused.problem(422), "invalid", "{bad}");
    }
    for beyond in ["0.01", "0.99", "200.01", "92233720368547758.07"] {
        let refused = till.world.post(passenger, &path, &json!({ "amount": beyond })).await;
        assert_eq!(refused.problem(422), "amount_out_of_range", "{beyond}");
    }
    let tip = json!({ "amount": "5.00" });
    let other = till.world.passenger().await;
    assert_eq!(till.world.post(other, &path, &tip).await.problem(404), "not_found");
    assert_eq!(till.world.post(driver, &path, &tip).await.problem(403), "forbidden");
    let nowhere = self::path(RideId(uuid::Uuid::now_v7()));
    assert_eq!(till.world.post(passenger, &nowhere, &tip).await.problem(404), "not_found");
    let ride = till.world.request(other).await;
    let early = till.world.post(other, &self::path(ride), &tip).await;
    assert_eq!(early.problem(409), "illegal_transition", "on its way");
    let tips: i64 = sqlx::query_scalar("SELECT count(*) FROM financial_events WHERE kind = 'tip'")
        .fetch_one(till.world.database())
        .await
        .expect("a count");
    assert_eq!(tips, 0);
    till.close().await;
}

#[actix_web::test]
async fn a_week_after_the_ride_it_is_too_late_to_tip() {
    let till = Till::open(&[("money.tip_within_ms", "0")]).await;
    let (_, passenger, fare) = till.owed().await;
    let tip = json!({ "amount": "5.00" });
    till.world
        .until("time to pass", async || {
            let late = till.world.post(passenger, &path(fare.ride()), &tip).await;
            late.status == 409 && late.text.contains("ride_closed")
        })
        .await;
    till.close().await;
}

#[actix_web::test]
async fn whatever_is_lost_on_the_way_a_tip_has_one_charge_and_is_paid_once() {
    let mut till = Till::open(&[]).await;
    for (fault, restarts) in [
        (json!({"kind": "drop_before"}), false),
        (json!({"kind": "drop_after"}), false),
        (json!({"kind": "status", "status": 500, "after": true}), true),
        (json!({"kind": "truncate"}), true),
    ] {
        let (_, passenger, fare) = till.owed().await;
        till.charged((passenger, fare)).await;
        let (ride, tip) = (fare.ride(), PaymentId::of_tip(fare.ride()));
        let before = figures(&till).await;
        till.bank.fails("PUT", "/v2/cob/*", fault.clone()).await;
        // Who waits in vain asks again, as his app does.
        till.world.post(passenger, &path(ride), &json!({ "amount": "5.00" })).await;
        if restarts {
            till.world.restart().await;
        }
        let code = till.charged((passenger, tip)).await;
        till.paid((passenger, tip), &code).await;
        let books = till.bank.books().await;
        let charges = books["charges"].as_array().expect("charges").iter();
        let of_tip = charges.filter(|charge| charge["txid"].as_str() == Some(code.as_str()));
        assert_eq!(of_tip.count(), 1, "{fault}");
        let [held, promised, owed, ours] = figures(&till).await;
        assert_eq!([held - 500, promised, owed, ours], before, "{fault}");
    }
    till.close().await;
}
