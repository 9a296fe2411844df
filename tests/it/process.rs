//! The engine as a process of its own, to be killed: what an in-process test cannot show.

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;
use sqlx::Connection;
use uuid::Uuid;

use crate::machine::EVER;
use crate::pg;

const SIGNING_KEY: &str = "a key that only tests use, 32 bytes long";

/// A person made for the test.
#[derive(Debug, Clone)]
pub(crate) struct Person {
    pub(crate) id: String,
    pub(crate) role: String,
    pub(crate) token: String,
}

/// Where an engine has its data.
#[derive(Clone)]
pub(crate) enum Database {
    /// As the app's role and as the owner.
    Urls(String, String),
    /// On a private server in this directory.
    Private(PathBuf),
}

/// An engine process and its database.
pub(crate) struct Process {
    child: Option<Child>,
    database: Database,
    port: u16,
    settings: Vec<(String, String)>,
    /// Of `serve`.
    flags: &'static [&'static str],
    log: PathBuf,
    /// The kill point that its next start arms.
    abort_at: Option<String>,
}

impl Process {
    /// Starts an engine on a fresh database and waits until it is ready.
    pub(crate) async fn start(settings: &[(&str, &str)]) -> Self {
        let mut process = Self::on_fresh_database(settings).await;
        process.launch().await;
        process
    }

