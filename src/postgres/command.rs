//! Runs the PostgreSQL programs: as the server's user, with a bare environment, under a deadline.
//!
//! Used inside this room only. No child sees the engine's environment, which may hold secrets.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::error::PostgresError;
use super::user::ServerUser;

/// What a program printed and whether it was content.
pub(super) struct Finished {
    pub(super) success: bool,
    pub(super) stdout: String,
    pub(super) stderr: String,
}

/// What is of interest at the end of a log, in bytes.
const TAIL_BYTES: u64 = 4_096;

/// A command that inherits nothing but the way to its libraries. Speaks English, so that what it
/// says can be told apart, and stands in `/`, because the server's user may not enter ours.
pub(super) fn bare(program: &Path, user: Option<&ServerUser>) -> Command {
    let mut command = Command::new(program);
    command.env_clear().env("LC_ALL", "C").env("TZ", "UTC").current_dir("/");
    // Batches of hundreds of kilobytes come in one after the other: their memory is kept for the
    // next instead of being given back to the system and faulted in again.
    command.env("MALLOC_MMAP_THRESHOLD_", "33554432").env("MALLOC_TRIM_THRESHOLD_", "67108864");
    for key in ["PATH", "LD_LIBRARY_PATH"] {
        if let Some(value) = std::env::var_os(key) {
            command.env(key, value);
        }
    }
    command.stdin(Stdio::null());
    if let Some(user) = user {
        user.take_over(&mut command);
    }
    command
}

/// Runs `command` to its end. Past `limit` it is killed.
pub(super) async fn run(
    command: Command,
    what: &'static str,
    limit: Duration,
) -> Result<Finished, PostgresError> {
    let program = Path::new(command.get_program()).to_owned();
    let mut command = tokio::process::Command::from(command);
    command.kill_on_drop(true);
    let Ok(output) = tokio::time::timeout(limit, command.output()).await else {
        return Err(PostgresError::TooSlow { what, limit_s: limit.as_secs() });
    };
    let output = output.map_err(PostgresError::io("run", &program))?;
    Ok(Finished {
        success: output.status.success(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
    })
}

/// The end of what was written to `log` since it was `from` bytes long.
pub(super) fn tail(log: &Path, from: u64) -> String {
    let read = || {
        let mut file = File::open(log)?;
        let start = from.max(file.metadata()?.len().saturating_sub(TAIL_BYTES));
        file.seek(SeekFrom::Start(start))?;
        let mut bytes = Vec::new();
        file.take(TAIL_BYTES).read_to_end(&mut bytes)?;
        std::io::Result::Ok(String::from_utf8_lossy(&bytes).trim().to_owned())
    };
    read().unwrap_or_else(|error| format!("(not readable: {error})"))
}
