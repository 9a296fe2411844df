//! What every router promises, checked for each; and what is particular to one.

use std::sync::Arc;

use ibora_domain::place::Coordinates;
use ibora_domain::units::{Metres, Millis, Seconds};

use super::{Lcg, place};
use crate::geo::{PowerLaw, RoadFile, RoadGraph, RoadGraphError, Route, Router, Source};

const NODES: &str = "node_id,lat,lon\n";
const EDGES: &str = "from_node,to_node,length_km,speed_kmh\n";

/// A town of 12 x 12 crossings 200 m apart, all streets both ways, at speeds by chance.
fn town() -> RoadGraph {
    let mut chance = Lcg(5);
    let (mut nodes, mut edges) = (NODES.to_owned(), EDGES.to_owned());
    for node in 0..144_u32 {
        let (row, column) = (node / 12, node % 12);
        let (lat, lng) = (f64::from(row) * 0.0018 - 8.05, f64::from(column) * 0.0018 - 34.9);
        nodes += &format!("{},{lat:.6},{lng:.6}\r\n", node + 1000);
        for (there, exists) in [(node + 1, column < 11), (node + 12, row < 11)] {
            for (from, to) in [(node, there), (there, node)] {
                if exists {
                    let speed = chance.between(8.0, 50.0);
                    edges += &format!("{},{},0.2005,{speed:.2}\n", from + 1000, to + 1000);
                }
            }
        }
    }
    let graph = RoadGraph::read(nodes.as_bytes(), edges.as_bytes(), Arc::default());
    graph.expect("a well-formed graph")
}

/// Each promise of [`Router`], for drives between places around the town.
pub(super) fn conforms(router: &dyn Router, places: &[Coordinates]) {
    for &from in places {
        for &to in places {
            let route = router.route(from, to);
            assert_eq!(router.route(from, to), route, "the same question, the same answer");
            let crow = from.distance_to(to);
            if from == to {
                assert_eq!((route.distance, route.duration), (Metres(0), Seconds(0)));
            }
            assert!(f64::from(route.distance.0) >= f64::from(crow.0) * 0.97 - 3.0, "a tunnel");
            let fastest_s = f64::from(crow.0) / 42.0;
            assert!(f64::from(route.duration.0) >= fastest_s - 1.0, "150 km/h and more");
            let path = router.path(from, to);
            let (first, last) = (path[0], path[path.len() - 1]);
            assert!(path.len() >= 2, "a path has two ends");
            assert_eq!((first.position, first.after), (from, Millis(0)));
            assert_eq!(last.position, to);
            assert!(last.after.0.abs_diff(u64::from(route.duration.0) * 1000) <= 500);
            assert!(path.is_sorted_by_key(|point| point.after), "time does not go back");
        }
        let together = router.routes(places, from);
        let alone: Vec<Route> = places.iter().map(|place| router.route(*place, from)).collect();
        assert_eq!(together, alone, "asked together or one by one");
    }
}

fn around_town() -> Vec<Coordinates> {
    let mut chance = Lcg(9);
    let mut anywhere = |reach: f64| {
        let (lat, lng) = (chance.between(-reach, reach), chance.between(-reach, reach));
        place(-8.04 + lat, -34.89 + lng)
    };
    let mut places: Vec<_> = (0..12).map(|_| anywhere(0.01)).collect();
    places.extend((0..4).map(|_| anywhere(0.2)));
    // Off every map: the pole, the antimeridian, the other side of the Earth.
    places.extend([place(90.0, 0.0), place(0.0, 180.0), place(0.0, -180.0), place(8.04, 145.11)]);
    places
}

#[test]
fn the_power_law_is_a_router() {
    let law = PowerLaw::default();
    // On a straight line across oceans a power below 1 is faster than any car.
    let near: Vec<_> = around_town().into_iter().take(16).collect();
    conforms(&law, &near);
}

#[test]
fn the_road_graph_is_a_router() {
    conforms(&town(), &around_town()[..16]);
}

#[test]
fn routers_answer_for_the_ends_of_the_earth() {
    let routers: [&dyn Router; 2] = [&PowerLaw::default(), &town()];
    for router in routers {
        for from in around_town() {
            for to in around_town() {
                assert_eq!(router.path(from, to).last().map(|point| point.position), Some(to));
                assert!(from.distance_to(to).0 < 100 || router.route(from, to).duration.0 > 0);
            }
        }
    }
}

#[test]
fn the_power_law_starts_with_300_seconds_a_kilometre() {
    let law = PowerLaw::default();
    let from = place(0.0, 0.0);
    let route = law.route(from, place(0.0, 0.008_993_2));
    let source = Source::PowerLaw;
    assert_eq!(route, Route { distance: Metres(1300), duration: Seconds(300), source });
    let route = law.route(from, place(0.0, 0.089_932));
    assert_eq!(route, Route { distance: Metres(13_000), duration: Seconds(1310), source });
}

