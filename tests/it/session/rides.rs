//! What sessions carry: commands and their answers, events in order, positions.

use ibora::actors::Sent;
use ibora::actors::parse;
use ibora_domain::ids::DriverId;
use ibora_domain::units::UnixMillis;
use serde_json::{Value, json};
use uuid::Uuid;

use super::client::Client;
use crate::world::{World, request, sé};

fn order() -> Value {
    let request = request();
    json!({"pickup": request.pickup, "dropoff": request.dropoff, "category": "economy",
        "payment_method": "pix"})
}

fn contiguous(client: &Client) -> bool {
    let first = client.welcome["stream"]["seq"].as_u64().expect("a seq") + 1;
    client.seqs.iter().copied().eq((first..).take(client.seqs.len()))
}

#[actix_web::test]
async fn a_ride_is_driven_to_its_end_over_two_sessions() {
    let world = World::start().await;
    let (driver, passenger) = (world.driver().await, world.passenger().await);
    let mut car = Client::open(&world, driver).await;
    let mut phone = Client::open(&world, passenger).await;
    let mut tablet = Client::open(&world, passenger).await;

    let id = car.command("driver.online", Some(driver.user.0), json!({"location": sé()})).await;
    let online = car.answer(&id).await;
    assert_eq!((&online["ok"], &online["d"]["status"]), (&json!(true), &json!("online")));

    let id = phone
        .command(
            "ride.estimate",
            None,
            json!({"pickup": sé(),
        "dropoff": request().dropoff, "category": "economy"}),
        )
        .await;
    let quote = phone.answer(&id).await["d"]["quotes"][0].clone();
    assert_eq!(quote["category"], "economy");
    let mut ordered = order();
    ordered["quote_id"] = quote["quote_id"].clone();
    let id = phone.command("ride.request", None, ordered).await;
    let ride = phone.answer(&id).await;
    assert_eq!(ride["d"]["fare"]["estimated"], quote["fare"]);
    let key: Uuid = ride["d"]["id"].as_str().expect("an id").parse().expect("a UUID");

    let offer = car.event("offer.made").await;
    assert_eq!((&offer["prio"], &offer["key"]), (&json!(1), &json!(key)));
    assert!(offer["exp"].is_string());
    let d = json!({"offer_id": offer["d"]["offer_id"]});
    let accept = car.command("ride.accept", Some(key), d).await;
    let won = car.answer(&accept).await;
    assert_eq!((&won["t"], &won["d"]["status"]), (&json!("res"), &json!("accepted")));
    assert_eq!(phone.ride("accepted").await["d"]["ride"]["driver"]["id"], json!(driver.user));
    let pin = tablet.ride("accepted").await["d"]["ride"]["pin"].clone();
    assert!(car.ride("accepted").await["d"]["ride"].get("pin").is_none());

    for (op, d) in [("ride.arrive", json!({})), ("ride.start", json!({"pin": pin}))] {
        let id = car.command(op, Some(key), d).await;
        assert_eq!(car.answer(&id).await["ok"], true, "{op}");
    }
    let id = car.command("ride.complete", Some(key), Value::Null).await;
    assert_eq!(car.answer(&id).await["d"]["status"], "completed");
    for client in [&mut phone, &mut tablet, &mut car] {
        client.ride("completed").await;
        assert!(contiguous(client), "{:?} after {}", client.seqs, client.welcome["stream"]);
    }
    assert_eq!(phone.seqs, tablet.seqs);
    let newest = phone.seqs.last().copied().expect("events");
    phone.send(&json!({"t": "ack", "seq": newest})).await;
    phone.send(&json!({"t": "ack", "seq": newest + 1})).await;
    assert_eq!(phone.next().await["code"], "invalid", "only what was not sent is refused");
    world.stop().await;
}

