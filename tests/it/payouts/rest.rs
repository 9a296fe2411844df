//! `/v1/payouts`: who may do what, and what is refused.

use actix_web::http::Method;
use serde_json::json;

use super::desk::Desk;

#[actix_web::test]
async fn a_driver_asks_for_his_money_and_sees_only_his_own_payouts() {
    let desk = Desk::open(&[]).await;
    let world = &desk.world;
    let (driver, other) = (desk.driver(5000, "0").await, desk.driver(5000, "0").await);
    let token = world.token(driver);
    let body = json!({"amount": "16.00"});
    let ask = || world.call(Method::POST, "/v1/payouts").token(&token).key("one");
    let made = ask().json(&body).await.good(201);
    assert_eq!(
        (&made["amount"], &made["fee"], &made["net"]),
        (&json!("16.00"), &json!("0.50"), &json!("15.50"))
    );
    assert_eq!((&made["status"], &made["currency"]), (&json!("queued"), &json!("BRL")));
    assert_eq!(made["pix_key"], "***.com", "never the whole key");
    assert_eq!(ask().json(&body).await.good(201), made, "the same again");
    assert_eq!(
        ask().json(&json!({"amount": "17.00"})).await.problem(422),
        "idempotency_key_reused"
    );

    let id = made["payout_id"].as_str().expect("an id");
    desk.until(id.parse().expect("an id"), "done").await;
    let path = format!("/v1/payouts/{id}");
    let shown = world.get(driver, &path).await.good(200);
    assert_eq!((&shown["status"], &shown["payout_id"]), (&json!("done"), &made["payout_id"]));
    assert!(shown["end_to_end_id"].is_string() && shown["ended_at"].is_string());
    let (admin, passenger) = (world.admin().await, world.passenger().await);
    assert_eq!(world.get(admin, &path).await.good(200), shown);
    assert_eq!(world.get(other, &path).await.problem(404), "not_found");
    assert_eq!(world.get(passenger, &path).await.problem(403), "forbidden");
    let listed = |who, query: &'static str| world.get(who, query);
    assert_eq!(listed(driver, "/v1/payouts").await.good(200)["items"], json!([shown]));
    assert_eq!(listed(other, "/v1/payouts").await.good(200)["items"], json!([]));
    assert_eq!(listed(admin, "/v1/payouts?status=done").await.good(200)["items"], json!([shown]));
    assert_eq!(listed(admin, "/v1/payouts?status=failed").await.good(200)["items"], json!([]));
    desk.close().await;
}

#[actix_web::test]
async fn what_is_no_amount_or_not_allowed_is_refused_and_moves_nothing() {
    let settings = [("money.payout_day_max", "40.00")];
    let desk = Desk::open(&settings).await;
    let driver = desk.driver(5000, "0").await;
    let ask = async |body: serde_json::Value| desk.world.post(driver, "/v1/payouts", &body).await;
    for bad in [
        json!(16.0),
        json!(1600),
        json!("-16.00"),
        json!("16"),
        json!("16.000"),
        json!("1e2"),
        json!("NaN"),
        json!("１６.00"),
        json!(" 16.00"),
        json!("0.00"),
        json!("92233720368547758.08"),
        json!(null),
    ] {
        let faults = ask(json!({"amount": bad})).await.faults();
        assert!(faults[0].starts_with("amount: "), "{bad}: {faults:?}");
    }
    assert_eq!(ask(json!({"amount": "16.00", "to": "me"})).await.problem(422), "invalid");
    for (amount, code) in
        [("4.99", "below_minimum"), ("50.01", "insufficient_balance"), ("40.01", "limit_exceeded")]
    {
        assert_eq!(ask(json!({"amount": amount})).await.problem(422), code, "{amount}");
    }
    for key in ["someone@example.com", "no key at all"] {
        let body = json!({"amount": "16.00", "pix_key": key});
        assert_eq!(ask(body).await.problem(422), "pix_key_mismatch", "{key}");
    }
    let own = format!(" {}@EXAMPLE.com ", driver.user);
    ask(json!({"amount": "10.00", "pix_key": own})).await.good(201);
    assert_eq!(ask(json!({"amount": "30.01"})).await.problem(422), "limit_exceeded", "of the day");
    desk.world.until("it is paid", async || desk.balance(1020).await == 0).await;
    assert_eq!((desk.sends().await.len(), desk.available().await), (1, 4000));
    desk.close().await;
}

#[actix_web::test]
async fn without_a_key_or_soon_after_its_change_nothing_is_paid() {
    let desk = Desk::open(&[]).await;
    let body = json!({"amount": "16.00"});
    let keyless = desk.world.driver().await;
    let refused = desk.world.post(keyless, "/v1/payouts", &body).await;
    assert_eq!(refused.problem(409), "pix_key_missing");
    let driver = desk.driver(5000, "0").await;
    sqlx::query(
        "INSERT INTO driver_pix_keys (driver_id, version, shard, kind, pix_key, set_at, usable_from)
         VALUES ($1, 2, 0, 'email', 'new@example.com', now(), now() + interval '1 hour')",
    )
    .bind(driver.user.0)
    .execute(desk.world.database())
    .await
    .expect("a new key");
    let refused = desk.world.post(driver, "/v1/payouts", &body).await;
    assert_eq!(refused.problem(409), "pix_key_cooling");
    desk.close().await;
}

#[actix_web::test]
async fn only_admins_decide_about_payouts_and_the_trail_says_who() {
    let desk = Desk::open(&[("money.payout_approval_above", "10.00")]).await;
    let (driver, admin) = (desk.driver(5000, "0").await, desk.world.admin().await);
    let id = desk.asked(driver, 1600).await;
    let path = format!("/v1/payouts/{id}/approve");
    assert_eq!(desk.world.post(driver, &path, &json!({})).await.problem(403), "insufficient_scope");
    let shown = desk.world.post(admin, &path, &json!({})).await.good(200);
    assert_eq!(
        (&shown["status"], &shown["approvals_missing"]),
        (&json!("awaiting_approval"), &json!(1))
    );
    assert_eq!(desk.world.post(admin, &path, &json!({})).await.problem(409), "already_approved");
    let reject = format!("/v1/payouts/{id}/reject");
    let reason = json!({"reason": "not today"});
    let shown = desk.world.post(admin, &reject, &reason).await.good(200);
    assert_eq!((&shown["status"], &shown["reason"]), (&json!("rejected"), &json!("not today")));
    let nobodys = format!("/v1/payouts/{}/approve", uuid::Uuid::now_v7());
    assert_eq!(desk.world.post(admin, &nobodys, &json!({})).await.problem(404), "not_found");
    let trail: Vec<(String, uuid::Uuid)> = sqlx::query_as(
        "SELECT action, user_id FROM audit_logs WHERE entity_id = $1 ORDER BY at, id",
    )
    .bind(id)
    .fetch_all(desk.world.database())
    .await
    .expect("a trail");
    let expected = [
        ("payout.request", driver.user.0),
        ("payout.approve", admin.user.0),
        ("payout.reject", admin.user.0),
    ];
    assert_eq!(trail, expected.map(|(action, who)| (action.to_owned(), who)));
    desk.close().await;
}