#[test]
fn a_drive_takes_the_fast_way_round_and_not_the_short_slow_one() {
    let nodes = format!("{NODES}7,0,0\n8,0.001,0.005\n9,0,0.01\n");
    let edges = format!("{EDGES}7,9,1.2,6\n7,8,0.6,30\n8,9,0.6,30\n");
    let graph = RoadGraph::read(nodes.as_bytes(), edges.as_bytes(), Arc::default()).expect("valid");
    assert_eq!((graph.nodes(), graph.edges()), (3, 3));
    let (west, east) = (place(0.0, 0.0), place(0.0, 0.01));
    let route = graph.route(west, east);
    let source = Source::RoadGraph;
    assert_eq!(route, Route { distance: Metres(1200), duration: Seconds(144), source });
    let path: Vec<_> = graph.path(west, east).iter().map(|point| point.after.0).collect();
    assert_eq!(path, [0, 0, 72_000, 144_000, 144_000]);
    // No edge leads back: the straight line answers, and off the map it answers too.
    let law = PowerLaw::default();
    assert_eq!(graph.route(east, west), law.route(east, west));
    assert_eq!(graph.path(east, west), law.path(east, west));
    let far = place(1.0, 1.0);
    assert_eq!(graph.route(west, far), law.route(west, far));
}

/// A file of nodes, and why it is refused.
const WRONG_NODES: [(&str, &str); 10] = [
    ("", "nodes, line 1: the header must be node_id,lat,lon"),
    ("id,lat,lon\n", "nodes, line 1: the header must be node_id,lat,lon"),
    ("node_id,lat,lon\n", "nodes: nothing after the header"),
    ("node_id,lat,lon\n1,0\n", "nodes, line 2: 2 columns instead of 3"),
    ("node_id,lat,lon\n1,0,0\n\n", "nodes, line 3: 1 columns instead of 3"),
    ("node_id,lat,lon\n-1,0,0", "nodes, line 2: node_id is no number of its kind"),
    ("node_id,lat,lon\n1,0,x", "nodes, line 2: lon is no number of its kind"),
    ("node_id,lat,lon\n1,91,0", "nodes, line 2: no place on Earth"),
    ("node_id,lat,lon\n1,NaN,0", "nodes, line 2: no place on Earth"),
    ("node_id,lat,lon\n1,0,0\n1,0,1", "nodes, line 3: node 1 was there before"),
];

/// What stands below the header of the edges, and why it is refused.
const WRONG_EDGES: [(&str, &str); 10] = [
    ("", "edges: nothing after the header"),
    ("1,2,1.2,30,5", "edges, line 2: 5 columns instead of 4"),
    ("1,2,1.2,30\n1,3,1.2,30", "edges, line 3: there is no node 3"),
    ("1,2,0,30", "edges, line 2: length_km is out of range"),
    ("1,2,NaN,30", "edges, line 2: length_km is out of range"),
    ("1,2,1.2,0", "edges, line 2: speed_kmh is out of range"),
    ("1,2,1.2,-4", "edges, line 2: speed_kmh is out of range"),
    ("1,2,1.2,NaN", "edges, line 2: speed_kmh is out of range"),
    ("1,2,1.2,inf", "edges, line 2: speed_kmh is out of range"),
    ("1,2,900,0.001", "edges, line 2: speed_kmh is out of range"),
];

#[test]
fn a_wrong_line_is_refused_with_its_number() {
    let good_nodes = format!("{NODES}1,0,0\n2,0,0.01\n");
    let refusal = |nodes: &[u8], edges: &str| {
        RoadGraph::read(nodes, edges.as_bytes(), Arc::default()).err().expect("refused")
    };
    for (nodes, message) in WRONG_NODES {
        assert_eq!(refusal(nodes.as_bytes(), EDGES).to_string(), message);
    }
    for (rows, message) in WRONG_EDGES {
        let edges = format!("{EDGES}{rows}");
        assert_eq!(refusal(good_nodes.as_bytes(), &edges).to_string(), message);
    }
    let swapped = refusal(good_nodes.as_bytes(), NODES);
    let edges = RoadFile::Edges;
    assert!(matches!(swapped, RoadGraphError::Header { file, .. } if file == edges), "{swapped}");
    let unreadable = refusal(b"\xff\n", EDGES);
    assert!(matches!(unreadable, RoadGraphError::Unreadable { line: 1, .. }), "{unreadable}");
}
