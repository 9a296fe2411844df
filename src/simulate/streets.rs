//! Travel times for a simulation: the road graph or the power law, with an answer in nanoseconds
//! for what is asked again and again.
//!
//! What always holds: the same two places have the same time in every run, whoever asked before.

use std::sync::{Arc, OnceLock};

use ibora_domain::place::{Coordinates, whole};
use ibora_domain::units::Metres;

use crate::geo::{Leg, PowerLaw, RoadGraph, Router};

/// Up to so many nodes all times to a node are kept once one was asked for: 64 MB for Manhattan.
const KEPT_NODES_MAX: usize = 8192;

/// More pieces of road than this are no map that a page can draw.
const LINES_MAX: usize = 30_000;

/// What times come from.
pub enum Streets {
    Roads(Roads),
    Law(PowerLaw),
}

/// A road graph, and the times that were computed.
pub struct Roads {
    graph: Arc<RoadGraph>,
    /// Times from every node, by the node they lead to. Empty for a large graph.
    to: Vec<OnceLock<Vec<u32>>>,
}

/// A place, and its node where there are roads.
#[derive(Clone, Copy)]
pub(super) struct Spot {
    pub(super) at: Coordinates,
    leg: Option<Leg>,
}

impl Streets {
    /// Streets of a graph.
    #[must_use]
    pub fn of(graph: Arc<RoadGraph>) -> Self {
        let kept = if graph.nodes() <= KEPT_NODES_MAX { graph.nodes() } else { 0 };
        Self::Roads(Roads { graph, to: (0..kept).map(|_| OnceLock::new()).collect() })
    }

    /// Where this place is on the streets; none where there are none near it.
    pub(super) fn spot(&self, at: Coordinates) -> Option<Spot> {
        match self {
            Self::Roads(roads) => Some(Spot { at, leg: Some(roads.graph.snap(at)?) }),
            Self::Law(_) => Some(Spot { at, leg: None }),
        }
    }

    /// Milliseconds of the drive; none where no way leads.
    pub(super) fn ms(&self, from: &Spot, to: &Spot) -> Option<u32> {
        match (self, from.leg, to.leg) {
            (Self::Roads(roads), Some(first), Some(last)) => {
                if first.node == last.node {
                    let metres = from.at.distance_to(to.at).0;
                    return Some(Leg { metres, ..first }.ms());
                }
                let between = roads.node_ms(first.node, last.node)?;
                Some(between.saturating_add(first.ms()).saturating_add(last.ms()))
            }
            (Self::Roads(roads), _, _) => Some(roads.graph.route(from.at, to.at).duration.0 * 1000),
            (Self::Law(law), _, _) => {
                let crow_km = f64::from(from.at.distance_to(to.at).0) / 1000.0;
                Some(whole(law.seconds_for(from.at, crow_km) * 1000.0))
            }
        }
    }

    /// The length of the drive.
    pub(super) fn metres(&self, from: &Spot, to: &Spot) -> Metres {
        match self {
            Self::Roads(roads) => roads.graph.route(from.at, to.at).distance,
            Self::Law(law) => law.route(from.at, to.at).distance,
        }
    }

    /// The streets as lines on a map, both ends in hundred-thousandths of a degree; none where
    /// there are too many to draw.
    pub(super) fn lines(&self) -> Vec<[i32; 4]> {
        let Self::Roads(roads) = self else { return Vec::new() };
        if roads.graph.edges() > LINES_MAX {
            return Vec::new();
        }
        #[expect(clippy::cast_possible_truncation, reason = "180 degrees fit")]
        let short = |degrees: f64| (degrees * 1e5).round() as i32;
        let line = |(from, to): (Coordinates, Coordinates)| {
            [short(from.lat()), short(from.lng()), short(to.lat()), short(to.lng())]
        };
        roads.graph.pieces().map(line).collect()
    }

    /// How the times came about, for reports.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Roads(_) => "road_graph",
            Self::Law(_) => "power_law",
        }
    }
}

impl Roads {
    fn node_ms(&self, from: u32, to: u32) -> Option<u32> {
        let Some(kept) = self.to.get(to as usize) else {
            return self.graph.node_ms(from, to);
        };
        let times = kept.get_or_init(|| self.graph.all_ms_to(to));
        Some(times[from as usize]).filter(|ms| *ms != u32::MAX)
    }
}
