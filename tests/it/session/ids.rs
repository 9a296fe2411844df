//! An id is one command's: who asks for anything else under it is told so, and nothing is recorded.

use actix_web::http::Method;
use ibora::actors::{Caller, Command};
use ibora_domain::facts::Entity;
use ibora_domain::ids::RideId;
use ibora_domain::ride::CancelReason;
use serde_json::{Value, json};
use sqlx::{Postgres, Transaction};
use uuid::Uuid;

use super::client::Client;
use crate::rest::ride_request;
use crate::world::World;

/// The code that answers a command.
async fn asked(car: &mut Client, id: &str, op: &str, key: Uuid) -> String {
    let d = match op {
        "ride.start" => json!({"pin": "0000"}),
        "ride.cancel" => json!({"reason": "other"}),
        "ride.rate" => json!({"stars": 5}),
        _ => json!({}),
    };
    car.command_as(id, op, Some(key), d).await;
    car.answer(id).await["code"].as_str().unwrap_or("ok").to_owned()
}

async fn accept(car: &mut Client, id: &str, ride: RideId) -> String {
    asked(car, id, "ride.accept", ride.0).await
}

#[actix_web::test]
async fn the_id_of_an_accept_accepts_no_other_ride_even_after_a_restart() {
    let long = "120000";
    let settings = [("dispatch.waves", "[3]"), ("dispatch.offer_ttl_ms", long)];
    let mut world = World::with(&settings).await;
    let drivers = world.drivers_online(2).await;
    let taken = world.request(world.passenger().await).await;
    let open = world.request(world.passenger().await).await;
    for driver in &drivers {
        world.offered(*driver, taken).await;
        world.offered(*driver, open).await;
    }
    let winner = Command::Accept { ride: taken, offer_id: None };
    world.send(drivers[0], winner).await.expect("his");

    let [late, in_time] = [(); 2].map(|()| Uuid::now_v7().to_string());
    let mut car = Client::open(&world, drivers[1]).await;
    assert_eq!(accept(&mut car, &late, taken).await, "ride_already_assigned");
    assert_eq!(accept(&mut car, &late, open).await, "idempotency_key_reused");
    world.restart().await;
    let mut car = Client::open(&world, drivers[1]).await;
    assert_eq!(accept(&mut car, &late, open).await, "idempotency_key_reused", "after a restart");
    assert_eq!(accept(&mut car, &late, taken).await, "ride_already_assigned", "its own command");
    assert_eq!(accept(&mut car, &in_time, open).await, "ok");

    world.restart().await;
    let mut car = Client::open(&world, drivers[1]).await;
    assert_eq!(accept(&mut car, &in_time, taken).await, "idempotency_key_reused", "it won");
    assert_eq!(accept(&mut car, &in_time, open).await, "ok");
    let wish = json!({"category": "economy", "location": {"lat": -23.55, "lng": -46.63}});
    car.command_as(&late, "driver.online", Some(drivers[1].user.0), wish).await;
    assert_eq!(car.answer(&late).await["code"], "idempotency_key_reused", "any other command");
    world.stop().await;
}

/// What a driver asks of others than his own actor.
const OF_RIDES: [&str; 6] =
    ["ride.decline", "ride.arrive", "ride.start", "ride.complete", "ride.cancel", "ride.rate"];

/// Everything that a driver can ask about a ride that he has is refused under `id`.
async fn is_of_another_command(world: &World, driver: Caller, (id, his): (&str, RideId)) {
    let mut car = Client::open(world, driver).await;
    for op in OF_RIDES {
        assert_eq!(asked(&mut car, id, op, his.0).await, "idempotency_key_reused", "{op}");
    }
    let vehicle = json!({"plate": "ABC1D23", "make": "Fiat", "model": "Argo", "color": "prata",
                         "year": 2024, "categories": ["economy"]});
    let calls = [
        (format!("/v1/rides/{his}/cancel"), json!({"reason": "other"})),
        ("/v1/payouts".to_owned(), json!({"amount": "10.00"})),
        ("/v1/me/vehicles".to_owned(), vehicle),
    ];
    for (path, body) in calls {
        let call = world.call(Method::POST, &path).token(&world.token(driver)).key(id);
        assert_eq!(call.json(&body).await.problem(422), "idempotency_key_reused", "{path}");
    }
    assert_eq!(world.status(driver, his).await, "accepted", "nothing was done");
}

