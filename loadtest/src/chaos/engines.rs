//! Two engines on one database: one works, the other stands by. Which is which changes.

use std::path::Path;
use std::time::{Duration, Instant};

use ibora::bots::Person;
use serde_json::json;
use uuid::Uuid;

use super::memory::{Asked, Told};
use super::run::Run;
use super::wire::{self, Answer};
use crate::served::{self, Served, Settings};
use crate::started;

const READY_WITHIN: Duration = Duration::from_secs(60);
/// An engine that is ready takes a command within this time.
const WORKS_WITHIN: Duration = Duration::from_secs(30);
const ENDS_WITHIN: Duration = Duration::from_secs(40);
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// `/ready` of an engine that is stopped says nothing.
const ANSWERS_WITHIN: Duration = Duration::from_secs(2);
/// Exit code of an engine that another has taken over from.
pub(super) const FENCED: i32 = 4;
const NAMES: [&str; 2] = ["a", "b"];

/// The engines.
pub(super) struct Engines {
    both: [Served; 2],
    /// The one that was ready last.
    pub(super) at_work: usize,
}

impl Engines {
    /// Starts both, and waits until the first is at work.
    pub(super) async fn start(dir: &Path, settings: &Settings) -> anyhow::Result<Self> {
        let spawn = |name: &str| {
            let data = dir.join(name);
            std::fs::create_dir(&data)?;
            let mut own = settings.clone();
            own.extend(served::settings([
                ("data.dir", data.display().to_string().as_str()),
                ("node.id", name),
            ]));
            Served::spawn_with_log(own, Some(dir.join(format!("{name}.log"))))
        };
        let mut first = spawn(NAMES[0])?;
        first.ready().await?;
        let both = [first, spawn(NAMES[1])?];
        Ok(Self { both, at_work: 0 })
    }

    pub(super) fn served(&self, which: usize) -> &Served {
        &self.both[which]
    }

    /// Waits until one of them is ready, and leads everybody there.
    pub(super) async fn ready(&mut self, run: &Run) -> anyhow::Result<()> {
        let deadline = Instant::now() + READY_WITHIN;
        loop {
            for which in [self.at_work, 1 - self.at_work] {
                if is_ready(&self.both[which]).await {
                    self.at_work = which;
                    run.route.set(which);
                    return Ok(());
                }
            }
            self.tend(run)?;
            anyhow::ensure!(Instant::now() < deadline, "no engine is ready");
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Waits until one of them takes a command again, and answers it: its commit is durable. One
    /// that never does is found out, and killed.
    pub(super) async fn work(&mut self, run: &Run, probe: &Person) -> anyhow::Result<()> {
        let (person, key, d) = (probe.clone(), Some(probe.id), json!({}));
        let asked = Asked { person, op: "driver.offline", key, d, told: Told::Nothing };
        let (id, deadline) = (Uuid::now_v7(), Instant::now() + WORKS_WITHIN);
        let mut is_late = false;
        loop {
            self.ready(run).await?;
            let base = self.both[self.at_work].url("");
            if let Some(Answer::Told(told)) = wire::by_rest(&base, id, &asked).await {
                anyhow::ensure!(matches!(told, Told::Yes { .. }), "a probe was refused: {told:?}");
                return Ok(());
            }
            if Instant::now() >= deadline && !std::mem::replace(&mut is_late, true) {
                run.found("not_well_again", || "no command is taken, it is killed".to_owned());
                self.kill_and_spawn()?;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Starts an engine again that ended by itself, which it may only where another took over.
    pub(super) fn tend(&mut self, run: &Run) -> anyhow::Result<()> {
        for served in &mut self.both {
            let Some(status) = served.ended()? else { continue };
            match status.code() {
                Some(FENCED) => run.count("replaced"),
                _ => run.found("exit_code", || format!("an engine ended by itself: {status}")),
            }
            served.spawn_again()?;
        }
        Ok(())
    }

    /// Waits until the one that stood by is ready, and leads everybody there.
    pub(super) async fn other_takes_over(&mut self, run: &Run) -> anyhow::Result<()> {
        let other = 1 - self.at_work;
        let deadline = Instant::now() + READY_WITHIN;
        while !is_ready(&self.both[other]).await {
            anyhow::ensure!(Instant::now() < deadline, "nobody takes over");
            tokio::time::sleep(LOOK_EVERY).await;
        }
        self.at_work = other;
        run.route.set(other);
        Ok(())
    }

    /// kill -9 of the one at work, and the same again.
    pub(super) fn kill_and_spawn(&mut self) -> anyhow::Result<()> {
        self.both[self.at_work].kill_and_spawn()
    }

    /// kill -9 of the one at work.
    pub(super) fn kill(&mut self) -> anyhow::Result<()> {
        self.both[self.at_work].kill()
    }

    pub(super) fn signal(&self, which: usize, name: &str) -> anyhow::Result<()> {
        started::signal(self.both[which].pid(), name)
    }

    /// Waits until this one has ended by itself, and starts it again, to stand by: its exit code.
    pub(super) async fn ends(&mut self, which: usize) -> anyhow::Result<Option<i32>> {
        let deadline = Instant::now() + ENDS_WITHIN;
        loop {
            if let Some(status) = self.both[which].ended()? {
                self.both[which].spawn_again()?;
                return Ok(status.code());
            }
            anyhow::ensure!(Instant::now() < deadline, "an engine does not end");
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Starts one that was killed again, to stand by.
    pub(super) fn spawn_again(&mut self, which: usize) -> anyhow::Result<()> {
        self.both[which].spawn_again()
    }

    /// Lines of both logs that say that something is broken, the first few.
    pub(super) fn complaints(dir: &Path) -> Vec<String> {
        let logs = NAMES.map(|name| std::fs::read_to_string(dir.join(format!("{name}.log"))));
        let lines = logs.iter().flatten().flat_map(|log| log.lines());
        let is_bad = |line: &&str| {
            line.contains("invariant broken") || line.contains("panicked") || line.contains("panic")
        };
        lines.filter(is_bad).map(str::to_owned).collect()
    }
}

async fn is_ready(served: &Served) -> bool {
    let asked = served.http().get(served.url("/ready")).timeout(ANSWERS_WITHIN).send().await;
    asked.is_ok_and(|answer| answer.status().is_success())
}