#[actix_web::test]
async fn the_same_id_gets_the_same_answer_through_every_door() {
    let mut world = World::start().await;
    let passenger = world.passenger().await;
    let mut phone = Client::open(&world, passenger).await;
    let id = phone.command("ride.request", None, order()).await;
    let first = phone.answer(&id).await;
    phone.command_as(&id, "ride.request", None, order()).await;
    assert_eq!(phone.answer(&id).await, first);
    let mut other = order();
    other["category"] = json!("comfort");
    phone.command_as(&id, "ride.request", None, other).await;
    assert_eq!(phone.answer(&id).await["code"], "idempotency_key_reused");
    drop(phone);

    // What REST does with this body and the id as its `Idempotency-Key`.
    let command = parse::command("ride.request", None, &order()).expect("valid");
    let sent = Sent { id: Some(id.clone()), if_version: None, command };
    let over_rest = world.dispatch().command(passenger, sent).await.expect("known");
    let body: Value = serde_json::from_str(&over_rest.body).expect("JSON");
    assert_eq!((&body, over_rest.version), (&first["d"], first["ver"].as_u64().expect("ver")));

    world.restart().await;
    let mut phone = Client::open(&world, passenger).await;
    phone.command_as(&id, "ride.request", None, order()).await;
    assert_eq!(phone.answer(&id).await, first, "after a restart too");
    let id = phone.command("ride.request", None, order()).await;
    let refused = phone.answer(&id).await;
    let expected = json!({"t": "err", "id": id, "code": "active_ride_exists", "retry": false});
    assert_eq!(refused, expected);
    phone.command_as(&id, "ride.request", None, order()).await;
    assert_eq!(phone.answer(&id).await, expected);
    world.stop().await;
}

#[actix_web::test]
async fn a_command_that_says_nothing_sensible_changes_nothing() {
    let world = World::start().await;
    let (driver, passenger) = (world.drivers_online(1).await[0], world.passenger().await);
    let mut car = Client::open(&world, driver).await;
    let mut phone = Client::open(&world, passenger).await;
    let nowhere = Some(Uuid::now_v7());
    let table = [
        ("ride.fly", nowhere, json!({}), "invalid"),
        ("ride.request", None, json!({"pickup": {"lat": 91, "lng": 0}}), "invalid"),
        ("ride.request", None, json!({"notes": "\u{0}"}), "invalid"),
        ("ride.cancel", None, json!({"reason": "safety"}), "invalid"),
        ("ride.accept", nowhere, json!({}), "forbidden"),
        ("driver.online", None, json!({"location": sé()}), "forbidden"),
        ("ride.cancel", nowhere, json!({"reason": "safety"}), "not_found"),
    ];
    for (op, key, d, code) in table {
        let id = phone.command(op, key, d).await;
        let answer = phone.answer(&id).await;
        assert_eq!((&answer["t"], &answer["code"]), (&json!("err"), &json!(code)), "{op}");
        let named = answer["d"]["errors"].as_array().is_some_and(|errors| !errors.is_empty());
        assert_eq!(named, code == "invalid", "{op}: {answer}");
    }
    let id = car.command("ride.accept", nowhere, json!({})).await;
    assert_eq!(car.answer(&id).await["code"], "offer_not_found");
    let id = car.command("ride.request", None, order()).await;
    assert_eq!(car.answer(&id).await["code"], "forbidden");

    let ride = world.request(passenger).await;
    let id = Uuid::now_v7();
    let d = json!({"reason": "changed_mind"});
    phone
        .send(&json!({"t": "cmd", "id": id, "op": "ride.cancel", "key": ride, "if": 99, "d": d}))
        .await;
    assert_eq!(phone.answer(&id.to_string()).await["code"], "version_conflict");
    assert_eq!(world.status(passenger, ride).await, "searching");
    world.stop().await;
}

