//! `ibora export-demand`: the requests of a period as the CSV that `ibora simulate` reads.

use std::path::PathBuf;
use std::pin::pin;
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::Args;
use futures_util::TryStreamExt;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::progress;
use crate::app::Store;
use crate::config::Config;
use crate::readmodel::demand;

const COLUMNS: [&str; 5] = ["pickup_at", "pickup_lat", "pickup_lon", "dropoff_lat", "dropoff_lon"];
/// Requests between two words of progress.
const TOLD_EVERY: u64 = 100_000;

#[derive(Args)]
pub(super) struct ExportDemandArgs {
    /// Requests from this moment on, e.g. 2026-03-02T17:00:00Z
    #[arg(long, value_parser = moment)]
    from: OffsetDateTime,
    /// and before this one
    #[arg(long, value_parser = moment)]
    to: OffsetDateTime,
    /// File to write: whole minutes, places to about 100 m, nobody's name or id
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

fn moment(text: &str) -> Result<OffsetDateTime, String> {
    OffsetDateTime::parse(text, &Rfc3339).map_err(|_| "no moment like 2026-03-02T17:00:00Z".into())
}

pub(super) async fn run(args: ExportDemandArgs, config: &Config) -> anyhow::Result<ExitCode> {
    let store = Store::open_beside(config).await?;
    let written = write(&args, &store).await;
    store.close().await?;
    let (rows, path) = (written?, args.out.display());
    if rows == 0 {
        bail!("nothing was asked for in that time");
    }
    progress(&format!("{rows} requests in {path}"));
    Ok(ExitCode::SUCCESS)
}

async fn write(args: &ExportDemandArgs, store: &Store) -> anyhow::Result<u64> {
    let path = || args.out.display().to_string();
    let mut file = csv::Writer::from_path(&args.out).with_context(path)?;
    file.write_record(COLUMNS).with_context(path)?;
    let mut rows = 0_u64;
    let mut asked = pin!(demand(&store.pool, (args.from, args.to)));
    while let Some(asked) = asked.try_next().await? {
        let at = asked.at.format(&Rfc3339)?;
        file.write_record([at].iter().chain(&asked.ends)).with_context(path)?;
        rows += 1;
        if rows.is_multiple_of(TOLD_EVERY) {
            progress(&format!("{rows} requests"));
        }
    }
    file.flush().with_context(path)?;
    Ok(rows)
}
