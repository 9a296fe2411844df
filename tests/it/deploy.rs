//! Two engines on one database: one acts, the other stands by, and whatever ends the one, the other
//! takes over, loses nothing and contradicts nobody.

use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use sqlx::Connection;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::clients::Clients;
use crate::machine::{EVER, patience};
use crate::process::{Person, Process};

const READY: &str = "ready";
const NOT_OWNER: &str = "not_owner";

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// An engine at work and one that stands by, and people.
async fn pair(settings: &[(&str, &str)]) -> (Process, Process, Vec<Person>) {
    let first = Process::start(settings).await;
    let mut second = first.beside("second");
    second.spawn();
    second.says(NOT_OWNER).await;
    let people = first.seed(4, 4);
    (first, second, people)
}

/// How long it takes until this engine is ready.
async fn until_ready(engine: &Process) -> Duration {
    let began = Instant::now();
    engine.says(READY).await;
    began.elapsed()
}

async fn connect(engine: &Process) -> Result<Socket, Error> {
    let url = engine.url("/v1/session").replace("http:", "ws:");
    let mut request = url.into_client_request()?;
    let protocol = HeaderValue::from_static("ibora.v1");
    request.headers_mut().insert("Sec-WebSocket-Protocol", protocol);
    connect_async(request).await.map(|(socket, _)| socket)
}

/// A session of a person.
async fn session(engine: &Process, person: &Person) -> Socket {
    let mut socket = connect(engine).await.expect("connects");
    let hello = json!({"t": "hello", "v": 1, "auth": {"bearer": person.token}, "app": "test/1"});
    socket.send(Message::text(hello.to_string())).await.expect("sent");
    socket
}

/// What a session is told until it is closed, and the code of that.
async fn to_its_end(socket: &mut Socket) -> (Vec<Value>, u16) {
    let mut told = Vec::new();
    loop {
        let message = tokio::time::timeout(EVER, socket.next()).await;
        match message.expect("something comes") {
            Some(Ok(Message::Text(text))) => told.push(serde_json::from_str(&text).expect("JSON")),
            Some(Ok(Message::Close(Some(close)))) => return (told, close.code.into()),
            Some(Ok(_)) => {}
            end => panic!("no close frame: {end:?}"),
        }
    }
}

#[actix_web::test]
async fn who_stands_by_lives_and_refers_to_the_other() {
    let (first, second, people) = pair(&[]).await;
    assert_eq!(first.readiness().await.as_deref(), Some(READY));
    let (status, health) = second.get("/health").await.expect("an answer");
    assert_eq!((status, &health["status"]), (200, &json!("live")));
    let (status, refused) = second.get("/v1/rides").await.expect("an answer");
    assert_eq!((status, &refused["code"]), (503, &json!(NOT_OWNER)));
    let Err(Error::Http(handshake)) = connect(&second).await else { panic!("no session here") };
    assert_eq!(handshake.status(), 503);
    let body = handshake.body().as_deref().unwrap_or_default();
    let body: Value = serde_json::from_slice(body).expect("JSON");
    assert_eq!(body["code"], NOT_OWNER);
    assert_eq!(people.len(), 8);
    assert_eq!(first.audit(), Some(0));
}

#[actix_web::test]
async fn a_killed_engine_is_replaced_within_its_lease() {
    let (mut first, second, people) = pair(&[("dispatch.waves", "[4]")]).await;
    let load = Clients::new(&[&first, &second], people);
    let took = load
        .during(async {
            load.wins(8).await;
            first.kill();
            let took = until_ready(&second).await;
            load.wins(4).await;
            took
        })
        .await;
    assert!(took < patience(Duration::from_secs(10)), "{took:?}: {}", second.log_text());
    assert!(load.stands_by_its_word().await > 20);
    assert_eq!(second.audit(), Some(0), "every promise holds");
}

#[actix_web::test]
async fn an_engine_told_to_end_hands_over_first_and_then_sends_its_people_away() {
    let (mut first, second, people) = pair(&[("dispatch.waves", "[4]")]).await;
    let mut socket = session(&first, &people[0]).await;
    let load = Clients::new(&[&first, &second], people);
    let took = load
        .during(async {
            load.wins(8).await;
            first.signal("TERM");
            let took = until_ready(&second).await;
            load.wins(4).await;
            took
        })
        .await;
    assert!(took < patience(Duration::from_secs(1)), "{took:?}: {}", second.log_text());
    let (told, code) = to_its_end(&mut socket).await;
    assert_eq!(code, 4200, "comes back at once");
    let drain = told.last().expect("frames");
    assert!(drain["t"] == "drain" && drain["in_ms"].as_u64().is_some(), "{drain}");
    drop(socket);
    assert_eq!(first.exit_code().await, Some(0), "{}", first.log_text());
    assert!(load.stands_by_its_word().await > 20);
    assert_eq!(second.audit(), Some(0), "every promise holds");
}

