//! Where drivers are, and how long a drive takes.
//!
//! Two things live here, both in memory and both shared between threads: the [`LiveIndex`] that
//! answers "who is near and free", and the [`Router`]s that answer "how far and how long". The
//! dispatcher, the web workers and the load test may call them; this room itself sees only
//! `ibora_domain`, and it never blocks on anything but its own short locks.
//!
//! What always holds: nothing here is the truth about a driver. The index is a view that is filled
//! again from sessions after a restart, and a driver it names can still refuse.

mod grid;
mod index;
mod osrm;
mod power_law;
mod road;
mod route;
mod sphere;

#[cfg(test)]
mod tests;

pub use index::{CategoryBits, Counts, IndexOptions, LiveIndex, Nearby, Query};
pub use osrm::{Osrm, OsrmOptions};
pub use power_law::PowerLaw;
pub use road::{Leg, RoadFile, RoadGraph, RoadGraphError};
pub use route::{Drive, Route, Router, Source, Waypoint};
