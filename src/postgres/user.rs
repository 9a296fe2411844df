//! Who runs the server: PostgreSQL refuses root, so a root engine gives the child away.
//!
//! Used inside this room only. A root engine never starts a PostgreSQL program as root, except
//! to ask for its version; everything the server may write belongs to its user.

use std::fs;
use std::os::unix::fs::{MetadataExt, lchown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::error::PostgresError;

/// Whom a root engine starts the server as, the first that exists.
const SERVER_USERS: [&str; 2] = ["postgres", "nobody"];

/// The user whose files and processes are the server's.
#[derive(Debug, Clone)]
pub(super) struct ServerUser {
    pub(super) name: String,
    pub(super) uid: u32,
    gid: u32,
    /// The engine is root and this user is not: children change over to it.
    pub(super) drops: bool,
}

impl ServerUser {
    /// The engine's own user; for root the owner of an existing cluster, else one of
    /// [`SERVER_USERS`]. So a `postgres` that is installed later does not lock out old data.
    pub(super) fn choose(cluster: &Path) -> Result<Self, PostgresError> {
        let (own_uid, own_gid) = effective_ids()?;
        let owner = fs::metadata(cluster).ok().map(|meta| (meta.uid(), meta.gid()));
        let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
        Self::choose_from((own_uid, own_gid), owner, &passwd).ok_or(PostgresError::NoServerUser)
    }

    fn choose_from(own: (u32, u32), owner: Option<(u32, u32)>, passwd: &str) -> Option<Self> {
        let entries: Vec<_> = passwd.lines().filter_map(parse_passwd_line).collect();
        let named = |(uid, gid): (u32, u32), drops| {
            let entry = entries.iter().find(|entry| entry.1 == uid);
            let name = entry.map_or_else(|| format!("uid {uid}"), |entry| entry.0.to_owned());
            Self { name, uid, gid, drops }
        };
        if own.0 != 0 {
            return Some(named(own, false));
        }
        if let Some(owner) = owner.filter(|owner| owner.0 != 0) {
            return Some(named(owner, true));
        }
        let known = |name: &&str| entries.iter().find(|entry| entry.0 == *name && entry.1 != 0);
        SERVER_USERS.iter().find_map(known).map(|entry| named((entry.1, entry.2), true))
    }

    /// Makes a child run as this user. Its supplementary groups are dropped with the uid.
    pub(super) fn take_over(&self, command: &mut Command) {
        if self.drops {
            command.uid(self.uid).gid(self.gid);
        }
    }

    /// Gives `path` to this user. Never follows a link.
    pub(super) fn own(&self, path: &Path) -> Result<(), PostgresError> {
        if self.drops {
            lchown(path, Some(self.uid), Some(self.gid)).map_err(PostgresError::io("own", path))?;
        }
        Ok(())
    }

    /// The outermost directory of `path` that this user may not enter, by its mode bits.
    pub(super) fn first_closed_dir(&self, path: &Path) -> Option<PathBuf> {
        let mut outside_in: Vec<_> = path.ancestors().collect();
        outside_in.reverse();
        let is_closed = |dir: &&Path| fs::metadata(dir).is_ok_and(|meta| !self.may_enter(&meta));
        outside_in.into_iter().find(is_closed).map(Path::to_owned)
    }

    fn may_enter(&self, meta: &fs::Metadata) -> bool {
        let execute = match meta {
            meta if meta.uid() == self.uid => 0o100,
            meta if meta.gid() == self.gid => 0o010,
            _ => 0o001,
        };
        meta.mode() & execute != 0
    }
}

/// Effective uid and gid of the engine.
pub(super) fn effective_ids() -> Result<(u32, u32), PostgresError> {
    let proc = Path::new("/proc/self");
    let meta = fs::metadata(proc).map_err(PostgresError::io("read the own uid in", proc))?;
    Ok((meta.uid(), meta.gid()))
}

/// Name, uid and gid of a line like `postgres:x:101:104:...`.
fn parse_passwd_line(line: &str) -> Option<(&str, u32, u32)> {
    let mut fields = line.split(':');
    let name = fields.next()?;
    let uid = fields.nth(1)?.parse().ok()?;
    let gid = fields.next()?.parse().ok()?;
    Some((name, uid, gid))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/bash\nbroken line\n\
        nobody:x:65534:65534::/:/bin/false\npostgres:x:101:104::/:/bin/bash\nana:x:1000:1000::/:/b";

    #[test]
    fn root_gives_the_server_away_and_a_plain_user_keeps_it() {
        let without_postgres = PASSWD.replace("postgres", "someone");
        let cases = [
            ((0, 0), None, PASSWD, Some(("postgres", 101, 104, true))),
            ((0, 0), None, without_postgres.as_str(), Some(("nobody", 65534, 65534, true))),
            ((0, 0), None, "root:x:0:0::/:/bin/sh", None),
            ((0, 0), None, "postgres:x:0:0::/:/bin/sh", None),
            ((0, 0), Some((1000, 1000)), PASSWD, Some(("ana", 1000, 1000, true))),
            ((0, 0), Some((4242, 4242)), PASSWD, Some(("uid 4242", 4242, 4242, true))),
            ((0, 0), Some((0, 0)), PASSWD, Some(("postgres", 101, 104, true))),
            ((1000, 1000), None, PASSWD, Some(("ana", 1000, 1000, false))),
            ((1000, 1000), Some((101, 104)), PASSWD, Some(("ana", 1000, 1000, false))),
        ];
        for (own, owner, passwd, expected) in cases {
            let chosen = ServerUser::choose_from(own, owner, passwd);
            let chosen = chosen.as_ref().map(|u| (u.name.as_str(), u.uid, u.gid, u.drops));
            assert_eq!(chosen, expected, "{own:?} {owner:?}");
        }
    }
}
