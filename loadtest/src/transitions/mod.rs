//! Transitions: rides go from request to end, and every step is durable before it is answered.
//!
//! A caller is a passenger and a driver: request, accept, arrive, start, complete, and the next
//! ride. Each of the five is one durable transition of a ride's status with all facts of its step.
//! The offer between request and accept is stored by both sides and counted by neither.
//! Closed loop: as many callers as asked for, each with one command on its way. Open loop: commands
//! start on schedule, whatever the answers do, and their time counts from when they were due.

mod engine_caller;
mod open;
mod peer_caller;

use std::collections::BTreeMap;
use std::time::Duration;

use clap::Args;
use ibora_domain::units::{Metres, Millis};
use serde::Serialize;
use serde_json::{Value, json};

use crate::closed::{self, Run};
use crate::engine::{Engine, Store};
use crate::facts::{Script, Step};
use crate::peers::{self, ConditionalUpdate, Desk, ForUpdate, RedisLock};
use crate::procs::{Processes, Used};
use crate::redis::RedisServer;
use crate::report::{self, Percentiles, ratio, rounded, say};
use engine_caller::EngineCaller;
use peer_caller::PeerCaller;

#[derive(Args, Clone)]
pub(crate) struct Options {
    /// Callers of the closed loop, each with one command on its way.
    #[arg(long, default_value_t = 500)]
    callers: usize,
    /// Passengers and drivers of the open loop, who are free while others wait.
    #[arg(long, default_value_t = 4000)]
    population: usize,
    /// Commands a second of the open loop, one run each.
    #[arg(long, value_delimiter = ',', default_value = "1000,5000,10000")]
    rates: Vec<u32>,
    /// Seconds that are measured in each run.
    #[arg(long, default_value_t = 6)]
    measure_s: u64,
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Leaves peers, floor and open loop out: to profile the engine.
    #[arg(long)]
    alone: bool,
}

/// One side's figures, the medians of its rounds.
#[derive(Serialize)]
struct Figures {
    transitions_per_s: f64,
    latency_ms: Percentiles,
    /// Of this process (engine or peer, and the callers), PostgreSQL and Redis together.
    cpu_us_per_transition: f64,
    cpu_us_per_transition_postgres: f64,
}

const ENGINE: &str = "engine";

/// Runs the bench.
pub(crate) async fn run(options: Options) -> anyhow::Result<Value> {
    say(format!("load average before: {}", report::load_average()));
    let engine = Engine::start(|policy| {
        policy.wave_sizes = vec![1];
        policy.wave_radii = vec![Metres(100)];
        // Should a driver not be free yet, his ride asks again soon.
        (policy.head_start, policy.wave_every) = (Millis(50), Millis(50));
    })
    .await?;
    let measured = measure(&engine, &options).await;
    engine.close().await?;
    measured
}

async fn measure(engine: &Engine, options: &Options) -> anyhow::Result<Value> {
    let population = options.population.max(options.callers);
    let mut callers = EngineCaller::open(engine, population).await?;
    let script = match callers.first_mut() {
        Some(first) => first.script(&engine.pool).await?,
        None => anyhow::bail!("no callers"),
    };
    let redis = RedisServer::start().await?;
    let postmaster = engine.store().postmaster();
    let processes = Processes { postmaster, redis: Some(redis.pid()), engine: None };
    let mut peers = Peers::open(engine, &redis, script, options.callers).await?;

    let lasting = Duration::from_secs(options.measure_s);
    // First, because what the closed loops write makes the database write checkpoints for minutes.
    let mut open_loop = BTreeMap::new();
    if !options.alone {
        callers = closed::one_ride_each(callers).await?;
        engine.store().tidy().await?;
    }
    for rate in options.rates.iter().filter(|_| !options.alone) {
        let latencies;
        (latencies, callers) = open::run(callers, *rate, lasting).await?;
        say(format!(
            "  open loop, {rate:>5}/s: p50 {:.2} p99 {:.2} ms, load {}",
            latencies.p50,
            latencies.p99,
            report::load_average()
        ));
        open_loop.insert(rate.to_string(), latencies);
    }
    let mut runs: BTreeMap<&'static str, Vec<Run>> = BTreeMap::new();
    let mut floors = vec![Vec::new(); peers::CONNECTIONS.len()];
    for round in 1..=options.rounds {
        say(format!("round {round} of {}", options.rounds));
        engine.store().tidy().await?;
        let rest = callers.split_off(options.callers);
        let run;
        (run, callers) = closed::run(callers, lasting, processes).await?;
        callers.extend(rest);
        keep(&mut runs, ENGINE, run);
        if options.alone {
            continue;
        }
        for (name, run) in peers.run(engine.store(), lasting, processes).await? {
            keep(&mut runs, name, run);
        }
        let owner = engine.store().owner()?;
        for (floor, connections) in floors.iter_mut().zip(peers::CONNECTIONS) {
            let rate = peers::floor(&owner, connections, lasting / 3).await?;
            say(format!("  floor, {connections:>3} connections: {rate:.0} one-row commits/s"));
            floor.push(rate);
        }
    }
    let told: usize = callers.iter().map(|caller| caller.told).sum();
    let lost = told.saturating_sub(recorded(engine).await?);
    let floor = floors.into_iter().map(|rates| report::median(rates.into_iter()));
    let floor = floor.fold(0.0, f64::max);
    let figures = runs.iter().map(|(name, runs)| (*name, summary(runs))).collect();
    Ok(line(options, figures, (floor, lost), &open_loop))
}

