//! What the page shows: where everybody is, what they do, and how the last rides went.
//!
//! Filled by the bots themselves, in this process; nothing of it comes from the engine, and no real
//! person is ever in it, nor what a visitor does. Each list has a bound, so that an answer has one.

use std::collections::VecDeque;
use std::sync::{Arc, OnceLock};

use ibora_domain::units::UnixMillis;
use parking_lot::Mutex;
use serde_json::{Value, json};
use uuid::Uuid;

use super::city::City;
use super::numbers::{Numbers, Sampler};
use super::people::Shared;
use super::visitors::Visitors;
use crate::bots::{
    DriverDoes, DriverSeen, EngineClock, Leg, Outcome, PassengerDoes, PassengerSeen, Story, Town,
};
use crate::obs::Metrics;

/// Drivers and passengers that the page draws.
const DRAWN_MAX: usize = 3000;
/// Points of a leg that the page is told; a cross-country drive has not more.
const POINTS_MAX: usize = 400;
/// Rides in the feed.
const FEED_MAX: usize = 14;

/// The stage.
pub(super) struct Live {
    /// Of this run: who was a visitor of another is none of this one's.
    run: Uuid,
    city: String,
    speed: u32,
    opened: OnceLock<Opened>,
    drivers: Mutex<Vec<Arc<Mutex<DriverSeen>>>>,
    passengers: Mutex<Vec<Arc<Mutex<PassengerSeen>>>>,
    feed: Mutex<Feed>,
}

/// What is there once the engine runs.
struct Opened {
    clock: EngineClock,
    town: Arc<Town>,
    sampler: Mutex<Sampler>,
    visitors: Visitors,
}

#[derive(Default)]
struct Feed {
    told: u64,
    lines: VecDeque<Value>,
}

impl Live {
    pub(super) fn new(city: &City, speed: u32) -> Self {
        Self {
            run: Uuid::now_v7(),
            city: city.drawing().to_string(),
            speed,
            opened: OnceLock::new(),
            drivers: Mutex::default(),
            passengers: Mutex::default(),
            feed: Mutex::default(),
        }
    }

    /// The engine runs; people come now.
    pub(super) fn opened(&self, shared: &Shared, metrics: Arc<Metrics>, visitors: Visitors) {
        let sampler = Mutex::new(Sampler::new(Arc::clone(&shared.engine), metrics));
        let (clock, town) = (shared.clock, Arc::clone(&shared.town));
        // A second opening would change nothing.
        drop(self.opened.set(Opened { clock, town, sampler, visitors }));
    }

    pub(super) fn driver(&self, seen: Arc<Mutex<DriverSeen>>) {
        self.drivers.lock().push(seen);
    }

    pub(super) fn passenger(&self, seen: Arc<Mutex<PassengerSeen>>) {
        self.passengers.lock().push(seen);
    }

    /// A ride ended.
    pub(super) fn tell(&self, story: &Story) {
        let outcome = match story.outcome {
            Outcome::Completed => "completed",
            Outcome::GaveUp | Outcome::Canceled => "canceled",
            Outcome::NoDriver => "no_driver",
            Outcome::Refused => return,
        };
        let seconds = |length: Option<ibora_domain::units::Millis>| length.map(|ms| ms.0 / 1000);
        let mut feed = self.feed.lock();
        feed.told += 1;
        let line = json!({
            "n": feed.told,
            "outcome": outcome,
            "from": City::quarter(story.trip.pickup),
            "to": City::quarter(story.trip.dropoff),
            "fare": story.fare,
            "wait_s": seconds(story.wait),
        });
        feed.lines.push_front(line);
        feed.lines.truncate(FEED_MAX);
    }

    /// The access token of a passenger for whoever opened the page; `None` before there are any.
    pub(super) fn visitor(&self) -> Option<&str> {
        self.opened.get()?.visitors.next()
    }

    /// A visitor tells their driver the PIN.
    pub(super) fn tell_pin(&self, ride: Uuid, pin: &str) {
        if let Some(opened) = self.opened.get() {
            opened.visitors.tell(&opened.town.pins, ride, pin);
        }
    }

    /// The drawing of the city, as JSON.
    pub(super) fn city(&self) -> &str {
        &self.city
    }