    /// As [`Process::start`], with flags of `serve`.
    pub(crate) async fn start_with(
        flags: &'static [&'static str],
        settings: &[(&str, &str)],
    ) -> Self {
        let mut process = Self::on_fresh_database(settings).await.with_flags(flags);
        process.launch().await;
        process
    }

    /// The same engine with flags of `serve`.
    pub(crate) fn with_flags(mut self, flags: &'static [&'static str]) -> Self {
        self.flags = flags;
        self
    }

    /// An engine that was not started yet.
    pub(crate) async fn on_fresh_database(settings: &[(&str, &str)]) -> Self {
        let (app, owner) = pg::urls().await;
        Self::on(Database::Urls(app, owner), settings)
    }

    /// An engine on this database, not started yet.
    pub(crate) fn on(database: Database, settings: &[(&str, &str)]) -> Self {
        let own = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        Self::new(database, settings.iter().map(own).collect())
    }

    /// Another engine on the same database, not started yet.
    pub(crate) fn beside(&self, node: &str) -> Self {
        let mut settings = self.settings.clone();
        settings.push(("node.id".to_owned(), node.to_owned()));
        Self::new(self.database.clone(), settings)
    }

    fn new(database: Database, settings: Vec<(String, String)>) -> Self {
        let log = std::env::temp_dir().join(format!("ibora-it-{}.log", Uuid::now_v7().simple()));
        Self { child: None, database, port: free_port(), settings, flags: &[], log, abort_at: None }
    }

    /// An engine on a copy of this one's database, to which nobody may be connected.
    #[cfg(feature = "failpoints")]
    pub(crate) async fn on_copy(&self, settings: &[(&str, &str)]) -> Self {
        let (app, owner) = pg::copy(self.urls()).await;
        Self::on(Database::Urls(app, owner), settings)
    }

    /// Ends the engine and removes its database.
    #[cfg(feature = "failpoints")]
    pub(crate) async fn remove(mut self) {
        self.kill();
        pg::remove(self.urls()).await;
    }

    fn urls(&self) -> (&str, &str) {
        match &self.database {
            Database::Urls(app, owner) => (app, owner),
            Database::Private(dir) => panic!("{} is no database to copy", dir.display()),
        }
    }

    /// Which kill point ends the engine, from its next start on.
    #[cfg(feature = "failpoints")]
    pub(crate) fn arm(&mut self, point: Option<&str>) {
        self.abort_at = point.map(str::to_owned);
    }

    /// Waits until the engine has ended, however: the signal that ended it.
    #[cfg(feature = "failpoints")]
    pub(crate) async fn end_signal(&mut self) -> Option<i32> {
        use std::os::unix::process::ExitStatusExt;
        let deadline = Instant::now() + EVER;
        loop {
            let child = self.child.as_mut().expect("runs");
            if let Some(status) = child.try_wait().expect("waits") {
                self.child = None;
                return status.signal();
            }
            assert!(Instant::now() < deadline, "does not end: {}", self.log_text());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Starts the engine again, on the same database and port.
    pub(crate) async fn launch(&mut self) {
        self.spawn();
        self.says("ready").await;
    }

    /// Starts the engine, and waits for nothing.
    pub(crate) fn spawn(&mut self) {
        let log = std::fs::OpenOptions::new().create(true).append(true).open(&self.log);
        let log = log.expect("a log");
        let mut command = self.command();
        command.envs(self.abort_at.iter().map(|point| ("IBORA_ABORT_AT", point)));
        let child = command.arg("serve").args(self.flags).stderr(log).spawn().expect("starts");
        self.child = Some(child);
    }

    /// Waits until `/ready` says this: `ready`, or the code of why not.
    pub(crate) async fn says(&self, expected: &str) {
        let deadline = Instant::now() + EVER;
        while self.readiness().await.as_deref() != Some(expected) {
            assert!(Instant::now() < deadline, "never {expected}: {}", self.log_text());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ibora"));
        command.stdout(Stdio::null()).stderr(Stdio::null()).stdin(Stdio::null());
        // What steers the tests is no configuration of the engine, which refuses what it knows not.
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("IBORA_")) {
            command.env_remove(name);
        }
        let base = [
            ("node.id", "test"),
            ("auth.signing_key", SIGNING_KEY),
            ("limits.enabled", "false"),
            ("seed.enabled", "true"),
            ("pix.simulator", "off"),
            ("http.workers", "1"),
            ("log.level", "warn"),
            ("database.pool_size", "4"),
        ];
        for (key, value) in base {
            command.arg("--set").arg(format!("{key}={value}"));
        }
        match &self.database {
            Database::Urls(app, owner) => {
                command.arg("--set").arg(format!("database.url={app}"));
                command.arg("--set").arg(format!("database.migrate_url={owner}"));
            }
            Database::Private(dir) => {
                command.arg("--set").arg(format!("data.dir={}", dir.display()));
            }
        }
        for (key, value) in &self.settings {
            command.arg("--set").arg(format!("{key}={value}"));
        }
        command.arg("--set").arg(format!("http.listen=127.0.0.1:{}", self.port));
        command
    }

    /// Makes people through the command line.
    pub(crate) fn seed(&self, drivers: usize, passengers: usize) -> Vec<Person> {
        let out = std::env::temp_dir().join(format!("ibora-it-{}", Uuid::now_v7().simple()));
        let mut command = self.command();
        command.args(["seed", "--drivers", &drivers.to_string()]);
        command.args(["--passengers", &passengers.to_string(), "--out"]).arg(&out);
        assert!(command.status().expect("runs").success());
        let text = std::fs::read_to_string(&out).expect("people");
        std::fs::remove_file(&out).expect("removed");
        let person = |line: &str| {
            let value: Value = serde_json::from_str(line).expect("JSON");
            let text = |key: &str| value[key].as_str().expect("text").to_owned();
            Person { id: text("user"), role: text("role"), token: text("token") }
        };
        text.lines().map(person).collect()
    }

    /// Audits the database through the command line: its exit code.
    pub(crate) fn audit(&self) -> Option<i32> {
        self.run(&["audit"])
    }

    /// Runs another command of the program on the same database; its exit code.
    pub(crate) fn run(&self, args: &[&str]) -> Option<i32> {
        self.command().args(args).status().expect("runs").code()
    }

    /// Memory that it has in use.
    pub(crate) fn memory_kb(&self) -> u64 {
        let pid = self.child.as_ref().expect("runs").id();
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("a process");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a size");
        line.trim().trim_end_matches(" kB").trim().parse().expect("a number")
    }

    /// The database, as its owner.
    pub(crate) async fn database(&self) -> sqlx::PgConnection {
        let Database::Urls(_, owner) = &self.database else { panic!("a private one") };
        sqlx::PgConnection::connect(owner).await.expect("connects")
    }

    /// The database, for reading it as the app does.
    pub(crate) async fn pool(&self) -> sqlx::PgPool {
        sqlx::PgPool::connect(self.urls().0).await.expect("connects")
    }

    /// kill -9.
    pub(crate) fn kill(&mut self) {
        let mut child = self.child.take().expect("runs");
        child.kill().expect("killed");
        child.wait().expect("reaped");
    }

    /// SIGTERM: the exit code of an orderly end.
    pub(crate) async fn terminate(&mut self) -> Option<i32> {
        self.signal("TERM");
        self.exit_code().await
    }

    /// Sends a signal to the engine.
    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.as_ref().expect("runs").id().to_string();
        let kill = Command::new("kill").arg(format!("-{name}")).arg(&pid).status();
        assert!(kill.expect("runs").success());
    }

    /// Waits until the engine has ended by itself: its exit code.
    pub(crate) async fn exit_code(&mut self) -> Option<i32> {
        let deadline = Instant::now() + EVER;
        loop {
            let child = self.child.as_mut().expect("runs");
            if let Some(status) = child.try_wait().expect("waits") {
                self.child = None;
                return status.code();
            }
            assert!(Instant::now() < deadline, "does not end: {}", self.log_text());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// What `/ready` says; nothing where nobody answers.
    pub(crate) async fn readiness(&self) -> Option<String> {
        let (_, body) = self.get("/ready").await?;
        let said = body.get("code").or_else(|| body.get("status"))?;
        said.as_str().map(str::to_owned)
    }

    /// Status and JSON of an answer; none from an engine that does not answer in time.
    pub(crate) async fn get(&self, path: &str) -> Option<(u16, Value)> {
        let http = awc::Client::builder().timeout(EVER).finish();
        let mut answer = http.get(self.url(path)).send().await.ok()?;
        Some((answer.status().as_u16(), answer.json().await.ok()?))
    }

    pub(crate) fn log_text(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().ok();
            child.wait().ok();
        }
        std::fs::remove_file(&self.log).ok();
    }
}

/// Below the ports that a system gives to those who connect: while an engine is away, a client of
/// any test could otherwise get the engine's own.
const PORTS: std::ops::Range<u16> = 10_000..20_000;

/// A port that nobody listens on, and that no other engine of this run is given.
fn free_port() -> u16 {
    static NEXT: OnceLock<AtomicU16> = OnceLock::new();
    let next = NEXT.get_or_init(|| AtomicU16::new(rand::random_range(0..PORTS.len() as u16)));
    let ports = std::iter::repeat_with(|| {
        PORTS.start + next.fetch_add(1, Ordering::Relaxed) % PORTS.len() as u16
    });
    let is_free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    ports.take(PORTS.len()).find(is_free).expect("a port")
}
