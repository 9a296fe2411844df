//! A router without a map: the time of a drive from its straight line alone.
//!
//! `eta_s = A * crow_km ^ 0.64`. `A` is learnt from finished drives: one number for everywhere, on
//! top of it one for each zone where drives begin, and on top of that one for each hour of the day
//! there. It is the default router, and what the others fall back to.
//!
//! What always holds: `A` stays within [`A_MIN`]..=[`A_MAX`], whatever is observed.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use ibora_domain::place::{Coordinates, whole};
use ibora_domain::units::{Metres, Millis, Seconds, UnixMillis};
use parking_lot::RwLock;

use super::grid::MixedHash;
use super::route::{Drive, Route, Router, Source, Waypoint};

/// Seconds for the first kilometre, before anything was learnt.
const A_START: f64 = 300.0;
const A_MIN: f64 = 60.0;
const A_MAX: f64 = 1800.0;
const EXPONENT: f64 = 0.64;

/// Kilometres driven per kilometre of straight line.
const DETOUR: f64 = 1.3;

/// What the start value weighs, in drives; and what a zone's or an hour's not being special weighs.
const PRIOR_EVERYWHERE: f64 = 5.0;
const PRIOR_HERE: f64 = 40.0;

/// The least weight of a new drive: what is older than some 200 drives fades.
const GAIN_MIN: f64 = 0.005;

/// A zone is a field of this many degrees, about 22 km: a city or a part of a large one.
const ZONE_DEGREES: f64 = 0.2;

/// Zones that are learnt, for bounded memory; in further ones the number for everywhere holds.
const ZONES_MAX: usize = 10_000;

const HOURS: usize = 24;
const HOUR_MS: i64 = 3_600_000;

/// Drives that teach nothing: around the corner, or faster than a car.
const CROW_MIN_M: u32 = 200;
const SPEED_MAX_MPS: f64 = 42.0;

/// The power law of the straight line, shared between threads.
pub struct PowerLaw {
    learnt: RwLock<Learnt>,
    /// The hour of the day, in UTC, as last told.
    hour: AtomicUsize,
}

struct Learnt {
    everywhere: Estimate,
    zones: HashMap<(i32, i32), ZoneLearnt, MixedHash>,
}

/// How a zone differs from everywhere, and its hours from it. Logarithms.
#[derive(Default)]
struct ZoneLearnt {
    shift: Estimate,
    hours: [Estimate; HOURS],
}

#[derive(Default, Clone, Copy)]
struct Estimate {
    value: f64,
    drives: f64,
}

impl Estimate {
    /// Takes a step towards less relative error. `above` is by how much the logarithm was too high.
    ///
    /// The step is the slope of |A / truth - 1|, which is what an estimate is judged by, with
    /// bounds: one absurd drive moves it little, and one that was far too low is still heard.
    fn step(&mut self, above: f64, prior: f64) {
        self.drives += 1.0;
        let gain = (1.0 / (prior + self.drives)).max(GAIN_MIN);
        let slope = above.exp().clamp(0.5, 2.0) / 2.0;
        self.value -= gain * slope * above.signum();
    }
}

impl Default for PowerLaw {
    fn default() -> Self {
        Self::new(A_START)
    }
}

impl PowerLaw {
    /// A law that starts with this many seconds for the first kilometre, as learnt before.
    #[must_use]
    pub fn new(seconds_first_km: f64) -> Self {
        let a = if seconds_first_km.is_finite() { seconds_first_km } else { A_START };
        let everywhere = Estimate { value: a.clamp(A_MIN, A_MAX).ln(), drives: 0.0 };
        let learnt = Learnt { everywhere, zones: HashMap::default() };
        Self { learnt: RwLock::new(learnt), hour: AtomicUsize::new(0) }
    }

    /// Seconds for the first kilometre, as learnt so far, where nothing is known of the zone.
    #[must_use]
    pub fn seconds_first_km(&self) -> f64 {
        bounded(self.learnt.read().everywhere.value)
    }

    /// Seconds of a drive from here at the hour that was told last, its ends so far apart.
    #[must_use]
    pub fn seconds_for(&self, from: Coordinates, crow_km: f64) -> f64 {
        let learnt = self.learnt.read();
        let zone = learnt.zones.get(&zone(from));
        let hour = self.hour.load(Ordering::Relaxed);
        let here = zone.map_or(0.0, |zone| zone.shift.value + zone.hours[hour].value);
        bounded(learnt.everywhere.value + here) * crow_km.powf(EXPONENT)
    }

    fn seconds(&self, from: Coordinates, to: Coordinates) -> f64 {
        self.seconds_for(from, f64::from(from.distance_to(to).0) / 1000.0)
    }
}

impl Router for PowerLaw {
    fn route(&self, from: Coordinates, to: Coordinates) -> Route {
        let distance = Metres(whole(f64::from(from.distance_to(to).0) * DETOUR));
        let duration = Seconds(whole(self.seconds(from, to)));
        Route { distance, duration, source: Source::PowerLaw }
    }

    fn path(&self, from: Coordinates, to: Coordinates) -> Vec<Waypoint> {
        let after = Millis(u64::from(whole(self.seconds(from, to) * 1000.0)));
        let start = Waypoint { position: from, after: Millis(0) };
        vec![start, Waypoint { position: to, after }]
    }

    fn tell_time(&self, now: UnixMillis) {
        self.hour.store(hour(now), Ordering::Relaxed);
    }

    /// Drives under 200 m or faster than 150 km/h teach nothing.
    fn learn(&self, drive: &Drive) {
        let metres = f64::from(drive.from.distance_to(drive.to).0);
        let took = f64::from(drive.took.0);
        if metres < f64::from(CROW_MIN_M) || took * SPEED_MAX_MPS < metres {
            return;
        }
        let truth = (took / (metres / 1000.0).powf(EXPONENT)).ln();
        let mut learnt = self.learnt.write();
        let before = learnt.everywhere.value;
        learnt.everywhere.step(before - truth, PRIOR_EVERYWHERE);
        let everywhere = learnt.everywhere.value.clamp(A_MIN.ln(), A_MAX.ln());
        learnt.everywhere.value = everywhere;
        let zone = zone(drive.from);
        if learnt.zones.len() >= ZONES_MAX && !learnt.zones.contains_key(&zone) {
            return;
        }
        let here = learnt.zones.entry(zone).or_default();
        let by_zone = everywhere + here.shift.value;
        here.shift.step(by_zone - truth, PRIOR_HERE);
        let now = &mut here.hours[hour(drive.began)];
        now.step(everywhere + here.shift.value + now.value - truth, PRIOR_HERE);
    }
}

fn bounded(ln_a: f64) -> f64 {
    ln_a.exp().clamp(A_MIN, A_MAX)
}

/// The hour of the day, in UTC: in a zone that is as good a name for it as any other.
fn hour(at: UnixMillis) -> usize {
    usize::try_from(at.0.div_euclid(HOUR_MS).rem_euclid(24)).unwrap_or(0)
}

#[expect(clippy::cast_possible_truncation, reason = "degrees over a zone fit")]
fn zone(at: Coordinates) -> (i32, i32) {
    let field = |degrees: f64| (degrees / ZONE_DEGREES).floor() as i32;
    (field(at.lat()), field(at.lng()))
}
