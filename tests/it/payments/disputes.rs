//! A ride that somebody contests, through the public interface.

use awc::http::Method;
use ibora::actors::Caller;
use serde_json::{Value, json};

use super::shared::{paid, share};
use super::till::Till;
use crate::story::centavos;

async fn opened(till: &Till, who: Caller, payment: ibora_domain::ids::PaymentId) -> Value {
    let path = format!("/v1/rides/{}/dispute", payment.ride());
    let body = json!({"reason": "wrong_route", "note": "twice around the park"});
    let call = till.world.call(Method::POST, &path).token(&till.world.token(who));
    call.key("dispute").json(&body).await.good(201)
}

fn path_of(dispute: &Value, what: &str) -> String {
    format!("/v1/disputes/{}{what}", dispute["dispute_id"].as_str().expect("an id"))
}

async fn frozen(till: &Till) -> [i64; 4] {
    let mut stand = [0; 4];
    for (balance, code) in stand.iter_mut().zip([2110, 2000, 2010, 4000]) {
        *balance = till.balance(code).await;
    }
    stand
}

#[actix_web::test]
async fn e13_what_a_passenger_contests_is_frozen_and_goes_back_if_it_is_ruled_for_him() {
    let mut till = Till::open(&[]).await;
    let (driver, passenger, payment, fare) = paid(&till).await;
    let (his, ours) = (share(fare), fare - share(fare));
    let dispute = opened(&till, passenger, payment).await;
    assert_eq!((&dispute["status"], &dispute["opened_by"]), (&json!("open"), &json!("passenger")));
    assert_eq!(frozen(&till).await, [-his, 0, 0, -ours]);
    till.world.restart().await;
    assert_eq!(opened(&till, passenger, payment).await, dispute, "the same command again");

    let said = json!({"text": "the street was closed"});
    let answered = till.world.post(driver, &path_of(&dispute, "/evidence"), &said).await.good(201);
    assert_eq!(
        (&answered["status"], &answered["evidence_count"]),
        (&json!("under_review"), &json!(1))
    );
    let seen = till.world.get(passenger, &path_of(&dispute, "")).await.good(200);
    assert_eq!(seen["evidence"][0]["text"], "the street was closed");

    let admin = till.world.admin().await;
    let ruling = json!({"for": "passenger", "reason": "no street was closed"});
    let ruled = till.world.post(admin, &path_of(&dispute, "/ruling"), &ruling).await.good(200);
    assert_eq!(ruled["ruling"]["for"], "passenger");
    till.when((passenger, payment), |shown| shown["status"] == "refunded").await;
    let gone = async || frozen(&till).await == [0; 4] && till.balance(1030).await == 0;
    till.world.until("all of it went back", gone).await;
    let again = till.world.post(admin, &path_of(&dispute, "/ruling"), &ruling).await;
    assert_eq!(again.problem(409), "illegal_transition");
    for action in ["dispute.open", "dispute.evidence", "dispute.ruling"] {
        let trail = till.world.get(admin, &format!("/v1/audit/logs?action={action}")).await;
        assert_eq!(trail.good(200)["items"].as_array().map(Vec::len), Some(1), "{action}");
    }
    till.close().await;
}

/// What a driver is told that he has: held, frozen, available.
async fn told(till: &Till, driver: Caller) -> [i64; 3] {
    let has = till.world.get(driver, "/v1/me/balance").await.good(200);
    ["held", "frozen", "available"].map(|name| centavos(&has, name))
}

#[actix_web::test]
async fn a_driver_is_shown_what_disputes_have_frozen_until_they_end() {
    let mut till = Till::open(&[]).await;
    let (driver, passenger, payment, fare) = paid(&till).await;
    let his = share(fare);
    assert_eq!(told(&till, driver).await, [his, 0, 0]);
    let dispute = opened(&till, passenger, payment).await;
    assert_eq!(told(&till, driver).await, [0, his, 0], "not gone, and not his");
    till.world.restart().await;
    let other = till.world.driver().await;
    assert_eq!(told(&till, other).await, [0; 3], "another's is another's");
    let admin = till.world.admin().await;
    let ruling = json!({"for": "driver", "reason": "he drove the shortest way"});
    till.world.post(admin, &path_of(&dispute, "/ruling"), &ruling).await.good(200);
    assert_eq!(told(&till, driver).await, [0, 0, his]);
    till.close().await;
}

