//! A ride from request to end, through the door that REST and sessions share.

use ibora::actors::{Caller, Command, Sent};
use ibora_domain::refusal::Refusal;
use ibora_domain::ride::CancelReason;
use uuid::Uuid;

use crate::world::{UNHURRIED, World, json, request, sé};

#[actix_web::test]
async fn a_ride_is_driven_to_its_end() {
    let world = World::start().await;
    let driver = world.drivers_online(1).await[0];
    let passenger = world.passenger().await;
    let ride = world.request(passenger).await;
    world.offered(driver, ride).await;

    world.send(driver, Command::Accept { ride, offer_id: None }).await.expect("accepted");
    world.send(driver, Command::Arrive { ride, location: None }).await.expect("arrived");
    let pin = world.pin(passenger, ride).await;
    world.send(driver, Command::Start { ride, pin }).await.expect("started");
    let complete = Command::Complete { ride, location: None, reason: None };
    let done = world.send(driver, complete).await.expect("completed");

    let ride = json(&done);
    assert_eq!(ride["status"], "completed");
    assert_eq!(ride["fare"]["final"], ride["fare"]["estimated"]);
    assert_eq!(ride["driver"]["id"], driver.user.to_string());
    assert!(ride.get("pin").is_none(), "the driver never sees the PIN");
    world.stop().await;
}

#[actix_web::test]
async fn hundred_drivers_race_and_exactly_one_is_told_yes() {
    let mut world = World::with(&[&[("dispatch.waves", "[100]")], UNHURRIED].concat()).await;
    let drivers = world.drivers_online(100).await;
    let passenger = world.passenger().await;
    let ride = world.request(passenger).await;
    for driver in &drivers {
        world.offered(*driver, ride).await;
    }
    let accepts = drivers.iter().map(|driver| {
        let id = Some(format!("accept-{}", driver.user));
        let command = Command::Accept { ride, offer_id: None };
        world.dispatch().command(*driver, Sent { id, if_version: None, command })
    });
    let answers = futures_util::future::join_all(accepts).await;
    let winners: Vec<Caller> = drivers
        .iter()
        .zip(&answers)
        .filter(|(_, answer)| answer.is_ok())
        .map(|(driver, _)| *driver)
        .collect();
    assert_eq!(winners.len(), 1);
    let refused = answers.iter().filter(|a| **a == Err(Refusal::RideAlreadyAssigned)).count();
    assert_eq!(refused, 99);

    world.restart().await;
    for (driver, told) in drivers.iter().zip(&answers) {
        let id = Some(format!("accept-{}", driver.user));
        let command = Command::Accept { ride, offer_id: None };
        let again = world.dispatch().command(*driver, Sent { id, if_version: None, command }).await;
        assert_eq!(again, *told, "the same command gets the same answer after a restart");
    }
    let (attempts, ranks): (i64, i64) = sqlx::query_as(
        "SELECT count(DISTINCT driver_id), max(rank) FROM ride_accept_attempt_lines
         WHERE ride_id = $1",
    )
    .bind(ride.0)
    .fetch_one(world.database())
    .await
    .expect("attempts");
    assert_eq!(attempts, 100, "every attempt is recorded");
    assert!(ranks >= 100);
    world.stop().await;
}

#[actix_web::test]
async fn the_same_key_gets_the_same_answer_and_no_second_ride() {
    let world = World::start().await;
    let passenger = world.passenger().await;
    let sent = |command| Sent { id: Some("one".into()), if_version: None, command };
    let first = world.dispatch().command(passenger, sent(Command::Request(request()))).await;
    let again = world.dispatch().command(passenger, sent(Command::Request(request()))).await;
    assert_eq!(first.clone().expect("requested"), again.expect("repeated"));
    let mut other = request();
    other.notes = Some("portão azul".into());
    let reused = world.dispatch().command(passenger, sent(Command::Request(other))).await;
    assert_eq!(reused, Err(Refusal::IdempotencyKeyReused));
    let second = world.send(passenger, Command::Request(request())).await;
    assert_eq!(second, Err(Refusal::ActiveRideExists));
    world.stop().await;
}

