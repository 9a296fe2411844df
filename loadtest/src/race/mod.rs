//! The race: many drivers accept the same ride at once, on several lanes at the same time.
//!
//! A volley is one ride a lane: all are set up, then all accepts are released together, then the
//! winners' rides are ended. Only the middle is measured: from the release of a lane's accepts to
//! its last answer. The time by which rides are divided is the union of these spans, so nothing
//! that is set up or cleared away hides in it. Engine and peers run in turns, several rounds.
//!
//! Then the engine runs once more, as a process of its own, and every driver is a session.

mod audit;
mod engine_side;
mod peer_side;
mod socket_side;
mod volley;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use serde::Serialize;
use serde_json::{Value, json};

use crate::engine::Engine;
use crate::facts::Script;
use crate::peers::{ConditionalUpdate, Desk, ForUpdate, RedisLock};
use crate::procs::{Processes, Used};
use crate::redis::RedisServer;
use crate::report::{self, Latencies, Percentiles, number, ratio, rounded, say};
use crate::served::{self, Served};
use audit::Audit;
use engine_side::EngineSide;
use peer_side::PeerSide;
use socket_side::SocketSide;
use volley::{Racer, Volley};

#[derive(Args, Clone, Copy)]
pub(crate) struct Options {
    /// Drivers who accept each ride.
    #[arg(long, default_value_t = 100)]
    drivers: usize,
    /// Rides of each side in each round.
    #[arg(long, default_value_t = 500)]
    rides: usize,
    /// Rides that are raced for at the same time, each on a lane with drivers of its own.
    #[arg(long, default_value_t = 20)]
    at_once: usize,
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Seconds after which a side ends its round early; its figures are those of the rides it got.
    #[arg(long, default_value_t = 35)]
    side_s: u64,
    /// Leaves the peers and the sockets out: to profile the engine.
    #[arg(long)]
    alone: bool,
}

/// Sessions of drivers that race; two processes and their descriptors have room for more.
const SOCKETS_MAX: usize = 10_000;
/// Seconds that a round over sockets lasts at most.
const SOCKETS_S: u64 = 20;

/// One side's figures of one round.
struct Round {
    settled: usize,
    rides_per_s: f64,
    winners: Percentiles,
    losers: Percentiles,
    used: Used,
}

/// One side over all rounds.
#[derive(Default)]
struct Side {
    rounds: Vec<Round>,
    audit: Audit,
}

#[derive(Serialize)]
struct Figures {
    rides_per_s: f64,
    winner_ms: Percentiles,
    loser_ms: Percentiles,
    /// Of this process (engine or peer, and the callers), PostgreSQL and Redis together.
    cpu_us_per_ride: f64,
    cpu_us_per_ride_postgres: f64,
    rides_settled: usize,
    duplicates: usize,
    no_winner: usize,
    rows_per_win: BTreeMap<String, f64>,
}

/// Runs the bench.
pub(crate) async fn run(options: Options) -> anyhow::Result<Value> {
    say(format!("load average before: {}", report::load_average()));
    let wave = u16::try_from(options.drivers)?;
    let engine = Engine::start(|policy| policy.wave_sizes = vec![wave]).await?;
    let raced = race(&engine, options).await;
    engine.close().await?;
    let mut line = raced?;
    if !options.alone {
        line["sockets"] = over_sockets(options).await?;
    }
    Ok(line)
}

