//! Whose server runs on a cluster: `postmaster.pid`, held against what `/proc` knows.
//!
//! Used inside this room only. A pid alone proves nothing, pids are used again: a server is ours
//! when its user and its command line are those we start it with.

use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::{fs, io};

use super::error::PostgresError;
use super::user::ServerUser;

/// How far a running server is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    Starting,
    Ready,
    Stopping,
}

/// What a server wrote about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PidFile {
    pub(super) pid: u32,
    /// Empty until the server has opened its socket.
    pub(super) socket_dir: PathBuf,
    pub(super) status: Status,
}

/// What is known about a cluster's server.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// There is no pid file, or its process is dead (PostgreSQL clears that one away itself).
    Nothing,
    /// The file names a living process that is no server of ours, or nothing at all.
    Foreign,
    Ours(PidFile),
}

pub(super) fn path(cluster: &Path) -> PathBuf {
    cluster.join("postmaster.pid")
}

pub(super) fn look(cluster: &Path, user: &ServerUser) -> Result<Found, PostgresError> {
    let path = path(cluster);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Found::Nothing),
        Err(error) => return Err(PostgresError::io("read", &path)(error)),
    };
    Ok(match parse(&text) {
        Some(file) if is_server(file.pid, cluster, user) => Found::Ours(file),
        Some(file) if !proc_dir(file.pid).exists() => Found::Nothing,
        Some(_) | None => Found::Foreign,
    })
}

/// Whether `pid` is a living server on `cluster`. A zombie is not: its command line is empty.
pub(super) fn is_server(pid: u32, cluster: &Path, user: &ServerUser) -> bool {
    let proc = proc_dir(pid);
    let is_users = fs::metadata(&proc).is_ok_and(|meta| meta.uid() == user.uid);
    let Ok(command_line) = fs::read(proc.join("cmdline")) else {
        return false;
    };
    let mut words = command_line.split(|byte| *byte == 0);
    let is_postgres = words.next().is_some_and(|program| program.ends_with(b"postgres"));
    is_users && is_postgres && words.any(|word| word == cluster.as_os_str().as_bytes())
}

fn proc_dir(pid: u32) -> PathBuf {
    PathBuf::from(format!("/proc/{pid}"))
}

/// Lines: pid, cluster, start time, port, socket directory, address, shared memory, status.
fn parse(text: &str) -> Option<PidFile> {
    let mut lines = text.lines();
    // The backup server of a single-user mode writes its pid negative: no server to talk to.
    let pid = lines.next()?.trim().parse().ok()?;
    let socket_dir = PathBuf::from(lines.nth(3).unwrap_or_default());
    let status = match lines.nth(2).map(str::trim) {
        Some("ready") => Status::Ready,
        Some("stopping") => Status::Stopping,
        Some(_) | None => Status::Starting,
    };
    Some(PidFile { pid, socket_dir, status })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pid_file_tells_how_far_the_server_is() {
        let text = "4711\n/d/pgdata\n1700000000\n5432\n/d/run\n\n  123   456\nready   \n";
        let ready = PidFile { pid: 4711, socket_dir: "/d/run".into(), status: Status::Ready };
        assert_eq!(parse(text), Some(ready.clone()));
        let cases = [("starting", Status::Starting), ("stopping", Status::Stopping)];
        for (word, status) in cases {
            let expected = PidFile { status, ..ready.clone() };
            assert_eq!(parse(&text.replace("ready   ", word)), Some(expected));
        }
        let young = PidFile { pid: 4711, socket_dir: "".into(), status: Status::Starting };
        assert_eq!(parse("4711\n/d/pgdata\n"), Some(young));
        assert!(["", "\n", "x\n", "-4711\n/d\n"].into_iter().all(|text| parse(text).is_none()));
    }
}
