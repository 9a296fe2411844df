//! The load test: the engine against what people build instead, each figure one command away.
//!
//! `./dev bench NAME` calls it. A command starts what it needs (a private PostgreSQL, a
//! redis-server), says on stderr what it does, and ends with ONE line of JSON on stdout. It stops
//! what it started.

mod engine;
mod facts;
mod locations;
mod offers;
mod peers;
mod people;
mod procs;
mod race;
mod recovery;
mod redis;
mod replay;
mod report;
mod served;
mod transitions;

use clap::{Parser, Subcommand};
use mimalloc::MiMalloc;
use tokio::runtime::Builder;

/// The engine's own: what is measured in process is measured as it is served.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// Measures Ibora beside its peers, on one machine, in one run.
#[derive(Parser)]
#[command(name = "ibora-loadtest", version)]
struct Cli {
    #[command(subcommand)]
    bench: Bench,
}

#[derive(Subcommand)]
enum Bench {
    /// Many drivers accept one ride at once; exactly one must win.
    Race(race::Options),
    /// Rides go from request to end; every step is durable before it is answered.
    Transitions(transitions::Options),
    /// Positions of drivers, and who of them is nearest.
    Locations(locations::Options),
    /// An engine is killed with rides in flight, and started again.
    Recovery(recovery::Options),
    /// A recorded hour of requests and cars goes through the engine over real sockets.
    Replay(replay::Options),
    /// The part of `recovery` that is killed
    #[command(hide = true)]
    Fill(recovery::FillOptions),
}

fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    // Actors live in a system; callers and writers run on the threads of its runtime.
    let system = actix_web::rt::System::with_tokio_rt(|| {
        let runtime = Builder::new_multi_thread().enable_all().build();
        #[expect(clippy::expect_used, reason = "without threads there is nothing to measure")]
        runtime.expect("a runtime")
    });
    let line = system.block_on(async move {
        let ended = async {
            match cli.bench {
                Bench::Race(options) => race::run(options).await,
                Bench::Transitions(options) => transitions::run(options).await,
                Bench::Locations(options) => locations::run(options).await,
                Bench::Recovery(options) => recovery::run(options).await,
                Bench::Replay(options) => replay::run(options).await,
                Bench::Fill(options) => recovery::fill(options).await,
            }
        };
        tokio::select! {
            line = ended => line,
            _ = tokio::signal::ctrl_c() => anyhow::bail!("interrupted"),
        }
    })?;
    report::print_line(&line)
}