/// The same race, with a session for every driver.
async fn over_sockets(options: Options) -> anyhow::Result<Value> {
    let lanes = options.at_once.min(SOCKETS_MAX / options.drivers).max(1);
    served::check_descriptors(lanes * (options.drivers + 1))?;
    let dir = served::new_dir()?;
    let mut settings = served::common(&dir);
    settings.extend(socket_side::settings(options.drivers));
    say("settings of the engine over sockets:");
    served::say_settings(&settings);
    let served = Served::start(settings).await?;
    let people = served.seed(lanes * options.drivers, lanes).await?;
    say(format!("connecting {} drivers on {lanes} lanes", people.drivers.len()));
    let side = Arc::new(SocketSide::open(served.address, people, options.drivers).await?);
    Volley::run(&side, lanes, options.drivers).await?;
    let (processes, side_s) = (served.processes()?, options.side_s.min(SOCKETS_S));
    let options = Options { at_once: lanes, side_s, ..options };
    let mut sides = BTreeMap::new();
    for _ in 0..options.rounds {
        play(&mut sides, &side, options, processes).await?;
    }
    let Some(side) = sides.remove(SocketSide::NAME) else { return Ok(Value::Null) };
    let store = served.store().await?;
    let lost = side.audit.lost_acks(&store.pool).await?;
    store.pool.close().await;
    served.end().await?;
    let engine = |round: &Round| {
        let engine = Used { engine: round.used.engine, ..Used::default() };
        engine.micros_each(round.settled)
    };
    let cpu = report::median(side.rounds.iter().map(engine));
    let figures = summary(&side, BTreeMap::new());
    Ok(json!({
        "rides": figures.rides_settled,
        "at_once": lanes,
        "rides_per_s": figures.rides_per_s,
        "winner_ms": figures.winner_ms,
        "loser_ms": figures.loser_ms,
        "cpu_us_per_ride_engine": rounded(cpu, 0),
        "cpu_us_per_ride_postgres": figures.cpu_us_per_ride_postgres,
        "duplicates": figures.duplicates,
        "no_winner": figures.no_winner,
        "lost_acks": lost,
    }))
}

async fn race(engine: &Engine, options: Options) -> anyhow::Result<Value> {
    let side = Arc::new(EngineSide::open(engine, options.at_once, options.drivers).await?);
    let script = warm_up(&side, options).await?;
    let redis = RedisServer::start().await?;
    let postmaster = engine.store().postmaster();
    let processes = Processes { postmaster, redis: Some(redis.pid()), engine: None };
    let owner = engine.store().owner()?;
    let desk = async |name| Desk::open(&owner, name, script.clone()).await;
    let lanes = (options.at_once, options.drivers);
    let for_update = PeerSide::new(ForUpdate::new(desk(ForUpdate::NAME).await?), lanes);
    let conditional =
        PeerSide::new(ConditionalUpdate::new(desk(ConditionalUpdate::NAME).await?), lanes);
    let locking = desk(RedisLock::NAME).await?;
    let redis_lock = PeerSide::new(RedisLock::new(redis.connect().await?, locking), lanes);
    let (for_update, conditional, redis_lock) =
        (Arc::new(for_update), Arc::new(conditional), Arc::new(redis_lock));

    let mut sides: BTreeMap<&'static str, Side> = BTreeMap::new();
    for round in 1..=options.rounds {
        say(format!("round {round} of {}", options.rounds));
        engine.store().tidy().await?;
        play(&mut sides, &side, options, processes).await?;
        if options.alone {
            continue;
        }
        let told = audit::withdrawals(&engine.pool).await?;
        for peer in [for_update.desk(), conditional.desk(), redis_lock.desk()] {
            peer.tell_withdrawn(told);
        }
        engine.store().tidy().await?;
        play(&mut sides, &for_update, options, processes).await?;
        engine.store().tidy().await?;
        play(&mut sides, &conditional, options, processes).await?;
        engine.store().tidy().await?;
        play(&mut sides, &redis_lock, options, processes).await?;
    }
    let mut pools = BTreeMap::from([(side.name(), engine.pool.clone())]);
    if !options.alone {
        pools.insert(for_update.name(), for_update.desk().pool.clone());
        pools.insert(conditional.name(), conditional.desk().pool.clone());
        pools.insert(redis_lock.name(), redis_lock.desk().pool.clone());
    }
    let mut figures = BTreeMap::new();
    for (name, side) in &sides {
        let rows = side.audit.rows_per_win(&pools[name], *name == EngineSide::NAME).await?;
        figures.insert(*name, summary(side, rows));
    }
    let lost = sides[EngineSide::NAME].audit.lost_acks(&engine.pool).await?;
    Ok(line(options, figures, lost))
}

