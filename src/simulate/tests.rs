//! The simulation's promises: repeatable, fair to all policies, strict with files.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ibora_domain::dispatch::{PolicyKind, Rules};
use ibora_domain::place::Coordinates;
use ibora_domain::units::Millis;

use super::{Demand, Options, Reading, Report, SimulateError, Streets, Times, Town, run};
use crate::geo::{PowerLaw, RoadGraph};

fn options() -> Options {
    Options {
        policies: PolicyKind::ALL.to_vec(),
        cars: vec![30, 12],
        seeds: 3,
        first_seed: 5,
        fraction: 0.5,
        times: Times {
            patience: Millis::from_secs(300),
            pickup_max: Millis::from_secs(900),
            warm_up: Millis::from_secs(300),
        },
        rules: Rules::default(),
        threads: 1,
    }
}

fn town(streets: &Streets) -> Demand {
    let centre = Coordinates::new(-8.06, -34.88).expect("on Earth");
    let (radius_m, length_s) = (4000, 1800);
    Demand::generate(
        &Town { centre, radius_m, requests: 120, cars: 30, length_s, seed: 1 },
        streets,
    )
}

fn compare(demand: &Demand, streets: &Streets, options: &Options) -> Report {
    run(demand, streets, options, &|_, _| {}).expect("it runs")
}

fn law() -> Streets {
    Streets::Law(PowerLaw::default())
}

#[test]
fn the_same_seed_gives_the_same_report_on_any_number_of_threads() {
    let streets = law();
    let demand = town(&streets);
    let first = compare(&demand, &streets, &options());
    let again = compare(&town(&streets), &law(), &Options { threads: 4, ..options() });
    assert_eq!(first.json(), again.json());
    assert_eq!(first.table(), again.table());
    assert_eq!(first.page(), again.page());
    let other = compare(&demand, &streets, &Options { first_seed: 6, ..options() });
    assert_ne!(first.json()["policies"], other.json()["policies"]);
}

#[test]
fn figures_are_possible_ones() {
    let streets = law();
    let report = compare(&town(&streets), &streets, &options()).json();
    assert_eq!(report["bench"], "simulate");
    for policy in PolicyKind::ALL {
        for cars in ["30", "12"] {
            let figures = &report["policies"][policy.as_str()]["cars"][cars];
            let figure = |name: &str| figures[name].as_f64().expect("a number");
            for share in ["completion", "empty_share", "utilisation", "gini", "chained_share"] {
                assert!((0.0..=1.0).contains(&figure(share)), "{policy} {cars} {share}");
            }
            assert!(figure("completion") > 0.2, "{policy} {cars}: {figures}");
            assert!(figure("wait_p50_s") <= figure("wait_p90_s"));
            assert!(figure("wait_mean_s") >= figure("eta_mean_s"));
            assert!(figure("wait_p90_s") <= 1200.0, "patience and the longest pickup");
            let chains = figure("chained_share") > 0.0;
            assert!(policy == PolicyKind::Default || !chains, "only `default` looks ahead");
        }
    }
    let nearest = &report["policies"]["nearest"]["cars"]["12"];
    assert_eq!(nearest["wait_vs_nearest"], 1.0);
}

#[test]
fn what_makes_no_sense_is_refused_before_anything_runs() {
    let streets = law();
    let demand = town(&streets);
    let refusal = |options: Options| {
        run(&demand, &streets, &options, &|_, _| {}).err().expect("refused").to_string()
    };
    let nothing = SimulateError::Nothing.to_string();
    assert_eq!(refusal(Options { cars: vec![0], ..options() }), nothing);
    assert_eq!(refusal(Options { cars: vec![], ..options() }), nothing);
    assert_eq!(refusal(Options { seeds: 0, ..options() }), nothing);
    assert_eq!(refusal(Options { policies: vec![], ..options() }), nothing);
    let fraction = SimulateError::Fraction.to_string();
    for value in [0.0, -1.0, 1.5, f64::NAN] {
        assert_eq!(refusal(Options { fraction: value, ..options() }), fraction);
    }
    let few = refusal(Options { cars: vec![31], ..options() });
    assert_eq!(few, "31 cars are asked for and 30 are known");
    let times = Times { warm_up: Millis::from_secs(7200), ..options().times };
    let late = refusal(Options { times, ..options() });
    assert_eq!(late, "no request lies after the warm-up of 7200 s");
}

