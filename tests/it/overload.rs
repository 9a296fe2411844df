//! Too much at once: it is refused or shed, memory stays flat, and those beside it do not notice.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};
use uuid::Uuid;

use crate::machine::{EVER, patience};
use crate::process::{Person, Process};

mod strangers;

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// What may be added to an engine's memory by what it refuses.
const GROWTH_MAX_KB: u64 = 48 * 1024;

async fn dial(process: &Process) -> Result<Socket, Error> {
    let url = process.url("/v1/session").replace("http://", "ws://");
    let mut request = url.into_client_request()?;
    let protocol = HeaderValue::from_static("ibora.v1");
    request.headers_mut().insert("Sec-WebSocket-Protocol", protocol);
    connect_async(request).await.map(|(socket, _)| socket)
}

async fn say(socket: &mut Socket, frame: &Value) {
    socket.send(Message::text(frame.to_string())).await.expect("sent");
}

async fn read(socket: &mut Socket) -> Option<Value> {
    loop {
        match socket.next().await? {
            Ok(Message::Text(text)) => return serde_json::from_str(&text).ok(),
            Ok(Message::Close(frame)) => {
                return frame.map(|frame| json!({"close": u16::from(frame.code)}));
            }
            Ok(_) => {}
            Err(_) => return None,
        }
    }
}

/// A session of `person`, welcomed.
async fn session(process: &Process, person: &Person) -> Socket {
    let mut socket = dial(process).await.expect("connects");
    let hello = json!({"t": "hello", "v": 1, "auth": {"bearer": person.token}});
    say(&mut socket, &hello).await;
    assert_eq!(read(&mut socket).await.expect("a frame")["t"], "welcome");
    socket
}

/// How long the slowest of some pings took while `flood` ran.
async fn slowest_ping(witness: &mut Socket, flood: impl Future<Output = ()>) -> Duration {
    let mut flood = std::pin::pin!(flood);
    let mut slowest = Duration::ZERO;
    let mut pace = tokio::time::interval(Duration::from_millis(20));
    loop {
        let began = Instant::now();
        say(witness, &json!({"t": "ping", "ts": 1})).await;
        while read(witness).await.expect("the witness stays")["t"] != "pong" {}
        slowest = slowest.max(began.elapsed());
        tokio::select! {
            () = &mut flood => return slowest,
            _ = pace.tick() => {}
        }
    }
}

#[actix_web::test]
async fn ten_thousand_frames_a_second_on_one_socket_are_shed() {
    let process = Process::start(&[]).await;
    let people = process.seed(1, 2);
    let of = |role: &str| people.iter().filter(|person| person.role == role).collect::<Vec<_>>();
    let mut witness = session(&process, of("passenger")[0]).await;
    let mut flooding = session(&process, of("passenger")[1]).await;
    let before = process.memory_kb();
    let flood = async {
        let frame = |n: u32| {
            json!({"t": "cmd", "id": Uuid::now_v7(), "op": "ride.cancel", "key": Uuid::now_v7(),
                "d": {"reason": "other", "note": format!("{n}")}})
        };
        let (mut sink, mut stream) = (&mut flooding).split();
        let send = async {
            for n in 0..30_000 {
                if sink.send(Message::text(frame(n).to_string())).await.is_err() {
                    break;
                }
            }
        };
        let mut refused = 0_u32;
        let count = async {
            while let Some(Ok(message)) = stream.next().await {
                let text = message.into_text().unwrap_or_default();
                refused += u32::from(text.contains("rate_limited"));
                if refused >= 20_000 {
                    break;
                }
            }
        };
        tokio::join!(send, count);
        assert!(refused >= 1_000, "only {refused} refused");
    };
    let slowest = slowest_ping(&mut witness, flood).await;
    assert!(slowest < patience(Duration::from_secs(2)), "the witness waited {slowest:?}");
    let grown = process.memory_kb().saturating_sub(before);
    assert!(grown < GROWTH_MAX_KB, "{grown} kB more");
}

#[actix_web::test]
async fn a_thousand_strangers_at_once_are_sent_away() {
    let process = Process::start(&[]).await;
    let people = process.seed(0, 1);
    let mut witness = session(&process, &people[0]).await;
    let before = process.memory_kb();
    let flood = async {
        let stranger = || async {
            let mut socket = dial(&process).await.ok()?;
            let hello = json!({"t": "hello", "v": 1, "auth": {"bearer": "not.a.token"}});
            socket.send(Message::text(hello.to_string())).await.ok()?;
            read(&mut socket).await
        };
        let ends = join_all((0..1_000).map(|_| stranger())).await;
        let refused = ends.iter().flatten().filter(|end| end["close"] == 4002).count();
        // On a busy machine some are too late with their hello.
        let late = ends.iter().flatten().filter(|end| end["close"] == 4005).count();
        assert_eq!(refused + late, ends.iter().flatten().count());
        assert!(refused > 0, "nobody was told why");
    };
    let slowest = slowest_ping(&mut witness, flood).await;
    assert!(slowest < patience(Duration::from_secs(3)), "the witness waited {slowest:?}");
    let grown = process.memory_kb().saturating_sub(before);
    assert!(grown < GROWTH_MAX_KB, "{grown} kB more");
}

#[actix_web::test]
async fn more_sessions_than_configured_are_told_to_come_later() {
    let process = Process::start(&[("session.sessions_max", "1")]).await;
    let people = process.seed(0, 2);
    let first = session(&process, &people[0]).await;
    let hello = json!({"t": "hello", "v": 1, "auth": {"bearer": people[1].token}});
    let mut second = dial(&process).await.expect("connects");
    say(&mut second, &hello).await;
    assert_eq!(read(&mut second).await, Some(json!({"close": 4102})));
    drop(first);
    let deadline = Instant::now() + EVER;
    loop {
        let mut again = dial(&process).await.expect("connects");
        say(&mut again, &hello).await;
        let said = read(&mut again).await.expect("a frame");
        if said["t"] == "welcome" {
            return;
        }
        assert!(Instant::now() < deadline, "never let in: {said}");
    }
}

#[actix_web::test]
async fn headers_that_never_end_are_given_up() {
    let process = Process::start(&[]).await;
    let people = process.seed(0, 1);
    let mut witness = session(&process, &people[0]).await;
    let address = process.url("").replace("http://", "");
    let began = Instant::now();
    let flood = async {
        let slow = || async {
            let mut socket = TcpStream::connect(&address).await.expect("connects");
            socket.write_all(b"GET /health HTTP/1.1\r\nHost: a\r\nX-Slow: ").await.expect("sent");
            let mut rest = Vec::new();
            socket.read_to_end(&mut rest).await.ok();
        };
        join_all((0..200).map(|_| slow())).await;
    };
    let slowest = slowest_ping(&mut witness, flood).await;
    assert!(began.elapsed() < patience(Duration::from_secs(20)), "held for {:?}", began.elapsed());
    assert!(slowest < patience(Duration::from_secs(2)), "the witness waited {slowest:?}");
}
