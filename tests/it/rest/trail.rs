//! The audit trail over REST: what people did and what was booked, who may read it, and how a
//! driver is told that somebody changed the key that he is paid to.

use actix_web::http::Method;
use serde_json::{Value, json};

use crate::world::World;

fn actions(page: &Value) -> Vec<&str> {
    let items = page["items"].as_array().expect("items").iter();
    items.map(|entry| entry["action"].as_str().expect("a text")).collect()
}

#[actix_web::test]
async fn what_an_admin_cancels_is_in_the_trail_with_what_it_cost() {
    let world = World::start().await;
    let (driver, admin) = (world.drivers_online(1).await[0], world.admin().await);
    let ana = world.passenger().await;
    let ride = world.offered_ride(ana, driver).await;
    world.post(driver, &format!("{ride}/accept"), &json!({})).await.good(200);
    let cancel = json!({"reason": "safety", "note": "called Maria at home"});
    let canceled = world
        .call(Method::POST, &format!("{ride}/cancel"))
        .token(&world.token(admin))
        .header("X-Request-ID", "case-17")
        .header("User-Agent", "console/1.0")
        .key("once")
        .json(&cancel)
        .await
        .good(200);
    world.post(admin, &format!("{ride}/cancel"), &cancel).await.good(200);
    let id = canceled["id"].as_str().expect("an id");
    let about = format!("/v1/audit/logs?entity_id={id}");
    let page = world.get(admin, &about).await.good(200);
    let entry = &page["items"][0];
    assert_eq!(actions(&page), ["cancel_ride"], "once, and nothing is booked: it costs nothing");
    assert_eq!(entry["user_id"], json!(admin.user));
    assert_eq!(entry["user_type"], "admin");
    assert_eq!(entry["entity_type"], "ride");
    assert_eq!(entry["request_id"], "case-17");
    assert_eq!(entry["user_agent"], "console/1.0");
    assert_eq!(entry["ip_address"], "127.0.0.1");
    assert_eq!(
        entry["changes"],
        json!({"status": {"from": "accepted", "to": "canceled"}, "reason": "safety",
               "fee": canceled["cancellation"]["fee"]}),
        "and not what was written about a person"
    );
    world.stop().await;
}

#[actix_web::test]
async fn what_was_booked_is_in_the_trail_and_filters_narrow_it() {
    let world = World::start().await;
    let (driver, admin) = (world.drivers_online(1).await[0], world.admin().await);
    let ana = world.passenger().await;
    let ride = world.offered_ride(ana, driver).await;
    world.post(driver, &format!("{ride}/accept"), &json!({})).await.good(200);
    world.post(ana, &format!("{ride}/cancel"), &json!({"reason": "other"})).await.good(200);
    let suspend = format!("/v1/drivers/{}/suspend", driver.user);
    world.post(admin, &suspend, &json!({"reason": "papers"})).await.good(200);
    let list =
        async |query: &str| world.get(admin, &format!("/v1/audit/logs?{query}")).await.good(200);
    let all = list("limit=100").await;
    assert_eq!(actions(&all), ["suspend_driver", "cancel_fee"]);
    let fee = &all["items"][1];
    assert_eq!((&fee["user_type"], &fee["entity_type"]), (&json!("system"), &json!("ride")));
    assert_eq!(
        fee["changes"]["postings"],
        json!([
            {"account": "passenger_receivable", "owner": ana.user, "amount": "5.00"},
            {"account": "driver_uncollected", "owner": driver.user, "amount": "-4.00"},
            {"account": "cancel_fees", "owner": null, "amount": "-1.00"},
        ])
    );
    let first = list("limit=1").await;
    let cursor = first["next_cursor"].as_str().expect("another page");
    assert_eq!(actions(&list(&format!("limit=1&cursor={cursor}")).await), ["cancel_fee"]);
    let at = fee["at"].as_str().expect("a time");
    for (query, found) in [
        ("action=cancel_fee".to_owned(), 1),
        ("entity_type=driver".to_owned(), 1),
        (format!("entity_id={}", driver.user), 1),
        (format!("user_id={}", admin.user), 1),
        (format!("user_id={}", ana.user), 0),
        (format!("from={at}"), 2),
        (format!("to={at}"), 0),
        ("from=2100-01-01T00:00:00Z".to_owned(), 0),
    ] {
        assert_eq!(actions(&list(&query).await).len(), found, "{query}");
    }
    let wrong = world.get(admin, "/v1/audit/logs?from=yesterday&user_id=1&who=me").await;
    assert_eq!(
        wrong.faults(),
        ["user_id: invalid_format", "from: invalid_format", "who: unknown_field"]
    );
    assert_eq!(world.get(ana, "/v1/audit/logs").await.problem(403), "insufficient_scope");
    world.stop().await;
}

#[actix_web::test]
async fn a_driver_is_told_that_his_key_was_changed_and_is_never_shown_it_elsewhere() {
    let world = World::start().await;
    let form = json!({"role": "driver", "name": "Davi", "email": "davi@example.com",
        "phone": "+5511912345678", "cpf": "52998224725", "password": "correct horse battery"});
    let made = world.call(Method::POST, "/v1/auth/register").json(&form).await.good(201);
    let token = made["tokens"]["access_token"].as_str().expect("a token");
    let put = async |body: Value| {
        world.call(Method::PUT, "/v1/me/pix-key").token(token).json(&body).await
    };
    let body = json!({"pix_key": "529.982.247-25", "password": "correct horse battery"});
    let set = put(body).await.good(200);
    assert_eq!((&set["kind"], &set["pix_key"]), (&json!("cpf"), &json!("52998224725")));
    let stream = world.call(Method::GET, "/v1/stream?wait=0").token(token).empty().await.good(200);
    let told = stream["snapshot"]["driver"]["pix_key"].clone();
    assert_eq!(told, json!({"kind": "cpf", "usable_from": set["usable_from"]}));
    let me = world.call(Method::GET, "/v1/me").token(token).empty().await.good(200);
    assert_eq!(me["driver"]["pix_key"], told);
    let wrong = json!({"pix_key": "davi@example.com", "password": "not his"});
    assert_eq!(put(wrong).await.problem(401), "invalid_credentials");
    assert_eq!(
        put(json!({"pix_key": 7})).await.faults(),
        ["pix_key: wrong_type", "password: required"]
    );
    let changed = json!({"pix_key": "davi@example.com", "password": "correct horse battery"});
    let changed = put(changed).await.good(200);
    assert_ne!(changed["usable_from"], set["usable_from"]);
    let last =
        "SELECT body FROM stream_events WHERE op = 'driver.updated' ORDER BY seq DESC LIMIT 1";
    let mut told = None::<String>;
    world
        .until("word of the change", async || {
            told = sqlx::query_scalar(last).fetch_optional(world.database()).await.expect("reads");
            told.as_ref().is_some_and(|told| told.contains(r#""pix_key":{"kind":"email""#))
        })
        .await;
    assert!(!told.expect("told").contains('@'), "the key itself stays here");
    world.stop().await;
}
