//! A router that asks a server which speaks OSRM's HTTP API, version 1.
//!
//! A call has a deadline. After a few failures in a row nobody asks for a while (a circuit
//! breaker), then one call tries again. Whatever the server cannot say, the power law says; an
//! answer names its source.
//!
//! What always holds: a call returns within the deadline, and an answer is a possible drive.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ibora_domain::breaker::Breaker;
use ibora_domain::place::{Coordinates, whole};
use ibora_domain::units::{Metres, Millis, Seconds, UnixMillis};
use parking_lot::Mutex;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use thiserror::Error;

use super::power_law::PowerLaw;
use super::route::{Drive, Route, Router, Source, Waypoint};

/// Bytes of an answer; a route of a whole day stays below.
const ANSWER_MAX: u64 = 4 << 20;

/// Places in one question: servers refuse more than 100 by default.
const PLACES_MAX: usize = 99;

/// Nothing on a road is faster.
const SPEED_MAX_MPS: f64 = 42.0;

/// How a server is asked.
#[derive(Debug, Clone)]
pub struct OsrmOptions {
    /// `http://HOST:PORT`, without the end `/`.
    pub url: String,
    /// The profile in the path, such as `driving`.
    pub profile: String,
    /// How long one call may take.
    pub timeout: Duration,
    /// So many failures in a row and nobody asks for a while.
    pub failures_max: u32,
    /// That while.
    pub pause: Duration,
}

/// The client of one server.
pub struct Osrm {
    options: OsrmOptions,
    agent: ureq::Agent,
    /// Its time begins here.
    started: Instant,
    breaker: Mutex<Breaker>,
    straight: Arc<PowerLaw>,
}

/// Why the server's word does not count.
#[derive(Debug, Error)]
enum OsrmError {
    #[error("not asked: it failed lately")]
    Paused,
    #[error("the call failed")]
    Call(#[from] ureq::Error),
    #[error("the answer is no JSON of the kind")]
    Json(#[from] serde_json::Error),
    #[error("the server says {code}")]
    Refused { code: String },
    #[error("the answer is no possible drive")]
    Absurd,
}

#[derive(Deserialize)]
struct RouteAnswer {
    code: String,
    #[serde(default)]
    routes: Vec<RouteFound>,
}

#[derive(Deserialize)]
struct RouteFound {
    distance: f64,
    duration: f64,
    #[serde(default)]
    geometry: Line,
}

#[derive(Deserialize, Default)]
struct Line {
    /// Longitude first.
    coordinates: Vec<(f64, f64)>,
}

#[derive(Deserialize)]
struct TableAnswer {
    code: String,
    #[serde(default)]
    durations: Vec<Vec<Option<f64>>>,
    #[serde(default)]
    distances: Vec<Vec<Option<f64>>>,
}

impl Osrm {
    /// A client; nothing is asked yet. `straight` answers where the server does not.
    #[must_use]
    pub fn new(options: OsrmOptions, straight: Arc<PowerLaw>) -> Self {
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(options.timeout))
            .max_redirects(0)
            .proxy(None)
            .build();
        let breaker = Breaker::new(options.failures_max, options.pause.into()).into();
        Self { options, agent: config.into(), started: Instant::now(), breaker, straight }
    }

    /// Whether nobody asks the server for now.
    #[must_use]
    pub fn is_paused(&self) -> bool {
        self.breaker.lock().is_paused(self.now())
    }

    fn ask<T: DeserializeOwned>(&self, service: &str, query: &str) -> Result<T, OsrmError> {
        if !self.breaker.lock().admits(self.now()) {
            return Err(OsrmError::Paused);
        }
        let OsrmOptions { url, profile, .. } = &self.options;
        let path = format!("{url}/{service}/v1/{profile}/{query}");
        let answer = self.call(&path);
        self.record(answer.is_ok());
        Ok(serde_json::from_slice(&answer?)?)
    }

    fn call(&self, path: &str) -> Result<Vec<u8>, ureq::Error> {
        let mut response = self.agent.get(path).call()?;
        response.body_mut().with_config().limit(ANSWER_MAX).read_to_vec()
    }

    fn now(&self) -> Millis {
        self.started.elapsed().into()
    }

    fn record(&self, went_well: bool) {
        let mut breaker = self.breaker.lock();
        if went_well { breaker.succeeded() } else { breaker.failed(self.now()) }
    }

    fn asked_route(
        &self,
        from: Coordinates,
        to: Coordinates,
        overview: &str,
    ) -> Result<RouteFound, OsrmError> {
        let query = format!("{};{}?overview={overview}&geometries=geojson", at(from), at(to));
        let answer: RouteAnswer = self.ask("route", &query)?;
        let code = answer.code;
        let route = answer.routes.into_iter().next().ok_or(OsrmError::Refused { code })?;
        possible(from, to, (route.distance, route.duration))?;
        Ok(route)
    }

    /// The drives from each place to one; none where the server knows no way.
    fn asked_table(
        &self,
        from: &[Coordinates],
        to: Coordinates,
    ) -> Result<Vec<Option<Route>>, OsrmError> {
        let places: Vec<String> = from.iter().chain([&to]).map(|place| at(*place)).collect();
        let query = format!(
            "{}?destinations={}&annotations=duration,distance",
            places.join(";"),
            from.len()
        );
        let answer: TableAnswer = self.ask("table", &query)?;
        if answer.durations.len() <= from.len() || answer.distances.len() <= from.len() {
            return Err(OsrmError::Refused { code: answer.code });
        }
        let cells = from.iter().zip(answer.distances).zip(answer.durations);
        let routes = cells.map(|((from, distances), durations)| {
            let cell = |row: Vec<Option<f64>>| row.first().copied().flatten();
            possible(*from, to, (cell(distances)?, cell(durations)?)).ok()
        });
        Ok(routes.collect())
    }
}

/// The route of these metres and seconds, unless no car could drive it.
fn possible(
    from: Coordinates,
    to: Coordinates,
    (metres, seconds): (f64, f64),
) -> Result<Route, OsrmError> {
    let crow = f64::from(from.distance_to(to).0);
    // Places snap to streets, each by up to a few hundred metres.
    let fast = crow - 1000.0 > seconds * SPEED_MAX_MPS;
    if !(metres >= 0.0 && seconds >= 0.0 && metres.is_finite() && seconds.is_finite()) || fast {
        return Err(OsrmError::Absurd);
    }
    let (distance, duration) = (Metres(whole(metres)), Seconds(whole(seconds)));
    Ok(Route { distance, duration, source: Source::Osrm })
}

fn at(place: Coordinates) -> String {
    format!("{:.6},{:.6}", place.lng(), place.lat())
}

impl Router for Osrm {
    fn route(&self, from: Coordinates, to: Coordinates) -> Route {
        if from == to {
            let nothing = (Metres(0), Seconds(0));
            return Route { distance: nothing.0, duration: nothing.1, source: Source::Osrm };
        }
        let asked = self.asked_route(from, to, "false");
        let found = asked.and_then(|r| possible(from, to, (r.distance, r.duration)));
        found.unwrap_or_else(|_| self.straight.route(from, to))
    }

