//! What the operator decides about the private server. Read by `config`, used by this room.
//!
//! The default place must stay what it is: moving it would look like an empty database.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::error::PostgresError;
use super::user;

/// How to run the private server.
#[derive(Debug, Clone)]
pub struct EmbeddedOptions {
    /// Where cluster, log, passwords and socket live. Made when missing; survives restarts.
    pub data_dir: PathBuf,
    /// The directory with `initdb`, `pg_ctl` and `postgres`. `None`: the one in PATH, then the
    /// newest in `/usr/lib/postgresql`, but always of the version that made the data.
    pub binaries: Option<PathBuf>,
    /// Connections that pools may open together. A few more are kept for setup and operators.
    pub max_connections: u32,
    /// Megabytes of WAL that are made ahead, and kept: a first burst need not wait for them.
    pub wal_reserve_mb: u32,
}

impl EmbeddedOptions {
    /// `/var/lib/ibora` for root, else `$XDG_DATA_HOME/ibora` or `~/.local/share/ibora`.
    ///
    /// # Errors
    /// [`PostgresError::NoHome`]: a plain user without either; [`PostgresError::Io`]: no `/proc`.
    pub fn default_data_dir() -> Result<PathBuf, PostgresError> {
        let is_root = user::effective_ids()?.0 == 0;
        let (xdg, home) = (std::env::var_os("XDG_DATA_HOME"), std::env::var_os("HOME"));
        data_dir_for(is_root, xdg, home).ok_or(PostgresError::NoHome)
    }
}

fn data_dir_for(is_root: bool, xdg: Option<OsString>, home: Option<OsString>) -> Option<PathBuf> {
    if is_root {
        return Some(PathBuf::from("/var/lib/ibora"));
    }
    // The XDG specification: a relative path is to be ignored.
    let absolute = |dir: OsString| Some(PathBuf::from(dir)).filter(|dir| dir.is_absolute());
    let data_home = xdg.and_then(absolute);
    let in_home = |home: PathBuf| home.join(".local/share");
    data_home
        .or_else(|| home.and_then(absolute).map(in_home))
        .map(|dir| dir.join(Path::new("ibora")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_lives_where_its_user_keeps_data() {
        let cases = [
            (true, Some("/x"), Some("/root"), Some("/var/lib/ibora")),
            (false, Some("/x/data"), Some("/home/a"), Some("/x/data/ibora")),
            (false, Some("relative"), Some("/home/a"), Some("/home/a/.local/share/ibora")),
            (false, None, Some("/home/a"), Some("/home/a/.local/share/ibora")),
            (false, None, Some(""), None),
            (false, None, None, None),
        ];
        for (is_root, xdg, home, expected) in cases {
            let found = data_dir_for(is_root, xdg.map(Into::into), home.map(Into::into));
            assert_eq!(found, expected.map(PathBuf::from), "{is_root} {xdg:?} {home:?}");
        }
    }
}