#[actix_web::test]
async fn the_id_of_a_refused_accept_is_of_no_other_command_of_any_kind() {
    let settings = [("dispatch.waves", "[3]"), ("dispatch.offer_ttl_ms", "120000")];
    let mut world = World::with(&settings).await;
    let drivers = world.drivers_online(2).await;
    let taken = world.request(world.passenger().await).await;
    let his = world.request(world.passenger().await).await;
    for driver in &drivers {
        world.offered(*driver, taken).await;
        world.offered(*driver, his).await;
    }
    world.send(drivers[0], Command::Accept { ride: taken, offer_id: None }).await.expect("his");
    let late = Uuid::now_v7().to_string();
    let mut car = Client::open(&world, drivers[1]).await;
    assert_eq!(accept(&mut car, &late, taken).await, "ride_already_assigned");
    world.send(drivers[1], Command::Accept { ride: his, offer_id: None }).await.expect("his");

    is_of_another_command(&world, drivers[1], (&late, his)).await;
    world.restart().await;
    is_of_another_command(&world, drivers[1], (&late, his)).await;
    let mut car = Client::open(&world, drivers[1]).await;
    assert_eq!(accept(&mut car, &late, taken).await, "ride_already_assigned", "its own command");
    world.stop().await;
}

#[actix_web::test]
async fn the_id_of_any_command_accepts_no_ride_and_one_that_found_nothing_is_free() {
    let settings = [("dispatch.waves", "[3]"), ("dispatch.offer_ttl_ms", "120000")];
    let mut world = World::with(&settings).await;
    let drivers = world.drivers_online(2).await;
    let [taken, other] = [world.request(world.passenger().await).await, RideId(Uuid::now_v7())];
    for driver in &drivers {
        world.offered(*driver, taken).await;
    }
    world.send(drivers[0], Command::Accept { ride: taken, offer_id: None }).await.expect("his");
    let [declined, nothing] = [(); 2].map(|()| Uuid::now_v7().to_string());
    let mut car = Client::open(&world, drivers[1]).await;
    let answer = asked(&mut car, &declined, "ride.decline", taken.0).await;
    assert_eq!(accept(&mut car, &declined, taken).await, "idempotency_key_reused");
    for (op, code) in [("ride.accept", "offer_not_found"), ("ride.arrive", "not_found")] {
        assert_eq!(asked(&mut car, &nothing, op, other.0).await, code, "leaves no record");
    }
    assert_eq!(accept(&mut car, &nothing, taken).await, "ride_already_assigned");
    assert_eq!(asked(&mut car, &nothing, "ride.arrive", other.0).await, "idempotency_key_reused");
    world.restart().await;
    let mut car = Client::open(&world, drivers[1]).await;
    assert_eq!(accept(&mut car, &declined, taken).await, "idempotency_key_reused");
    assert_eq!(asked(&mut car, &declined, "ride.decline", taken.0).await, answer);
    world.stop().await;
}

#[actix_web::test]
async fn the_id_of_a_passenger_s_command_is_of_no_other_command_of_any_kind() {
    let mut world = World::start().await;
    let ana = world.passenger().await;
    let first = world.request(ana).await;
    let mut app = Client::open(&world, ana).await;
    let id = Uuid::now_v7().to_string();
    assert_eq!(asked(&mut app, &id, "ride.cancel", first.0).await, "ok");
    let second = world.request(ana).await;
    for _ in 0..2 {
        let mut app = Client::open(&world, ana).await;
        for op in ["ride.cancel", "ride.rate"] {
            assert_eq!(asked(&mut app, &id, op, second.0).await, "idempotency_key_reused", "{op}");
        }
        let body = json!({"reason": "other"});
        let path = format!("/v1/rides/{second}/cancel");
        let call = world.call(Method::POST, &path).token(&world.token(ana)).key(&id);
        assert_eq!(call.json(&body).await.problem(422), "idempotency_key_reused");
        let request = world.call(Method::POST, "/v1/rides").token(&world.token(ana)).key(&id);
        let reused = request.json(&ride_request()).await;
        assert_eq!(reused.problem(422), "idempotency_key_reused");
        assert_eq!(world.status(ana, second).await, "searching", "nothing was done");
        world.restart().await;
    }
    world.stop().await;
}

/// A ride that the driver has accepted, and one that is open to him still. The first is written by
/// another lane than the driver, of two.
async fn his_and_another(world: &World, driver: Caller) -> (RideId, RideId) {
    let open = world.request(world.passenger().await).await;
    world.offered(driver, open).await;
    loop {
        let passenger = world.passenger().await;
        let ride = world.request(passenger).await;
        if ride.shard().number() % 2 == driver.user.shard().number() % 2 {
            let cancel = Command::Cancel { ride, reason: CancelReason::Other, note: None };
            world.send(passenger, cancel).await.expect("canceled");
            continue;
        }
        world.offered(driver, ride).await;
        world.send(driver, Command::Accept { ride, offer_id: None }).await.expect("his");
        return (ride, open);
    }
}

