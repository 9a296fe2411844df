//! What this process put on the machine: directories, and whatever works in them.
//!
//! Every directory of a bench is made here. `main` clears them away at the end, however a bench
//! ended: a signal, an error, or a handle that was dropped must leave nothing behind. What belongs
//! to a directory is seen from outside (its command line names it, or it works in it), so also a
//! server whose parent was killed is found. What always holds: a process is signalled only if it
//! belongs to a directory that this process made.

use std::collections::HashSet;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use uuid::Uuid;

static DIRS: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// What does not end by itself within this time is killed.
const PATIENCE: Duration = Duration::from_secs(8);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// A new directory, gone with this process at the latest.
pub(crate) fn new_dir(name: &str) -> anyhow::Result<PathBuf> {
    let dir = std::env::temp_dir().join(format!("{name}-{}", Uuid::now_v7()));
    std::fs::create_dir(&dir)?;
    DIRS.lock().push(dir.clone());
    Ok(dir)
}

/// Ends everything that works in directories of this process, and removes them.
pub(crate) async fn clear() -> anyhow::Result<()> {
    let dirs = std::mem::take(&mut *DIRS.lock());
    let mut outcome = Ok(());
    for dir in dirs {
        outcome = outcome.and(clear_dir(&dir).await);
    }
    outcome
}

/// Ends everything that works in this directory, and removes it.
pub(crate) async fn clear_dir(dir: &Path) -> anyhow::Result<()> {
    let deadline = Instant::now() + PATIENCE;
    let mut told = HashSet::new();
    loop {
        let found = working_in(dir);
        if found.is_empty() {
            break;
        }
        let is_late = Instant::now() >= deadline;
        for process in found.into_iter().filter(|process| is_late || told.insert(process.pid)) {
            // A killed PostgreSQL leaves shared memory behind; nothing else here needs manners.
            // Its other processes end with their first one.
            match process.kind {
                _ if is_late => signal(process.pid, "KILL")?,
                Kind::Postmaster => signal(process.pid, "QUIT")?,
                Kind::Other => signal(process.pid, "KILL")?,
                Kind::OfPostgres => {}
            }
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    match std::fs::remove_dir_all(dir) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error.into()),
        Ok(()) | Err(_) => Ok(()),
    }
}

#[derive(Clone, Copy)]
enum Kind {
    /// The first process of a PostgreSQL server.
    Postmaster,
    OfPostgres,
    Other,
}

struct Process {
    pid: u32,
    kind: Kind,
}

fn working_in(dir: &Path) -> Vec<Process> {
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let own = std::process::id();
    pids.filter(|pid| *pid != own).filter_map(|pid| of(pid, dir)).collect()
}

/// A process, if it belongs to this directory. One that has ended and was not waited for has no
/// command line.
fn of(pid: u32, dir: &Path) -> Option<Process> {
    let command = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let name = dir.as_os_str().as_bytes();
    let is_named = command.windows(name.len()).any(|part| part == name);
    let is_inside =
        || std::fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|place| place.starts_with(dir));
    if command.is_empty() || !(is_named || is_inside()) {
        return None;
    }
    let program = command.split(|byte| *byte == 0).next().unwrap_or_default();
    let kind = match () {
        () if program.ends_with(b"/postgres") => Kind::Postmaster,
        () if program.starts_with(b"postgres:") => Kind::OfPostgres,
        () => Kind::Other,
    };
    Some(Process { pid, kind })
}

/// By the shell's own command: a program for it is not on every machine.
pub(crate) fn signal(pid: u32, name: &str) -> anyhow::Result<()> {
    let mut kill = Command::new("sh");
    kill.args(["-c", r#"kill -s "$0" "$1""#, name, &pid.to_string()]);
    // It may have ended meanwhile.
    kill.stdin(Stdio::null()).stderr(Stdio::null()).status()?;
    Ok(())
}
