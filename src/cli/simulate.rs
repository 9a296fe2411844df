//! `ibora simulate`: what if there were fewer cars, another policy, a longer window?

use std::fs::File;
use std::io::{BufReader, Read};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, bail};
use clap::Args;
use clap::builder::RangedU64ValueParser;
use flate2::read::GzDecoder;
use ibora_domain::dispatch::{PolicyKind, Rules};
use ibora_domain::place::Coordinates;
use ibora_domain::units::Millis;

use super::{print, progress};
use crate::geo::{PowerLaw, RoadGraph};
use crate::simulate::{self, Demand, Options, Reading, Streets, Times, Town};

#[derive(Args)]
pub(super) struct SimulateArgs {
    /// Folder with requests.csv, taxis.csv, road_nodes.csv and road_edges.csv, each also as .gz
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Requests (CSV), as `export-demand` writes them: t_s or pickup_at, pickup_lat, pickup_lon,
    /// dropoff_lat, dropoff_lon
    #[arg(long, value_name = "FILE")]
    requests: Option<PathBuf>,
    /// Places of cars (CSV): lat, lon; without it and --data, cars begin where rides end
    #[arg(long, value_name = "FILE")]
    taxis: Option<PathBuf>,
    /// Nodes of the road graph (CSV): node_id, lat, lon
    #[arg(long, value_name = "FILE", requires = "edges")]
    nodes: Option<PathBuf>,
    /// Edges of the road graph (CSV): from_node, to_node, length_km, speed_kmh
    #[arg(long, value_name = "FILE", requires = "nodes")]
    edges: Option<PathBuf>,
    /// Times from straight lines, even where there is a road graph
    #[arg(long)]
    power_law: bool,
    /// Make up so many requests an hour instead of reading recorded ones
    #[arg(long, value_name = "REQUESTS", conflicts_with_all = ["data", "requests", "taxis"])]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=20_000_000))]
    generate: Option<u32>,
    /// Middle of the made-up town: LAT,LNG
    #[arg(long, default_value = "-8.0578,-34.8829", value_parser = place)]
    #[arg(allow_hyphen_values = true)]
    centre: Coordinates,
    /// Radius of the made-up town
    #[arg(long, default_value_t = 6000, value_name = "METRES")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=150_000))]
    radius_m: u32,
    /// Policies to compare; `nearest` is what the others are compared with
    #[arg(long, value_delimiter = ',', default_value = "default,nearest")]
    policies: Vec<PolicyKind>,
    /// Numbers of cars, each a comparison of its own
    #[arg(long, value_delimiter = ',', default_value = "550,450,400,350")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..))]
    cars: Vec<u32>,
    /// Share of the recorded requests that each seed draws
    #[arg(long, default_value_t = 1.0)]
    fraction: f64,
    /// How many seeds
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    seeds: u32,
    /// The first of them
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Seconds a passenger waits for a car to be found
    #[arg(long, default_value_t = 300, value_parser = seconds(1))]
    patience_s: u64,
    /// Longest pickup in seconds
    #[arg(long, default_value_t = 900, value_parser = seconds(1))]
    pickup_max_s: u64,
    /// Seconds at the beginning that are not counted
    #[arg(long, default_value_t = 900, value_parser = seconds(0))]
    warm_up_s: u64,
    /// Seconds that the policy `batch` gathers
    #[arg(long, default_value_t = 2, value_parser = seconds(1))]
    window_s: u64,
    /// How many cars the policy `race` asks at once
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=100))]
    race: u16,
    /// Leave wrong rows out, and count them, instead of ending at the first
    #[arg(long)]
    skip_wrong_rows: bool,
    /// One line of JSON instead of the table
    #[arg(long)]
    json: bool,
    /// Say in the JSON what CPU time the runs took, without reading and reporting; that is never
    /// the same twice
    #[arg(long, requires = "json")]
    timing: bool,
    /// Also write a page with charts and a map
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

/// So many seconds at least, and a week at most: the longest record.
fn seconds(least: u64) -> RangedU64ValueParser {
    RangedU64ValueParser::new().range(least..=7 * 86_400)
}

fn place(text: &str) -> Result<Coordinates, String> {
    let (lat, lng) = text.split_once(',').ok_or("expected LAT,LNG")?;
    let degrees = |text: &str| text.trim().parse().map_err(|_| format!("{text} is no number"));
    Coordinates::new(degrees(lat)?, degrees(lng)?).map_err(|error| error.to_string())
}

pub(super) fn run(args: &SimulateArgs) -> anyhow::Result<ExitCode> {
    let streets = streets(args)?;
    let demand = demand(args, &streets)?;
    if demand.skipped() > 0 {
        progress(&format!("{} wrong rows left out", demand.skipped()));
    }
    let threads = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let tell = |done: usize, total: usize| {
        if done.is_multiple_of((total / 20).max(1)) || done == total {
            progress(&format!("{done} of {total} runs"));
        }
    };
    let options = options(args, threads);
    let before = cpu_seconds();
    let report = simulate::run(&demand, &streets, &options, &tell)?;
    let cpu_s = cpu_seconds() - before;
    if let Some(path) = &args.html {
        std::fs::write(path, report.page()).with_context(|| path.display().to_string())?;
        progress(&format!("{} written", path.display()));
    }
    if !args.json {
        print(&report.table());
        return Ok(ExitCode::SUCCESS);
    }
    let mut line = report.json();
    if args.timing {
        let runs = args.cars.len() * args.policies.len() * args.seeds as usize;
        #[expect(clippy::cast_precision_loss, reason = "few")]
        let each = cpu_s / runs as f64;
        let rounded = |seconds: f64| (seconds * 1000.0).round() / 1000.0;
        line["runs"] = runs.into();
        line["cpu_s"] = rounded(cpu_s).into();
        line["cpu_s_a_run"] = rounded(each).into();
    }
    print(&line.to_string());
    Ok(ExitCode::SUCCESS)
}

