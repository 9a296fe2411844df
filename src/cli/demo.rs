//! `ibora demo`: the engine with a simulated city, in one process.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

use crate::config::Config;
use crate::demo::{self, DemoOptions};

/// Passengers a driver, where their number is not given: so many that most are at home.
const PASSENGERS_PER_TWO_DRIVERS: usize = 5;

#[derive(Args)]
pub(super) struct DemoArgs {
    /// Drivers in the city
    #[arg(long, default_value_t = 150, value_parser = people)]
    drivers: usize,
    /// People who take rides; 5 for 2 drivers unless given
    #[arg(long, value_parser = people)]
    passengers: Option<usize>,
    /// Seconds of the city that pass in a real second
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=60))]
    speed: u32,
    /// Draws the city and everybody's behaviour
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Where the engine and the page listen; http.listen unless given
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// End after this many seconds instead of at Ctrl-C
    #[arg(long = "for", value_name = "SECONDS")]
    length_s: Option<u64>,
}

fn people(text: &str) -> Result<usize, String> {
    let count: usize = text.parse().map_err(|_| "a number is needed".to_owned())?;
    if (1..=10_000).contains(&count) { Ok(count) } else { Err("1 to 10000".to_owned()) }
}

pub(super) async fn run(args: DemoArgs, config: &Config) -> anyhow::Result<ExitCode> {
    let options = DemoOptions {
        drivers: args.drivers,
        passengers: args.passengers.unwrap_or(args.drivers * PASSENGERS_PER_TWO_DRIVERS / 2).max(1),
        speed: args.speed,
        seed: args.seed,
        listen: args.listen,
        length: args.length_s.map(Duration::from_secs),
        promises: false,
    };
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let ended = async {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    demo::run(config, &options, ended).await?;
    Ok(ExitCode::SUCCESS)
}
