//! Connections that have proved nothing yet: there are only so many, they do not last, and those
//! who were welcomed do not notice.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use super::{GROWTH_MAX_KB, session, slowest_ping};
use crate::machine::{EVER, patience};
use crate::process::Process;

const HANDSHAKE: &str = "GET /v1/session HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: ibora.v1\r\n\r\n";
/// Descriptors that a process needs for all else.
const SPARE: usize = 1_000;

/// What became of a handshake.
enum Met {
    /// It waits for a hello.
    Open(TcpStream),
    /// It was refused, and the connection ended.
    Refused(String),
}

/// Shakes hands from a local address, and says no more.
async fn knock(from: [u8; 4], to: &str) -> std::io::Result<Met> {
    let socket = TcpSocket::new_v4()?;
    if from != [127, 0, 0, 1] {
        socket.bind(SocketAddr::from((from, 0)))?;
    }
    let mut stream = socket.connect(to.parse().expect("an address")).await?;
    stream.write_all(HANDSHAKE.as_bytes()).await?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read_buf(&mut head).await? == 0 {
            break;
        }
        if head.starts_with(b"HTTP/1.1 5") || head.starts_with(b"HTTP/1.1 408 ") {
            stream.read_to_end(&mut head).await?;
            return Ok(Met::Refused(String::from_utf8_lossy(&head).into_owned()));
        }
    }
    assert!(head.starts_with(b"HTTP/1.1 101"), "{}", String::from_utf8_lossy(&head));
    Ok(Met::Open(stream))
}

/// Ten thousand, or as many as this process and the engine have descriptors for.
fn ten_thousand() -> usize {
    let limits = std::fs::read_to_string("/proc/self/limits").expect("limits");
    let line = limits.lines().find(|line| line.starts_with("Max open files")).expect("a line");
    let soft = line.split_whitespace().nth(3).expect("a column");
    let most = soft.parse().map_or(usize::MAX, |soft: usize| soft.saturating_sub(SPARE));
    most.min(10_000)
}

/// On a busy machine it is the client that comes too late.
fn is_late(answer: &str) -> bool {
    answer.starts_with("HTTP/1.1 408 ")
}

/// Everybody shakes hands at once: how many were let in, and told why they were not.
async fn flood(count: usize, address: &str) -> (usize, usize) {
    let (mut open, mut refused) = (Vec::new(), 0);
    for met in join_all((0..count).map(|_| knock([127, 0, 0, 1], address))).await {
        match met.expect("an answer") {
            Met::Open(stream) => open.push(stream),
            Met::Refused(answer) if is_late(&answer) => {}
            Met::Refused(answer) => {
                assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
                assert!(answer.to_ascii_lowercase().contains("retry-after: 1\r\n"), "{answer}");
                assert!(answer.contains(r#""code":"overloaded""#), "{answer}");
                refused += 1;
            }
        }
    }
    (open.len(), refused)
}

#[actix_web::test]
async fn ten_thousand_connects_at_once_find_so_much_room_and_no_more() {
    let settings = [("session.strangers_max", "300"), ("session.hello_timeout_ms", "60000")];
    let process = Process::start(&settings).await;
    let people = process.seed(0, 2);
    let mut witness = session(&process, &people[0]).await;
    let (count, address) = (ten_thousand(), process.address());
    let mut held = vec![process.memory_kb()];
    for _ in 0..3 {
        let mut met = (0, 0);
        let flood = async { met = flood(count, &address).await };
        let slowest = slowest_ping(&mut witness, flood).await;
        assert!(slowest < patience(Duration::from_secs(20)), "the witness waited {slowest:?}");
        let (open, refused) = met;
        // Of those before, some may not be missed yet.
        assert!((1..=300).contains(&open), "{open} found room");
        assert!(refused > 0, "nobody was told to come later");
        held.push(process.memory_kb());
    }
    // What is taken once, and used again, is that of connections not yet answered: as many as
    // there are at a time, in the first flood or in a later one. What leaked would grow in each.
    let grown = |flood: usize| held[flood].saturating_sub(held[flood - 1]);
    assert!((1..=3).map(grown).sum::<u64>() < 3 * GROWTH_MAX_KB, "{held:?} kB");
    assert!(grown(2).min(grown(3)) < GROWTH_MAX_KB / 2, "{held:?} kB");
    let deadline = Instant::now() + EVER;
    while let Ok(Met::Refused(_)) = knock([127, 0, 0, 1], &address).await {
        assert!(Instant::now() < deadline, "those who left make no room");
    }
    session(&process, &people[1]).await;
}

#[actix_web::test]
async fn one_address_does_not_take_all_the_room() {
    let limits = [
        ("limits.enabled", "true"),
        ("limits.anonymous_per_min", "10000"),
        ("session.strangers_per_address_max", "2"),
    ];
    let process = Process::start(&limits).await;
    let address = process.address();
    let near = || knock([127, 0, 0, 1], &address);
    let held = [near().await, near().await];
    assert!(held.iter().all(|met| matches!(met, Ok(Met::Open(_)))));
    assert!(matches!(near().await, Ok(Met::Refused(_))));
    assert!(matches!(knock([127, 0, 0, 2], &address).await, Ok(Met::Open(_))), "another address");
}

#[actix_web::test]
async fn connections_on_which_nothing_is_sent_are_ended() {
    let process = Process::start(&[("session.hello_timeout_ms", "5000")]).await;
    let people = process.seed(0, 1);
    let mut witness = session(&process, &people[0]).await;
    let before = process.memory_kb();
    let address = process.address();
    let began = Instant::now();
    let half_open = || async {
        let mut stream = TcpStream::connect(&address).await.expect("connects");
        stream.read_to_end(&mut Vec::new()).await.ok();
    };
    let silent = || async {
        let met = knock([127, 0, 0, 1], &address).await.expect("an answer");
        let mut stream = match met {
            Met::Open(stream) => stream,
            Met::Refused(answer) if is_late(&answer) => return,
            Met::Refused(answer) => panic!("{answer}"),
        };
        let mut said = Vec::new();
        stream.read_to_end(&mut said).await.ok();
        assert_eq!(said.get(2..4), Some(&4005_u16.to_be_bytes()[..]), "{said:?}");
    };
    let flood = async {
        let half_open = join_all((0..1_000).map(|_| half_open()));
        tokio::join!(half_open, join_all((0..500).map(|_| silent())));
    };
    let slowest = slowest_ping(&mut witness, flood).await;
    assert!(began.elapsed() < patience(Duration::from_secs(30)), "held for {:?}", began.elapsed());
    assert!(slowest < patience(Duration::from_secs(5)), "the witness waited {slowest:?}");
    let grown = process.memory_kb().saturating_sub(before);
    assert!(grown < GROWTH_MAX_KB, "{grown} kB more");
}