/// Has his actor die, and be built again.
async fn lose_the_actor(world: &World, driver: Caller) {
    assert!(world.dispatch().crash(Entity::Driver(driver.user.into())));
    let is_built = async || world.dispatch().driver(driver.user.into()).await.is_ok();
    world.until("his actor is built again", is_built).await;
}

/// Has him arrive under `id` with a database that cannot record it, and his actor die and be built
/// again meanwhile. The database can once the transaction ends that is given back.
async fn lose_the_actor_meanwhile(
    world: &World,
    (driver, car): (Caller, &mut Client),
    (id, his): (&str, RideId),
) -> Transaction<'static, Postgres> {
    let owner = world.owner_pool().await;
    let mut rival = owner.begin().await.expect("begins");
    let ride = sqlx::query("SELECT FROM rides WHERE id = $1 FOR UPDATE").bind(his.0);
    ride.execute(&mut *rival).await.expect("locked");
    car.command_as(id, "ride.arrive", Some(his.0), json!({})).await;
    let waits = "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted
                                AND transactionid::text = txid_current()::text)";
    let mut write_waits =
        async || sqlx::query_scalar(waits).fetch_one(&mut *rival).await.expect("reads");
    world.until("the write waits", &mut write_waits).await;
    lose_the_actor(world, driver).await;
    rival
}

#[actix_web::test]
async fn an_id_outlives_the_actor_that_passed_it_on() {
    let settings =
        [("dispatch.waves", "[3]"), ("dispatch.offer_ttl_ms", "120000"), ("journal.writers", "2")];
    let world = World::with(&settings).await;
    let driver = world.drivers_online(1).await[0];
    let (his, open) = his_and_another(&world, driver).await;
    let id = Uuid::now_v7().to_string();
    let mut car = Client::open(&world, driver).await;
    let rival = lose_the_actor_meanwhile(&world, (driver, &mut car), (&id, his)).await;
    rival.rollback().await.expect("ends");
    assert_eq!(car.answer(&id).await["code"], Value::Null, "recorded after his actor was read");
    assert_eq!(accept(&mut car, &id, open).await, "idempotency_key_reused");
    assert_eq!(asked(&mut car, &id, "ride.arrive", his.0).await, "ok", "its own command");
    world.stop().await;
}

#[actix_web::test]
async fn an_id_of_which_nobody_knows_the_outcome_is_kept_for_its_command() {
    let settings = [
        ("dispatch.waves", "[3]"),
        ("dispatch.offer_ttl_ms", "120000"),
        ("journal.writers", "2"),
        ("actors.command_deadline_ms", "3000"),
    ];
    let world = World::with(&settings).await;
    let driver = world.drivers_online(1).await[0];
    let (his, open) = his_and_another(&world, driver).await;
    let id = Uuid::now_v7().to_string();
    let mut car = Client::open(&world, driver).await;
    let rival = lose_the_actor_meanwhile(&world, (driver, &mut car), (&id, his)).await;
    assert_eq!(car.answer(&id).await["code"], "unavailable");
    lose_the_actor(&world, driver).await;
    assert_eq!(accept(&mut car, &id, open).await, "idempotency_key_reused");
    rival.rollback().await.expect("ends");
    let again = async || asked(&mut car, &id, "ride.arrive", his.0).await == "ok";
    world.until("its own command is answered", again).await;
    assert_eq!(accept(&mut car, &id, open).await, "idempotency_key_reused");
    world.stop().await;
}

#[actix_web::test]
async fn who_gave_a_ride_back_hears_again_what_he_heard_and_the_id_stays_its_command_s() {
    let settings = [("dispatch.waves", "[3]"), ("dispatch.offer_ttl_ms", "120000")];
    let world = World::with(&settings).await;
    let driver = world.drivers_online(1).await[0];
    let (his, open) = his_and_another(&world, driver).await;
    let rated = Uuid::now_v7().to_string();
    let mut car = Client::open(&world, driver).await;
    assert_eq!(asked(&mut car, &rated, "ride.rate", his.0).await, "illegal_transition");
    let cancel = Command::Cancel { ride: his, reason: CancelReason::Other, note: None };
    world.send(driver, cancel).await.expect("given back");
    assert_eq!(asked(&mut car, &rated, "ride.rate", his.0).await, "illegal_transition");
    assert_eq!(accept(&mut car, &rated, open).await, "idempotency_key_reused");
    world.stop().await;
}
