//! The same key: the same command once, the same answer always, also after a restart.

use actix_web::http::Method;
use ibora::actors::Caller;
use ibora_domain::ids::RideId;
use serde_json::{Value, json};

use super::client::Answer;
use super::ride_request;
use crate::world::World;

async fn keyed(world: &World, who: Caller, path: &str, key: &str, body: &Value) -> Answer {
    world.call(Method::POST, path).token(&world.token(who)).key(key).json(body).await
}

#[actix_web::test]
async fn a_request_sent_again_is_the_same_ride_even_after_its_end_and_a_restart() {
    let mut world = World::start().await;
    let ana = world.passenger().await;
    let first = keyed(&world, ana, "/v1/rides", "order-1", &ride_request()).await;
    let (etag, ride) = (first.header("etag").to_owned(), first.good(201));
    let mut spelled = ride_request();
    spelled["notes"] = Value::Null;
    spelled["stops"] = json!([]);
    let again = keyed(&world, ana, "/v1/rides", "order-1", &spelled).await;
    assert_eq!(again.header("etag"), etag);
    assert_eq!(again.good(201), ride, "the same fields, written otherwise");

    let mut other = ride_request();
    other["payment_method"] = json!("cash");
    let conflict = keyed(&world, ana, "/v1/rides", "order-1", &other).await;
    assert_eq!(conflict.problem(422), "idempotency_key_reused");
    let path = format!("/v1/rides/{}/cancel", ride["id"].as_str().expect("an id"));
    let reason = json!({"reason": "changed_mind"});
    let conflict = keyed(&world, ana, &path, "order-1", &reason).await;
    assert_eq!(conflict.problem(422), "idempotency_key_reused", "one namespace over all routes");

    let refused = keyed(&world, ana, "/v1/rides", "order-2", &ride_request()).await;
    assert_eq!(refused.problem(409), "active_ride_exists");
    let ended = keyed(&world, ana, &path, "cancel-1", &reason).await.good(200);
    let bia = world.passenger().await;
    let hers = keyed(&world, bia, "/v1/rides", "order-1", &ride_request()).await.good(201);
    assert_ne!(hers["id"], ride["id"], "a key is its principal's own");

    world.restart().await;
    let replayed = keyed(&world, ana, "/v1/rides", "order-1", &ride_request()).await;
    assert_eq!(replayed.good(201), ride, "as it was answered, though it has ended");
    assert_eq!(keyed(&world, ana, &path, "cancel-1", &reason).await.good(200), ended);
    let refused = keyed(&world, ana, "/v1/rides", "order-2", &ride_request()).await;
    assert_eq!(
        refused.problem(409),
        "active_ride_exists",
        "as it was refused, though it has ended"
    );
    let rides: i64 = sqlx::query_scalar("SELECT count(*) FROM rides WHERE passenger_id = $1")
        .bind(ana.user.0)
        .fetch_one(world.database())
        .await
        .expect("a count");
    assert_eq!(rides, 1);
    world.stop().await;
}

#[actix_web::test]
async fn many_sendings_at_once_are_one_ride() {
    let world = World::start().await;
    let ana = world.passenger().await;
    let body = ride_request();
    let all = (0..8).map(|_| keyed(&world, ana, "/v1/rides", "order-1", &body));
    let answers = futures_util::future::join_all(all).await;
    let mut rides = Vec::new();
    for answer in answers {
        if answer.status == 409 {
            assert_eq!(answer.problem(409), "idempotency_in_progress");
            assert_eq!(answer.header("retry-after"), "1");
        } else {
            rides.push(answer.good(201));
        }
    }
    assert!(!rides.is_empty() && rides.iter().all(|ride| *ride == rides[0]));
    world.stop().await;
}

#[actix_web::test]
async fn what_is_malformed_uses_up_no_key() {
    let world = World::start().await;
    let ana = world.passenger().await;
    let mut wrong = ride_request();
    wrong["category"] = json!("spaceship");
    let refused = keyed(&world, ana, "/v1/rides", "order-1", &wrong).await;
    assert_eq!(refused.faults(), ["category: unknown_value"]);
    keyed(&world, ana, "/v1/rides", "order-1", &ride_request()).await.good(201);
    for bad in ["", "with blanks", &"k".repeat(256)] {
        let refused = keyed(&world, ana, "/v1/rides", bad, &ride_request()).await;
        assert_eq!(refused.faults(), ["Idempotency-Key: invalid_format"], "{bad:?}");
    }
    let refused = keyed(&world, ana, "/v1/rides", &"k".repeat(255), &ride_request()).await;
    assert_eq!(refused.problem(409), "active_ride_exists", "255 are fine");
    world.stop().await;
}