#[actix_web::test]
async fn an_engine_that_wakes_after_its_lease_knows_that_it_was_replaced() {
    let (mut first, second, people) = pair(&[("dispatch.waves", "[4]")]).await;
    let mut socket = session(&first, &people[0]).await;
    let load = Clients::new(&[&first, &second], people);
    load.during(async {
        load.wins(8).await;
        first.signal("STOP");
        second.says(READY).await;
        load.wins(4).await;
        first.signal("CONT");
        first.says(NOT_OWNER).await;
        load.wins(4).await;
    })
    .await;
    assert_eq!(to_its_end(&mut socket).await.1, 4204, "its session goes to the other");
    assert_eq!(first.exit_code().await, Some(4), "{}", first.log_text());
    let told = first.log_text().matches("another engine has taken over").count();
    assert_eq!(told, 1, "said once: {}", first.log_text());
    second.says(READY).await;
    assert!(load.stands_by_its_word().await > 20);
    assert_eq!(second.audit(), Some(0), "every promise holds");
}

/// Its own lease, which lives on, is not in its way; that of another is.
#[actix_web::test]
async fn the_same_engine_starting_again_takes_up_its_work_at_once() {
    let settings = [("dispatch.waves", "[4]"), ("node.lease_s", "600")];
    let (mut first, mut second, people) = pair(&settings).await;
    let load = Clients::new(&[&first], people);
    load.during(load.wins(8)).await;
    first.kill();
    assert_eq!(second.readiness().await.as_deref(), Some(NOT_OWNER));
    let began = Instant::now();
    first.launch().await;
    let took = began.elapsed();
    assert!(took < patience(Duration::from_secs(10)), "{took:?}");
    assert_eq!(second.readiness().await.as_deref(), Some(NOT_OWNER));
    load.during(load.wins(4)).await;
    assert!(load.stands_by_its_word().await > 20);
    assert_eq!(first.audit(), Some(0), "every promise holds");
    assert_eq!(second.terminate().await, Some(0), "who stands by has nothing to hand over");
    assert_eq!(first.readiness().await.as_deref(), Some(READY));
}

/// Nobody has taken over, but how should it know?
#[actix_web::test]
async fn an_engine_that_cannot_renew_its_lease_is_silent_until_it_can() {
    let mut engine = Process::start(&[]).await;
    let people = engine.seed(0, 1);
    let mut database = engine.database().await;
    let mut renewals_wait = database.begin().await.expect("begins");
    let lock = sqlx::query("SELECT FROM node_lease FOR UPDATE").execute(&mut *renewals_wait).await;
    lock.expect("locks");
    engine.says("unavailable").await;
    let Err(Error::Http(handshake)) = connect(&engine).await else { panic!("no session now") };
    assert_eq!(handshake.status(), 503);
    renewals_wait.rollback().await.expect("ends");
    engine.says(READY).await;
    let mut socket = session(&engine, &people[0]).await;
    assert!(socket.next().await.is_some_and(|frame| frame.is_ok()), "welcome again");
    assert_eq!(engine.terminate().await, Some(0), "{}", engine.log_text());
}

#[actix_web::test]
async fn of_engines_that_start_at_once_one_acts() {
    let mut first = Process::on_fresh_database(&[]).await;
    let mut others = [first.beside("second"), first.beside("third")];
    first.spawn();
    others.iter_mut().for_each(Process::spawn);
    let [second, third] = &others;
    let engines = [&first, second, third];
    let deadline = Instant::now() + EVER;
    loop {
        let mut said = Vec::new();
        for engine in engines {
            said.push(engine.readiness().await.unwrap_or_default());
        }
        let count = |word: &str| said.iter().filter(|said| *said == word).count();
        assert!(count(READY) <= 1, "two act: {said:?}");
        if (count(READY), count(NOT_OWNER)) == (1, 2) {
            break;
        }
        assert!(Instant::now() < deadline, "nobody acts: {said:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(first.audit(), Some(0));
}