#[test]
fn a_graph_in_pieces_loses_the_rides_between_them_and_nothing_else() {
    // Two streets, one degree of a hundredth apart, that never meet.
    let (mut nodes, mut edges) = ("node_id,lat,lon\n".to_owned(), String::new());
    edges += "from_node,to_node,length_km,speed_kmh\n";
    for node in 0..20 {
        let (street, at) = (node / 10, node % 10);
        let (lat, lng) = (f64::from(street) * 0.01, f64::from(at) * 0.005);
        writeln!(nodes, "{node},{lat},{lng}").expect("a string");
        if at < 9 {
            writeln!(edges, "{node},{},0.556,30\n{},{node},0.556,30", node + 1, node + 1)
                .expect("a string");
        }
    }
    let graph = RoadGraph::read(nodes.as_bytes(), edges.as_bytes(), Arc::default());
    let graph = Arc::new(graph.expect("well-formed"));
    assert_eq!((graph.nodes(), graph.largest_connected()), (20, 10));
    let streets = Streets::of(graph);
    let centre = Coordinates::new(0.005, 0.022).expect("on Earth");
    let town = Town { centre, radius_m: 1500, requests: 200, cars: 30, length_s: 1800, seed: 3 };
    let report = compare(&Demand::generate(&town, &streets), &streets, &options()).json();
    for policy in PolicyKind::ALL {
        let completion = &report["policies"][policy.as_str()]["cars"]["30"]["completion"];
        let completion = completion.as_f64().expect("a number");
        assert!((0.2..0.9).contains(&completion), "{policy}: {completion}");
    }
}

/// A file of this test process, gone with it.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str, text: &[u8]) -> Self {
        let name = format!("ibora-simulate-{}-{name}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::write(&path, text).expect("a temporary file");
        Self(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        std::fs::remove_file(&self.0).ok();
    }
}

fn read(requests: &Path, cars: &Path, skip_wrong: bool) -> Result<Demand, String> {
    let reading = Reading { streets: &law(), skip_wrong, progress: &|_| {} };
    Demand::read(requests, cars, &reading).map_err(|error| error.to_string())
}

const HEAD: &str = "t_s,pickup_lat,pickup_lon,dropoff_lat,dropoff_lon\n";

/// What stands below the header, and why it is refused.
const WRONG_ROWS: [(&str, &str); 8] = [
    ("1,0,0,0,0.01\n2,0,0,0", "line 3: 4 columns instead of 5"),
    ("x,0,0,0,0.01", "line 2: `t_s` is no number"),
    ("-1,0,0,0,0.01", "line 2: `t_s` is no time within a week of the first row"),
    ("NaN,0,0,0,0.01", "line 2: `t_s` is no time within a week of the first row"),
    ("1,0,0,0,0.01\n1,91,0,0,0", "line 3: `pickup_lat`: lat must be a number from -90 to 90"),
    ("1,0,0,0,", "line 2: `dropoff_lon` is no number"),
    ("1,0,0,0,5", "line 2: the ends are more than 300 km apart"),
    ("", "nothing after the header"),
];

#[test]
fn a_wrong_row_is_refused_with_its_line_or_left_out_and_counted() {
    let cars = Scratch::new("cars", b"lat,lon\n0,0\n");
    for (at, (rows, why)) in WRONG_ROWS.into_iter().enumerate() {
        let file = Scratch::new(&format!("wrong-{at}"), format!("{HEAD}{rows}").as_bytes());
        let refused = read(&file.0, &cars.0, false).expect_err("refused");
        assert!(refused.ends_with(why), "{refused}");
    }
    let rows = format!("{HEAD}1,0,0,0,0.01\nx,0,0,0,0\n2,0,0,0\n\u{fffd},,,,\n3,0,0,0,0.02\n");
    let file = Scratch::new("some-wrong", rows.as_bytes());
    let demand = read(&file.0, &cars.0, true).expect("the others are right");
    assert_eq!((demand.asks.len(), demand.skipped()), (2, 3));
}

#[test]
fn columns_may_come_in_any_order_and_times_as_seconds_or_moments() {
    let cars = Scratch::new("cars-any", b"seats,lon,lat\n4,0.01,0.02\n");
    let text = "pickup_lon,dropoff_lat,extra,pickup_at,dropoff_lon,pickup_lat\n\
                0.01,0,a,2013-11-18T16:00:59.500,0.02,0\n0.01,0,b,2013-11-18T16:00:01Z,0.02,0\n";
    let file = Scratch::new("any-order", text.as_bytes());
    let demand = read(&file.0, &cars.0, false).expect("right");
    let times: Vec<u32> = demand.asks.iter().map(|ask| ask.at_ms).collect();
    assert_eq!(times, [1000, 59_500], "in order of time");
    assert!((demand.cars[0].lat() - 0.02).abs() < 1e-9);
    for (text, why) in [
        ("t_s,pickup_lat,pickup_lon,dropoff_lat\n", "the header has no column `dropoff_lon`"),
        ("pickup_lat,pickup_lon\n", "the header has no column `pickup_at`"),
        ("", "the header has no column `pickup_at`"),
    ] {
        let file = Scratch::new("no-column", text.as_bytes());
        let refused = read(&file.0, &cars.0, false).expect_err("refused");
        assert!(refused.ends_with(why), "{refused}");
    }
    let bad = "pickup_at,pickup_lat,pickup_lon,dropoff_lat,dropoff_lon\nyesterday,0,0,0,0\n";
    let file = Scratch::new("bad-moment", bad.as_bytes());
    let refused = read(&file.0, &cars.0, false).expect_err("refused");
    assert!(refused.contains("line 2: `pickup_at` is no time"), "{refused}");
    let gone = read(Path::new("/nowhere/requests.csv"), &cars.0, false).expect_err("refused");
    assert!(gone.contains("cannot be read"), "{gone}");
}
