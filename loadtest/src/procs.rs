//! CPU time and memory of processes, from `/proc`: ours, an engine's, the PostgreSQL server with
//! all its children, Redis.

use std::time::Duration;

use anyhow::Context;

/// Ticks a second in `/proc/<pid>/stat`: 100 on every Linux.
const TICK: Duration = Duration::from_millis(10);

/// CPU time used so far, user and system together.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Used {
    /// This process: engine or peers, and the callers of either.
    pub(crate) own: Duration,
    pub(crate) postgres: Duration,
    pub(crate) redis: Duration,
    /// An engine that is a process of its own.
    pub(crate) engine: Duration,
}

/// Whose time is read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Processes {
    pub(crate) postmaster: u32,
    pub(crate) redis: Option<u32>,
    pub(crate) engine: Option<u32>,
}

impl Processes {
    /// What has been used until now.
    pub(crate) fn used(self) -> Used {
        Used {
            own: of("self").map_or(Duration::ZERO, |stat| stat.used),
            postgres: with_children(self.postmaster),
            redis: self.redis.map_or(Duration::ZERO, of_process),
            engine: self.engine.map_or(Duration::ZERO, of_process),
        }
    }
}

impl Used {
    /// What was used since `earlier`.
    pub(crate) fn since(self, earlier: Self) -> Self {
        Self {
            own: self.own.saturating_sub(earlier.own),
            postgres: self.postgres.saturating_sub(earlier.postgres),
            redis: self.redis.saturating_sub(earlier.redis),
            engine: self.engine.saturating_sub(earlier.engine),
        }
    }

    /// All of it, a piece of work.
    pub(crate) fn micros_each(self, count: usize) -> f64 {
        let all = self.own + self.postgres + self.redis + self.engine;
        all.as_secs_f64() * 1e6 / crate::report::number(count.max(1))
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.own += other.own;
        self.postgres += other.postgres;
        self.redis += other.redis;
        self.engine += other.engine;
    }
}

/// CPU time of the calling thread, by the scheduler's own nanoseconds.
pub(crate) fn of_this_thread() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanos = text.split(' ').next().and_then(|nanos| nanos.parse().ok());
    Duration::from_nanos(nanos.unwrap_or(0))
}

/// CPU time of one process.
pub(crate) fn of_process(pid: u32) -> Duration {
    of(&pid.to_string()).map_or(Duration::ZERO, |stat| stat.used)
}

/// Memory of a process that is in RAM, in kilobytes.
pub(crate) fn rss_kb(pid: u32) -> anyhow::Result<u64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kb = line.and_then(|line| line.trim().strip_suffix("kB")).context("no VmRSS")?;
    Ok(kb.trim().parse()?)
}

struct Stat {
    parent: u32,
    used: Duration,
    /// Of children that ended and were waited for.
    gone: Duration,
}

fn of(pid: &str) -> Option<Stat> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name, in brackets, may hold anything; what follows it is numbers.
    let numbers: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = |at: usize| {
        numbers.get(at).and_then(|text| text.parse::<u32>().ok()).map(|ticks| TICK * ticks)
    };
    Some(Stat {
        parent: numbers.get(1)?.parse().ok()?,
        used: ticks(11)? + ticks(12)?,
        gone: ticks(13)? + ticks(14)?,
    })
}

fn with_children(parent: u32) -> Duration {
    let Some(own) = of(&parent.to_string()) else { return Duration::ZERO };
    let mut sum = own.used + own.gone;
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let name = entry.file_name();
        let Some(pid) = name.to_str().filter(|name| name.bytes().all(|b| b.is_ascii_digit()))
        else {
            continue;
        };
        if let Some(stat) = of(pid).filter(|stat| stat.parent == parent) {
            sum += stat.used;
        }
    }
    sum
}
