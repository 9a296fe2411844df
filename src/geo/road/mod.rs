//! A router with a map: shortest times over a directed road graph in memory.
//!
//! Built once from two CSV texts, then shared by any number of threads. Places snap to the nearest
//! node and drive straight between it and themselves. Where there is no node within 1 km, or no way
//! between the two nodes, the power law of the straight line answers instead.
//!
//! What always holds: every edge joins two nodes of this graph, and has a length and a time.

mod hierarchy;
mod labels;
mod parse;
mod parts;
mod search;

use std::io::BufRead;
use std::sync::Arc;

use ibora_domain::place::{Coordinates, whole};
use ibora_domain::units::{Metres, Millis, Seconds, UnixMillis};

use super::grid::{Grid, Item};
use super::power_law::PowerLaw;
use super::route::{Drive, Route, Router, Source, Waypoint};
pub use parse::{RoadFile, RoadGraphError};
use search::Network;

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

/// A straight piece at one end of a drive: between a place and its node of the graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Leg {
    /// The node's number, below [`RoadGraph::nodes`].
    pub node: u32,
    pub metres: u32,
}

impl Leg {
    /// How long it takes.
    #[must_use]
    pub fn ms(self) -> u32 {
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

    /// Memory of the hub labels, in bytes; none where the graph is too large for them, and answers
    /// from its hierarchy.
    #[must_use]
    pub fn label_bytes(&self) -> Option<usize> {
        self.network.label_bytes()
    }

    /// Both ends of every edge, for who draws a map.
    pub fn pieces(&self) -> impl Iterator<Item = (Coordinates, Coordinates)> + '_ {
        let place = |node: u32| self.nodes[node as usize];
        self.network.ends().map(move |(from, to)| (place(from), place(to)))
    }

    /// How many nodes the largest part of the graph has in which every node reaches every other.
    #[must_use]
    pub fn largest_connected(&self) -> usize {
        self.network.largest_connected()
    }

    /// The way from a place to its nearest node; none where that is too far, as in the sea.
    #[must_use]
    pub fn snap(&self, place: Coordinates) -> Option<Leg> {
        let hit = self.by_place.nearest(place, SNAP_MAX_M, 1, |_| true).next()?;
        Some(Leg { node: hit.item.0, metres: whole(hit.metres()) })
    }

    /// Milliseconds from one node to another, if there is a way.
    #[must_use]
    pub fn node_ms(&self, from: u32, to: u32) -> Option<u32> {
        Some(self.network.fastest(from, to)?.0)
    }

    /// Milliseconds from each node to this one, `u32::MAX` where there is no way: one search, for
    /// who will ask for many.
    #[must_use]
    pub fn all_ms_to(&self, node: u32) -> Vec<u32> {
        self.network.all_ms_to(node)
    }

    /// How a drive goes. `roads` looks for the fastest way between two nodes, if there is one.
    fn course(
        &self,
        from: Coordinates,
        to: Coordinates,
        roads: impl FnOnce(u32, u32) -> bool,
    ) -> Course {
        let (Some(first), Some(last)) = (self.snap(from), self.snap(to)) else {
            return Course::OffMap;
        };
        if first.node == last.node {
            let metres = from.distance_to(to).0;
            return Course::Straight(Leg { node: first.node, metres });
        }
        if roads(first.node, last.node) { Course::Roads { first, last } } else { Course::OffMap }
    }
}

impl Router for RoadGraph {
    fn route(&self, from: Coordinates, to: Coordinates) -> Route {
        let (mut mm, mut ms) = (0_u64, 0_u64);
        let course = self.course(from, to, |first, last| {
            let fastest = self.network.fastest(first, last);
            (ms, mm) = fastest.map_or((0, 0), |(ms, mm)| (u64::from(ms), mm));
            fastest.is_some()
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
        let (distance, duration) = (Metres(thousandth(mm)), Seconds(thousandth(ms)));
        Route { distance, duration, source: Source::RoadGraph }
    }

    fn path(&self, from: Coordinates, to: Coordinates) -> Vec<Waypoint> {
        let mut nodes = Vec::new();
        let course = self.course(from, to, |first, last| {
            self.network.shortest(first, last, |edge| nodes.push((edge.to, edge.ms)))
        });
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

    fn tell_time(&self, now: UnixMillis) {
        self.off_map.tell_time(now);
    }

    fn learn(&self, drive: &Drive) {
        self.off_map.learn(drive);
    }
}

/// A thousandth, rounded half up; what does not fit is the largest number.
fn thousandth(value: u64) -> u32 {
    u32::try_from((value + 500) / 1000).unwrap_or(u32::MAX)
}
