//! How sessions begin and why they end, each with its close code.

use std::time::Duration;

use actix_web::http::Method;
use ibora::accounts::Identity;
use ibora::actors::{Caller, Command};
use ibora_domain::facts::{StreamId, StreamRow};
use ibora_domain::ids::UserId;
use ibora_domain::person::Role;
use ibora_domain::units::Millis;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::http::StatusCode;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use uuid::Uuid;

use super::client::{Client, handshake};
use crate::machine::patience;
use crate::world::{World, request};

/// The close code after this first frame.
async fn refused(world: &World, first: &Value) -> u16 {
    let mut client = Client::dial(world).await;
    client.send(first).await;
    client.closed().await
}

fn hello(bearer: &str) -> Value {
    json!({"t": "hello", "v": 1, "auth": {"bearer": bearer}})
}

#[actix_web::test]
async fn a_session_begins_with_the_truth() {
    let world = World::start().await;
    let driver = world.drivers_online(1).await[0];
    let client = Client::open(&world, driver).await;
    let welcome = &client.welcome;
    let hb =
        json!({"idle_ms": 15000, "active_ms": 5000, "grace_ms": 8000, "active_grace_ms": 4000});
    assert_eq!(welcome["hb"], hb);
    assert_eq!(welcome["limits"], json!({"frame": 16384, "rate": 20, "burst": 40}));
    assert_eq!(welcome["stream"]["id"], format!("drv:{}", driver.user));
    assert_eq!(welcome["stream"]["recovered"], false);
    assert!((890..=900).contains(&welcome["auth_ttl_s"].as_u64().expect("seconds")));
    assert!(Uuid::try_parse(welcome["session"].as_str().expect("an id")).is_ok());
    assert!(welcome["now"].as_str().expect("a time").ends_with('Z'));
    let snapshot = &welcome["snapshot"];
    assert_eq!(snapshot["driver"]["status"], "online");
    assert_eq!((&snapshot["offers"], &snapshot["ride"]), (&json!([]), &Value::Null));

    let passenger = world.passenger().await;
    let ride = world.request(passenger).await;
    let client = Client::open(&world, passenger).await;
    let snapshot = &client.welcome["snapshot"];
    let expected = json!({"id": passenger.user, "name": "Test passenger", "rating": 5.0});
    assert_eq!(snapshot["passenger"], expected);
    assert_eq!(snapshot["ride"]["id"], ride.to_string());
    assert!(snapshot["ride"]["pin"].is_string());
    assert_eq!(snapshot["payment"], Value::Null);
    assert_eq!(client.welcome["stream"]["id"], format!("pax:{}", passenger.user));
    assert!(client.welcome["stream"]["seq"].as_u64().expect("a seq") >= 1);

    world.offered(driver, ride).await;
    let again = Client::open(&world, driver).await;
    assert_eq!(again.welcome["snapshot"]["offers"][0]["ride_id"], ride.to_string());
    assert_eq!(again.welcome["stream"]["epoch"], client_epoch(&world, driver).await);
    world.stop().await;
}

async fn client_epoch(world: &World, caller: Caller) -> String {
    world.app().journal.stream_head(caller.user).await.expect("reads").0.to_string()
}

#[actix_web::test]
async fn who_may_not_open_a_session_is_told_why() {
    let world = World::start().await;
    let passenger = world.passenger().await;
    let token = world.token(passenger);
    let accounts = &world.app().accounts;
    let life = Millis(0);
    let old = accounts.sign_access_for(passenger.user, passenger.role, life).expect("signs");
    let admin = accounts.sign_access(UserId(Uuid::now_v7()), Role::Admin).expect("signs");
    let nobody = accounts.sign_access(UserId(Uuid::now_v7()), Role::Passenger).expect("signs");

    assert_eq!(
        refused(&world, &json!({"t": "hello", "v": 2, "auth": {"bearer": token}})).await,
        4000
    );
    assert_eq!(refused(&world, &json!({"t": "ping", "ts": 1})).await, 4001);
    assert_eq!(refused(&world, &json!({"t": "hello", "v": 1, "auth": {}})).await, 4001);
    assert_eq!(refused(&world, &hello("not.a.token")).await, 4002);
    assert_eq!(refused(&world, &hello(&format!("{token}x"))).await, 4002);
    let ticket = json!({"t": "hello", "v": 1, "auth": {"ticket": "never issued"}});
    assert_eq!(refused(&world, &ticket).await, 4002);
    assert_eq!(refused(&world, &hello(&admin)).await, 4003);
    assert_eq!(refused(&world, &hello(&nobody)).await, 4003, "a token without a person");
    // Beyond the seconds that clocks may be apart the token is over; before, it opens a session
    // that ends at once. Either way its holder is told to refresh it.
    assert_eq!(refused(&world, &hello(&old)).await, 4103);
    world.stop().await;
    let hasty = World::with(&[("session.hello_timeout_ms", "300")]).await;
    assert_eq!(Client::dial(&hasty).await.closed().await, 4005);
    hasty.stop().await;
}