    pub(super) fn numbers(&self) -> Numbers {
        let Some(opened) = self.opened.get() else { return Numbers::default() };
        let drivers: Vec<_> = self.drivers.lock().iter().map(|seen| seen.lock().does).collect();
        let passengers: Vec<_> =
            self.passengers.lock().iter().map(|seen| seen.lock().does).collect();
        opened.sampler.lock().numbers(drivers.into_iter(), passengers.into_iter())
    }

    /// What changed since the change of that number, and everything that is always told. `ride`: a
    /// visitor's, whose car their page draws by what the engine tells it.
    pub(super) fn since(&self, since: u64, ride: Option<Uuid>) -> Value {
        let Some(opened) = self.opened.get() else { return json!({"starting": true}) };
        // Read before the drivers: what changes meanwhile is told again, never left out.
        let change = opened.town.changes();
        let now = opened.clock.now();
        json!({
            "run": self.run,
            "now": now.0,
            "speed": self.speed,
            "change": change,
            "numbers": self.numbers(),
            "drivers": self.drivers_since(since, now),
            "yours": ride.and_then(|ride| self.driver_of(ride)),
            "passengers": self.waiting(now),
            "feed": self.feed.lock().lines,
        })
    }

    /// `[number, does, lat, lng]` of drivers who changed; one who drives has `start` and the points
    /// `lat, lng, ms` of the way, flat, behind that.
    fn drivers_since(&self, since: u64, now: UnixMillis) -> Vec<Value> {
        let drivers: Vec<_> = self.drivers.lock().iter().take(DRAWN_MAX).cloned().collect();
        let row = |(number, seen): (usize, &Arc<Mutex<DriverSeen>>)| {
            let seen = seen.lock();
            if seen.change <= since {
                return None;
            }
            let (lat, lng) = (scaled(seen.at.lat()), scaled(seen.at.lng()));
            let does = driver_number(seen.does);
            Some(match seen.leg.as_ref().filter(|leg| now < leg.ends()) {
                Some(leg) => json!([number, does, lat, lng, leg.start().0, points(leg)]),
                None => json!([number, does, lat, lng]),
            })
        };
        drivers.iter().enumerate().filter_map(row).collect()
    }

    /// The number of the driver who has this ride.
    fn driver_of(&self, ride: Uuid) -> Option<usize> {
        self.drivers.lock().iter().position(|seen| seen.lock().ride == Some(ride))
    }

    /// `[number, does, lat, lng, lat, lng, seconds]` of passengers who wait or ride: from where to
    /// where, and since when.
    fn waiting(&self, now: UnixMillis) -> Vec<Value> {
        let passengers = self.passengers.lock();
        let row = |(number, seen): (usize, &Arc<Mutex<PassengerSeen>>)| {
            let seen = seen.lock();
            let does = passenger_number(seen.does)?;
            let trip = seen.trip?;
            let (from, to) = (trip.pickup, trip.dropoff);
            let waited = now.since(seen.since).0 / 1000;
            let [a, b, c, d] = [from.lat(), from.lng(), to.lat(), to.lng()].map(scaled);
            Some(json!([number, does, a, b, c, d, waited]))
        };
        passengers.iter().enumerate().filter_map(row).take(DRAWN_MAX).collect()
    }
}

fn points(leg: &Leg) -> Vec<i64> {
    let flat = |point: &crate::geo::Waypoint| {
        let ms = i64::try_from(point.after.0).unwrap_or(i64::MAX);
        [scaled(point.position.lat()), scaled(point.position.lng()), ms]
    };
    leg.path().iter().take(POINTS_MAX).flat_map(flat).collect()
}

/// Degrees as the page takes them: a hundred-thousandth is a metre.
fn scaled(degrees: f64) -> i64 {
    #[expect(clippy::cast_possible_truncation, reason = "at most 180 times 100,000")]
    let whole = (degrees * 100_000.0).round() as i64;
    whole
}

const fn driver_number(does: DriverDoes) -> u8 {
    match does {
        DriverDoes::Offline => 0,
        DriverDoes::Idle => 1,
        DriverDoes::Offered => 2,
        DriverDoes::ToPickup => 3,
        DriverDoes::Boarding => 4,
        DriverDoes::WithPassenger => 5,
    }
}

const fn passenger_number(does: PassengerDoes) -> Option<u8> {
    match does {
        PassengerDoes::Away => None,
        PassengerDoes::Searching => Some(1),
        PassengerDoes::Waiting => Some(2),
        PassengerDoes::Riding => Some(3),
    }
}
