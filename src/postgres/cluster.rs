//! Makes a cluster, all of it or none.
//!
//! Used inside this room only, by the engine that holds the lock. `initdb` works in a directory
//! aside; a rename makes it the cluster. So an interrupted one is never taken for whole.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::Path;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};

use super::binaries::Binaries;
use super::command;
use super::error::{PostgresError, says_disk_full};
use super::layout::{Layout, sync_dir, write_new_file};
use super::roles::SUPERUSER;
use super::settings;
use super::user::ServerUser;

const INITDB_DEADLINE: Duration = Duration::from_secs(120);
/// Unfinished work of a start that was interrupted carries this name and a random end.
const UNFINISHED: &str = "pgdata.new-";

/// The major version that made the cluster. `None`: there is none yet.
pub(super) fn made_by(cluster: &Path, user: &ServerUser) -> Result<Option<u32>, PostgresError> {
    let Ok(meta) = fs::metadata(cluster) else {
        return Ok(None);
    };
    if meta.uid() != user.uid {
        let (path, owner) = (cluster.to_owned(), meta.uid());
        return Err(PostgresError::WrongOwner { path, owner, expected: user.uid });
    }
    let mut entries = fs::read_dir(cluster).map_err(PostgresError::io("read", cluster))?;
    if entries.next().is_none() {
        return Ok(None);
    }
    let version = fs::read_to_string(cluster.join("PG_VERSION")).unwrap_or_default();
    match version.trim().parse() {
        Ok(major) => Ok(Some(major)),
        Err(_) => Err(PostgresError::NotACluster { path: cluster.to_owned() }),
    }
}

/// Makes the cluster of `layout`, which must not exist yet or be empty.
pub(super) async fn make(
    layout: &Layout,
    binaries: &Binaries,
    user: &ServerUser,
    password: &SecretString,
) -> Result<(), PostgresError> {
    remove_unfinished(layout.root()).await;
    let aside = layout.root().join(format!("{UNFINISHED}{:016x}", rand::random::<u64>()));
    let dir = DirBuilder::new().mode(0o700).create(&aside);
    dir.map_err(PostgresError::io("create", &aside))?;
    user.own(&aside)?;
    let password_file = aside.join("password");
    write_new_file(&password_file, password.expose_secret(), 0o600)?;
    user.own(&password_file)?;

    let made = aside.join("pgdata");
    let mut initdb = command::bare(&binaries.initdb(), Some(user));
    initdb.arg("-D").arg(&made).arg("--pwfile").arg(&password_file);
    initdb.args(["-U", SUPERUSER, "--encoding=UTF8", "--locale=C", "--data-checksums"]);
    initdb.args(["--auth-local=scram-sha-256", "--auth-host=reject", "--no-instructions"]);
    let outcome = command::run(initdb, "initdb", INITDB_DEADLINE).await?;
    if !outcome.success {
        remove_unfinished(layout.root()).await;
        return Err(match says_disk_full(&outcome.stderr) {
            true => PostgresError::DiskFull { path: layout.root().to_owned() },
            false => PostgresError::InitFailed { detail: outcome.stderr },
        });
    }
    include_settings(&made.join("postgresql.conf"))?;
    fs::rename(&made, layout.cluster()).map_err(PostgresError::io("rename", &made))?;
    sync_dir(layout.root())?;
    remove_unfinished(layout.root()).await;
    tracing::info!(cluster = %layout.cluster().display(), "PostgreSQL cluster initialised");
    Ok(())
}

fn include_settings(conf: &Path) -> Result<(), PostgresError> {
    let append = || {
        let mut file = OpenOptions::new().append(true).open(conf)?;
        file.write_all(settings::INCLUDE.as_bytes())?;
        file.sync_all()
    };
    append().map_err(PostgresError::io("write", conf))
}

/// Clears what an interrupted start left. A killed engine's `initdb` may still be writing there:
/// then the rest stays until the next time, in nobody's way, as every attempt has its own name.
async fn remove_unfinished(root: &Path) {
    let root = root.to_owned();
    let removing = tokio::task::spawn_blocking(move || remove_unfinished_now(&root));
    removing.await.ok(); // It cannot fail, only be cut short by the end of the runtime.
}

fn remove_unfinished_now(root: &Path) {
    for entry in fs::read_dir(root).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with(UNFINISHED)
            && let Err(error) = fs::remove_dir_all(entry.path())
        {
            tracing::warn!(path = %entry.path().display(), %error, "unfinished cluster stays");
        }
    }
}