#[actix_web::test]
async fn a_ticket_opens_one_session() {
    let world = World::start().await;
    let passenger = world.passenger().await;
    let accounts = &world.app().accounts;
    let identity: Identity = accounts.authenticate(&world.token(passenger)).expect("good");
    let ticket = accounts.issue_ticket(identity).expect("issued").ticket;
    let hello = json!({"t": "hello", "v": 1, "auth": {"ticket": ticket}});
    let mut client = Client::dial(&world).await;
    client.send(&hello).await;
    assert_eq!(client.next().await["t"], "welcome");
    assert_eq!(refused(&world, &hello).await, 4002);
    world.stop().await;
}

#[actix_web::test]
async fn handshakes_need_the_protocol_and_a_known_origin() {
    let origins = r#"["https://app.example.com"]"#;
    let world = World::with(&[("http.allowed_origins", origins)]).await;
    let protocol = ("Sec-WebSocket-Protocol", "chat, ibora.v1");
    let open = StatusCode::SWITCHING_PROTOCOLS;
    assert_eq!(handshake(&world, &[protocol]).await, open);
    assert_eq!(handshake(&world, &[protocol, ("Origin", "https://app.example.com")]).await, open);
    let strange = ["https://evil.example.com", "null", "https://app.example.com.evil.com"];
    for origin in strange {
        let status = handshake(&world, &[protocol, ("Origin", origin)]).await;
        assert_eq!(status, StatusCode::FORBIDDEN, "{origin}");
    }
    assert_eq!(handshake(&world, &[]).await, StatusCode::BAD_REQUEST);
    let other = ("Sec-WebSocket-Protocol", "ibora.v2");
    assert_eq!(handshake(&world, &[other]).await, StatusCode::BAD_REQUEST);
    world.stop().await;
}

/// The answer to a handshake that is refused, as it is on the wire.
async fn refused_handshake(world: &World, more: &str) -> String {
    let mut socket = TcpStream::connect(world.app().address).await.expect("connects");
    let head = format!(
        "GET /v1/session HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Protocol: ibora.v1\r\nX-Request-ID: mine\r\n{more}\r\n"
    );
    socket.write_all(head.as_bytes()).await.expect("sends");
    let mut answer = Vec::new();
    while !answer.ends_with(b"}") {
        assert_ne!(socket.read_buf(&mut answer).await.expect("reads"), 0, "a whole answer");
    }
    String::from_utf8(answer).expect("UTF-8")
}

