//! A driver on his way to a drop-off gets his next ride: offered, accepted, kept over a restart,
//! and his the moment the present one ends.

use ibora::actors::Command;
use ibora_domain::ride::Status;
use serde_json::{Value, json};
use uuid::Uuid;

use super::client::Client;
use crate::world::{World, request, sé};

/// Where the everyday ride ends.
fn dropoff() -> Value {
    json!(request().dropoff)
}

/// A ride from there.
fn onwards() -> Value {
    json!({"pickup": dropoff(), "dropoff": sé(), "category": "economy", "payment_method": "pix"})
}

/// What a command over a session comes to.
async fn done(client: &mut Client, op: &str, key: Uuid, d: Value) -> Value {
    let id = client.command(op, Some(key), d).await;
    client.answer(&id).await
}

/// A driver who drives a first ride near its end, and has accepted a second.
struct OneAfterAnother {
    world: World,
    car: Client,
    driver: ibora::actors::Caller,
    second: ibora::actors::Caller,
    rides: [Uuid; 2],
}

async fn one_after_another() -> OneAfterAnother {
    // Waves follow each other closely: he is silent while he waits, and would be taken for lost.
    let waves = [("dispatch.head_start_ms", "500"), ("dispatch.wave_ms", "500")];
    let world = World::with(&waves).await;
    let (driver, first, second) =
        (world.driver().await, world.passenger().await, world.passenger().await);
    let mut car = Client::open(&world, driver).await;
    world.online(driver, sé()).await;
    let ride = world.request(first).await;
    car.event("offer.made").await;
    assert_eq!(done(&mut car, "ride.accept", ride.0, json!({})).await["ok"], true);
    assert_eq!(done(&mut car, "ride.arrive", ride.0, json!({})).await["ok"], true);

    // Before the start nobody offers him another, wherever he is.
    let mut phone = Client::open(&world, second).await;
    let id = phone.command("ride.request", None, onwards()).await;
    let asked = phone.answer(&id).await["d"]["id"].clone();
    let next: Uuid = asked.as_str().expect("an id").parse().expect("a UUID");

    let pin = world.pin(first, ride).await;
    assert_eq!(done(&mut car, "ride.start", ride.0, json!({"pin": pin})).await["ok"], true);
    let now = world.dispatch().now().0;
    let at = request().dropoff;
    let points = json!([[now, at.lat(), at.lng(), 10]]);
    car.send(&json!({"t": "tel", "n": 1, "pts": points})).await;
    // The first offer may be said once more: nobody acknowledged it.
    while car.event("offer.made").await["key"] != json!(next) {}
    let won = done(&mut car, "ride.accept", next, json!({})).await;
    assert_eq!((&won["d"]["status"], &won["d"]["chained"]), (&json!("accepted"), &json!(true)));
    assert_eq!(phone.ride("accepted").await["d"]["ride"]["chained"], true);
    OneAfterAnother { world, car, driver, second, rides: [ride.0, next] }
}

#[actix_web::test]
async fn the_next_ride_is_accepted_on_the_way_and_active_when_the_present_one_ends() {
    let OneAfterAnother { world, mut car, driver, rides: [ride, next], .. } =
        one_after_another().await;
    let early = done(&mut car, "ride.arrive", next, json!({})).await;
    assert_eq!(early["code"], "illegal_transition", "he is still on the other");
    let again = Client::open(&world, driver).await;
    let shown = &again.welcome["snapshot"];
    assert_eq!((&shown["ride"]["id"], &shown["next_ride"]["id"]), (&json!(ride), &json!(next)));

    let mut car = again;
    assert_eq!(done(&mut car, "ride.complete", ride, json!({})).await["ok"], true);
    // In the commit that ended the other it became his active ride.
    let active: Option<Uuid> =
        sqlx::query_scalar("SELECT id FROM rides WHERE active_driver_id = $1")
            .bind(driver.user.0)
            .fetch_optional(world.database())
            .await
            .expect("reads");
    assert_eq!(active, Some(next));
    assert_eq!(done(&mut car, "ride.arrive", next, json!({})).await["d"]["chained"], false);
    world.stop().await;
}

#[actix_web::test]
async fn a_chained_ride_is_canceled_free_and_its_driver_may_be_asked_again() {
    let OneAfterAnother { world, mut car, second, rides: [_, next], .. } =
        one_after_another().await;
    let mut phone = Client::open(&world, second).await;
    let canceled = done(&mut phone, "ride.cancel", next, json!({"reason": "changed_mind"})).await;
    assert_eq!(canceled["d"]["cancellation"]["fee"], "0.00");
    let id = phone.command("ride.request", None, onwards()).await;
    let asked = phone.answer(&id).await["d"]["id"].clone();
    loop {
        if car.event("offer.made").await["key"] == asked {
            break;
        }
    }
    world.stop().await;
}

#[actix_web::test]
async fn a_restart_keeps_both_rides_and_their_order() {
    let OneAfterAnother { mut world, driver, rides: [ride, next], .. } = one_after_another().await;
    world.restart().await;
    let mut car = Client::open(&world, driver).await;
    let shown = &car.welcome["snapshot"];
    assert_eq!((&shown["ride"]["id"], &shown["next_ride"]["id"]), (&json!(ride), &json!(next)));
    assert_eq!(done(&mut car, "ride.complete", ride, json!({})).await["ok"], true);
    assert_eq!(done(&mut car, "ride.arrive", next, json!({})).await["d"]["status"], "arrived");
    assert_eq!(
        world.status(driver, ibora_domain::ids::RideId(ride)).await,
        Status::Completed.as_str()
    );
    world.stop().await;
}

#[actix_web::test]
async fn a_ride_that_is_driven_is_its_driver_s_active_one_whatever_it_was_chained_to() {
    let world = World::start().await;
    let driver = world.drivers_online(1).await[0];
    let ride = world.request(world.passenger().await).await;
    world.offered(driver, ride).await;
    world.send(driver, Command::Accept { ride, offer_id: None }).await.expect("his");
    // As where the end of the ride before it was recorded just before this one was chained to it,
    // and he arrives within the commit that unchains it.
    let owner = world.owner_pool().await;
    let chained = sqlx::query("UPDATE rides SET chained = true WHERE id = $1").bind(ride.0);
    chained.execute(&*owner).await.expect("marked");
    world.send(driver, Command::Arrive { ride, location: None }).await.expect("arrived");
    let active = "SELECT active_driver_id FROM rides WHERE id = $1";
    let active: Option<Uuid> =
        sqlx::query_scalar(active).bind(ride.0).fetch_one(&*owner).await.expect("reads");
    assert_eq!(active, Some(driver.user.0));
    world.stop().await;
}
