//! The load test: the engine against what people build instead, each figure one command away.
//!
//! `./dev bench NAME` calls it. A command starts what it needs (a private PostgreSQL, a
//! redis-server), says on stderr what it does, and ends with ONE line of JSON on stdout. It ends
//! what it started, also where it is stopped itself: exit code 143 after SIGTERM, 130 after SIGINT.

mod backoff;
mod chaos;
mod client;
mod closed;
mod engine;
mod facts;
mod ledger;
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
mod road;
mod served;
mod sessions;
mod slow;
mod started;
mod transitions;
mod webhooks;
mod witness;

use clap::{Parser, Subcommand};
use mimalloc::MiMalloc;
use serde_json::Value;
use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};

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
    /// Journals of double entry, beside a plain SQL ledger; then the audit of all of them.
    Ledger(ledger::Options),
    /// Positions of drivers, and who of them is nearest.
    Locations(locations::Options),
    /// An engine is killed with rides in flight, and started again.
    Recovery(recovery::Options),
    /// A recorded hour of requests and cars goes through the engine over real sockets.
    Replay(replay::Options),
    /// Random questions to the road graph, beside plain Dijkstra, whose answers they must equal.
    Road(road::Options),
    /// Many idle sessions: what they cost, and how soon all are back after a kill.
    Sessions(sessions::Options),
    /// Clients that never read: when they are cut off, and who else notices.
    Slow(slow::Options),
    /// Everything happens to engines, database and roads while drivers race; then the audit.
    Chaos(chaos::Options),
    /// Callbacks of the Pix provider: how soon they are answered, and what they tell is booked.
    Webhooks(webhooks::Options),
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
    let ended = system.block_on(async move {
        let ended = until_stopped(cli.bench).await;
        // However it ended, and whatever it still held: nothing of it is to stay.
        if let Err(error) = started::clear().await {
            report::say(format!("something of this run stays behind: {error:#}"));
        }
        ended
    });
    match ended {
        Ended::Done(line) => report::print_line(&line?),
        Ended::Stopped { by, code } => {
            report::say(format!("stopped by {by}: what was started has ended, its files are gone"));
            // At once: work that cannot be interrupted is waited for otherwise.
            std::process::exit(code)
        }
    }
}

/// How a bench ended.
enum Ended {
    Done(anyhow::Result<Value>),
    Stopped { by: &'static str, code: i32 },
}

/// Runs a bench to its end, or until this process is asked to stop.
async fn until_stopped(bench: Bench) -> Ended {
    // Its parent ends it, and knows what it started.
    let is_part = matches!(bench, Bench::Fill(_));
    let running = async {
        match bench {
            Bench::Race(options) => race::run(options).await,
            Bench::Transitions(options) => transitions::run(options).await,
            Bench::Ledger(options) => ledger::run(options).await,
            Bench::Locations(options) => locations::run(options).await,
            Bench::Recovery(options) => recovery::run(options).await,
            Bench::Replay(options) => replay::run(options).await,
            Bench::Road(options) => road::run(options).await,
            Bench::Sessions(options) => sessions::run(options).await,
            Bench::Slow(options) => slow::run(options).await,
            Bench::Webhooks(options) => webhooks::run(options).await,
            Bench::Chaos(options) => chaos::run(options).await,
            Bench::Fill(options) => recovery::fill(options).await,
        }
    };
    if is_part {
        return Ended::Done(running.await);
    }
    let signals = signal(SignalKind::terminate()).and_then(|terminate| {
        let interrupt = signal(SignalKind::interrupt())?;
        Ok((terminate, interrupt))
    });
    let (mut terminate, mut interrupt) = match signals {
        Ok(signals) => signals,
        Err(error) => return Ended::Done(Err(error.into())),
    };
    tokio::select! {
        line = running => Ended::Done(line),
        _ = terminate.recv() => Ended::Stopped { by: "SIGTERM", code: 143 },
        _ = interrupt.recv() => Ended::Stopped { by: "SIGINT", code: 130 },
    }
}
