//! A data directory made ready, and the three things done to its server: take over, start, stop.
//!
//! Used by `server` only. Whoever has a [`Host`] holds the directory's lock, so what is found
//! running on it is nobody else's: a server without its engine.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Child;
use std::time::Duration;

use sqlx::postgres::PgConnection;
use tokio::time::{Instant, sleep};

use super::binaries::Binaries;
use super::error::{PostgresError, says_disk_full};
use super::layout::{Layout, Ours, PORT, replace_file};
use super::options::EmbeddedOptions;
use super::pidfile::{self, Found, PidFile, Status};
use super::secrets::Secrets;
use super::user::ServerUser;
use super::{cluster, command, roles, settings};

const START_DEADLINE: Duration = Duration::from_secs(60);
const STOP_DEADLINE: Duration = Duration::from_secs(60);
const PROBE_DEADLINE: Duration = Duration::from_secs(10);
/// How often a state that cannot be waited for is looked at.
const LOOK_AGAIN: Duration = Duration::from_millis(20);
/// What the server says while processes of a killed predecessor still end.
const PREDECESSOR_ENDS: &str = "pre-existing shared memory block";
const PREDECESSOR_TIME: Duration = Duration::from_millis(200);

/// Everything needed to run a server on one data directory.
pub(super) struct Host {
    pub(super) layout: Layout,
    pub(super) secrets: Secrets,
    pub(super) socket_dir: PathBuf,
    user: ServerUser,
    binaries: Binaries,
    settings: String,
    _lock: Ours,
}

/// A server that answered.
pub(super) struct Running {
    pub(super) pid: u32,
    /// `None`: taken over, the child of an engine that is gone.
    pub(super) child: Option<Child>,
    pub(super) superuser: PgConnection,
}

impl Host {
    /// Locks and checks the directory; makes what is missing in it, the cluster too.
    pub(super) async fn prepare(options: &EmbeddedOptions) -> Result<Self, PostgresError> {
        let layout = Layout::prepare(&options.data_dir)?;
        let lock = layout.lock()?;
        let cluster = layout.cluster();
        let user = ServerUser::choose(&cluster)?;
        let made_by = cluster::made_by(&cluster, &user)?;
        let configured = options.binaries.as_deref();
        let binaries = Binaries::find(configured, made_by, layout.root()).await?;
        if user.drops {
            check_access(&layout, &binaries, &user).await?;
        }
        let secrets = Secrets::load(&layout.secrets(), made_by.is_none())?;
        if made_by.is_none() {
            cluster::make(&layout, &binaries, &user, &secrets.superuser).await?;
        }
        let socket_dir = layout.socket_dir(&user)?;
        let settings = settings::render(options, &socket_dir);
        Ok(Self { layout, secrets, socket_dir, user, binaries, settings, _lock: lock })
    }

    /// Where the server of a running engine answers, and what it asks for. Locks nothing, starts
    /// nothing.
    pub(super) fn of_another(
        options: &EmbeddedOptions,
    ) -> Result<(PathBuf, Secrets), PostgresError> {
        let layout = Layout::prepare(&options.data_dir)?;
        let user = ServerUser::choose(&layout.cluster())?;
        Ok((layout.socket_dir(&user)?, Secrets::load(&layout.secrets(), false)?))
    }

    /// A server that serves: the one that runs, else a new one. True where it ran already.
    pub(super) async fn run(&self) -> Result<(Running, bool), PostgresError> {
        match self.adopt().await? {
            Some(running) => Ok((running, true)),
            None => Ok((self.launch().await?, false)),
        }
    }

    /// Takes over the server a killed engine left. One that would not serve as asked (it does not
    /// answer, its settings are others, its socket is out of sight) is stopped: `None`.
    async fn adopt(&self) -> Result<Option<Running>, PostgresError> {
        let Some(file) = self.left_behind().await? else {
            return Ok(None);
        };
        let pid = file.pid;
        if self.serves_as_asked(&file) {
            match self.take_over().await {
                Ok(superuser) => {
                    tracing::info!(pid, "running PostgreSQL server adopted");
                    return Ok(Some(Running { pid, child: None, superuser }));
                }
                Err(error @ PostgresError::SecretsRefused { .. }) => return Err(error),
                Err(error) => tracing::warn!(pid, %error, "running server of no use"),
            }
        }
        tracing::info!(pid, "running PostgreSQL server stopped, to start it anew");
        self.stop(pid).await?;
        Ok(None)
    }

