//! Positions: how many the engine takes in a second of one core, and how fast it names who is near.
//!
//! In process: queries among drivers who move meanwhile, and the index alone. Over WebSockets, to
//! an engine that is a process of its own: updates, whose CPU seconds hold the sockets, JSON and
//! checks too. Redis does the same with `GEOADD` and `GEOSEARCH`, a CPU second of its own.

mod nearest;
mod probe;
mod redis_geo;
mod sockets;
mod wire;

use std::time::Duration;

use clap::Args;
use serde::Serialize;
use serde_json::{Value, json};

use crate::redis::RedisServer;
use crate::report::{self, Percentiles, median, ratio, rounded, say};

#[derive(Args, Clone, Copy)]
pub(crate) struct Options {
    /// Drivers who report positions.
    #[arg(long, default_value_t = 10_000)]
    drivers: usize,
    /// Drivers among whom the nearest ten are looked for.
    #[arg(long, default_value_t = 100_000)]
    crowd: usize,
    /// Seconds that are measured in each run.
    #[arg(long, default_value_t = 4)]
    measure_s: u64,
    #[arg(long, default_value_t = 3)]
    rounds: usize,
}

/// What one side does in a second of CPU.
#[derive(Debug, Clone, Copy, Default, Serialize)]
struct PerCpuSecond {
    updates: f64,
    queries: f64,
}

/// Runs the bench.
pub(crate) async fn run(options: Options) -> anyhow::Result<Value> {
    say(format!("load average before: {}", report::load_average()));
    let redis = RedisServer::start().await?;
    let lasting = Duration::from_secs(options.measure_s);
    let sockets = sockets::run(options.drivers, lasting).await?;
    let (mut engine, mut geo, mut nearest) = (Vec::new(), Vec::new(), Vec::new());
    for round in 1..=options.rounds {
        say(format!("round {round} of {}", options.rounds));
        let (figures, micros) =
            tokio::task::spawn_blocking(move || nearest::run(options)).await??;
        say(format!(
            "  in process  {:>9.0} updates and {:>9.0} queries a CPU second, nearest p50 {:.2} \
             p99 {:.2} us among moving drivers, load {}",
            figures.updates,
            figures.queries,
            micros.p50,
            micros.p99,
            report::load_average()
        ));
        engine.push(figures);
        nearest.push(micros);
        let figures = redis_geo::run(&redis, options).await?;
        say(format!(
            "  redis       {:>9.0} GEOADD and {:>9.0} GEOSEARCH a CPU second of Redis",
            figures.updates, figures.queries
        ));
        geo.push(figures);
    }
    let each = |side: &[PerCpuSecond], figure: fn(&PerCpuSecond) -> f64| {
        rounded(median(side.iter().map(figure)), 0)
    };
    let updates = |side: &[PerCpuSecond]| each(side, |figures| figures.updates);
    let queries = |side: &[PerCpuSecond]| each(side, |figures| figures.queries);
    Ok(json!({
        "bench": "locations",
        "drivers": options.drivers,
        "crowd": options.crowd,
        "updates_per_s_per_core": rounded(sockets.per_core, 0),
        "updates_per_s": rounded(sockets.per_s, 0),
        "batched": {
            "frames_a_write": sockets::BURST,
            "updates_per_s_per_core": rounded(sockets.batched_per_core, 0),
        },
        "visible_ms": sockets.visible,
        "nearest_us": Percentiles::median(nearest.into_iter()),
        "in_process": {
            "updates_per_cpu_s": updates(&engine),
            "queries_per_cpu_s": queries(&engine),
        },
        "redis": {
            "geoadd_per_cpu_s": updates(&geo),
            "geosearch_per_cpu_s": queries(&geo),
        },
        "ratio": {
            "redis_geoadd": ratio(sockets.per_core, updates(&geo)),
            "redis_geoadd_in_process": ratio(updates(&engine), updates(&geo)),
            "redis_geosearch": ratio(queries(&engine), queries(&geo)),
        },
        "load_average": report::load_average(),
    }))
}
