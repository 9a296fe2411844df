//! The ledger: journals of double entry, each durable before it is told, beside a plain SQL ledger.
//!
//! A journal is one financial event with two postings. Where one account is hot, it is the
//! platform's commission, and the other one of the accounts of 10,000 drivers; where journals are
//! spread, no account is in more than a few of them: a passenger owes a driver a tip. Closed loop:
//! each caller has one journal on its way. In the end all that was booked is audited.

mod audited;
mod engine_side;
mod plain;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use serde::Serialize;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::closed::{self, Run};
use crate::engine::Engine;
use crate::procs::{Processes, Used};
use crate::report::{self, Percentiles, ratio, rounded, say};
use audited::Audited;
use engine_side::Booker;
use plain::Plain;

/// Callers of the engine, one run each; the last is compared.
const CALLERS: [usize; 4] = [1, 8, 32, 500];
/// Connections of the plain ledger, one run each; the best is compared.
const CONNECTIONS: [usize; 4] = [1, 8, 32, 128];

#[derive(Args, Clone)]
pub(crate) struct Options {
    /// People whose accounts are booked on.
    #[arg(long, default_value_t = 10_000)]
    people: usize,
    /// Seconds that are measured in each run.
    #[arg(long, default_value_t = 3)]
    measure_s: u64,
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Entries that there are at least when they are audited.
    #[arg(long, default_value_t = 1_000_000)]
    entries: u64,
    /// Leaves the plain ledger and few callers out: to profile the engine.
    #[arg(long)]
    alone: bool,
}

/// Which accounts journals meet on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
enum Load {
    /// All of them on one account of the platform.
    Hot,
    /// Any two people's.
    Spread,
}

impl Load {
    const ALL: [Self; 2] = [Self::Hot, Self::Spread];
}

/// The figures of one number of callers, the medians of its rounds.
#[derive(Serialize)]
struct Figures {
    journals_per_s: f64,
    latency_ms: Percentiles,
    /// Of this process (engine or plain ledger's client, and the callers) and PostgreSQL together.
    cpu_us_per_journal: f64,
    cpu_us_per_journal_postgres: f64,
}

/// The runs of a side, by load and number of callers.
type Runs = BTreeMap<(Load, usize), Vec<Run>>;

/// Runs the bench.
pub(crate) async fn run(options: Options) -> anyhow::Result<Value> {
    say(format!("load average before: {}", report::load_average()));
    let engine = Engine::start(|_| {}).await?;
    let measured = measure(&engine, &options).await;
    engine.close().await?;
    measured
}

async fn measure(engine: &Engine, options: &Options) -> anyhow::Result<Value> {
    let people: Arc<[Uuid]> = (0..options.people.max(2)).map(|_| Uuid::now_v7()).collect();
    let owner = engine.store().owner()?;
    let plain = Plain::open(owner, &people).await?;
    let mut told = engine_side::open_accounts(engine, &people).await?;
    let postmaster = engine.store().postmaster();
    let processes = Processes { postmaster, redis: None, engine: None };
    let lasting = Duration::from_secs(options.measure_s);
    let (mut engines, mut plains) = (Runs::new(), Runs::new());
    for round in 1..=options.rounds {
        say(format!("round {round} of {}", options.rounds));
        for load in Load::ALL {
            engine.store().tidy().await?;
            for callers in CALLERS.into_iter().filter(|count| !options.alone || *count == 500) {
                let bookers = Booker::open(engine, (load, &people), callers);
                let (run, bookers) = closed::run(bookers, lasting, processes).await?;
                told += bookers.iter().map(|booker| booker.told).sum::<u64>();
                keep(&mut engines, ("engine", load, callers), run);
            }
            if options.alone {
                continue;
            }
            engine.store().tidy().await?;
            for connections in CONNECTIONS {
                let clients = plain.clients(load, connections).await?;
                let (run, _) = closed::run(clients, lasting, processes).await?;
                keep(&mut plains, ("plain SQL", load, connections), run);
            }
        }
    }
    let people = &people;
    told += fill(engine, people, options.entries).await?;
    let lost = told.saturating_sub(audited::journals(&engine.pool).await?);
    let audited = audited::audit(&engine.pool).await?;
    Ok(line(options, (&engines, &plains), (lost, &audited)))
}

