//! Bots as they are seen from outside: what the demo's page draws.

use ibora_domain::place::Coordinates;
use ibora_domain::units::UnixMillis;
use uuid::Uuid;

use super::leg::Leg;
use super::town::Trip;

/// What a driver does, as seen from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DriverDoes {
    Offline,
    Idle,
    Offered,
    ToPickup,
    Boarding,
    WithPassenger,
}

/// A driver as seen from outside.
#[derive(Clone)]
pub struct DriverSeen {
    pub does: DriverDoes,
    /// Where he stands, when he does not drive.
    pub at: Coordinates,
    pub leg: Option<Leg>,
    pub ride: Option<Uuid>,
    /// The [change](super::Town::changes) that made it so.
    pub change: u64,
}

/// What a passenger does, as seen from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PassengerDoes {
    Away,
    Searching,
    /// A driver is on the way, or there.
    Waiting,
    Riding,
}

/// A passenger as seen from outside.
#[derive(Clone)]
pub struct PassengerSeen {
    pub does: PassengerDoes,
    pub trip: Option<Trip>,
    pub ride: Option<Uuid>,
    /// When they asked for the ride.
    pub since: UnixMillis,
}