#[actix_web::test]
async fn e13_what_is_ruled_for_the_driver_is_his_to_take_out() {
    let till = Till::open(&[]).await;
    let (_, passenger, payment, fare) = paid(&till).await;
    let dispute = opened(&till, passenger, payment).await;
    let admin = till.world.admin().await;
    let refund = json!({"amount": "1.00", "reason": "kindness"});
    let path = format!("/v1/payments/{payment}/refund");
    let reserved = till.world.post(admin, &path, &refund).await;
    assert_eq!(reserved.problem(422), "refund_too_high", "all of it is contested");
    let ruling = json!({"for": "driver", "reason": "he drove the shortest way"});
    till.world.post(admin, &path_of(&dispute, "/ruling"), &ruling).await.good(200);
    let free = [0, 0, -share(fare), share(fare) - fare];
    assert_eq!(frozen(&till).await, free, "with the ruling");
    till.world
        .until("it may be given back again", async || {
            till.world.post(admin, &path, &refund).await.status == 200
        })
        .await;
    till.close().await;
}

#[actix_web::test]
async fn case_26_deadlines_pass_over_a_restart_and_then_rule() {
    let settings = [("money.dispute_answer_ms", "1000"), ("money.dispute_ruled_ms", "2000")];
    let mut till = Till::open(&settings).await;
    let (driver, passenger, payment, fare) = paid(&till).await;
    let dispute = opened(&till, passenger, payment).await;
    till.world.restart().await;
    let ruled = async || {
        let seen = till.world.get(driver, &path_of(&dispute, "")).await.good(200);
        seen["status"] == "for_driver"
    };
    till.world.until("nobody ruled it, so that it is his", ruled).await;
    assert_eq!(frozen(&till).await, [0, 0, -share(fare), share(fare) - fare]);
    till.close().await;
}

#[actix_web::test]
async fn a_dispute_is_its_peoples_and_what_is_none_is_refused() {
    let till = Till::open(&[]).await;
    let (driver, passenger, payment) = till.owed().await;
    let path = format!("/v1/rides/{}/dispute", payment.ride());
    let body = json!({"reason": "conduct"});
    let early = till.world.post(passenger, &path, &body).await;
    assert_eq!(early.problem(409), "illegal_transition", "nothing was paid");
    let txid = till.charged((passenger, payment)).await;
    till.paid((passenger, payment), &txid).await;
    for bad in [json!({}), json!({"reason": "mood"}), json!({"reason": "conduct", "x": 1})] {
        assert_eq!(till.world.post(passenger, &path, &bad).await.problem(422), "invalid");
    }
    let stranger = till.world.passenger().await;
    assert_eq!(till.world.post(stranger, &path, &body).await.problem(404), "not_found");
    let dispute = till.world.post(passenger, &path, &body).await.good(201);
    let taken = till.world.post(driver, &path, &body).await;
    assert_eq!(taken.problem(409), "illegal_transition", "it is contested already");
    for who in [stranger, till.world.driver().await] {
        assert_eq!(till.world.get(who, &path_of(&dispute, "")).await.problem(404), "not_found");
        let said = json!({"text": "hm"});
        let heard = till.world.post(who, &path_of(&dispute, "/evidence"), &said).await;
        assert_eq!(heard.problem(404), "not_found");
        assert_eq!(till.world.get(who, "/v1/disputes").await.good(200)["items"], json!([]));
    }
    for who in [passenger, driver, till.world.admin().await] {
        let listed = till.world.get(who, "/v1/disputes?status=open").await.good(200);
        assert_eq!(listed["items"][0]["dispute_id"], dispute["dispute_id"]);
    }
    let ruling = json!({"for": "driver", "reason": "me"});
    let told = till.world.post(driver, &path_of(&dispute, "/ruling"), &ruling).await;
    assert_eq!(told.problem(403), "insufficient_scope");
    till.close().await;
}
