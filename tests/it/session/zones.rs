//! Zones with a policy each, over real sockets: side by side, and over one set of drivers.

use ibora::actors::Caller;
use ibora_domain::ids::DriverId;
use ibora_domain::place::Coordinates;
use serde_json::json;
use uuid::Uuid;

use super::client::Client;
use crate::world::{World, place};

/// In the north a race, in the south the nearest; far enough apart that no driver of one
/// is a candidate in the other.
const APART: &str = r#"[
    { name = "north", centre = { lat = -22.81, lng = -43.25 }, radius_m = 3000, policy = "race" },
    { name = "south", centre = { lat = -23.0, lng = -43.25 }, radius_m = 3000, policy = "nearest" },
]"#;

/// The same two beside each other.
const TOGETHER: &str = r#"[
    { name = "north", centre = { lat = -22.99, lng = -43.25 }, radius_m = 500, policy = "race" },
    { name = "south", centre = { lat = -23.00, lng = -43.25 }, radius_m = 500, policy = "nearest" },
]"#;

/// An engine with these zones, whose second waves come when the tests are over.
async fn world(zones: &str) -> World {
    let long = "120000";
    let settings = [("dispatch.head_start_ms", long), ("dispatch.offer_ttl_ms", long)];
    World::with(&[&settings[..], &[("dispatch.zones", zones)]].concat()).await
}

/// Drivers on a line to the west, the first of them at the place itself.
async fn cars(world: &World, at: Coordinates, count: u32) -> Vec<(Caller, Client)> {
    let mut cars = Vec::new();
    for number in 0..count {
        let driver = world.driver().await;
        let west = at.lng() - f64::from(number) / 1000.0;
        world.online(driver, place(at.lat(), west)).await;
        cars.push((driver, Client::open(world, driver).await));
    }
    cars
}

/// A ride asked for over a session of a new passenger.
async fn request(world: &World, pickup: Coordinates) -> Uuid {
    let mut phone = Client::open(world, world.passenger().await).await;
    let dropoff = place(-22.90, -43.17);
    let order = json!({"pickup": pickup, "dropoff": dropoff, "category": "economy",
        "payment_method": "pix"});
    let id = phone.command("ride.request", None, order).await;
    let ride = phone.answer(&id).await["d"]["id"].clone();
    ride.as_str().expect("an id").parse().expect("a UUID")
}

async fn offers(world: &World, driver: Caller) -> usize {
    let records = world.dispatch().journal().records();
    let open = records.open_offers(DriverId::from(driver.user), world.dispatch().now()).await;
    open.expect("reads").len()
}

#[actix_web::test]
async fn each_zone_asks_drivers_by_its_own_policy() {
    let world = world(APART).await;
    let (north, south) = (place(-22.81, -43.25), place(-23.00, -43.25));
    let (mut racers, mut others) = (cars(&world, north, 3).await, cars(&world, south, 3).await);
    let (race, queue) = (request(&world, north).await, request(&world, south).await);

    for (_, car) in &mut racers {
        assert_eq!(car.event("offer.made").await["key"], json!(race), "all are asked at once");
    }
    let (_, nearest) = &mut others[0];
    assert_eq!(nearest.event("offer.made").await["key"], json!(queue));
    // A wave is one commit, and that of the nearest is read: nobody else is in it.
    for (driver, _) in &others[1..] {
        assert_eq!(offers(&world, *driver).await, 0, "only the nearest is asked");
    }
    world.stop().await;
}

#[actix_web::test]
async fn a_driver_between_two_zones_is_asked_by_both_and_drives_for_one() {
    let world = world(TOGETHER).await;
    let mut cars = cars(&world, place(-22.995, -43.25), 1).await;
    let (driver, car) = &mut cars[0];
    let north = request(&world, place(-22.99, -43.25)).await;
    assert_eq!(car.event("offer.made").await["key"], json!(north));
    let south = request(&world, place(-23.00, -43.25)).await;
    assert_eq!(car.event("offer.made").await["key"], json!(south));
    assert_eq!(offers(&world, *driver).await, 2);

    let won = car.command("ride.accept", Some(south), json!({})).await;
    let late = car.command("ride.accept", Some(north), json!({})).await;
    assert_eq!(car.answer(&won).await["ok"], true);
    assert_eq!(car.answer(&late).await["code"], "driver_busy", "he has a ride");
    world.until("the other offer is closed", async || offers(&world, *driver).await == 0).await;
    world.stop().await;
}