    /// Starts the server; waits until it is ready, after a crash for its recovery.
    async fn launch(&self) -> Result<Running, PostgresError> {
        replace_file(&self.layout.settings(), &self.settings, 0o644)?;
        self.clear_socket()?;
        let deadline = Instant::now() + START_DEADLINE;
        let child = loop {
            let (mut child, log_start) = self.spawn()?;
            if self.is_ready(&mut child, deadline).await? {
                break child;
            }
            let log = self.layout.log();
            let tail = command::tail(&log, log_start);
            if says_disk_full(&tail) {
                return Err(PostgresError::DiskFull { path: self.layout.root().to_owned() });
            }
            if !tail.contains(PREDECESSOR_ENDS) || Instant::now() >= deadline {
                return Err(PostgresError::StartFailed { log, tail });
            }
            sleep(PREDECESSOR_TIME).await;
        };
        let pid = child.id();
        match self.connect().await {
            Ok(superuser) => {
                let cluster = self.layout.cluster();
                tracing::info!(pid, cluster = %cluster.display(), "PostgreSQL server started");
                Ok(Running { pid, child: Some(child), superuser })
            }
            Err(error) => {
                self.stop(pid).await?;
                Err(error)
            }
        }
    }

    /// Stops the server: sessions end at once, everything is written out.
    pub(super) async fn stop(&self, pid: u32) -> Result<(), PostgresError> {
        let limit_s = STOP_DEADLINE.as_secs().to_string();
        let mut pg_ctl = command::bare(&self.binaries.pg_ctl(), Some(&self.user));
        pg_ctl.args(["stop", "-s", "-w", "-m", "fast", "-t", &limit_s]);
        pg_ctl.arg("-D").arg(self.layout.cluster());
        let limit = STOP_DEADLINE + PROBE_DEADLINE;
        let outcome = command::run(pg_ctl, "stopping the server", limit).await?;
        let deadline = Instant::now() + PROBE_DEADLINE;
        // pg_ctl waits for the pid file to go, which is a moment before the process does. When it
        // failed the server may have ended by itself before.
        while self.is_alive(pid) {
            if !outcome.success || Instant::now() >= deadline {
                return Err(PostgresError::StopFailed { pid, detail: outcome.stderr });
            }
            sleep(LOOK_AGAIN).await;
        }
        Ok(())
    }

    pub(super) fn is_alive(&self, pid: u32) -> bool {
        pidfile::is_server(pid, &self.layout.cluster(), &self.user)
    }

    /// The server on this directory, once it is ready. Clears away a pid file that names another's
    /// process: PostgreSQL would refuse to start. It still refuses, by the cluster's shared
    /// memory, while anything of a former server runs.
    async fn left_behind(&self) -> Result<Option<PidFile>, PostgresError> {
        let cluster = self.layout.cluster();
        let deadline = Instant::now() + START_DEADLINE;
        loop {
            match pidfile::look(&cluster, &self.user)? {
                Found::Nothing => return Ok(None),
                Found::Foreign => {
                    let path = pidfile::path(&cluster);
                    fs::remove_file(&path).map_err(PostgresError::io("remove", &path))?;
                    tracing::warn!(path = %path.display(), "stale pid file removed");
                    return Ok(None);
                }
                Found::Ours(file) if file.status == Status::Ready => return Ok(Some(file)),
                Found::Ours(PidFile { pid, .. }) if Instant::now() >= deadline => {
                    let limit_s = START_DEADLINE.as_secs();
                    return Err(PostgresError::StillStarting { pid, limit_s });
                }
                Found::Ours(_) => sleep(LOOK_AGAIN).await,
            }
        }
    }