/// The peers, each with its own callers.
struct Peers {
    for_update: Vec<PeerCaller<ForUpdate>>,
    conditional: Vec<PeerCaller<ConditionalUpdate>>,
    redis_lock: Vec<PeerCaller<RedisLock>>,
}

impl Peers {
    async fn open(
        engine: &Engine,
        redis: &RedisServer,
        script: Script,
        callers: usize,
    ) -> anyhow::Result<Self> {
        let owner = engine.store().owner()?;
        let desk = async |name| Desk::open(&owner, name, script.clone()).await;
        let for_update = desk(ForUpdate::NAME).await?;
        let conditional = desk(ConditionalUpdate::NAME).await?;
        let (locks, locking) = (redis.connect().await?, desk(RedisLock::NAME).await?);
        Ok(Self {
            for_update: PeerCaller::open(ForUpdate::new(for_update), callers),
            conditional: PeerCaller::open(ConditionalUpdate::new(conditional), callers),
            redis_lock: PeerCaller::open(RedisLock::new(locks, locking), callers),
        })
    }

    /// One round of each.
    async fn run(
        &mut self,
        store: &Store,
        lasting: Duration,
        processes: Processes,
    ) -> anyhow::Result<Vec<(&'static str, Run)>> {
        let mut runs = Vec::new();
        store.tidy().await?;
        let run;
        let callers = std::mem::take(&mut self.for_update);
        (run, self.for_update) = closed::run(callers, lasting, processes).await?;
        runs.push((ForUpdate::NAME, run));
        store.tidy().await?;
        let run;
        let callers = std::mem::take(&mut self.conditional);
        (run, self.conditional) = closed::run(callers, lasting, processes).await?;
        runs.push((ConditionalUpdate::NAME, run));
        store.tidy().await?;
        let run;
        let callers = std::mem::take(&mut self.redis_lock);
        (run, self.redis_lock) = closed::run(callers, lasting, processes).await?;
        runs.push((RedisLock::NAME, run));
        Ok(runs)
    }
}

fn keep(runs: &mut BTreeMap<&'static str, Vec<Run>>, name: &'static str, run: Run) {
    let latencies = run.latencies.percentiles();
    say(format!(
        "  {name:<18} {:>8.0} transitions/s, p50 {:.2} p99 {:.2} ms, CPU {:.1} us each \
         (postgres {:.1}), load {}",
        run.per_s(),
        latencies.p50,
        latencies.p99,
        run.used.micros_each(run.count),
        postgres_each(&run),
        report::load_average(),
    ));
    runs.entry(name).or_default().push(run);
}

fn postgres_each(run: &Run) -> f64 {
    Used { postgres: run.used.postgres, ..Used::default() }.micros_each(run.count)
}

/// Events of the five steps that the engine's database holds.
async fn recorded(engine: &Engine) -> anyhow::Result<usize> {
    let kinds: Vec<&str> = Step::ALL.iter().map(|step| step.event()).collect();
    let count: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM events e JOIN rides r ON r.id = e.entity_id
         WHERE e.kind = ANY ($1)",
    )
    .bind(kinds)
    .fetch_one(&engine.pool)
    .await?;
    Ok(usize::try_from(count)?)
}

fn summary(runs: &[Run]) -> Figures {
    let median = |figure: fn(&Run) -> f64| report::median(runs.iter().map(figure));
    Figures {
        transitions_per_s: rounded(median(Run::per_s), 0),
        latency_ms: Percentiles::median(runs.iter().map(|run| run.latencies.percentiles())),
        cpu_us_per_transition: rounded(median(|run| run.used.micros_each(run.count)), 1),
        cpu_us_per_transition_postgres: rounded(median(postgres_each), 1),
    }
}

fn line(
    options: &Options,
    mut figures: BTreeMap<&str, Figures>,
    (floor, lost): (f64, usize),
    open_loop: &BTreeMap<String, Percentiles>,
) -> Value {
    let Some(engine) = figures.remove(ENGINE) else { return Value::Null };
    let mut ratios: BTreeMap<&str, f64> = figures
        .iter()
        .map(|(name, peer)| (*name, ratio(engine.transitions_per_s, peer.transitions_per_s)))
        .collect();
    ratios.insert("floor", ratio(engine.transitions_per_s, floor));
    let line = json!({
        "bench": "transitions",
        "callers": options.callers,
        "rounds": options.rounds,
        "lost_acks": lost,
        "open_loop": open_loop,
        "floor_commits_per_s": rounded(floor, 0),
        "peers": figures,
        "ratio": ratios,
        "load_average": report::load_average(),
    });
    report::beside(line, &engine)
}