#[actix_web::test]
async fn a_key_used_for_one_ride_cannot_serve_another() {
    let world = World::start().await;
    let passenger = world.passenger().await;
    let ride = world.request(passenger).await;
    let cancel = |ride| Command::Cancel { ride, reason: CancelReason::ChangedMind, note: None };
    let sent = |command| Sent { id: Some("k".into()), if_version: None, command };
    world.dispatch().command(passenger, sent(cancel(ride))).await.expect("canceled");
    let next = world.request(passenger).await;
    let reused = world.dispatch().command(passenger, sent(cancel(next))).await;
    assert_eq!(reused, Err(Refusal::IdempotencyKeyReused));
    // The ride's actor was rebuilt from the records: nothing was done.
    world.until("read", async || world.dispatch().ride(passenger, next).await.is_ok()).await;
    assert_eq!(world.status(passenger, next).await, "searching");
    world.stop().await;
}

#[actix_web::test]
async fn strangers_and_wrong_orders_are_refused() {
    let world = World::start().await;
    let driver = world.drivers_online(1).await[0];
    let stranger = world.driver().await;
    let passenger = world.passenger().await;
    let ride = world.request(passenger).await;
    world.offered(driver, ride).await;

    let accept = Command::Accept { ride, offer_id: None };
    let other = Command::Accept { ride, offer_id: Some(ibora_domain::ids::OfferId(Uuid::nil())) };
    assert_eq!(world.send(passenger, accept.clone()).await, Err(Refusal::Forbidden));
    assert_eq!(world.send(driver, other).await, Err(Refusal::OfferExpired));
    let start = Command::Start { ride, pin: "0000".into() };
    assert_eq!(world.send(driver, start.clone()).await, Err(Refusal::NotFound));
    assert_eq!(world.dispatch().ride(stranger, ride).await, Err(Refusal::NotFound));
    let others = world.passenger().await;
    let cancel = Command::Cancel { ride, reason: CancelReason::Other, note: None };
    assert_eq!(world.send(others, cancel).await, Err(Refusal::NotFound));

    world.send(driver, accept.clone()).await.expect("accepted");
    world.send(driver, accept).await.expect("the winner asks again and is told the same");
    assert_eq!(world.send(driver, start).await, Err(Refusal::IllegalTransition));
    world.stop().await;
}

#[actix_web::test]
async fn a_panic_in_one_ride_is_its_own_affair() {
    let world = World::start().await;
    let drivers = world.drivers_online(2).await;
    let (one, two) = (world.passenger().await, world.passenger().await);
    let (hit, safe) = (world.request(one).await, world.request(two).await);
    world
        .until("both offered", async || {
            let open = world.dispatch().journal().records();
            let mut count = 0;
            for driver in &drivers {
                let now = world.dispatch().now();
                count += open.open_offers(driver.user.into(), now).await.expect("reads").len();
            }
            count >= 2
        })
        .await;
    assert!(world.dispatch().crash(ibora_domain::facts::Entity::Ride(hit)));
    assert_eq!(world.status(two, safe).await, "searching", "others never notice");
    world
        .until("the ride is rebuilt", async || world.dispatch().ride(one, hit).await.is_ok())
        .await;
    assert_eq!(world.status(one, hit).await, "searching");
    world.stop().await;
}

#[actix_web::test]
async fn panics_count_only_in_a_row() {
    let world = World::start().await;
    let driver = world.driver().await;
    let entity = ibora_domain::facts::Entity::Driver(driver.user.into());
    let is_there = async || world.dispatch().driver(driver.user.into()).await.is_ok();
    for _ in 0..4 {
        world.until("he is there", is_there).await;
        world.online(driver, sé()).await;
        world.send(driver, Command::Offline).await.expect("recorded");
        assert!(world.dispatch().crash(entity));
        world.until("he is there again", is_there).await;
    }
    for _ in 0..3 {
        world.until("he lives", async || world.dispatch().crash(entity)).await;
    }
    let gone = world.dispatch().driver(driver.user.into()).await;
    assert_eq!(gone, Err(Refusal::Unavailable), "left alone after three in a row");
    world.stop().await;
}
