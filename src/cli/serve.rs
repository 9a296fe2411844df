//! `ibora serve` and `ibora migrate`.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

use crate::app::{self, App, Mount};
use crate::config::{Config, Mode};
use crate::postgres::Database;
use crate::realtime;

/// Exit code of an engine whose work another has taken over.
const FENCED: u8 = 4;
/// Time in which it tells those who still ask that it is not the one.
const FAREWELL: Duration = Duration::from_secs(3);

#[derive(Args)]
pub(super) struct ServeArgs {
    /// Serve GET /test/echo too, for WebSocket conformance suites; never in production mode
    #[arg(long)]
    test_echo: bool,
}

/// Serves until SIGTERM or SIGINT, where a second signal ends at once; or until another engine has
/// taken over.
pub(super) async fn serve(args: ServeArgs, config: &Config) -> anyhow::Result<ExitCode> {
    if args.test_echo && config.mode == Mode::Production {
        anyhow::bail!("--test-echo is for tests: not in production mode");
    }
    let more: Mount =
        if args.test_echo { Arc::new(realtime::configure_echo) } else { Arc::new(|_| {}) };
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let app = tokio::select! {
        app = App::start_with(config, more) => app?,
        _ = terminate.recv() => return Ok(ExitCode::SUCCESS),
        _ = interrupt.recv() => return Ok(ExitCode::SUCCESS),
    };
    let fenced = async {
        app.fenced().await;
        tokio::time::sleep(FAREWELL).await;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        () = fenced => return Ok(ExitCode::from(FENCED)),
    }
    tracing::info!("stopping: recording what was decided, then closing");
    tokio::select! {
        stopped = app.stop() => {
            stopped?;
            Ok(ExitCode::SUCCESS)
        }
        _ = terminate.recv() => Ok(ExitCode::FAILURE),
        _ = interrupt.recv() => Ok(ExitCode::FAILURE),
    }
}

/// Migrates as the owner of the schema.
pub(super) async fn migrate(config: &Config) -> anyhow::Result<ExitCode> {
    let database = Database::open(app::source(config)?).await?;
    let Some(owner) = database.owner_options() else {
        anyhow::bail!("database.migrate_url is not set: migrations need the owner's access");
    };
    app::migrate(owner).await?;
    database.close().await?;
    tracing::info!("the schema is up to date");
    Ok(ExitCode::SUCCESS)
}
