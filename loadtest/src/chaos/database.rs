//! A PostgreSQL of the bench's own that listens on loopback, so that a proxy can stand before it,
//! and that can be stopped and started as the bench likes.

use std::net::SocketAddr;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions, PgSslMode};
use sqlx::{ConnectOptions, Connection, PgPool};

use crate::started;

const READY_WITHIN: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(20);
const NAME: &str = "ibora";
/// As an operator would make them.
const SETUP: [&str; 3] = [
    "CREATE ROLE ibora_app LOGIN",
    "CREATE ROLE ibora_owner LOGIN",
    "CREATE DATABASE ibora OWNER ibora_owner",
];

/// A server. Whoever drops it leaves it to [`started::clear`].
pub(super) struct Postgres {
    binaries: PathBuf,
    dir: PathBuf,
    owner: Option<(u32, u32)>,
    port: u16,
    server: Option<Child>,
}

/// How a server is told to end.
#[derive(Debug, Clone, Copy)]
pub(super) enum Stop {
    /// As a crash: nothing is written out.
    Immediate,
    /// Sessions end at once, everything is written out.
    Fast,
}

impl Postgres {
    /// Makes a cluster in a directory below `dir` and starts it, with both roles and the database.
    pub(super) async fn start(dir: &Path, port: u16) -> anyhow::Result<Self> {
        let (binaries, dir, owner) = (binaries(), dir.join("pg"), unprivileged()?);
        std::fs::create_dir(&dir)?;
        if let Some((user, group)) = owner {
            chown(&dir, Some(user), Some(group))?;
        }
        let mut postgres = Self { binaries, dir, owner, port, server: None };
        let mut initdb = postgres.command("initdb");
        initdb.args(["-U", "owner", "--auth=trust", "--encoding=UTF8", "--no-sync", "-D"]);
        initdb.arg(postgres.dir.join("data")).stdout(Stdio::null());
        let status = tokio::process::Command::from(initdb).kill_on_drop(true).status().await?;
        anyhow::ensure!(status.success(), "initdb: {status}");
        postgres.launch().await?;
        let mut owner = postgres.options("owner").database("postgres").connect().await?;
        for statement in SETUP {
            sqlx::raw_sql(statement).execute(&mut owner).await?;
        }
        owner.close().await?;
        Ok(postgres)
    }

    /// Starts it, and returns when it takes connections.
    pub(super) async fn launch(&mut self) -> anyhow::Result<()> {
        let mut server = self.command("postgres");
        server.arg("-D").arg(self.dir.join("data")).args(["-h", "127.0.0.1", "-k", ""]);
        server.args(["-p", &self.port.to_string(), "-c", "max_connections=120"]);
        let mut append = std::fs::OpenOptions::new();
        let log = append.create(true).append(true).open(self.dir.join("log"))?;
        server.stdout(log.try_clone()?).stderr(log).process_group(0);
        self.server = Some(server.spawn().context("postgres")?);
        let options = self.options("owner").database("postgres");
        let deadline = Instant::now() + READY_WITHIN;
        loop {
            match options.connect().await {
                Ok(connection) => return Ok(connection.close().await?),
                Err(error) => anyhow::ensure!(Instant::now() < deadline, "no database: {error}"),
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Stops it, and returns when it has ended.
    pub(super) async fn stop(&mut self, how: Stop) -> anyhow::Result<()> {
        let Some(mut server) = self.server.take() else { return Ok(()) };
        let signal = match how {
            Stop::Immediate => "QUIT",
            Stop::Fast => "INT",
        };
        started::signal(server.id(), signal)?;
        let deadline = Instant::now() + READY_WITHIN;
        while server.try_wait()?.is_none() {
            anyhow::ensure!(Instant::now() < deadline, "the database does not stop");
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(())
    }

    /// Where it listens.
    pub(super) fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    /// Connections as its superuser, straight to it.
    pub(super) async fn pool(&self) -> anyhow::Result<PgPool> {
        let options = PgPoolOptions::new().max_connections(12);
        let options = options.acquire_timeout(Duration::from_secs(5));
        Ok(options.connect_with(self.options("owner").database(NAME)).await?)
    }

    /// The URL of a role by way of a port.
    pub(super) fn url(role: &str, port: u16) -> String {
        format!("postgres://{role}@127.0.0.1:{port}/{NAME}?sslmode=disable")
    }

    fn options(&self, role: &str) -> PgConnectOptions {
        let options = PgConnectOptions::new_without_pgpass().host("127.0.0.1").port(self.port);
        options.username(role).ssl_mode(PgSslMode::Disable)
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.binaries.join(program));
        command.current_dir(&self.dir).stdin(Stdio::null()).stderr(Stdio::null());
        if let Some((user, group)) = self.owner {
            command.uid(user).gid(group);
        }
        command
    }
}

/// The newest installed server's programs; where none are, those in `PATH`.
fn binaries() -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let bins = versions.map(|version| version.path().join("bin"));
    bins.filter(|bin| bin.join("postgres").exists()).max().unwrap_or_default()
}

/// Root may not run PostgreSQL: user and group of `postgres`, where this is root.
fn unprivileged() -> anyhow::Result<Option<(u32, u32)>> {
    let id = |arguments: &[&str]| -> anyhow::Result<u32> {
        let output = Command::new("id").args(arguments).output()?;
        Ok(String::from_utf8(output.stdout)?.trim().parse()?)
    };
    Ok(match id(&["-u"])? {
        0 => Some((id(&["-u", "postgres"])?, id(&["-g", "postgres"])?)),
        _ => None,
    })
}