    /// Removes a dead server's socket and its lock: PostgreSQL goes by the pid in the lock, which
    /// may be another process by now. The directory is ours alone.
    fn clear_socket(&self) -> Result<(), PostgresError> {
        for path in [self.socket(), self.socket().with_added_extension("lock")] {
            match fs::remove_file(&path) {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    return Err(PostgresError::io("remove", &path)(error));
                }
                Ok(()) | Err(_) => {}
            }
        }
        Ok(())
    }

    fn socket(&self) -> PathBuf {
        self.socket_dir.join(format!(".s.PGSQL.{PORT}"))
    }

    fn serves_as_asked(&self, file: &PidFile) -> bool {
        let has_socket = file.socket_dir == self.socket_dir && self.socket().exists();
        let same_settings =
            fs::read_to_string(self.layout.settings()).is_ok_and(|text| text == self.settings);
        has_socket && same_settings
    }

    async fn take_over(&self) -> Result<PgConnection, PostgresError> {
        let mut superuser = self.connect().await?;
        roles::end_old_sessions(&mut superuser).await?;
        Ok(superuser)
    }

    async fn connect(&self) -> Result<PgConnection, PostgresError> {
        roles::connect_superuser(&self.layout, &self.socket_dir, &self.secrets).await
    }

    /// A new server, and how long its log was before. In a process group of its own: a Ctrl-C in
    /// the terminal is for the engine, which stops the server when it no longer needs it.
    fn spawn(&self) -> Result<(Child, u64), PostgresError> {
        let (log, log_start) = self.layout.open_log()?;
        let log_path = self.layout.log();
        let stdout = log.try_clone().map_err(PostgresError::io("open", &log_path))?;
        let program = self.binaries.postgres();
        let mut server = command::bare(&program, Some(&self.user));
        server.arg("-D").arg(self.layout.cluster());
        server.stdout(stdout).stderr(log).process_group(0);
        let child = server.spawn().map_err(PostgresError::io("run", &program))?;
        Ok((child, log_start))
    }

    /// `false`: it ended instead. One that is too slow is left alone, it may be recovering.
    async fn is_ready(&self, child: &mut Child, deadline: Instant) -> Result<bool, PostgresError> {
        let (cluster, pid) = (self.layout.cluster(), child.id());
        let program = self.binaries.postgres();
        loop {
            if child.try_wait().map_err(PostgresError::io("wait for", &program))?.is_some() {
                return Ok(false);
            }
            if let Found::Ours(file) = pidfile::look(&cluster, &self.user)?
                && file.pid == pid
                && file.status == Status::Ready
            {
                return Ok(true);
            }
            if Instant::now() >= deadline {
                let limit_s = START_DEADLINE.as_secs();
                return Err(PostgresError::StillStarting { pid, limit_s });
            }
            sleep(LOOK_AGAIN).await;
        }
    }
}

/// Whether the server's user can run the programs and reach the data; else what is in the way.
async fn check_access(
    layout: &Layout,
    binaries: &Binaries,
    user: &ServerUser,
) -> Result<(), PostgresError> {
    let program = binaries.postgres();
    let root = layout.root();
    if is_denied(binaries, user, "/".into()).await? {
        return Err(PostgresError::NotExecutable { program, user: user.name.clone() });
    }
    if is_denied(binaries, user, root.to_owned()).await? {
        let path = user.first_closed_dir(root).unwrap_or_else(|| root.to_owned());
        return Err(PostgresError::NotEnterable { path, user: user.name.clone() });
    }
    Ok(())
}

/// Tries it, rather than to guess from mode bits what access lists and mounts allow.
async fn is_denied(
    binaries: &Binaries,
    user: &ServerUser,
    from: PathBuf,
) -> Result<bool, PostgresError> {
    let mut probe = command::bare(&binaries.postgres(), Some(user));
    probe.arg("--version").current_dir(from);
    match command::run(probe, "postgres --version", PROBE_DEADLINE).await {
        Ok(outcome) => Ok(!outcome.success),
        Err(PostgresError::Io { source, .. }) if is_permission(&source) => Ok(true),
        Err(error) => Err(error),
    }
}

fn is_permission(error: &io::Error) -> bool {
    error.kind() == ErrorKind::PermissionDenied
}
