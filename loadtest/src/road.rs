//! The road graph: how many random questions for the time of a drive it answers in a second, beside
//! plain Dijkstra, which reads the same files by itself and whose answers it must equal.
//!
//! In process, one thread. Questions go from node to node, and from place to place, where the
//! nearest nodes are looked for too.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Args;
use ibora::geo::{RoadGraph, Router};
use ibora_domain::place::Coordinates;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::procs;
use crate::replay::data::open;
use crate::report::{load_average, median, number, ratio, rounded, say};

const NODES: &str = "road_nodes.csv.gz";
const EDGES: &str = "road_edges.csv.gz";

/// What a city's dispatch is to have.
const LIMIT_PER_S: f64 = 100_000.0;

#[derive(Args)]
pub(crate) struct Options {
    /// Folder with the roads
    #[arg(long)]
    data: PathBuf,
    /// Questions of a round
    #[arg(long, default_value_t = 1_000_000)]
    questions: usize,
    /// Pairs of nodes of a round that plain Dijkstra is asked for too
    #[arg(long, default_value_t = 1000)]
    pairs: usize,
    #[arg(long, default_value_t = 5)]
    rounds: usize,
}

/// How many answers a second, by the clock and by the thread's own CPU time.
struct Rate {
    wall: f64,
    cpu: f64,
}

#[derive(Default)]
struct Rates {
    nodes: Vec<Rate>,
    places: Vec<Rate>,
    dijkstra: Vec<Rate>,
}

/// Runs the bench.
pub(crate) async fn run(options: Options) -> anyhow::Result<Value> {
    say(format!("load average before: {}", load_average()));
    tokio::task::spawn_blocking(move || measure(&options)).await?
}

fn measure(options: &Options) -> anyhow::Result<Value> {
    let read = |name| anyhow::Ok(BufReader::new(open(&options.data, name)?));
    let began = Instant::now();
    let graph = RoadGraph::read(read(NODES)?, read(EDGES)?, Arc::default())?;
    let prepared = began.elapsed();
    let plain = Plain::read(&options.data)?;
    let mut random = SmallRng::seed_from_u64(23);
    let mut rates = Rates::default();
    let mut different = 0;
    for round in 1..=options.rounds {
        different += a_round(options, (&graph, &plain), &mut random, &mut rates)?;
        let last = |rates: &[Rate]| rates.last().map_or(0.0, |rate| rate.cpu);
        say(format!(
            "round {round}: {:.0} answers a CPU second from node to node, {:.0} from place to \
             place, {:.0} by plain Dijkstra, load {}",
            last(&rates.nodes),
            last(&rates.places),
            last(&rates.dijkstra),
            load_average()
        ));
    }
    anyhow::ensure!(different == 0, "{different} answers are not those of plain Dijkstra");
    let middle = |rates: &[Rate], of: fn(&Rate) -> f64| rounded(median(rates.iter().map(of)), 0);
    let per_cpu_s = |rates: &[Rate]| middle(rates, |rate| rate.cpu);
    let per_s = middle(&rates.nodes, |rate| rate.wall);
    Ok(json!({
        "bench": "road",
        "nodes": graph.nodes(),
        "edges": graph.edges(),
        "prepared_ms": prepared.as_millis(),
        "label_bytes": graph.label_bytes(),
        "queries_per_s": per_s,
        "queries_per_cpu_s": per_cpu_s(&rates.nodes),
        "from_place_to_place_per_cpu_s": per_cpu_s(&rates.places),
        "dijkstra_per_cpu_s": per_cpu_s(&rates.dijkstra),
        "compared": options.pairs * options.rounds,
        "different": different,
        "limit_per_s": LIMIT_PER_S,
        "ratio": {
            "limit": ratio(per_s, LIMIT_PER_S),
            "limit_from_place_to_place":
                ratio(middle(&rates.places, |rate| rate.wall), LIMIT_PER_S),
            "dijkstra": ratio(per_cpu_s(&rates.nodes), per_cpu_s(&rates.dijkstra)),
        },
        "load_average": load_average(),
    }))
}

