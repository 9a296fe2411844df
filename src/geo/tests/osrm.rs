//! The OSRM client against a small server on a real socket: what it answers, and what becomes of a
//! server that is slow, wrong, absurd or gone.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use ibora_domain::place::Coordinates;
use ibora_domain::units::{Metres, Seconds};

use super::routers::conforms;
use super::{Lcg, place};
use crate::geo::{Osrm, OsrmOptions, PowerLaw, Router, Source};

/// How the server behaves.
const WELL: u8 = 0;
const SILENT: u8 = 1;
const FAILING: u8 = 2;
const NONSENSE: u8 = 3;
const TUNNELS: u8 = 4;
const NO_WAY: u8 = 5;

/// A server whose streets are straight lines at 36 km/h, 1.4 times as long.
struct Server {
    url: String,
    manner: Arc<AtomicU8>,
    asked: Arc<AtomicUsize>,
    ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("bound");
        let (manner, asked) = (Arc::new(AtomicU8::new(WELL)), Arc::new(AtomicUsize::new(0)));
        let ended = Arc::new(AtomicBool::new(false));
        let (how, count, end) = (Arc::clone(&manner), Arc::clone(&asked), Arc::clone(&ended));
        let thread = std::thread::spawn(move || {
            // Those that are not answered stay open until the end.
            let mut silent = Vec::new();
            for stream in listener.incoming() {
                if end.load(Ordering::SeqCst) {
                    return;
                }
                let stream = stream.expect("a connection");
                count.fetch_add(1, Ordering::SeqCst);
                if how.load(Ordering::SeqCst) == SILENT {
                    silent.push(stream);
                } else {
                    serve(&stream, how.load(Ordering::SeqCst));
                }
            }
        });
        let url = format!("http://{address}");
        Self { url, manner, asked, ended, thread: Some(thread) }
    }

    fn behave(&self, manner: u8) {
        self.manner.store(manner, Ordering::SeqCst);
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    /// A client that gives up after `timeout`.
    fn client(&self, timeout: Duration, pause: Duration) -> Osrm {
        let (url, profile) = (self.url.clone(), "driving".to_owned());
        let options = OsrmOptions { url, profile, timeout, failures_max: 3, pause };
        Osrm::new(options, Arc::new(PowerLaw::default()))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::SeqCst);
        // Wakes it from its wait for a connection.
        drop(TcpStream::connect(self.url.trim_start_matches("http://")));
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the server ended well");
        }
    }
}

/// Answers one request, as HTTP/1.1 with one connection each.
fn serve(mut stream: &TcpStream, manner: u8) {
    let mut lines = BufReader::new(stream).lines();
    let Some(Ok(first)) = lines.next() else { return };
    while lines.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
    let path = first.split(' ').nth(1).expect("a path").to_owned();
    let (status, body) = match manner {
        FAILING => ("500 Internal Server Error", "{}".to_owned()),
        NONSENSE => ("200 OK", "<html>".to_owned()),
        NO_WAY => ("200 OK", r#"{"code":"NoRoute","routes":[]}"#.to_owned()),
        _ => ("200 OK", answer(&path, if manner == TUNNELS { 1e-6 } else { 1.0 })),
    };
    let length = body.len();
    let head = format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n");
    // A client that gave up has closed; that is its right.
    drop(stream.write_all(format!("{head}\r\n{body}").as_bytes()));
}

fn answer(path: &str, scale: f64) -> String {
    let (path, query) = path.split_once('?').expect("a query");
    let (service, places) = path.trim_start_matches('/').split_once("/v1/driving/").expect("v1");
    let places: Vec<Coordinates> = places
        .split(';')
        .map(|text| {
            let (lng, lat) = text.split_once(',').expect("two numbers");
            place(lat.parse().expect("degrees"), lng.parse().expect("degrees"))
        })
        .collect();
    let metres =
        |from: &Coordinates, to: &Coordinates| f64::from(from.distance_to(*to).0) * 1.4 * scale;
    if service == "route" {
        let (from, to) = (places[0], places[1]);
        let distance = metres(&from, &to);
        let line = format!("[[{},{}],[{},{}]]", from.lng(), from.lat(), to.lng(), to.lat());
        let geometry = if query.contains("overview=full") { &line } else { "[]" };
        return format!(
            r#"{{"code":"Ok","routes":[{{"distance":{distance},"duration":{},
            "geometry":{{"coordinates":{geometry}}}}}]}}"#,
            distance / 10.0
        );
    }
    assert_eq!(service, "table");
    assert!(query.contains(&format!("destinations={}", places.len() - 1)), "{query}");
    let to = places[places.len() - 1];
    let rows = |by: f64| {
        let cells: Vec<String> =
            places.iter().map(|from| format!("[{}]", metres(from, &to) / by)).collect();
        cells.join(",")
    };
    format!(r#"{{"code":"Ok","distances":[{}],"durations":[{}]}}"#, rows(1.0), rows(10.0))
}

