//! Coming back: what was missed follows in order, or a snapshot is the truth; nothing in between.

use std::time::Duration;

use futures_util::future::join_all;
use ibora::actors::{Caller, Command};
use serde_json::{Value, json};

use super::client::Client;
use crate::machine::http;
use crate::world::{World, sé};

fn head(client: &Client) -> u64 {
    client.welcome["stream"]["seq"].as_u64().expect("a seq")
}

fn recovered(client: &Client) -> bool {
    client.welcome["stream"]["recovered"].as_bool().expect("said")
}

/// Reads the events up to number `upto`.
async fn read_to(client: &mut Client, upto: u64) {
    client.until("the last event", |frame| frame["seq"] == upto).await;
}

/// A durable event for a driver for each number, which takes turns between online and offline.
async fn events_for(world: &World, driver: Caller, turns: std::ops::Range<usize>) {
    for turn in turns {
        let command = match turn % 2 {
            0 => Command::Online { category: None, vehicle_id: None, location: Some(sé()) },
            _ => Command::Offline,
        };
        world.send(driver, command).await.expect("answered");
    }
}

#[actix_web::test]
async fn what_was_missed_follows_the_welcome_in_order() {
    let mut world = World::start().await;
    let driver = world.driver().await;
    events_for(&world, driver, 0..2).await;
    let first = Client::open(&world, driver).await;
    assert_eq!((recovered(&first), head(&first)), (false, 2));
    let stream = first.welcome["stream"].clone();
    drop(first);
    events_for(&world, driver, 2..7).await;
    let mut again = Client::resume(&world, driver, &stream, 2).await;
    assert_eq!((recovered(&again), head(&again)), (true, 7));
    assert_eq!(again.welcome["snapshot"]["driver"]["status"], "online", "always the truth too");
    read_to(&mut again, 7).await;
    assert_eq!(again.seqs, [3, 4, 5, 6, 7]);
    events_for(&world, driver, 7..8).await;
    read_to(&mut again, 8).await;
    assert_eq!(again.seqs, [3, 4, 5, 6, 7, 8]);

    // After a restart they come from the database.
    world.restart().await;
    let mut later = Client::resume(&world, driver, &stream, 5).await;
    assert_eq!((recovered(&later), head(&later)), (true, 8));
    read_to(&mut later, 8).await;
    assert_eq!(later.seqs, [6, 7, 8]);
    let nothing_missed = Client::resume(&world, driver, &stream, 8).await;
    assert_eq!((recovered(&nothing_missed), head(&nothing_missed)), (true, 8));
    world.stop().await;
}

#[actix_web::test]
async fn what_cannot_be_resumed_whole_is_not_resumed() {
    let world = World::start().await;
    let (driver, other) = (world.driver().await, world.driver().await);
    events_for(&world, driver, 0..4).await;
    let client = Client::open(&world, driver).await;
    let stream = client.welcome["stream"].clone();
    let cases = [
        (json!({"id": stream["id"], "epoch": "another"}), 2),
        (json!({"id": format!("drv:{}", other.user), "epoch": stream["epoch"]}), 2),
        (stream.clone(), 5),
    ];
    for (told, seq) in cases {
        let again = Client::resume(&world, driver, &told, seq).await;
        assert!(!recovered(&again), "{told} {seq}");
        assert_eq!(again.welcome["stream"]["epoch"], stream["epoch"]);
    }
    // The oldest is gone from the database, and from memory with the start.
    let mut world = world;
    world.restart().await;
    world.forget_events(driver, 1).await;
    assert!(!recovered(&Client::resume(&world, driver, &stream, 0).await));
    let mut whole = Client::resume(&world, driver, &stream, 1).await;
    assert!(recovered(&whole));
    read_to(&mut whole, 4).await;
    assert_eq!(whole.seqs, [2, 3, 4]);
    drop(world);
}

#[actix_web::test]
async fn a_thousand_missed_events_are_sent_and_more_are_not() {
    let world = World::start().await;
    let driver = world.driver().await;
    events_for(&world, driver, 0..1_002).await;
    let client = Client::open(&world, driver).await;
    let stream = client.welcome["stream"].clone();
    drop(client);
    let mut whole = Client::resume(&world, driver, &stream, 2).await;
    assert!(recovered(&whole), "they count towards no bound of the outbox");
    read_to(&mut whole, 1_002).await;
    assert!(whole.seqs.iter().copied().eq(3..=1_002));
    assert!(!recovered(&Client::resume(&world, driver, &stream, 1).await));
    world.stop().await;
}

