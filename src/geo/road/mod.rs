//! A router with a map: shortest times over a directed road graph in memory.
//!
//! Built once from two CSV texts, then shared by any number of threads. Places snap to the nearest
//! node and drive straight between it and themselves. Where there is no node within 1 km, or no way
//! between the two nodes, the power law of the straight line answers instead.
//!
//! What always holds: every edge joins two nodes of this graph, and has a length and a time.

mod parse;
mod search;

use std::io::BufRead;
use std::sync::Arc;

use ibora_domain::place::{Coordinates, whole};
use ibora_domain::units::{Metres, Millis, Seconds};

use super::grid::{Grid, Item};
use super::power_law::PowerLaw;
use super::route::{Route, Router, Waypoint};
pub use parse::{RoadFile, RoadGraphError};
use search::{Edge, Network};

/// A place further than this from every node is off the map.
const SNAP_MAX_M: u32 = 1000;

/// Between a place and its node: 15 km/h, a walk through a yard or around a block.
const ACCESS_MS_PER_M: u32 = 240;

/// Edge length of the cells that nodes are looked up in.
const SNAP_CELL_M: u32 = 250;

/// A directed road graph that answers with shortest times.
pub struct RoadGraph {
    nodes: Vec<Coordinates>,
    by_place: Grid<Node>,
    network: Network,
    off_map: Arc<PowerLaw>,
}

#[derive(Clone, Copy)]
struct Node(u32);

impl Item for Node {
    type Key = u32;

    fn key(&self) -> u32 {
        self.0
    }
}

/// How a drive goes.
enum Course {
    /// Straight, both ends being at the same node.
    Straight(Leg),
    /// Over the network, with the straight legs to its first and from its last node.
    Roads { first: Leg, last: Leg },
    /// The map does not help.
    OffMap,
}

/// A straight piece at one end of a drive.
#[derive(Clone, Copy)]
struct Leg {
    node: u32,
    metres: u32,
}

impl Leg {
    fn ms(self) -> u32 {
        self.metres.saturating_mul(ACCESS_MS_PER_M)
    }
}

impl RoadGraph {
    /// Reads a graph from CSV texts with the headers `node_id,lat,lon` and
    /// `from_node,to_node,length_km,speed_kmh`. `off_map` answers where the graph cannot.
    ///
    /// # Errors
    /// [`RoadGraphError`], naming the file and line that is wrong. Nothing is skipped.
    pub fn read(
        nodes: impl BufRead,
        edges: impl BufRead,
        off_map: Arc<PowerLaw>,
    ) -> Result<Self, RoadGraphError> {
        let (numbers, nodes) = parse::nodes(nodes)?;
        let edges = parse::edges(edges, &numbers)?;
        let by_place = Grid::new(SNAP_CELL_M);
        for (number, place) in (0_u32..).zip(&nodes) {
            by_place.put(None, *place, Node(number));
        }
        let network = Network::new(nodes.len(), edges);
        Ok(Self { nodes, by_place, network, off_map })
    }

    /// How many nodes the graph has.
    #[must_use]
    pub fn nodes(&self) -> usize {
        self.nodes.len()
    }

    /// How many directed edges the graph has.
    #[must_use]
    pub fn edges(&self) -> usize {
        self.network.edges()
    }

    fn snap(&self, place: Coordinates) -> Option<Leg> {
        let hit = self.by_place.nearest(place, SNAP_MAX_M, 1, |_| true).next()?;
        Some(Leg { node: hit.item.0, metres: whole(hit.metres()) })
    }

    /// Finds the fastest drive and hands its edges, in order, to `each`.
    fn drive(&self, from: Coordinates, to: Coordinates, each: impl FnMut(&Edge)) -> Course {
        let (Some(first), Some(last)) = (self.snap(from), self.snap(to)) else {
            return Course::OffMap;
        };
        if first.node == last.node {
            let metres = from.distance_to(to).0;
            return Course::Straight(Leg { node: first.node, metres });
        }
        if self.network.shortest(first.node, last.node, each) {
            Course::Roads { first, last }
        } else {
            Course::OffMap
        }
    }
}

impl Router for RoadGraph {
    fn route(&self, from: Coordinates, to: Coordinates) -> Route {
        let (mut mm, mut ms) = (0_u64, 0_u64);
        let course = self.drive(from, to, |edge| {
            mm += u64::from(edge.mm);
            ms += u64::from(edge.ms);
        });
        let legs = match course {
            Course::OffMap => return self.off_map.route(from, to),
            Course::Straight(leg) => [leg, Leg { metres: 0, ..leg }],
            Course::Roads { first, last } => [first, last],
        };
        for leg in legs {
            mm += u64::from(leg.metres) * 1000;
            ms += u64::from(leg.ms());
        }
        Route { distance: Metres(thousandth(mm)), duration: Seconds(thousandth(ms)) }
    }

    fn path(&self, from: Coordinates, to: Coordinates) -> Vec<Waypoint> {
        let mut nodes = Vec::new();
        let course = self.drive(from, to, |edge| nodes.push((edge.to, edge.ms)));
        let mut path = vec![Waypoint { position: from, after: Millis(0) }];
        let mut after = 0;
        let mut pass = |position: Coordinates, ms: u32| {
            after += u64::from(ms);
            path.push(Waypoint { position, after: Millis(after) });
        };
        match course {
            Course::OffMap => return self.off_map.path(from, to),
            Course::Straight(leg) => pass(to, leg.ms()),
            Course::Roads { first, last } => {
                pass(self.nodes[first.node as usize], first.ms());
                for (node, ms) in nodes {
                    pass(self.nodes[node as usize], ms);
                }
                pass(to, last.ms());
            }
        }
        path
    }
}

/// A thousandth, rounded half up; what does not fit is the largest number.
fn thousandth(value: u64) -> u32 {
    u32::try_from((value + 500) / 1000).unwrap_or(u32::MAX)
}
