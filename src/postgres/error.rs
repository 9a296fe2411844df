//! Why there is no database. Every variant says what the operator can do about it.
//!
//! Made by this room, shown by `app` on start. No variant holds a password or a database URL.

use std::io;
use std::path::{Path, PathBuf};

use super::binaries::OLDEST_MAJOR;

/// What went wrong with the engine's database.
#[derive(Debug, thiserror::Error)]
pub enum PostgresError {
    #[error(
        "no PostgreSQL {OLDEST_MAJOR} or newer on this machine (searched PATH and \
         /usr/lib/postgresql). Set a database URL, or install it: write the line \
         `create_main_cluster = false` to /etc/postgresql-common/createcluster.conf, so that no \
         server starts on port 5432, and run `apt-get install postgresql`"
    )]
    BinariesMissing,
    #[error("{} has no executable `{program}`: not a PostgreSQL bin directory", dir.display())]
    BinariesIncomplete { dir: PathBuf, program: &'static str },
    #[error("{} is PostgreSQL {major}; {OLDEST_MAJOR} or newer is needed", dir.display())]
    BinariesTooOld { dir: PathBuf, major: u32 },
    #[error("{} does not say which PostgreSQL version it is", program.display())]
    VersionUnknown { program: PathBuf },
    #[error(
        "{} was made by PostgreSQL {made_by}, and only {found:?} is here: install \
         postgresql-{made_by}, or move the data with pg_upgrade", data_dir.display()
    )]
    WrongMajor { data_dir: PathBuf, made_by: u32, found: Vec<u32> },
    #[error("no user `postgres` or `nobody` in /etc/passwd: PostgreSQL refuses to run as root")]
    NoServerUser,
    #[error("neither XDG_DATA_HOME nor HOME names a home for the data: set the data directory")]
    NoHome,
    #[error("{} belongs to uid {owner}, not to uid {expected} which has to run the server",
        path.display())]
    WrongOwner { path: PathBuf, owner: u32, expected: u32 },
    #[error(
        "the server's user `{user}` cannot enter {}: `chmod o+x` it, or choose another data \
         directory", path.display()
    )]
    NotEnterable { path: PathBuf, user: String },
    #[error("the server's user `{user}` cannot run {}", program.display())]
    NotExecutable { program: PathBuf, user: String },
    #[error("{} is in the way of the socket: not a directory of uid {expected}", path.display())]
    SocketDirUntrusted { path: PathBuf, expected: u32 },
    #[error("{} holds files that are no PostgreSQL cluster", path.display())]
    NotACluster { path: PathBuf },
    #[error("another engine runs on {}", data_dir.display())]
    InUse { data_dir: PathBuf },
    #[error("{} is missing or damaged: without it the data beside it cannot be opened",
        path.display())]
    SecretsLost { path: PathBuf },
    #[error("the server refuses the password in {}", path.display())]
    SecretsRefused { path: PathBuf },
    #[error("the disk of {} is full", path.display())]
    DiskFull { path: PathBuf },
    #[error("cannot {action} {}", path.display())]
    Io { action: &'static str, path: PathBuf, source: io::Error },
    #[error("initdb failed: {detail}")]
    InitFailed { detail: String },
    #[error("the server did not start; the end of {}:\n{tail}", log.display())]
    StartFailed { log: PathBuf, tail: String },
    #[error("{what} took more than {limit_s} s and was given up")]
    TooSlow { what: &'static str, limit_s: u64 },
    #[error(
        "the server with pid {pid} is not ready after {limit_s} s. It is left to recover: start \
         again later, that takes it over"
    )]
    StillStarting { pid: u32, limit_s: u64 },
    #[error("the server with pid {pid} did not stop: {detail}")]
    StopFailed { pid: u32, detail: String },
    #[error("the server refused to set up roles and database")]
    Setup(#[source] sqlx::Error),
    #[error("{key} is not a PostgreSQL URL")]
    UrlInvalid { key: &'static str },
}

impl PostgresError {
    /// For `map_err`: what was tried with `path`. A full disk is told apart from other causes.
    pub(super) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| match source.kind() {
            io::ErrorKind::StorageFull => Self::DiskFull { path },
            _ => Self::Io { action, path, source },
        }
    }
}

/// Whether what a PostgreSQL program said means that the disk is full.
pub(super) fn says_disk_full(output: &str) -> bool {
    output.contains("No space left on device")
}