#[actix_web::test]
async fn positions_are_visible_at_once_and_acknowledged() {
    let world = World::with(&[("session.tel_per_s", "1000"), ("session.tel_burst", "1000")]).await;
    let driver = world.drivers_online(1).await[0];
    let mut car = Client::open(&world, driver).await;
    let now = world.dispatch().now().0;
    car.text(&format!(
        r#"{{"t":"tel","n":1,"pts":[[{},-23.5,-46.6,5,11.5,270],[{now},-23.501,-46.601,5,0,0]]}}"#,
        now - 1000
    ))
    .await;
    assert_eq!(car.next().await, json!({"t": "tack", "n": 1}));
    let seen = world.dispatch().last_position(DriverId::from(driver.user)).expect("seen");
    assert_eq!((seen.place.lat(), seen.place.lng()), (-23.501, -46.601));
    assert_eq!(seen.at, UnixMillis(now));

    let bad = [
        (json!([[now, 91, 0, 1, 1, 1]]), "invalid"),
        (json!([[now, "1e999", 0]]), "malformed"),
        (json!([]), "invalid"),
        (json!([[now]]), "malformed"),
    ];
    for (pts, code) in bad {
        car.send(&json!({"t": "tel", "n": 2, "pts": pts})).await;
        assert_eq!(car.next().await["code"], code, "{pts}");
    }
    car.text(r#"{"t":"tel","n":2,"pts":[[1,1e999,0]]}"#).await;
    assert_eq!(car.next().await["code"], "invalid");
    car.text(r#"{"t":"tel","n":2,"pts":[[1,NaN,0]]}"#).await;
    assert_eq!(car.next().await["code"], "malformed");

    let mut phone = Client::open(&world, world.passenger().await).await;
    phone.send(&json!({"t": "tel", "n": 1, "pts": [[now, 1, 2]]})).await;
    assert_eq!(phone.next().await["code"], "forbidden");
    world.stop().await;
}

#[actix_web::test]
async fn a_passenger_sees_the_driver_come() {
    let world = World::start().await;
    let (driver, passenger) = (world.drivers_online(1).await[0], world.passenger().await);
    let mut phone = Client::open(&world, passenger).await;
    let mut car = Client::open(&world, driver).await;
    let ride = world.request(passenger).await;
    car.event("offer.made").await;
    let id = car.command("ride.accept", Some(ride.0), json!({})).await;
    car.answer(&id).await;
    let now = world.dispatch().now().0;
    let tel = format!(r#"{{"t":"tel","n":1,"pts":[[{now},-23.56,-46.64,5,8,90]]}}"#);
    car.text(&tel).await;
    let shown = phone.until("a position", |frame| frame["op"] == "driver.position").await;
    assert_eq!(shown["t"], "eph");
    assert_eq!(shown["d"]["location"], json!({"lat": -23.56, "lng": -46.64}));
    assert_eq!(shown["key"], ride.to_string());
    world.stop().await;
}

#[actix_web::test]
async fn many_events_arrive_without_gap() {
    let world = World::start().await;
    let driver = world.driver().await;
    let mut car = Client::open(&world, driver).await;
    for _ in 0..100 {
        world.online(driver, sé()).await;
        world.send(driver, ibora::actors::Command::Offline).await.expect("offline");
    }
    let last = world.app().journal.stream_head(driver.user).await.expect("reads").1;
    assert_eq!(last, 200);
    while car.seqs.last() != Some(&last) {
        car.event("driver.updated").await;
    }
    assert!(contiguous(&car), "{:?}", car.seqs);
    let late = Client::open(&world, driver).await;
    assert_eq!(late.welcome["stream"]["seq"], last);
    world.stop().await;
}

#[actix_web::test]
async fn a_token_is_refreshed_on_the_socket_by_its_own_person_only() {
    let world = World::start().await;
    let (ana, bia) = (world.passenger().await, world.passenger().await);
    let mut phone = Client::open(&world, ana).await;
    phone.send(&json!({"t": "auth", "bearer": world.token(ana)})).await;
    let told = phone.next().await;
    assert_eq!(told["t"], "auth");
    assert!((890..=900).contains(&told["auth_ttl_s"].as_u64().expect("seconds")));
    for bearer in [world.token(bia), "nonsense".to_owned()] {
        phone.send(&json!({"t": "auth", "bearer": bearer})).await;
        let refused = json!({"t": "err", "code": "unauthenticated", "retry": false});
        assert_eq!(phone.next().await, refused);
    }
    world.stop().await;
}
