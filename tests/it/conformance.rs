//! The rules of WebSocket (RFC 6455), case by case over raw sockets: `/test/echo`, which
//! `serve --test-echo` has, and the session, which is read and written by the same code.

use futures_util::{StreamExt, stream};
use serde_json::json;

use crate::process::Process;

mod cases;
mod utf8;
mod wire;

use cases::{Case, End};
use wire::{BINARY, CLOSE, LAST, PING, PONG, TEXT, Wire, close, frame, text};

/// Cases that run at the same time.
const AT_ONCE: usize = 16;

async fn echo_engine() -> Process {
    Process::start_with(&["--test-echo"], &[]).await
}

/// Runs a group, which has so many cases; all that failed are told.
async fn all_hold(group: Vec<Case>, count: usize) {
    assert_eq!(group.len(), count, "cases in this group");
    let process = echo_engine().await;
    let address = process.address();
    let failed = stream::iter(&group)
        .map(|case| async { run(&address, case).await.err().map(|why| (&case.name, why)) })
        .buffer_unordered(AT_ONCE)
        .filter_map(async |failed| failed);
    let failed: Vec<_> = failed.collect().await;
    assert!(failed.is_empty(), "{} of {count}: {failed:#?}", failed.len());
}

async fn run(address: &str, case: &Case) -> Result<(), String> {
    let mut wire = Wire::open(address, "/test/echo").await;
    for bytes in &case.writes {
        wire.send(bytes).await;
        // So that pieces arrive as pieces, where the system does not put them together.
        tokio::task::yield_now().await;
    }
    for (op, payload) in &case.echoed {
        let came = wire.next().await;
        if came.as_ref() != Some(&(*op, payload.clone())) {
            let came = came.map(|(op, payload)| (op, payload.len()));
            return Err(format!("opcode {op} with {} bytes, not {came:?}", payload.len()));
        }
    }
    let expected = match case.end {
        End::Closed(code) => code,
        End::Goodbye => {
            wire.send(&close(1000, b"done")).await;
            Some(1000)
        }
    };
    match wire.next().await {
        Some((CLOSE, payload)) if code(&payload) == expected => {}
        other => return Err(format!("a close with {expected:?}, not {other:?}")),
    }
    wire.shut().await;
    match wire.next().await {
        None => Ok(()),
        Some(more) => Err(format!("after the close: {more:?}")),
    }
}

fn code(payload: &[u8]) -> Option<u16> {
    payload.first_chunk().map(|code| u16::from_be_bytes(*code))
}

#[actix_web::test]
async fn messages_of_every_length_come_back() {
    all_hold(cases::framing(), 16).await;
}

#[actix_web::test]
async fn pings_are_answered_and_pongs_are_not() {
    all_hold(cases::pings(), 11).await;
}

#[actix_web::test]
async fn reserved_bits_end_it() {
    all_hold(cases::reserved_bits(), 7).await;
}

#[actix_web::test]
async fn unknown_opcodes_end_it() {
    all_hold(cases::opcodes(), 10).await;
}

#[actix_web::test]
async fn pieces_make_a_message_in_their_order_only() {
    all_hold(cases::fragmentation(), 20).await;
}

#[actix_web::test]
async fn text_is_utf8_or_ends_it_at_once() {
    all_hold(utf8::cases(), 145).await;
}

#[actix_web::test]
async fn goodbyes_are_answered_as_they_came_unless_they_are_wrong() {
    all_hold(cases::closing(), 37).await;
}

#[actix_web::test]
async fn a_message_in_many_pieces_comes_back_whole() {
    all_hold(cases::automatic_fragmentation(), 1).await;
}

#[actix_web::test]
async fn the_server_ends_the_connection_after_a_close() {
    let process = echo_engine().await;
    for last in [close(1000, b""), frame(LAST | 3, b"")] {
        let mut wire = Wire::open(&process.address(), "/test/echo").await;
        wire.send(&last).await;
        assert!(wire.closed().await.is_some());
        // Nothing is said and nothing is shut on this side.
        assert_eq!(wire.next().await, None);
    }
}

#[actix_web::test]
async fn a_session_is_read_by_the_same_rules() {
    let process = Process::start(&[]).await;
    let person = process.seed(0, 1).remove(0);
    let hello = json!({"t": "hello", "v": 1, "auth": {"bearer": person.token}}).to_string();
    let surrogate = frame(TEXT, &[b'{', 0xed, 0xa0]);
    let huge = [&[LAST | TEXT, 0xff][..], &(1_u64 << 40).to_be_bytes(), &[0; 4]].concat();
    let table = [
        ("a reserved bit", frame(LAST | 0x40 | TEXT, b"{}"), Some(1002)),
        ("an unknown opcode", frame(LAST | 5, b""), Some(1002)),
        ("a ping in pieces", frame(PING, b""), Some(1002)),
        ("no UTF-8 in what is not whole", surrogate, Some(1007)),
        ("a terabyte, announced", huge, Some(4006)),
        ("binary", frame(LAST | BINARY, b"{}"), Some(1003)),
        ("a code that is never sent", close(1005, b""), Some(1002)),
        ("goodbye", close(3000, b"later"), Some(3000)),
        ("goodbye without a code", frame(LAST | CLOSE, b""), None),
    ];
    for (what, bytes, expected) in table {
        let mut wire = Wire::open(&process.address(), "/v1/session").await;
        wire.send(&frame(LAST | PING, b"before the hello")).await;
        assert_eq!(wire.next().await, Some((PONG, b"before the hello".to_vec())), "{what}");
        let (head, tail) = hello.as_bytes().split_at(9);
        wire.send(&frame(TEXT, head)).await;
        wire.send(&frame(LAST, tail)).await;
        let (op, welcome) = wire.next().await.expect("a welcome");
        assert!(op == TEXT && welcome.starts_with(br#"{"t":"welcome""#), "{what}");
        wire.send(&text(r#"{"t":"ping","ts":7}"#)).await;
        assert_eq!(wire.next().await, Some((TEXT, br#"{"t":"pong","ts":7}"#.to_vec())), "{what}");
        wire.send(&bytes).await;
        assert_eq!(wire.closed().await, Some(expected), "{what}");
        assert_eq!(wire.next().await, None, "{what}");
    }
}

#[actix_web::test]
async fn the_echo_is_only_where_it_was_asked_for() {
    let without = Process::start(&[]).await;
    let (status, problem) = without.get("/test/echo").await.expect("an answer");
    assert_eq!((status, problem["code"].as_str()), (404, Some("not_found")));
    let (_, head) = Wire::ask(&without.address(), "/test/echo").await;
    assert!(head.starts_with("HTTP/1.1 404 "), "{head}");
    let mut production = Process::on_fresh_database(&[
        ("mode", "production"),
        ("seed.enabled", "false"),
        ("metrics.listen", "127.0.0.1:0"),
        ("pix.base_url", "https://pix.example.com"),
        ("pix.client_id", "id"),
        ("pix.client_secret", "secret"),
        ("pix.certificate", "/nowhere/pix.p12"),
        ("pix.key", "ibora@example.com"),
    ])
    .await
    .with_flags(&["--test-echo"]);
    production.spawn();
    assert_eq!(production.exit_code().await, Some(1));
    assert!(production.log_text().contains("--test-echo"), "{}", production.log_text());
}
