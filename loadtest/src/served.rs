//! The engine as its users meet it: `ibora serve`, a process of its own, reached over sockets.
//!
//! It lies beside this binary. Its data is in a directory that goes with it; its PostgreSQL too.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context;
use ibora::app::Store;
use ibora::bots::Person;
use ibora::config::Config;
use serde::Deserialize;
use uuid::Uuid;

use crate::procs::{self, Processes};
use crate::report::say;
use crate::started;

const READY_WITHIN: Duration = Duration::from_secs(120);
/// Below the ports that a system gives to those who connect: while an engine is away, one of its
/// clients could otherwise get the engine's own.
const PORTS: std::ops::Range<u16> = 20_000..30_000;
/// Descriptors that the issue of a bench counts with, for each of the two processes.
const DESCRIPTORS: u64 = 20_000;

/// Keys of the configuration with their values.
pub(crate) type Settings = Vec<(String, String)>;

/// Keys and values as [`Settings`].
pub(crate) fn settings<const N: usize>(pairs: [(&str, &str); N]) -> Settings {
    pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).to_vec()
}

/// A new directory for an engine.
pub(crate) fn new_dir() -> anyhow::Result<PathBuf> {
    started::new_dir("ibora-bench")
}

/// What all benches set: the directory, few words, no limits on addresses and people.
pub(crate) fn common(dir: &Path) -> Settings {
    let dir = dir.display().to_string();
    settings([
        ("data.dir", dir.as_str()),
        ("limits.enabled", "false"),
        ("log.level", "warn"),
        // Its passengers pay nobody.
        ("pix.simulator", "off"),
    ])
}

/// The configuration that `ibora` makes of these settings.
pub(crate) fn config(settings: &Settings) -> anyhow::Result<Config> {
    let pairs: Vec<_> = settings.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    Ok(Config::with(&pairs)?)
}

/// Says which settings are not the defaults.
pub(crate) fn say_settings(settings: &Settings) {
    for (key, value) in settings.iter().filter(|(key, _)| key != "data.dir") {
        say(format!("  {key} = {value}"));
    }
}

/// An engine process; it does not outlive its handle.
pub(crate) struct Served {
    child: Child,
    settings: Settings,
    pub(crate) address: SocketAddr,
    http: awc::Client,
    /// Where it writes what it has to say; nothing: where this process does.
    log: Option<PathBuf>,
}

/// Simulated people with the tokens that let them in.
pub(crate) struct Seeded {
    pub(crate) drivers: Vec<Person>,
    pub(crate) passengers: Vec<Person>,
}

impl Served {
    /// Starts it without waiting.
    pub(crate) fn spawn(settings: Settings) -> anyhow::Result<Self> {
        Self::spawn_with_log(settings, None)
    }

    /// As [`Served::spawn`]; with `log` it writes there what it has to say.
    pub(crate) fn spawn_with_log(settings: Settings, log: Option<PathBuf>) -> anyhow::Result<Self> {
        let address = free_address()?;
        let child = serve(&settings, address, log.as_deref())?;
        let http = awc::Client::builder().timeout(Duration::from_secs(30)).finish();
        Ok(Self { child, settings, address, http, log })
    }

    /// kill -9, and another on the same data and port; not waited for. Its database goes on.
    pub(crate) fn kill_and_spawn(&mut self) -> anyhow::Result<()> {
        self.kill()?;
        self.spawn_again()
    }

    /// kill -9.
    pub(crate) fn kill(&mut self) -> anyhow::Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Another on the same data and port, where this one has ended; not waited for.
    pub(crate) fn spawn_again(&mut self) -> anyhow::Result<()> {
        self.child = serve(&self.settings, self.address, self.log.as_deref())?;
        Ok(())
    }

    /// How it ended, where it has.
    pub(crate) fn ended(&mut self) -> anyhow::Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// Starts it and waits until it is ready.
    pub(crate) async fn start(settings: Settings) -> anyhow::Result<Self> {
        let mut served = Self::spawn(settings)?;
        served.ready().await?;
        Ok(served)
    }

