//! What every router answers: how far, how long, and along which points.
//!
//! Dispatch ranks by it, fares are quoted from it, bots drive along it. The trait's promises are
//! checked for each router by one conformance suite, `geo/tests/routers.rs`.

use ibora_domain::place::Coordinates;
use ibora_domain::units::{Metres, Millis, Seconds};

/// A drive between two places.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Route {
    pub distance: Metres,
    pub duration: Seconds,
}

/// A point that a drive passes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Waypoint {
    pub position: Coordinates,
    /// Time since the start of the drive.
    pub after: Millis,
}

/// Answers for any two places on Earth, at once and from memory.
///
/// From a place to itself it is nothing at all. The same question gets the same answer until the
/// router learns something new.
pub trait Router: Send + Sync {
    /// The drive that this router thinks fastest.
    fn route(&self, from: Coordinates, to: Coordinates) -> Route;

    /// The same drive point by point, from `from` at zero to `to` at the route's duration.
    fn path(&self, from: Coordinates, to: Coordinates) -> Vec<Waypoint>;
}
