//! `ibora seed`: simulated people for load tests.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;

use super::progress;
use crate::app::{self, Store};
use crate::config::Config;

#[derive(Args)]
pub(super) struct SeedArgs {
    /// Approved drivers to make, each with a vehicle
    #[arg(long, default_value_t = 0)]
    drivers: usize,
    #[arg(long, default_value_t = 0)]
    passengers: usize,
    /// Where their ids and access tokens go, a JSON object a line; readable by its owner only
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

pub(super) async fn run(args: SeedArgs, config: &Config) -> anyhow::Result<ExitCode> {
    let store = Store::open_beside(config).await?;
    let all = args.drivers + args.passengers;
    let people = app::seed(config, &store, (args.drivers, args.passengers), |made| {
        progress(&format!("{made} of {all} people"));
    })
    .await?;
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&args.out)
        .with_context(|| args.out.display().to_string())?;
    for person in &people {
        serde_json::to_writer(&mut file, person)?;
        file.write_all(b"\n")?;
    }
    file.sync_all()?;
    store.close().await?;
    Ok(ExitCode::SUCCESS)
}