const PATIENT: Duration = Duration::from_secs(20);
const LONG: Duration = Duration::from_secs(600);

fn here_and_there() -> (Coordinates, Coordinates) {
    (place(-8.05, -34.9), place(-8.05, -34.88))
}

#[test]
fn an_osrm_server_is_a_router() {
    let server = Server::start();
    let osrm = server.client(PATIENT, LONG);
    let mut chance = Lcg(31);
    let mut anywhere = || {
        // Six decimals, as they travel.
        let mut degrees = |low: f64| ((low + chance.unit() * 0.05) * 1e6).round() / 1e6;
        place(degrees(-8.05), degrees(-34.9))
    };
    let places: Vec<_> = (0..6).map(|_| anywhere()).collect();
    conforms(&osrm, &places);
    let route = osrm.route(places[0], places[1]);
    assert_eq!(route.source, Source::Osrm);
    assert!(osrm.is_remote() && !osrm.is_paused());
}

#[test]
fn what_the_server_cannot_say_the_power_law_says_and_the_answer_names_its_source() {
    let server = Server::start();
    let (from, to) = here_and_there();
    let straight = PowerLaw::default().route(from, to);
    assert_eq!(straight.source, Source::PowerLaw);
    for manner in [FAILING, NONSENSE, TUNNELS, NO_WAY] {
        server.behave(manner);
        let osrm = server.client(PATIENT, LONG);
        assert_eq!(osrm.route(from, to), straight, "manner {manner}");
        assert_eq!(osrm.routes(&[from, to], to)[0], straight, "manner {manner}");
        assert_eq!(osrm.path(from, to), PowerLaw::default().path(from, to), "manner {manner}");
        assert_eq!(server.client(PATIENT, LONG).routes(&[], to), []);
    }
}

#[test]
fn a_silent_server_costs_the_deadline_and_after_three_failures_nothing() {
    let server = Server::start();
    server.behave(SILENT);
    let osrm = server.client(Duration::from_millis(50), LONG);
    let (from, to) = here_and_there();
    for _ in 0..10 {
        assert_eq!(osrm.route(from, to).source, Source::PowerLaw);
    }
    assert!(osrm.is_paused());
    // A connection may be counted after its client gave up.
    let deadline = Instant::now() + PATIENT;
    while server.asked() < 3 {
        assert!(Instant::now() < deadline, "{} calls came", server.asked());
        std::thread::yield_now();
    }
    assert_eq!(osrm.route(from, to).source, Source::PowerLaw);
    assert_eq!(server.asked(), 3, "then nobody asks");
}

#[test]
fn after_the_pause_one_call_tries_and_a_good_answer_ends_it() {
    let server = Server::start();
    server.behave(FAILING);
    let osrm = server.client(PATIENT, Duration::from_millis(200));
    let (from, to) = here_and_there();
    for _ in 0..5 {
        osrm.route(from, to);
    }
    assert_eq!(server.asked(), 3);
    server.behave(WELL);
    let deadline = Instant::now() + PATIENT;
    while osrm.route(from, to).source != Source::Osrm {
        assert!(Instant::now() < deadline, "it never tried again");
        std::thread::yield_now();
    }
    assert!(!osrm.is_paused());
}

#[test]
fn a_server_that_is_gone_is_no_router_and_stops_nobody() {
    let server = Server::start();
    let osrm = server.client(PATIENT, LONG);
    drop(server);
    let (from, to) = here_and_there();
    let route = osrm.route(from, to);
    assert_eq!(route.source, Source::PowerLaw);
    assert!(route.distance > Metres(0) && route.duration > Seconds(0));
}