    pub(crate) async fn ready(&mut self) -> anyhow::Result<()> {
        let deadline = Instant::now() + READY_WITHIN;
        let url = self.url("/ready");
        loop {
            let ready = self.http.get(&url).send().await;
            if ready.is_ok_and(|answer| answer.status().is_success()) {
                return Ok(());
            }
            anyhow::ensure!(self.child.try_wait()?.is_none(), "the engine ended");
            anyhow::ensure!(Instant::now() < deadline, "the engine is never ready");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn http(&self) -> &awc::Client {
        &self.http
    }

    /// CPU time of the engine so far: sockets, JSON and checks; not of its database.
    pub(crate) fn cpu(&self) -> Duration {
        procs::of_process(self.child.id())
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Memory of the engine that is in RAM, in kilobytes.
    pub(crate) fn rss_kb(&self) -> anyhow::Result<u64> {
        procs::rss_kb(self.child.id())
    }

    /// The engine and its database, to read what they use.
    pub(crate) fn processes(&self) -> anyhow::Result<Processes> {
        let file = std::fs::read_to_string(self.dir()?.join("pgdata/postmaster.pid"))?;
        let postmaster = file.lines().next().unwrap_or_default().trim().parse()?;
        Ok(Processes { postmaster, redis: None, engine: Some(self.child.id()) })
    }

    /// A figure of `/metrics`, summed over the lines that begin like this; zero before the first.
    pub(crate) async fn metric(&self, beginning: &str) -> anyhow::Result<f64> {
        let answer = self.http.get(self.url("/metrics")).send().await;
        let mut answer = answer.map_err(|error| anyhow::anyhow!("/metrics: {error}"))?;
        let body = answer.body().limit(4 << 20).await?;
        let text = std::str::from_utf8(&body)?;
        let values = text.lines().filter(|line| line.starts_with(beginning));
        let values = values.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok());
        // From a plain zero: the sum of nothing would be a negative one.
        Ok(values.fold(0.0, |sum, value| sum + value))
    }

    /// Makes people with `ibora seed`, while the engine runs.
    pub(crate) async fn seed(&self, drivers: usize, passengers: usize) -> anyhow::Result<Seeded> {
        say(format!("making {drivers} drivers and {passengers} passengers"));
        let out = self.dir()?.join("people.jsonl");
        let mut command = ibora(&self.settings)?;
        command.args(["seed", "--drivers", &drivers.to_string()]);
        command.args(["--passengers", &passengers.to_string(), "--out"]).arg(&out);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let status = tokio::process::Command::from(command).kill_on_drop(true).status().await?;
        anyhow::ensure!(status.success(), "`ibora seed`: {status}");
        read_people(&out)
    }

    /// The engine's database, beside it.
    pub(crate) async fn store(&self) -> anyhow::Result<Store> {
        Ok(Store::open_beside(&config(&self.settings)?).await?)
    }

    /// Ends engine and database, and removes what they kept.
    pub(crate) async fn end(mut self) -> anyhow::Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        started::clear_dir(self.dir()?).await
    }

    pub(crate) fn dir(&self) -> anyhow::Result<&Path> {
        let dir = self.settings.iter().find(|(key, _)| key == "data.dir");
        Ok(Path::new(&dir.context("no directory")?.1))
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // It may have ended by itself.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn serve(settings: &Settings, address: SocketAddr, log: Option<&Path>) -> anyhow::Result<Child> {
    let mut command = ibora(settings)?;
    command.arg("--set").arg(format!("http.listen={address}")).arg("serve");
    if let Some(log) = log {
        command.stderr(std::fs::OpenOptions::new().create(true).append(true).open(log)?);
    }
    command.stdout(Stdio::null()).spawn().context("`ibora` beside this program")
}

/// An address that nobody listens at.
pub(crate) fn free_address() -> anyhow::Result<SocketAddr> {
    // Whoever asks at the same time begins elsewhere.
    let start = rand::random_range(PORTS);
    for port in (start..PORTS.end).chain(PORTS.start..start) {
        if let Ok(listener) = std::net::TcpListener::bind(("127.0.0.1", port)) {
            return Ok(listener.local_addr()?);
        }
    }
    anyhow::bail!("no free port between {} and {}", PORTS.start, PORTS.end)
}

fn ibora(settings: &Settings) -> anyhow::Result<Command> {
    let mut command = Command::new(std::env::current_exe()?.with_file_name("ibora"));
    for (key, value) in settings {
        command.arg("--set").arg(format!("{key}={value}"));
    }
    Ok(command)
}

fn read_people(path: &Path) -> anyhow::Result<Seeded> {
    #[derive(Deserialize)]
    struct Line {
        user: Uuid,
        role: String,
        token: String,
    }
    let mut people = Seeded { drivers: Vec::new(), passengers: Vec::new() };
    for line in std::fs::read_to_string(path)?.lines() {
        let line: Line = serde_json::from_str(line)?;
        let person = Person { id: line.user, token: line.token.into() };
        let side = match line.role.as_str() {
            "driver" => &mut people.drivers,
            _ => &mut people.passengers,
        };
        side.push(person);
    }
    Ok(people)
}

/// Says clearly where the descriptor limit is too low for `sockets` of them.
///
/// # Errors
/// Where they cannot be opened at all.
pub(crate) fn check_descriptors(sockets: usize) -> anyhow::Result<()> {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
    let soft = line.and_then(|line| line.split_whitespace().next());
    let Some(soft) = soft.and_then(|soft| soft.parse::<u64>().ok()) else { return Ok(()) };
    if soft < DESCRIPTORS {
        say(format!("descriptor limit {soft}, not {DESCRIPTORS}: start through ./dev bench"));
    }
    let needed = u64::try_from(sockets)? + 200;
    anyhow::ensure!(soft >= needed, "descriptor limit {soft}; {needed} are needed (ulimit -n)");
    Ok(())
}