/// Books until there is enough to audit; how many journals that took.
async fn fill(engine: &Engine, people: &Arc<[Uuid]>, entries: u64) -> anyhow::Result<u64> {
    let mut told = 0;
    let processes = Processes { postmaster: 0, redis: None, engine: None };
    while audited::entries(&engine.pool).await? < entries {
        let bookers = Booker::open(engine, (Load::Hot, people), 500);
        let (_, bookers) = closed::run(bookers, Duration::from_secs(2), processes).await?;
        told += bookers.iter().map(|booker| booker.told).sum::<u64>();
    }
    Ok(told)
}

fn keep(runs: &mut Runs, (name, load, callers): (&str, Load, usize), run: Run) {
    let latencies = run.latencies.percentiles();
    say(format!(
        "  {name:<9} {load:?}, {callers:>3} callers: {:>7.0} journals/s, p50 {:.2} p99 {:.2} ms, \
         CPU {:.1} us each (postgres {:.1}), load {}",
        run.per_s(),
        latencies.p50,
        latencies.p99,
        run.used.micros_each(run.count),
        postgres_each(&run),
        report::load_average(),
    ));
    runs.entry((load, callers)).or_default().push(run);
}

fn postgres_each(run: &Run) -> f64 {
    Used { postgres: run.used.postgres, ..Used::default() }.micros_each(run.count)
}

/// The figures of a side under one load, by its number of callers.
fn figures(runs: &Runs, load: Load) -> BTreeMap<usize, Figures> {
    let of_load = runs.iter().filter(|((of, _), _)| *of == load);
    of_load.map(|((_, callers), runs)| (*callers, summary(runs))).collect()
}

fn summary(runs: &[Run]) -> Figures {
    let median = |figure: fn(&Run) -> f64| report::median(runs.iter().map(figure));
    Figures {
        journals_per_s: rounded(median(Run::per_s), 0),
        latency_ms: Percentiles::median(runs.iter().map(|run| run.latencies.percentiles())),
        cpu_us_per_journal: rounded(median(|run| run.used.micros_each(run.count)), 1),
        cpu_us_per_journal_postgres: rounded(median(postgres_each), 1),
    }
}

fn line(
    options: &Options,
    (engines, plains): (&Runs, &Runs),
    (lost, audited): (u64, &Audited),
) -> Value {
    let sides = |load| (figures(engines, load), figures(plains, load));
    let (hot, plain_hot) = sides(Load::Hot);
    let (spread, plain_spread) = sides(Load::Spread);
    let best = |figures: &BTreeMap<usize, Figures>| {
        figures.values().map(|one| one.journals_per_s).fold(0.0, f64::max)
    };
    let most = |figures: &BTreeMap<usize, Figures>| {
        figures.values().next_back().map_or(0.0, |one| one.journals_per_s)
    };
    json!({
        "bench": "ledger",
        "people": options.people,
        "rounds": options.rounds,
        "engine": {"hot": &hot, "spread": &spread},
        "plain_sql": {"hot": &plain_hot, "spread": &plain_spread},
        "ratio": {
            "hot": ratio(most(&hot), best(&plain_hot)),
            "spread": ratio(most(&spread), best(&plain_spread)),
        },
        "unbalanced": audited.unbalanced,
        "violations": audited.violations,
        "lost_acks": lost,
        "entries": audited.entries,
        "audit_s": rounded(audited.took.as_secs_f64(), 3),
        "audit_s_per_million": rounded(audited.s_per_million(), 3),
        "load_average": report::load_average(),
    })
}