#[actix_web::test]
async fn a_version_that_has_passed_is_a_conflict() {
    let world = World::start().await;
    let ana = world.passenger().await;
    let ride = world.post(ana, "/v1/rides", &ride_request()).await.good(201);
    let path = format!("/v1/rides/{}/cancel", ride["id"].as_str().expect("an id"));
    let cancel = async |version: &str| {
        let call = world.call(Method::POST, &path).token(&world.token(ana));
        call.header("If-Match", version).json(&json!({"reason": "other"})).await
    };
    assert_eq!(cancel("\"99\"").await.problem(409), "version_conflict");
    assert_eq!(cancel("ninety").await.faults(), ["If-Match: invalid_format"]);
    let current = world.get(ana, path.trim_end_matches("/cancel")).await;
    let etag = current.header("etag").to_owned();
    let answer = cancel(&etag).await;
    // A wave of offers may have come in between; then the version that it made is the right one.
    if answer.status == 409 {
        assert_eq!(answer.problem(409), "version_conflict");
    } else {
        assert_eq!(answer.good(200)["status"], "canceled");
    }
    assert!(matches!(cancel("*").await.status, 200 | 409));
    world.stop().await;
}

#[actix_web::test]
async fn reviews_and_vehicles_are_done_once_by_their_keys_too() {
    let world = World::start().await;
    let (admin, driver) = (world.admin().await, world.driver().await);
    let path = |act: &str| format!("/v1/drivers/{}/{act}", driver.user);
    let reason = json!({"reason": "complaints"});
    let suspended = keyed(&world, admin, &path("suspend"), "s-1", &reason).await.good(200);
    assert_eq!(suspended["approval"], "suspended");
    let approved = keyed(&world, admin, &path("approve"), "a-1", &json!({})).await.good(200);
    assert_eq!(approved["approval"], "approved");
    let again = keyed(&world, admin, &path("suspend"), "s-1", &reason).await.good(200);
    assert_eq!(again, suspended, "told again, not done again");
    let other = keyed(&world, admin, &path("suspend"), "a-1", &json!({})).await;
    assert_eq!(other.problem(422), "idempotency_key_reused");
    let refused = keyed(&world, admin, &path("reject"), "r-1", &json!({})).await;
    assert_eq!(refused.problem(409), "illegal_transition");
    world.post(admin, &path("suspend"), &json!({})).await.good(200);
    let refused = keyed(&world, admin, &path("reject"), "r-1", &json!({})).await;
    assert_eq!(refused.problem(409), "illegal_transition", "as it was refused");
    let nobody = format!("/v1/drivers/{}/approve", uuid::Uuid::now_v7());
    assert_eq!(world.post(admin, &nobody, &json!({})).await.problem(404), "not_found");
    let audit = world.get(admin, "/v1/audit/logs?limit=2").await.good(200);
    let actions: Vec<_> = audit["items"].as_array().expect("items").iter().collect();
    assert_eq!(
        (&actions[0]["action"], &actions[1]["action"]),
        (&json!("suspend_driver"), &json!("approve_driver"))
    );
    assert_eq!(actions[0]["ip_address"], "127.0.0.1");

    let car = json!({"plate": "ABC1D23", "make": "Fiat", "model": "Argo", "color": "prata",
                     "year": 2024, "categories": ["economy"]});
    let added = keyed(&world, driver, "/v1/me/vehicles", "v-1", &car).await.good(201);
    let again = keyed(&world, driver, "/v1/me/vehicles", "v-1", &car).await.good(201);
    assert_eq!(again, added);
    let twice = keyed(&world, driver, "/v1/me/vehicles", "v-2", &car).await;
    assert_eq!(twice.faults(), ["plate: taken"]);
    let mut other = car;
    other["color"] = json!("azul");
    let other = keyed(&world, driver, "/v1/me/vehicles", "v-1", &other).await;
    assert_eq!(other.problem(422), "idempotency_key_reused");
    let offline = json!({"status": "offline"});
    let call = world.call(Method::PUT, "/v1/me/availability").token(&world.token(driver));
    let reused = call.key("v-1").json(&offline).await;
    assert_eq!(reused.problem(422), "idempotency_key_reused", "an actor's command under it too");
    world.stop().await;
}

#[actix_web::test]
async fn the_key_of_an_accept_accepts_no_other_ride_even_after_a_restart() {
    let mut world =
        World::with(&[("dispatch.waves", "[3]"), ("dispatch.offer_ttl_ms", "120000")]).await;
    let drivers = world.drivers_online(2).await;
    let taken = world.request(world.passenger().await).await;
    let open = world.request(world.passenger().await).await;
    for driver in &drivers {
        world.offered(*driver, taken).await;
        world.offered(*driver, open).await;
    }
    let (nothing, late) = (json!({}), drivers[1]);
    let path = |ride: RideId| format!("/v1/rides/{ride}/accept");
    keyed(&world, drivers[0], &path(taken), "first", &nothing).await.good(200);
    let lost = keyed(&world, late, &path(taken), "tap", &nothing).await;
    assert_eq!(lost.problem(409), "ride_already_assigned");
    let reused = keyed(&world, late, &path(open), "tap", &nothing).await;
    assert_eq!(reused.problem(422), "idempotency_key_reused");
    world.restart().await;
    let reused = keyed(&world, late, &path(open), "tap", &nothing).await;
    assert_eq!(reused.problem(422), "idempotency_key_reused");
    let lost = keyed(&world, late, &path(taken), "tap", &nothing).await;
    assert_eq!(lost.problem(409), "ride_already_assigned", "as it was answered");
    keyed(&world, late, &path(open), "another", &nothing).await.good(200);
    world.stop().await;
}
