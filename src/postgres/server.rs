//! The handle of the private server.
//!
//! `app` (through [`super::Database`]) starts it before everything else and stops it last. A
//! handle that is dropped, or an engine that is killed, leaves the server running: with what it
//! has confirmed on disk, and for the next start to adopt.

use std::fmt;
use std::path::Path;
use std::process::Child;
use std::time::Duration;

use sqlx::Connection;
use sqlx::postgres::PgConnectOptions;
use tokio::time::{Instant, sleep};

use super::error::PostgresError;
use super::host::{Host, Running};
use super::options::EmbeddedOptions;
use super::roles::{self, APP_ROLE, OWNER_ROLE};
use super::wal;

const REAP_DEADLINE: Duration = Duration::from_secs(5);

/// A running private server. Nobody else uses its data directory while this lives.
pub struct EmbeddedPostgres {
    host: Host,
    pid: u32,
    child: Option<Child>,
    adopted: bool,
}

impl EmbeddedPostgres {
    /// Starts the server of `options.data_dir`, or adopts it where an engine was killed. Makes
    /// the cluster, the roles and the database that are missing.
    ///
    /// A server adopted with other settings than now asked for is restarted with these.
    /// A second engine on the same directory is refused at once, whatever the first is doing.
    ///
    /// # Errors
    /// [`PostgresError`]. After [`PostgresError::StillStarting`] the server goes on recovering:
    /// start again later. After any other the directory is as it was, or further on the way.
    pub async fn start(options: EmbeddedOptions) -> Result<Self, PostgresError> {
        let host = Host::prepare(&options).await?;
        let adopted = host.adopt().await?;
        let was_adopted = adopted.is_some();
        let Running { pid, child, mut superuser } = match adopted {
            Some(running) => running,
            None => host.launch().await?,
        };
        let server = Self { host, pid, child, adopted: was_adopted };
        let setting_up = async {
            roles::set_up(&mut superuser, &server.host.secrets).await?;
            wal::reserve(&mut superuser, options.wal_reserve_mb).await
        };
        if let Err(error) = setting_up.await {
            server.stop().await?;
            return Err(error);
        }
        superuser.close().await.ok(); // It has served; the server ends it either way.
        Ok(server)
    }

    /// How app role and owner reach the server that a running engine keeps.
    ///
    /// # Errors
    /// [`PostgresError`] where its secrets or its socket's place cannot be told.
    pub(super) fn of_another(
        options: &EmbeddedOptions,
    ) -> Result<(PgConnectOptions, PgConnectOptions), PostgresError> {
        let (socket_dir, secrets) = Host::of_another(options)?;
        let app = roles::connect_options(&socket_dir, APP_ROLE, &secrets.app);
        Ok((app, roles::connect_options(&socket_dir, OWNER_ROLE, &secrets.owner)))
    }

    /// As the owner of everything in the database: for migrations only.
    #[must_use]
    pub fn owner_options(&self) -> PgConnectOptions {
        let Host { socket_dir, secrets, .. } = &self.host;
        roles::connect_options(socket_dir, OWNER_ROLE, &secrets.owner)
            .application_name("ibora-migrate")
    }

    /// As the role the engine works as. Debug output of the options shows the password: never log
    /// them.
    #[must_use]
    pub fn app_options(&self) -> PgConnectOptions {
        let Host { socket_dir, secrets, .. } = &self.host;
        roles::connect_options(socket_dir, APP_ROLE, &secrets.app)
    }

    /// The first process of the server; its CPU time and that of its children is the store's cost.
    #[must_use]
    pub fn postmaster_pid(&self) -> u32 {
        self.pid
    }

    /// Whether the server was running already when this engine started.
    #[must_use]
    pub fn was_adopted(&self) -> bool {
        self.adopted
    }

    /// Whether its first process lives. One that is lost comes back with the next start.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.host.is_alive(self.pid)
    }

    /// Without links and relative parts.
    #[must_use]
    pub fn data_dir(&self) -> &Path {
        self.host.layout.root()
    }

    /// Stops the server and waits for its end. Open sessions are cut: close the pools first.
    ///
    /// # Errors
    /// [`PostgresError::StopFailed`], [`PostgresError::TooSlow`]: it may still run; the data is
    /// safe, the next start adopts it.
    pub async fn stop(mut self) -> Result<(), PostgresError> {
        self.host.stop(self.pid).await?;
        // A dead child is a zombie until it is asked for.
        if let Some(child) = &mut self.child {
            let deadline = Instant::now() + REAP_DEADLINE;
            while matches!(child.try_wait(), Ok(None)) && Instant::now() < deadline {
                sleep(Duration::from_millis(5)).await;
            }
        }
        tracing::info!(pid = self.pid, "PostgreSQL server stopped");
        Ok(())
    }
}

impl fmt::Debug for EmbeddedPostgres {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EmbeddedPostgres")
            .field("data_dir", &self.data_dir())
            .field("pid", &self.pid)
            .field("adopted", &self.adopted)
            .finish_non_exhaustive()
    }
}
