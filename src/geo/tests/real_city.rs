//! The road graph on real streets and real requests: Manhattan on a Monday from 16 to 17 o'clock.
//!
//! The data is no part of this repository. `IBORA_DATA` names its directory, else it is looked for
//! in `../shared/data`; where there is none these tests say so and pass.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use flate2::read::GzDecoder;
use ibora_domain::place::Coordinates;
use ibora_domain::units::UnixMillis;

use super::routers::conforms;
use super::{Lcg, place};
use crate::geo::{Drive, PowerLaw, RoadGraph, Router};

#[expect(clippy::print_stderr, reason = "a skipped test owes a word")]
pub(super) fn folder(name: &str) -> Option<PathBuf> {
    if let Ok(named) = std::env::var("IBORA_DATA") {
        return Some(Path::new(&named).join(name));
    }
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data").join(name);
    if !beside.is_dir() {
        eprintln!("skipped: no data at {}; set IBORA_DATA", beside.display());
        return None;
    }
    Some(beside)
}

fn data() -> Option<PathBuf> {
    folder("nyc-hour")
}

pub(super) fn open(path: &Path) -> impl BufRead + use<> {
    let file = File::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    BufReader::new(GzDecoder::new(file))
}

fn manhattan(data: &Path) -> RoadGraph {
    let nodes = open(&data.join("road_nodes.csv.gz"));
    let edges = open(&data.join("road_edges.csv.gz"));
    RoadGraph::read(nodes, edges, Arc::default()).expect("the graph is well-formed")
}

/// Where the requests start and end.
fn requests(data: &Path) -> Vec<(Coordinates, Coordinates)> {
    let lines = open(&data.join("requests.csv.gz")).lines().skip(1);
    let ends = lines.map(|line| {
        let line = line.expect("readable");
        let cells = line.split(',').skip(3).take(4);
        let numbers: Vec<f64> = cells.map(|cell| cell.parse().expect("degrees")).collect();
        (place(numbers[0], numbers[1]), place(numbers[2], numbers[3]))
    });
    ends.collect()
}

#[test]
fn routes_of_real_requests_have_the_known_mean_length_and_time() {
    let Some(data) = data() else { return };
    let graph = manhattan(&data);
    assert_eq!((graph.nodes(), graph.edges()), (3957, 8904));
    let (mut drives, mut metres, mut seconds, mut crow_m) = (0_u32, 0.0, 0.0, 0.0);
    for (from, to) in requests(&data).into_iter().step_by(8) {
        if from.distance_to(to).0 < 100 {
            continue;
        }
        let route = graph.route(from, to);
        drives += 1;
        metres += f64::from(route.distance.0);
        seconds += f64::from(route.duration.0);
        crow_m += f64::from(from.distance_to(to).0);
    }
    let drives = f64::from(drives);
    let (mean_s, mean_m, detour) = (seconds / drives, metres / drives, metres / crow_m);
    assert!(drives > 1900.0);
    // The data's own description gives 628 s from node to node; the legs to the nodes add 18 s.
    assert!((628.0 * 0.95..628.0 * 1.05).contains(&mean_s), "{mean_s} s");
    // It gives 2.65 km as well, but that is the mean of the SHORTEST routes, which take 739 s.
    // The fastest are 2.89 km long (computed with an independent Dijkstra), and 0.07 km of legs.
    assert!((2960.0 * 0.95..2960.0 * 1.05).contains(&mean_m), "{mean_m} m");
    assert!((1.25..1.4).contains(&detour), "{detour} of the straight line");
}

#[test]
fn the_real_graph_is_a_router() {
    let Some(data) = data() else { return };
    let places: Vec<_> = requests(&data).into_iter().step_by(900).map(|ends| ends.0).collect();
    conforms(&manhattan(&data), &places);
}

#[test]
fn the_power_law_learns_the_streets_from_finished_drives() {
    let Some(data) = data() else { return };
    let (graph, law) = (manhattan(&data), PowerLaw::default());
    let error = |learn: bool, every: usize| {
        let (mut sum, mut drives) = (0.0, 0.0);
        for (from, to) in requests(&data).into_iter().skip(usize::from(learn)).step_by(every) {
            let driven = graph.route(from, to);
            let guess = law.route(from, to).duration;
            sum += f64::from(guess.0.abs_diff(driven.duration.0));
            drives += 1.0;
            if learn {
                law.learn(&Drive { from, to, began: UnixMillis(0), took: driven.duration });
            }
        }
        sum / drives
    };
    let before = error(false, 50);
    error(true, 16);
    let after = error(false, 50);
    assert!(after < before, "mean error before {before} s, after {after} s");
}

#[test]
fn a_thousand_ways_are_as_short_as_by_plain_dijkstra() {
    let Some(data) = data() else { return };
    let graph = manhattan(&data);
    let nodes = u32::try_from(graph.nodes()).expect("few");
    let mut chance = Lcg(17);
    for _ in 0..1000 {
        let (from, to) = (chance.below(nodes), chance.below(nodes));
        let by_dijkstra = graph.all_ms_to(to)[from as usize];
        assert_eq!(graph.node_ms(from, to), Some(by_dijkstra), "from {from} to {to}");
    }
    assert_eq!(graph.largest_connected(), graph.nodes(), "every node reaches every other");
}
