//! How bots behave: the numbers that a seed draws from.

use std::ops::RangeInclusive;
use std::time::Duration;

/// How a driver works. Lengths are in domain time where nothing else is said.
#[derive(Debug, Clone)]
pub struct DriverHabits {
    /// From an offer to the tap, in milliseconds.
    pub reaction_ms: RangeInclusive<u64>,
    /// Share of offers declined.
    pub declines: f64,
    /// From the arrival to the passenger telling the PIN, in milliseconds.
    pub boarding_ms: RangeInclusive<u64>,
    /// How long he stands before he drives to another haunt, in milliseconds.
    pub standing_ms: RangeInclusive<u64>,
    /// Between positions while he moves, in real time; the contract allows one a second.
    pub moving_every: Duration,
    /// Between positions while he stands, in real time.
    pub standing_every: Duration,
}

impl Default for DriverHabits {
    fn default() -> Self {
        Self {
            reaction_ms: 2000..=6000,
            declines: 0.03,
            boarding_ms: 8000..=30_000,
            standing_ms: 20_000..=120_000,
            moving_every: Duration::from_millis(1050),
            standing_every: Duration::from_secs(10),
        }
    }
}

/// How a passenger behaves. Lengths are in domain time.
#[derive(Debug, Clone)]
pub struct PassengerHabits {
    /// From the price to the request, in milliseconds.
    pub thinks_ms: RangeInclusive<u64>,
    /// How long they search before they give up, in milliseconds.
    pub patience_ms: RangeInclusive<u64>,
    /// Share of rides canceled while the driver is on the way.
    pub cancels: f64,
    /// Share of completed rides that they rate.
    pub rates: f64,
}

impl Default for PassengerHabits {
    fn default() -> Self {
        Self { thinks_ms: 2000..=9000, patience_ms: 90_000..=400_000, cancels: 0.01, rates: 0.4 }
    }
}
