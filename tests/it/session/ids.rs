//! An id is one command's: a driver who accepts a ride under one that he has used is told so.

use ibora::actors::Command;
use ibora_domain::ids::RideId;
use serde_json::json;
use uuid::Uuid;

use super::client::Client;
use crate::world::World;

/// The code that answers an accept.
async fn accept(car: &mut Client, id: &str, ride: RideId) -> String {
    car.command_as(id, "ride.accept", Some(ride.0), json!({})).await;
    car.answer(id).await["code"].as_str().unwrap_or("ok").to_owned()
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
