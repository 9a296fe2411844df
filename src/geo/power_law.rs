//! A router without a map: the time of a drive from its straight line alone.
//!
//! `eta_s = A * crow_km ^ 0.64`, with `A` learnt from finished drives. It is the default router,
//! and what the road graph falls back to where it has no road.
//!
//! What always holds: `A` stays within [`A_MIN`]..=[`A_MAX`], whatever is observed.

use std::sync::atomic::{AtomicU64, Ordering};

use ibora_domain::place::{Coordinates, whole};
use ibora_domain::units::{Metres, Millis, Seconds};
use parking_lot::Mutex;

use super::route::{Route, Router, Waypoint};

/// Seconds for the first kilometre, before anything was learnt.
const A_START: f64 = 300.0;
const A_MIN: f64 = 60.0;
const A_MAX: f64 = 1800.0;
const EXPONENT: f64 = 0.64;

/// Kilometres driven per kilometre of straight line.
const DETOUR: f64 = 1.3;

/// What the start value weighs, in observations.
const PRIOR_WEIGHT: f64 = 20.0;

/// The least weight of a new observation: what is older than some 500 drives fades.
const GAIN_MIN: f64 = 0.002;

/// One drive moves the logarithm as if it were off by this at most (a factor of 1.65).
const RESIDUAL_MAX: f64 = 0.5;

/// Drives that teach nothing: around the corner, or faster than a car.
const CROW_MIN_M: u32 = 200;
const SPEED_MAX_MPS: f64 = 42.0;

/// The power law of the straight line, shared between threads.
pub struct PowerLaw {
    /// `A` as the bits of an `f64`, so that a route takes no lock.
    a: AtomicU64,
    learnt: Mutex<Learnt>,
}

struct Learnt {
    ln_a: f64,
    observations: f64,
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
        let a = a.clamp(A_MIN, A_MAX);
        let learnt = Learnt { ln_a: a.ln(), observations: 0.0 };
        Self { a: AtomicU64::new(a.to_bits()), learnt: Mutex::new(learnt) }
    }

    /// Seconds for the first kilometre, as learnt so far.
    #[must_use]
    pub fn seconds_first_km(&self) -> f64 {
        f64::from_bits(self.a.load(Ordering::Relaxed))
    }

    /// Learns from a finished drive: the straight line between its ends, and how long it took.
    ///
    /// A robust running mean of the logarithm: one absurd drive moves it little. Drives under 200 m
    /// or faster than 150 km/h are ignored.
    pub fn observe(&self, crow: Metres, took: Seconds) {
        let metres = f64::from(crow.0);
        if crow.0 < CROW_MIN_M || f64::from(took.0) * SPEED_MAX_MPS < metres {
            return;
        }
        let sample = (f64::from(took.0) / (metres / 1000.0).powf(EXPONENT)).ln();
        let mut learnt = self.learnt.lock();
        learnt.observations += 1.0;
        let gain = (1.0 / (PRIOR_WEIGHT + learnt.observations)).max(GAIN_MIN);
        let residual = (sample - learnt.ln_a).clamp(-RESIDUAL_MAX, RESIDUAL_MAX);
        learnt.ln_a = (learnt.ln_a + gain * residual).clamp(A_MIN.ln(), A_MAX.ln());
        let a = learnt.ln_a.exp().clamp(A_MIN, A_MAX);
        // Under the lock, so that a later value is never overwritten by an earlier one.
        self.a.store(a.to_bits(), Ordering::Relaxed);
    }

    fn seconds(&self, crow: Metres) -> f64 {
        self.seconds_first_km() * (f64::from(crow.0) / 1000.0).powf(EXPONENT)
    }
}

impl Router for PowerLaw {
    fn route(&self, from: Coordinates, to: Coordinates) -> Route {
        let crow = from.distance_to(to);
        let distance = Metres(whole(f64::from(crow.0) * DETOUR));
        Route { distance, duration: Seconds(whole(self.seconds(crow))) }
    }

    fn path(&self, from: Coordinates, to: Coordinates) -> Vec<Waypoint> {
        let after = Millis(u64::from(whole(self.seconds(from.distance_to(to)) * 1000.0)));
        let start = Waypoint { position: from, after: Millis(0) };
        vec![start, Waypoint { position: to, after }]
    }
}