/// One volley that is not measured; the facts that its rides left are what peers will store.
async fn warm_up(side: &Arc<EngineSide>, options: Options) -> anyhow::Result<Script> {
    let script = side.script().await?;
    Volley::run(side, options.at_once, options.drivers).await?;
    Ok(script)
}

async fn play<R: Racer>(
    sides: &mut BTreeMap<&'static str, Side>,
    racer: &Arc<R>,
    options: Options,
    processes: Processes,
) -> anyhow::Result<()> {
    let (start, limit) = (Instant::now(), Duration::from_secs(options.side_s));
    let (mut spans, mut used) = (Vec::new(), Used::default());
    let (mut winners, mut losers) = (Latencies::new(), Latencies::new());
    let side = sides.entry(racer.name()).or_default();
    let mut settled = 0;
    while settled < options.rides && (start.elapsed() < limit || settled == 0) {
        let lanes = options.at_once.min(options.rides - settled);
        let volley = Volley::measured(racer, lanes, options.drivers, processes).await?;
        settled += lanes;
        spans.extend(volley.spans);
        used.add(volley.used);
        winners.add(&volley.winners);
        losers.add(&volley.losers);
        side.audit.take(volley.told);
    }
    let rides_per_s = number(settled) / report::union(&spans).as_secs_f64();
    let round = Round {
        settled,
        rides_per_s,
        winners: winners.percentiles(),
        losers: losers.percentiles(),
        used,
    };
    say(format!(
        "  {:<18} {settled:>5} rides, {rides_per_s:>8.1} rides/s, winner p50 {:.2} p99 {:.2} ms, \
         loser p99 {:.2} ms, CPU {:.0} us a ride (postgres {:.0}), load {}",
        racer.name(),
        round.winners.p50,
        round.winners.p99,
        round.losers.p99,
        used.micros_each(settled),
        used.postgres.as_secs_f64() * 1e6 / number(settled),
        report::load_average(),
    ));
    side.rounds.push(round);
    Ok(())
}

fn summary(side: &Side, rows_per_win: BTreeMap<String, f64>) -> Figures {
    let rounds = || side.rounds.iter();
    let postgres =
        |round: &Round| round.used.postgres.as_secs_f64() * 1e6 / number(round.settled.max(1));
    let cpu = |round: &Round| round.used.micros_each(round.settled);
    Figures {
        rides_per_s: rounded(report::median(rounds().map(|round| round.rides_per_s)), 1),
        winner_ms: Percentiles::median(rounds().map(|round| round.winners)),
        loser_ms: Percentiles::median(rounds().map(|round| round.losers)),
        cpu_us_per_ride: rounded(report::median(rounds().map(cpu)), 0),
        cpu_us_per_ride_postgres: rounded(report::median(rounds().map(postgres)), 0),
        rides_settled: rounds().map(|round| round.settled).sum(),
        duplicates: side.audit.duplicates(),
        no_winner: side.audit.no_winner(),
        rows_per_win,
    }
}

fn line(options: Options, mut figures: BTreeMap<&str, Figures>, lost: usize) -> Value {
    let Some(engine) = figures.remove(EngineSide::NAME) else { return Value::Null };
    let ratios: BTreeMap<&str, f64> = figures
        .iter()
        .map(|(name, peer)| (*name, ratio(engine.rides_per_s, peer.rides_per_s)))
        .collect();
    let line = json!({
        "bench": "race",
        "drivers": options.drivers,
        "rides": options.rides,
        "at_once": options.at_once,
        "rounds": options.rounds,
        "lost_acks": lost,
        "peers": figures,
        "ratio": ratios,
        "load_average": report::load_average(),
    });
    report::beside(line, &engine)
}