/// CPU time of this process with all its threads, in steps of 10 ms.
fn cpu_seconds() -> f64 {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The name, in brackets, may hold anything; what follows it is numbers.
    let numbers = text.rsplit_once(')').map_or("", |(_, numbers)| numbers).split_whitespace();
    let ticks = numbers.skip(11).take(2).filter_map(|ticks| ticks.parse::<u32>().ok());
    f64::from(ticks.sum::<u32>()) / 100.0
}

fn options(args: &SimulateArgs, threads: usize) -> Options {
    let seconds = Millis::from_secs;
    Options {
        policies: args.policies.clone(),
        cars: args.cars.clone(),
        seeds: args.seeds,
        first_seed: args.seed,
        fraction: args.fraction,
        times: Times {
            patience: seconds(args.patience_s),
            pickup_max: seconds(args.pickup_max_s),
            warm_up: seconds(args.warm_up_s),
        },
        rules: Rules {
            pickup_max: seconds(args.pickup_max_s),
            race: args.race,
            window: seconds(args.window_s),
            patience: seconds(args.patience_s),
        },
        threads,
    }
}

fn streets(args: &SimulateArgs) -> anyhow::Result<Streets> {
    let given = args.nodes.clone().zip(args.edges.clone());
    let beside = |dir: &PathBuf| {
        Some(find(dir, "road_nodes.csv").ok()?).zip(find(dir, "road_edges.csv").ok())
    };
    let files = given.or_else(|| args.data.as_ref().and_then(beside));
    let Some((nodes, edges)) = files.filter(|_| !args.power_law) else {
        return Ok(Streets::Law(PowerLaw::default()));
    };
    let graph = RoadGraph::read(text(&nodes)?, text(&edges)?, Arc::default())?;
    let (inside, of) = (graph.largest_connected(), graph.nodes());
    if inside < of {
        progress(&format!("the road graph is in pieces: {inside} of {of} nodes reach each other"));
    }
    Ok(Streets::of(Arc::new(graph)))
}

fn demand(args: &SimulateArgs, streets: &Streets) -> anyhow::Result<Demand> {
    if let Some(requests) = args.generate {
        let cars = args.cars.iter().copied().max().unwrap_or(0);
        let (centre, radius_m) = (args.centre, args.radius_m);
        let town = Town { centre, radius_m, requests, cars, length_s: 3600, seed: args.seed };
        return Ok(Demand::generate(&town, streets));
    }
    let file = |given: &Option<PathBuf>, name: &str| match (given, &args.data) {
        (Some(path), _) => Ok(Some(path.clone())),
        (None, Some(dir)) => find(dir, name).map(Some),
        (None, None) => Ok(None),
    };
    let Some(requests) = file(&args.requests, "requests.csv")? else {
        bail!("give --data DIR, or --requests FILE, or --generate REQUESTS");
    };
    let reading = Reading { streets, skip_wrong: args.skip_wrong_rows, progress: &progress };
    Ok(match file(&args.taxis, "taxis.csv")? {
        Some(taxis) => Demand::read(&requests, &taxis, &reading)?,
        None => {
            let cars = args.cars.iter().copied().max().unwrap_or(0);
            Demand::read_without_cars(&requests, cars, &reading)?
        }
    })
}

/// The file of this name, plain or packed.
fn find(dir: &Path, name: &str) -> anyhow::Result<PathBuf> {
    let names = [name.to_owned(), format!("{name}.gz")];
    let found = names.iter().map(|name| dir.join(name)).find(|path| path.is_file());
    found.with_context(|| format!("{}: no {name} and no {name}.gz", dir.display()))
}

fn text(path: &Path) -> anyhow::Result<BufReader<Box<dyn Read>>> {
    let file = File::open(path).with_context(|| path.display().to_string())?;
    let packed = path.extension().is_some_and(|end| end == "gz");
    Ok(BufReader::new(if packed { Box::new(GzDecoder::new(file)) } else { Box::new(file) }))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::SimulateArgs;

    #[derive(Parser)]
    struct Called {
        #[command(flatten)]
        _args: SimulateArgs,
    }

    #[test]
    fn figures_that_make_no_sense_are_refused_by_name() {
        let called = |arg: &str| Called::try_parse_from(["simulate", arg]).map(|_| ());
        let cases = [
            ("--patience-s", ["0", "-1", "NaN", "18446744073709551615"]),
            ("--pickup-max-s", ["0", "-1", "NaN", "604801"]),
            ("--warm-up-s", ["-1", "1.5", "NaN", "18446744073709551615"]),
            ("--window-s", ["0", "-1", "NaN", "604801"]),
            ("--seeds", ["0", "-1", "NaN", "4294967296"]),
            ("--cars", ["0", "-1", "30,0", "30,NaN"]),
            ("--generate", ["0", "-1", "NaN", "4294967295"]),
            ("--radius-m", ["0", "-1", "NaN", "4294967295"]),
            ("--race", ["0", "-1", "NaN", "101"]),
        ];
        for (name, values) in cases {
            for value in values {
                let error = called(&format!("{name}={value}")).expect_err(value).to_string();
                assert!(error.contains(name), "{error}");
            }
        }
        for fine in ["--patience-s=1", "--warm-up-s=0", "--window-s=60", "--cars=30,12"] {
            called(fine).expect(fine);
        }
    }
}