/// Asks everybody; returns how many answers differ.
fn a_round(
    options: &Options,
    (graph, plain): (&RoadGraph, &Plain),
    random: &mut SmallRng,
    rates: &mut Rates,
) -> anyhow::Result<usize> {
    let nodes = u32::try_from(graph.nodes())?;
    let mut pairs = |count: usize| -> Vec<(u32, u32)> {
        (0..count).map(|_| (random.random_range(0..nodes), random.random_range(0..nodes))).collect()
    };
    let (many, few) = (pairs(options.questions), pairs(options.pairs));
    let ask = |(from, to): &(u32, u32)| graph.node_ms(*from, *to);
    rates.nodes.push(rate(&many, ask).0);
    let drive = |(from, to): &(u32, u32)| {
        let (from, to) = (plain.places[*from as usize], plain.places[*to as usize]);
        graph.route(from, to)
    };
    rates.places.push(rate(&many[..many.len() / 10], drive).0);
    let (dijkstra, expected) = rate(&few, |(from, to)| plain.fastest(*from, *to));
    rates.dijkstra.push(dijkstra);
    Ok(few.iter().map(ask).zip(expected).filter(|(answer, right)| answer != right).count())
}

fn rate<Q, A>(questions: &[Q], answer: impl Fn(&Q) -> A) -> (Rate, Vec<A>) {
    let (began, used) = (Instant::now(), procs::of_this_thread());
    let answers: Vec<A> = questions.iter().map(answer).collect();
    let used = procs::of_this_thread().saturating_sub(used);
    let a_second = |time: Duration| number(questions.len()) / time.as_secs_f64().max(1e-9);
    (Rate { wall: a_second(began.elapsed()), cpu: a_second(used) }, answers)
}

/// The same roads, and the textbook's search: from one end, until the other is settled.
struct Plain {
    places: Vec<Coordinates>,
    /// Where the roads from a node lead, and how many milliseconds they take.
    roads: Vec<Vec<(u32, u32)>>,
}

#[derive(Deserialize)]
struct NodeRow {
    node_id: u32,
    lat: f64,
    lon: f64,
}

#[derive(Deserialize)]
struct EdgeRow {
    from_node: u32,
    to_node: u32,
    length_km: f64,
    speed_kmh: f64,
}

impl Plain {
    fn read(dir: &Path) -> anyhow::Result<Self> {
        let (mut numbers, mut places) = (HashMap::new(), Vec::new());
        for row in csv::Reader::from_reader(open(dir, NODES)?).deserialize() {
            let row: NodeRow = row?;
            numbers.insert(row.node_id, u32::try_from(places.len())?);
            places.push(Coordinates::new(row.lat, row.lon)?);
        }
        let mut roads = vec![Vec::new(); places.len()];
        for row in csv::Reader::from_reader(open(dir, EDGES)?).deserialize() {
            let row: EdgeRow = row?;
            let number = |node| numbers.get(&node).copied().context("a road to nowhere");
            let ms = (row.length_km / row.speed_kmh * 3_600_000.0).round().max(1.0);
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a day fits"
            )]
            roads[number(row.from_node)? as usize].push((number(row.to_node)?, ms as u32));
        }
        Ok(Self { places, roads })
    }

    fn fastest(&self, from: u32, to: u32) -> Option<u32> {
        let mut times = vec![u32::MAX; self.roads.len()];
        let mut queue = BinaryHeap::from([Reverse((0, from))]);
        times[from as usize] = 0;
        while let Some(Reverse((ms, node))) = queue.pop() {
            if node == to {
                return Some(ms);
            }
            if times[node as usize] < ms {
                continue;
            }
            for &(there, passage) in &self.roads[node as usize] {
                let by_here = ms + passage;
                if by_here < times[there as usize] {
                    times[there as usize] = by_here;
                    queue.push(Reverse((by_here, there)));
                }
            }
        }
        None
    }
}