#[actix_web::test]
async fn an_offer_is_said_again_until_it_is_acknowledged() {
    let world = World::with(&[("session.resend_ms", "300")]).await;
    let (driver, passenger) = (world.driver().await, world.passenger().await);
    let mut car = Client::open(&world, driver).await;
    world.online(driver, sé()).await;
    world.request(passenger).await;
    let offer = car.event("offer.made").await;
    let again = car.event("offer.made").await;
    assert_eq!(offer, again, "the same frame");
    let seq = offer["seq"].as_u64().expect("a seq");
    car.send(&json!({"t": "ack", "seq": seq})).await;
    car.send(&json!({"t": "ping", "ts": 1})).await;
    car.until("a pong", |frame| frame["t"] == "pong").await;
    // Said again before the ack was heard.
    car.take_passed();
    let silent = tokio::time::timeout(Duration::from_secs(1), car.event("offer.made")).await;
    assert!(silent.is_err(), "acknowledged: {silent:?}");
    world.app().journal.flush().await;
    assert_eq!(world.acked(driver).await, i64::try_from(seq).expect("fits"));
    world.stop().await;
}

#[actix_web::test]
async fn what_was_told_before_history_was_lost_is_not_gone_on_from() {
    let mut world = World::start().await;
    let driver = world.driver().await;
    events_for(&world, driver, 0..3).await;
    let before = Client::open(&world, driver).await.welcome["stream"].clone();
    world.restart().await;
    let same = Client::resume(&world, driver, &before, 1).await;
    assert_eq!((recovered(&same), &same.welcome["stream"]["epoch"]), (true, &before["epoch"]));

    // As if this were a restored copy, in which another event has number 3.
    let owner = world.owner_pool().await;
    let other = "UPDATE history SET timeline = 'another'";
    sqlx::query(other).execute(&*owner).await.expect("updated");
    world.restart().await;
    events_for(&world, driver, 3..5).await;
    let anew = Client::resume(&world, driver, &before, 3).await;
    assert!(!recovered(&anew), "what it has is another history");
    let after = anew.welcome["stream"].clone();
    assert_ne!(after["epoch"], before["epoch"]);
    world.restart().await;
    let again = Client::resume(&world, driver, &after, head(&anew)).await;
    assert!(recovered(&again), "once is enough");
    world.stop().await;
}

#[actix_web::test]
async fn of_many_polls_that_wait_for_one_person_s_event_each_is_told_of_it() {
    let world = World::start().await;
    let driver = world.driver().await;
    let begun = poll(&world, driver, "").await;
    let asks = format!("?epoch={}&seq=0&wait=30", begun["epoch"].as_str().expect("an epoch"));
    let polls = (0..20).map(|_| poll(&world, driver, &asks));
    let (told, ()) = tokio::join!(join_all(polls), events_for(&world, driver, 0..1));
    for told in told {
        assert_eq!((&told["recovered"], &told["seq"]), (&json!(true), &json!(1)), "{told}");
    }
    world.stop().await;
}

/// One question of a long poll.
async fn poll(world: &World, caller: Caller, query: &str) -> Value {
    let mut answer = http()
        .get(format!("{}/v1/stream{query}", world.url()))
        .bearer_auth(world.token(caller))
        .send()
        .await
        .expect("answered");
    let mut body: Value = answer.json().await.expect("JSON");
    body["status"] = json!(answer.status().as_u16());
    body
}

#[actix_web::test]
async fn the_same_events_come_by_long_poll() {
    let world = World::start().await;
    let driver = world.driver().await;
    events_for(&world, driver, 0..3).await;
    let begun = poll(&world, driver, "").await;
    assert_eq!((&begun["recovered"], &begun["seq"]), (&json!(false), &json!(3)));
    assert_eq!(begun["snapshot"]["driver"]["status"], "online");
    let epoch = begun["epoch"].as_str().expect("an epoch").to_owned();

    let mut socket = Client::open(&world, driver).await;
    let asks = format!("?epoch={epoch}&seq=3&wait=10");
    let waits = poll(&world, driver, &asks);
    let (told, ()) = tokio::join!(waits, events_for(&world, driver, 3..5));
    let mut events = told["events"].as_array().expect("events").clone();
    let upto = told["seq"].as_u64().expect("a seq");
    let rest = poll(&world, driver, &format!("?epoch={epoch}&seq={upto}")).await;
    events.extend(rest["events"].as_array().expect("events").clone());
    assert_eq!((told["recovered"].clone(), rest["recovered"].clone()), (json!(true), json!(true)));
    let on_socket = [socket.next().await, socket.next().await];
    assert_eq!(events, on_socket, "the same frames");

    let nothing = poll(&world, driver, &format!("?epoch={epoch}&seq=5")).await;
    assert_eq!((&nothing["events"], &nothing["seq"]), (&json!([]), &json!(5)));
    let lost = poll(&world, driver, "?epoch=other&seq=5&wait=30").await;
    assert_eq!((&lost["recovered"], &lost["seq"]), (&json!(false), &json!(5)));
    for bad in ["?wait=31", "?seq=-1", "?seq=x", "?other=1"] {
        assert_eq!(poll(&world, driver, bad).await["status"], 422, "{bad}");
    }
    assert_eq!(poll(&world, world.admin().await, "").await["status"], 403);
    world.stop().await;
}
