//! The fault proxy does what it is told, against an echo behind it.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ibora_loadtest::proxy::{Fate, FaultProxy, Judge, Upstream, Way};

/// Long enough for what comes.
const PATIENCE: Duration = Duration::from_secs(20);
/// Long enough for what should not come.
const SILENCE: Duration = Duration::from_secs(1);

/// Says back what it hears, each connection on a thread that ends with it.
fn echo() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            std::thread::spawn(move || {
                let mut back = stream.try_clone().expect("a clone");
                std::io::copy(&mut stream, &mut back).ok();
                back.shutdown(std::net::Shutdown::Write).ok();
            });
        }
    });
    address
}

fn connect(proxy: &FaultProxy) -> TcpStream {
    let stream = TcpStream::connect(proxy.address()).expect("connects");
    stream.set_read_timeout(Some(PATIENCE)).expect("set");
    stream
}

/// What comes back of a word, as far as anything does.
fn said(stream: &mut TcpStream, word: &str) -> std::io::Result<String> {
    stream.write_all(word.as_bytes())?;
    let mut back = vec![0; word.len()];
    stream.read_exact(&mut back)?;
    Ok(String::from_utf8(back).expect("UTF-8"))
}

fn nothing_comes(stream: &mut TcpStream) {
    stream.set_read_timeout(Some(SILENCE)).expect("set");
    let kind = stream.read(&mut [0]).map_err(|error| error.kind());
    assert!(matches!(kind, Err(ErrorKind::WouldBlock | ErrorKind::TimedOut)), "{kind:?}");
}

/// Waits until the proxy has so many links.
fn until_links(proxy: &FaultProxy, count: usize) {
    let deadline = Instant::now() + PATIENCE;
    while proxy.links().len() != count {
        assert!(Instant::now() < deadline, "{:?}", proxy.links());
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn it_forwards_until_it_is_told_to_cut_and_refuses_while_it_is_told_to() {
    let proxy = FaultProxy::start(Upstream::Tcp(echo())).expect("starts");
    let mut first = connect(&proxy);
    assert_eq!(said(&mut first, "one").expect("an echo"), "one");
    proxy.refuse(true);
    let deadline = Instant::now() + PATIENCE;
    while TcpStream::connect(proxy.address()).is_ok() {
        assert!(Instant::now() < deadline, "still accepts");
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(said(&mut first, "two").expect("open ones go on"), "two");
    proxy.cut_all();
    assert_eq!(first.read(&mut [0]).unwrap_or(0), 0, "ended");
    proxy.refuse(false);
    while TcpStream::connect(proxy.address()).is_err() {
        assert!(Instant::now() < deadline, "still refuses");
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(said(&mut connect(&proxy), "three").expect("an echo"), "three");
}

#[test]
fn a_link_that_was_held_is_half_open_for_ever_and_a_new_one_is_not() {
    let proxy = FaultProxy::start(Upstream::Tcp(echo())).expect("starts");
    let (mut used, mut idle) = (connect(&proxy), connect(&proxy));
    assert!(said(&mut used, "a").is_ok() && said(&mut idle, "b").is_ok());
    proxy.hold(true);
    used.write_all(b"lost").expect("taken");
    nothing_comes(&mut used);
    proxy.hold(false);
    used.write_all(b"too late").expect("taken");
    nothing_comes(&mut used);
    assert_eq!(said(&mut idle, "c").expect("it lost nothing"), "c");
    assert_eq!(said(&mut connect(&proxy), "d").expect("an echo"), "d");
}

#[test]
fn a_delay_is_for_one_way_and_each_piece() {
    let proxy = FaultProxy::start(Upstream::Tcp(echo())).expect("starts");
    let delay = Duration::from_millis(300);
    proxy.delay(Way::Up, delay);
    let began = Instant::now();
    assert_eq!(said(&mut connect(&proxy), "late").expect("an echo"), "late");
    assert!(began.elapsed() >= delay);
}

#[test]
fn dropped_it_leaves_no_connection_and_no_port() {
    let proxy = FaultProxy::start(Upstream::Tcp(echo())).expect("starts");
    let mut stream = connect(&proxy);
    assert!(said(&mut stream, "x").is_ok());
    let address = proxy.address();
    drop(proxy);
    assert_eq!(stream.read(&mut [0]).unwrap_or(0), 0, "ended");
    assert!(TcpStream::connect(address).is_err());
}

/// Takes letters for pieces.
struct Letters;

impl Judge for Letters {
    fn piece(&mut self, _: Way, _: &[u8]) -> Option<usize> {
        Some(1)
    }

    fn fate(&mut self, way: Way, piece: &[u8]) -> Fate {
        match (way, piece) {
            (Way::Up, b"l") => Fate::Lose,
            (Way::Up, b"s") => Fate::Silence,
            (Way::Up, b"c") => Fate::Cut,
            (Way::Down, b"p") => Fate::PassAndCut,
            _ => Fate::Pass,
        }
    }
}

#[test]
fn a_judge_has_the_fate_of_each_piece_in_hand() {
    let judges = Arc::new(|| Box::new(Letters) as Box<dyn Judge>);
    let proxy = FaultProxy::start_with(Upstream::Tcp(echo()), judges).expect("starts");
    let all_of = |word: &str| {
        let mut stream = connect(&proxy);
        stream.write_all(word.as_bytes()).expect("taken");
        let mut back = String::new();
        stream.read_to_string(&mut back).map(|_| back)
    };
    assert_eq!(all_of("alblp!").ok().as_deref(), Some("abp"), "lost, and cut behind");
    assert!(all_of("xc").is_ok_and(|back| "x".starts_with(&back)) || all_of("xc").is_err());
    let mut silent = connect(&proxy);
    silent.write_all(b"s").expect("taken");
    nothing_comes(&mut silent);
    until_links(&proxy, 1);
    proxy.cut_all();
    until_links(&proxy, 0);
}
