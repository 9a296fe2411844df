//! When the driver will be there, as his passenger's devices are told it: now and then, never kept.

use serde_json::{Value, json};

use super::client::Client;
use crate::world::{World, place};

/// A position so many thousandths of a degree south of a place, as of `at`.
fn tel(number: u32, at: i64, south: u32) -> Value {
    let lat = -f64::from(23_550 + south) / 1000.0;
    json!({"t": "tel", "n": number, "pts": [[at, lat, -46.6339, 500, 8, 90]]})
}

fn is_eta(frame: &Value) -> bool {
    frame["op"] == "ride.eta"
}

/// The engine has said all that it has to say of what it was sent so far.
async fn settled(client: &mut Client) -> Vec<Value> {
    let mark = json!(uuid::Uuid::now_v7());
    client.send(&json!({"t": "ping", "ts": mark})).await;
    client.until("a pong", |frame| frame["ts"] == mark).await;
    client.take_passed()
}

#[actix_web::test]
async fn a_passenger_is_told_when_the_driver_will_be_there() {
    let settings = [("rides.eta_every_ms", "100"), ("session.tel_burst", "1000")];
    let world = World::with(&settings).await;
    let (driver, passenger) = (world.driver().await, world.passenger().await);
    world.online(driver, place(-23.5603, -46.6339)).await;
    let mut phone = Client::open(&world, passenger).await;
    let mut car = Client::open(&world, driver).await;
    let ride = world.request(passenger).await;
    car.event("offer.made").await;
    let id = car.command("ride.accept", Some(ride.0), json!({})).await;
    car.answer(&id).await;
    let first = phone.until("an ETA", is_eta).await;
    assert_eq!((&first["t"], &first["key"]), (&json!("eph"), &json!(ride)));
    assert_eq!(first["d"]["ride_id"], json!(ride));
    let first = first["d"]["eta_s"].as_u64().expect("seconds");
    assert!(first > 30, "over a kilometre away: {first}");

    let mut nearer = first;
    for n in 1..1000 {
        car.send(&tel(n, world.dispatch().now().0, 3)).await;
        settled(&mut car).await;
        if let Some(shown) = settled(&mut phone).await.iter().rev().find(|frame| is_eta(frame)) {
            nearer = shown["d"]["eta_s"].as_u64().expect("seconds");
            break;
        }
    }
    assert!(nearer < first, "{nearer} after {first}");
    let kept: i64 = sqlx::query_scalar("SELECT count(*) FROM stream_events WHERE op = 'ride.eta'")
        .fetch_one(world.database())
        .await
        .expect("reads");
    assert_eq!(kept, 0, "it is not kept");
    assert!(phone.seqs.iter().copied().eq(1..=phone.seqs.len() as u64), "{:?}", phone.seqs);
    world.stop().await;
}

#[actix_web::test]
async fn many_positions_are_one_word_of_when() {
    let settings = [
        ("session.tel_per_s", "1000"),
        ("session.tel_burst", "1000"),
        ("rides.eta_every_ms", "3600000"),
    ];
    let world = World::with(&settings).await;
    let (driver, passenger) = (world.drivers_online(1).await[0], world.passenger().await);
    let mut phone = Client::open(&world, passenger).await;
    let mut car = Client::open(&world, driver).await;
    let ride = world.request(passenger).await;
    car.event("offer.made").await;
    let id = car.command("ride.accept", Some(ride.0), json!({})).await;
    car.answer(&id).await;
    phone.until("the first word", is_eta).await;
    for n in 1..=50 {
        car.send(&tel(n, world.dispatch().now().0, 50 + n)).await;
        settled(&mut car).await;
    }
    let last = |frame: &Value| frame["d"]["location"]["lat"] == json!(-23.65);
    let newest = phone.until("the last position", last).await;
    assert_eq!(newest["op"], "driver.position");
    let told = settled(&mut phone).await;
    assert!(!told.iter().any(is_eta), "{told:?}");
    world.stop().await;
}
