//! `ibora replay`: a ride rebuilt from its journal and told step by step; or every ride, compared
//! with what is stored.

use std::process::ExitCode;

use clap::Args;
use ibora_domain::ids::RideId;

use super::{print, progress};
use crate::app::Store;
use crate::config::Config;
use crate::readmodel::{Replay, Told, replay, verify};

/// Exit code when a ride is not what its events make of it.
const DIFFERENT: u8 = 3;

#[derive(Args)]
pub(super) struct ReplayArgs {
    /// The ride to tell of
    #[arg(value_name = "RIDE_ID", required_unless_present = "all", conflicts_with = "all")]
    ride: Option<RideId>,
    /// Every ride of the database
    #[arg(long, requires = "verify")]
    all: bool,
    /// Compare what is replayed with what is stored; exit code 3 where they differ
    #[arg(long)]
    verify: bool,
}

pub(super) async fn run(args: ReplayArgs, config: &Config) -> anyhow::Result<ExitCode> {
    let store = Store::open_beside(config).await?;
    let code = match args.ride {
        Some(ride) => {
            let Some(replay) = replay(&store.pool, ride).await? else {
                anyhow::bail!("there is no ride {ride}");
            };
            tell(&replay)
        }
        None => all(&store).await?,
    };
    store.close().await?;
    Ok(code)
}

fn tell(replay: &Replay) -> ExitCode {
    for Told { at, seq, kind, status, text } in &replay.steps {
        let seq = seq.map_or_else(String::new, |seq| seq.to_string());
        let status = status.map_or("", |status| status.as_str());
        print(&format!("{at} {seq:>3} {kind:<15} {status:<10} {text}"));
    }
    match &replay.difference {
        None => {
            print(&format!("the replayed state equals the stored one, version {}", replay.version));
            ExitCode::SUCCESS
        }
        Some(difference) => {
            print(&format!("DIFFERENT from what is stored: {difference}"));
            ExitCode::from(DIFFERENT)
        }
    }
}

async fn all(store: &Store) -> anyhow::Result<ExitCode> {
    let verified = verify(&store.pool, |rides| progress(&format!("{rides} rides"))).await?;
    for (ride, difference) in &verified.examples {
        print(&format!("{ride} DIFFERENT: {difference}"));
    }
    let (rides, events, different) = (verified.rides, verified.events, verified.different);
    print(&format!("{rides} rides replayed from {events} events, {different} differ"));
    Ok(if different == 0 { ExitCode::SUCCESS } else { ExitCode::from(DIFFERENT) })
}
