//! What every router answers: how far, how long, and along which points.
//!
//! Dispatch ranks by it, fares are quoted from it, bots drive along it. The trait's promises are
//! checked for each router by one conformance suite, `geo/tests/routers.rs`.

use std::fmt;

use ibora_domain::place::Coordinates;
use ibora_domain::units::{Metres, Millis, Seconds, UnixMillis};

/// A drive between two places.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Route {
    pub distance: Metres,
    pub duration: Seconds,
    /// Who says so.
    pub source: Source,
}

/// Where an answer comes from: a router that cannot answer lets another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Source {
    PowerLaw,
    RoadGraph,
    Osrm,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::PowerLaw => "power_law",
            Self::RoadGraph => "road_graph",
            Self::Osrm => "osrm",
        })
    }
}

/// A point that a drive passes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Waypoint {
    pub position: Coordinates,
    /// Time since the start of the drive.
    pub after: Millis,
}

/// A drive that has ended, to learn from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Drive {
    pub from: Coordinates,
    pub to: Coordinates,
    pub began: UnixMillis,
    pub took: Seconds,
}

/// Answers for any two places on Earth: at once and from memory, unless it says that it is remote.
///
/// From a place to itself it is nothing at all. The same question gets the same answer until the
/// router learns something new, or hears what time it is.
pub trait Router: Send + Sync {
    /// The drive that this router thinks fastest.
    fn route(&self, from: Coordinates, to: Coordinates) -> Route;

    /// The same drive point by point, from `from` at zero to `to` at the route's duration.
    fn path(&self, from: Coordinates, to: Coordinates) -> Vec<Waypoint>;

    /// The drives from several places to one, in the order of the places.
    fn routes(&self, from: &[Coordinates], to: Coordinates) -> Vec<Route> {
        from.iter().map(|from| self.route(*from, to)).collect()
    }

    /// Whether an answer may take as long as a network does: then not on a thread that others
    /// wait for.
    fn is_remote(&self) -> bool {
        false
    }

    /// What time it is, for those whose answers depend on it.
    fn tell_time(&self, _now: UnixMillis) {}

    /// How long a drive took, for those who learn.
    fn learn(&self, _drive: &Drive) {}
}