    fn path(&self, from: Coordinates, to: Coordinates) -> Vec<Waypoint> {
        let Ok(found) = self.asked_route(from, to, "full") else {
            return self.straight.path(from, to);
        };
        let line = found.geometry.coordinates.into_iter();
        let mut points = vec![from];
        points.extend(line.filter_map(|(lng, lat)| Coordinates::new(lat, lng).ok()));
        points.push(to);
        along(&points, whole(found.duration))
    }

    fn routes(&self, from: &[Coordinates], to: Coordinates) -> Vec<Route> {
        let mut routes = Vec::with_capacity(from.len());
        for part in from.chunks(PLACES_MAX) {
            let asked = self.asked_table(part, to).unwrap_or_else(|_| vec![None; part.len()]);
            let pairs = part.iter().zip(asked);
            routes.extend(
                pairs.map(|(from, route)| route.unwrap_or_else(|| self.straight.route(*from, to))),
            );
        }
        routes
    }

    fn is_remote(&self) -> bool {
        true
    }

    fn tell_time(&self, now: UnixMillis) {
        self.straight.tell_time(now);
    }

    fn learn(&self, drive: &Drive) {
        self.straight.learn(drive);
    }
}

/// Passes the points at an even pace, the last one after `seconds`.
fn along(points: &[Coordinates], seconds: u32) -> Vec<Waypoint> {
    let mut so_far = vec![0_u64];
    for pair in points.windows(2) {
        let last = so_far.last().copied().unwrap_or(0);
        so_far.push(last + u64::from(pair[0].distance_to(pair[1]).0));
    }
    let length = so_far.last().copied().unwrap_or(0);
    let (ms, steps) = (u64::from(seconds) * 1000, points.len().saturating_sub(1).max(1) as u64);
    let pace = |(step, metres): (u64, u64)| {
        // Where there is no length, the steps share the time.
        let (part, of) = if length == 0 { (step, steps) } else { (metres, length) };
        Millis(ms * part / of)
    };
    let times = (0_u64..).zip(so_far).map(pace);
    points
        .iter()
        .zip(times)
        .map(|(position, after)| Waypoint { position: *position, after })
        .collect()
}
