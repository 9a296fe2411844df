//! The recorded hour, thinned to a tenth: what the policies are held to.
//!
//! The data is no part of this repository. `IBORA_DATA` names its directory, else it is looked for
//! in `../shared/data`; where there is none this says so and passes.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::sync::Arc;

use flate2::read::GzDecoder;
use ibora_domain::dispatch::{PolicyKind, Rules};
use ibora_domain::units::Millis;

use super::{Demand, Options, Reading, Streets, Times, run};
use crate::geo::RoadGraph;

fn open(path: &Path) -> impl BufRead + use<> {
    let file = File::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    BufReader::new(GzDecoder::new(file))
}

#[test]
#[expect(clippy::print_stderr, reason = "a skipped test owes a word")]
fn the_real_hour_tells_the_policies_apart_as_it_should() {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    let dir = std::env::var("IBORA_DATA").map_or(beside, Into::into).join("nyc-hour");
    if !dir.is_dir() {
        eprintln!("skipped: no data at {}; set IBORA_DATA", dir.display());
        return;
    }
    let file = |name: &str| dir.join(name);
    let (nodes, edges) = (open(&file("road_nodes.csv.gz")), open(&file("road_edges.csv.gz")));
    let graph = RoadGraph::read(nodes, edges, Arc::default()).expect("well-formed");
    let streets = Streets::of(Arc::new(graph));
    // Some cars were first seen outside the map, at the airports.
    let reading = Reading { streets: &streets, skip_wrong: true, progress: &|_| {} };
    let demand = Demand::read(&file("requests.csv.gz"), &file("taxis.csv.gz"), &reading);
    let demand = demand.expect("well-formed");
    assert_eq!(demand.asks.len(), 16_010, "every request is on the streets");
    let options = Options {
        policies: vec![PolicyKind::Nearest, PolicyKind::Default, PolicyKind::Race],
        cars: vec![550, 400],
        seeds: 2,
        first_seed: 1,
        fraction: 0.1,
        times: Times {
            patience: Millis::from_secs(300),
            pickup_max: Millis::from_secs(900),
            warm_up: Millis::from_secs(900),
        },
        rules: Rules::default(),
        threads: 2,
    };
    let report = run(&demand, &streets, &options, &|_, _| {}).expect("it runs").json();
    let figure = |policy: &str, cars: &str, name: &str| {
        report["policies"][policy]["cars"][cars][name].as_f64().expect("a number")
    };
    assert!(figure("race", "550", "wait_vs_nearest") > 1.4, "{report}");
    assert!(figure("default", "550", "wait_vs_nearest") < 0.99, "{report}");
    assert!(figure("default", "400", "wait_vs_nearest") < 0.75, "{report}");
    assert!(figure("default", "400", "completion") > 0.98, "{report}");
}
