//! People with several doors: what one of them does through one, the others learn by an event.

use actix_web::http::Method;
use ibora::actors::Caller;
use serde_json::{Value, json};

use super::client::Client;
use crate::world::World;

/// A ride that `driver` has; its path.
async fn driven(world: &World, driver: Caller, passenger: Caller) -> String {
    let path = world.offered_ride(passenger, driver).await;
    world.post(driver, &format!("{path}/accept"), &json!({})).await.good(200);
    path
}

#[actix_web::test]
async fn a_driver_who_gives_a_ride_back_over_rest_is_told_so_in_his_session() {
    let world = World::start().await;
    let (driver, passenger) = (world.drivers_online(1).await[0], world.passenger().await);
    let mut car = Client::open(&world, driver).await;
    let path = driven(&world, driver, passenger).await;
    car.ride("accepted").await;
    let back = world.call(Method::POST, &format!("{path}/cancel")).token(&world.token(driver));
    let answer = back.key("back").json(&json!({"reason": "vehicle"})).await.good(200);
    let told = car.ride("searching").await;
    assert_eq!((&told["op"], &told["d"]["ride"]), (&json!("ride.updated"), &answer));
    assert_eq!((&answer["driver"], answer.get("pin")), (&Value::Null, None));
    // The stored answer is the event: it must still be found.
    let again = world.call(Method::POST, &format!("{path}/cancel")).token(&world.token(driver));
    assert_eq!(again.key("back").json(&json!({"reason": "vehicle"})).await.good(200), answer);

    // What becomes of it is no longer his business.
    world.post(passenger, &format!("{path}/cancel"), &json!({"reason": "other"})).await.good(200);
    car.send(&json!({"t": "ping", "ts": 1})).await;
    let canceled = |frame: &Value| frame["d"]["ride"]["status"] == "canceled";
    let next = car.until("a pong", |frame| frame["t"] == "pong" || canceled(frame)).await;
    assert_eq!(next["t"], "pong");
    world.stop().await;
}

#[actix_web::test]
async fn a_phone_that_comes_back_hears_that_the_other_gave_the_ride_back() {
    let world = World::start().await;
    let (driver, passenger) = (world.drivers_online(1).await[0], world.passenger().await);
    let mut first = Client::open(&world, driver).await;
    let path = driven(&world, driver, passenger).await;
    first.ride("accepted").await;
    let seen = *first.seqs.last().expect("events");

    let mut second = Client::open(&world, driver).await;
    assert_eq!(first.closed().await, 4004);
    assert_eq!(second.welcome["snapshot"]["ride"]["status"], "accepted");
    let ride = second.welcome["snapshot"]["ride"]["id"].as_str().expect("an id").parse().ok();
    let id = second.command("ride.cancel", ride, json!({"reason": "vehicle"})).await;
    let answer = second.answer(&id).await;
    assert_eq!(answer["d"]["status"], "searching", "{path}");

    let mut first = Client::resume(&world, driver, &first.welcome["stream"], seen).await;
    assert_eq!(first.welcome["stream"]["recovered"], true);
    assert_eq!(first.welcome["snapshot"]["ride"], Value::Null);
    assert_eq!(first.ride("searching").await["d"]["ride"], answer["d"]);
    world.stop().await;
}

#[actix_web::test]
async fn a_ride_that_ends_through_one_door_ends_in_the_other() {
    let world = World::start().await;
    let (driver, passenger) = (world.drivers_online(1).await[0], world.passenger().await);
    let mut car = Client::open(&world, driver).await;
    let path = driven(&world, driver, passenger).await;
    let pin = world.get(passenger, &path).await.good(200)["pin"].clone();
    let steps = [("arrive", "arrived", json!({})), ("start", "started", json!({"pin": pin}))];
    for (step, status, body) in steps.into_iter().chain([("complete", "completed", json!({}))]) {
        let answer = world.post(driver, &format!("{path}/{step}"), &body).await.good(200);
        assert_eq!(car.ride(status).await["d"]["ride"], answer);
    }
    world.stop().await;
}