#[actix_web::test]
async fn a_refused_handshake_is_a_problem_like_any_other() {
    let world = World::with(&[("session.strangers_max", "1")]).await;
    let plain = world.call(Method::GET, "/v1/session").empty().await;
    assert_eq!(plain.problem(400), "malformed", "no WebSocket is asked for");
    let other = world.call(Method::POST, "/v1/session").empty().await;
    assert_eq!(other.problem(405), "method_not_allowed");
    assert_eq!(other.header("allow"), "GET");
    let foreign = refused_handshake(&world, "Origin: https://evil.example.com\r\n").await;
    assert!(foreign.starts_with("HTTP/1.1 403 "), "{foreign}");
    let _first = Client::dial(&world).await;
    let crowded = refused_handshake(&world, "").await;
    assert!(crowded.starts_with("HTTP/1.1 503 "), "{crowded}");
    assert!(crowded.contains(r#""code":"overloaded""#), "{crowded}");
    for answer in [foreign, crowded] {
        assert!(answer.to_ascii_lowercase().contains("\r\nx-request-id: mine\r\n"), "{answer}");
        assert!(answer.contains(r#""request_id":"mine""#), "{answer}");
    }
    world.stop().await;
}

#[actix_web::test]
async fn behind_a_trusted_proxy_each_address_has_its_own_room() {
    let limits = [("limits.enabled", "true"), ("session.strangers_per_address_max", "1")];
    let protocol = ("Sec-WebSocket-Protocol", "ibora.v1");
    let from = |address| [protocol, ("X-Forwarded-For", address)];
    let cases =
        [("127.0.0.1", StatusCode::SWITCHING_PROTOCOLS), ("", StatusCode::SERVICE_UNAVAILABLE)];
    for (proxies, expected) in cases {
        let mut settings = limits.to_vec();
        settings.push(("http.trusted_proxies", proxies));
        let world = World::with(&settings).await;
        let _first = Client::dial(&world).await;
        assert_eq!(handshake(&world, &[protocol]).await, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(handshake(&world, &from("198.51.100.7")).await, expected, "trusts `{proxies}`");
        world.stop().await;
    }
}

#[actix_web::test]
async fn a_driver_has_one_session_and_a_passenger_three() {
    let world = World::start().await;
    let driver = world.driver().await;
    let mut first = Client::open(&world, driver).await;
    let mut second = Client::open(&world, driver).await;
    assert_eq!(first.closed().await, 4004);

    let passenger = world.passenger().await;
    let device = Uuid::now_v7();
    let mut same = Client::on(&world, passenger, device).await;
    let mut phones = Vec::new();
    phones.push(Client::on(&world, passenger, device).await);
    assert_eq!(same.closed().await, 4004, "the same device again");
    for _ in 0..2 {
        phones.push(Client::open(&world, passenger).await);
    }
    assert_eq!(world.app().hub.sessions(), 4);
    let ride = world.request(passenger).await;
    for phone in &mut phones {
        assert_eq!(phone.ride("searching").await["key"], ride.to_string());
    }
    let _fourth = Client::open(&world, passenger).await;
    assert_eq!(phones[0].closed().await, 4004, "the oldest makes room");
    second.send(&json!({"t": "ping", "ts": 5})).await;
    assert_eq!(second.next().await, json!({"t": "pong", "ts": 5}), "the newest lives");
    world.stop().await;
}

#[actix_web::test]
async fn frames_that_are_none_are_answered_and_ten_end_the_session() {
    let world = World::start().await;
    let passenger = world.passenger().await;
    let mut client = Client::open(&world, passenger).await;
    let frames = [
        "{",
        "[]",
        "null",
        r#"{"t":"nope"}"#,
        r#"{"t":"ping","ts":1,"more":2}"#,
        r#"{"t":"cmd","id":"x","op":"ride.request","d":{}}"#,
        r#"{"t":"ack","seq":"1"}"#,
        r#"{"t":"ping","ts":{"a":1}}"#,
        &"[".repeat(5000),
    ];
    for frame in frames {
        client.text(frame).await;
        assert_eq!(client.next().await["code"], "malformed", "{frame:.40}");
    }
    client.send(&json!({"t": "hello", "v": 1, "auth": {"bearer": "b"}})).await;
    assert_eq!(client.next().await["code"], "malformed");
    assert_eq!(client.closed().await, 4007);
    client.ended().await;
    world.stop().await;
}

#[actix_web::test]
async fn what_is_no_text_of_ours_ends_the_session_at_once() {
    let world = World::start().await;
    let passenger = world.passenger().await;
    let table = [
        (Message::text("x".repeat(16_385)), 4006),
        (Message::binary(vec![1, 2, 3]), 1003),
        (Message::Frame(Frame::message(vec![0xff, 0xfe], OpCode::Data(Data::Text), true)), 1007),
    ];
    for (message, code) in table {
        let mut client = Client::open(&world, passenger).await;
        client.message(message.clone()).await;
        assert_eq!(client.closed().await, code);
        let mut stranger = Client::dial(&world).await;
        stranger.message(message).await;
        assert_eq!(stranger.closed().await, code, "also before the hello");
    }
    let mut pieces = Client::open(&world, passenger).await;
    let piece = |opcode, last| Frame::message("x".repeat(9000), OpCode::Data(opcode), last);
    pieces.message(Message::Frame(piece(Data::Text, false))).await;
    pieces.message(Message::Frame(piece(Data::Continue, true))).await;
    assert_eq!(pieces.closed().await, 4006, "in pieces it is as large");

    let mut fits = Client::open(&world, passenger).await;
    let long = format!(r#"{{"t":"ping","ts":1}}{}"#, " ".repeat(16_384 - 20));
    let (head, tail) = long.split_at(7);
    let head = Frame::message(head.to_owned(), OpCode::Data(Data::Text), false);
    fits.message(Message::Frame(head)).await;
    let tail = Frame::message(tail.to_owned(), OpCode::Data(Data::Continue), true);
    fits.message(Message::Frame(tail)).await;
    assert_eq!(fits.next().await, json!({"t": "pong", "ts": 1}));
    fits.message(Message::Close(None)).await;
    fits.ended().await;
    world.until("the session is gone", async || world.app().hub.sessions() == 0).await;
    world.stop().await;
}

#[actix_web::test]
async fn a_silent_client_is_closed_and_sooner_on_a_ride() {
    let short = [
        ("session.idle_ms", "400"),
        ("session.grace_ms", "200"),
        ("session.active_ms", "100"),
        ("session.active_grace_ms", "100"),
    ];
    let world = World::with(&short).await;
    let passenger = world.passenger().await;
    let since = std::time::Instant::now();
    assert_eq!(Client::open(&world, passenger).await.closed().await, 4202);
    let idle = since.elapsed();
    assert!(idle.as_millis() >= 600, "{idle:?}");

    let mut client = Client::open(&world, passenger).await;
    let since = std::time::Instant::now();
    world.request(passenger).await;
    assert_eq!(client.closed().await, 4202);
    assert!(since.elapsed() < patience(Duration::from_millis(550)), "{:?}", since.elapsed());
    world.stop().await;
}

/// How many sessions were closed for being slow.
fn slow(world: &World) -> u64 {
    world.app().metrics.ws_closed.with_label_values(&["4201"]).get()
}

#[actix_web::test]
async fn a_client_that_does_not_read_its_events_is_cut_off_and_others_do_not_notice() {
    let world = World::start().await;
    let frozen = world.passenger().await;
    let mut client = Client::open(&world, frozen).await;
    let mut witness = Client::open(&world, world.passenger().await).await;
    let seq = client.welcome["stream"]["seq"].as_u64().expect("a seq");
    let at = "2026-11-22T01:43:55.000Z";
    let pix = json!({"txid": "t", "copy_paste": "x".repeat(16_000), "expires_at": at});
    let payment = json!({"payment_id": Uuid::nil(), "ride_id": Uuid::nil(), "status": "pending",
        "due": "fare", "amount": "1.00", "credited": "0.00",
        "refunded": "0.00", "currency": "BRL", "pix": pix,
        "created_at": at, "paid_at": null, "version": 1});
    let body: std::sync::Arc<str> = json!({"payment": payment}).to_string().into();
    let event = |seq| {
        let stream = StreamId::Passenger(frozen.user.into());
        let (op, key, body) = ("payment.updated", Uuid::nil(), std::sync::Arc::clone(&body));
        (seq, StreamRow { stream, op, key, version: 1, expires_at: None, urgent: false, body })
    };
    let started = std::time::Instant::now();
    let mut told = seq;
    // What the socket's buffers hold comes first; the writer must have its turn to fill them.
    while slow(&world) == 0 {
        told += 1;
        assert!(told < seq + 10_000, "160 MB and never cut off");
        world.app().hub.publish([event(told)]);
        tokio::task::yield_now().await;
    }
    assert!(started.elapsed() < patience(Duration::from_secs(5)), "before any write timed out");
    assert_eq!(world.app().hub.sessions(), 1);
    witness.send(&json!({"t": "ping", "ts": 7})).await;
    assert_eq!(witness.next().await, json!({"t": "pong", "ts": 7}));
    assert_eq!(client.closed().await, 4201, "it reads at last");
    let read = client.seqs.len();
    assert!(client.seqs.iter().copied().eq((seq + 1..).take(read)), "without gap up to the cut");
    world.stop().await;
}

#[actix_web::test]
async fn a_client_that_does_not_read_its_answers_is_slowed_down_and_then_cut_off() {
    let settings = [
        ("session.cmd_per_s", "1000000"),
        ("session.cmd_burst", "1000000"),
        ("session.write_timeout_ms", "500"),
    ];
    let world = World::with(&settings).await;
    let mut client = Client::open(&world, world.passenger().await).await;
    let request = request();
    let trip = json!({"pickup": request.pickup, "dropoff": request.dropoff});
    while slow(&world) == 0 {
        let send = client.command("ride.estimate", None, trip.clone());
        // The engine stops reading before it gives up.
        tokio::time::timeout(Duration::from_millis(100), send).await.ok();
    }
    world.until("it is gone", async || world.app().hub.sessions() == 0).await;
    drop(client);
    world.stop().await;

    // With the usual time to write.
    let world = World::with(&settings[..2]).await;
    let mut honest = Client::open(&world, world.passenger().await).await;
    for n in 0..5000 {
        honest.feed(&json!({"t": "ping", "ts": n})).await;
    }
    honest.send(&json!({"t": "ping", "ts": 5000})).await;
    for n in 0..=5000 {
        assert_eq!(honest.next().await["ts"], n, "asking much at once is no fault");
    }
    world.stop().await;
}

#[actix_web::test]
async fn an_engine_that_stops_sends_everybody_away() {
    let world = World::start().await;
    let mut client = Client::open(&world, world.passenger().await).await;
    let driver = world.drivers_online(1).await[0];
    world.send(driver, Command::Offline).await.expect("offline");
    let hub = std::sync::Arc::clone(&world.app().hub);
    let stop = world.stop();
    let told = async {
        let drain = client.next().await;
        assert_eq!(drain["t"], "drain");
        assert!(drain["in_ms"].as_u64().expect("a time") <= 2000);
        assert_eq!(client.closed().await, 4200);
        client.ended().await;
    };
    tokio::join!(stop, told);
    assert_eq!(hub.sessions(), 0);
}
