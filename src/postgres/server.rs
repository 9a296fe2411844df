//! The handle of the private server.
//!
//! `app` (through [`super::Database`]) starts it before everything else and stops it last. A
//! handle that is dropped, or an engine that is killed, leaves the server running: with what it
//! has confirmed on disk, and for the next start to adopt. A running engine has it watched, so that
//! one that dies is back in a moment.

use std::fmt;
use std::path::Path;
use std::process::Child;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use prometheus::IntCounter;
use sqlx::Connection;
use sqlx::postgres::PgConnectOptions;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep};

use super::error::PostgresError;
use super::host::{Host, Running};
use super::options::EmbeddedOptions;
use super::roles::{self, APP_ROLE, OWNER_ROLE};
use super::{supervise, wal};

const REAP_DEADLINE: Duration = Duration::from_secs(5);

/// A running private server. Nobody else uses its data directory while this lives.
pub struct EmbeddedPostgres {
    kept: Arc<Kept>,
    adopted: bool,
}

/// The server as its handle and its supervisor share it.
pub(super) struct Kept {
    pub(super) host: Host,
    /// `None`: taken over, or none that lives.
    pub(super) child: Mutex<Option<Child>>,
    pid: AtomicU32,
    /// Whether one that dies is to be started again.
    wanted: AtomicBool,
}

impl Kept {
    pub(super) fn pid(&self) -> u32 {
        self.pid.load(Ordering::Acquire)
    }

    pub(super) fn set_pid(&self, pid: u32) {
        self.pid.store(pid, Ordering::Release);
    }

    pub(super) fn is_wanted(&self) -> bool {
        self.wanted.load(Ordering::Acquire)
    }
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
        let (Running { pid, child, mut superuser }, adopted) = host.run().await?;
        let (child, pid) = (Mutex::new(child), AtomicU32::new(pid));
        let kept = Arc::new(Kept { host, child, pid, wanted: AtomicBool::new(true) });
        let server = Self { kept, adopted };
        let setting_up = async {
            roles::set_up(&mut superuser, &server.kept.host.secrets).await?;
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
        let Host { socket_dir, secrets, .. } = &self.kept.host;
        roles::connect_options(socket_dir, OWNER_ROLE, &secrets.owner)
            .application_name("ibora-migrate")
    }

    /// As the role the engine works as. Debug output of the options shows the password: never log
    /// them.
    #[must_use]
    pub fn app_options(&self) -> PgConnectOptions {
        let Host { socket_dir, secrets, .. } = &self.kept.host;
        roles::connect_options(socket_dir, APP_ROLE, &secrets.app)
    }

    /// The first process of the server; its CPU time and that of its children is the store's cost.
    #[must_use]
    pub fn postmaster_pid(&self) -> u32 {
        self.kept.pid()
    }

    /// Whether the server was running already when this engine started.
    #[must_use]
    pub fn was_adopted(&self) -> bool {
        self.adopted
    }

    /// Whether its first process lives. One that is lost comes back when it is watched, or with the
    /// next start.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.kept.host.is_alive(self.kept.pid())
    }

    /// Has the server watched and, when its first process is gone, started again on its files, for
    /// as long as this handle lives. `restarts` counts how often.
    pub fn watch(&self, restarts: IntCounter) {
        tokio::spawn(supervise::run(Arc::downgrade(&self.kept), restarts));
    }

    /// From now on a server that dies stays dead: the engine needs it no more.
    pub fn unwatch(&self) {
        self.kept.wanted.store(false, Ordering::Release);
    }

    /// Without links and relative parts.
    #[must_use]
    pub fn data_dir(&self) -> &Path {
        self.kept.host.layout.root()
    }

    /// Stops the server and waits for its end. Open sessions are cut: close the pools first.
    ///
    /// # Errors
    /// [`PostgresError::StopFailed`], [`PostgresError::TooSlow`]: it may still run; the data is
    /// safe, the next start adopts it.
    pub async fn stop(self) -> Result<(), PostgresError> {
        self.unwatch();
        // A start that is under way comes to its end first.
        let mut child = self.kept.child.lock().await;
        let pid = self.kept.pid();
        self.kept.host.stop(pid).await?;
        // A dead child is a zombie until it is asked for.
        if let Some(child) = child.as_mut() {
            let deadline = Instant::now() + REAP_DEADLINE;
            while matches!(child.try_wait(), Ok(None)) && Instant::now() < deadline {
                sleep(Duration::from_millis(5)).await;
            }
        }
        tracing::info!(pid, "PostgreSQL server stopped");
        Ok(())
    }
}

impl fmt::Debug for EmbeddedPostgres {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EmbeddedPostgres")
            .field("data_dir", &self.data_dir())
            .field("pid", &self.kept.pid())
            .field("adopted", &self.adopted)
            .finish_non_exhaustive()
    }
}
