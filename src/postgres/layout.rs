//! What lies where in the data directory, and who holds it.
//!
//! Used inside this room only. The directory and the files in it are the engine's; only the
//! cluster and the socket directory belong to the server's user. So a server that was taken over
//! cannot plant links for a root engine to follow.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::error::PostgresError;
use super::user::ServerUser;

/// The name is part of the socket's path; nothing listens on a TCP port of that number.
pub(super) const PORT: u16 = 5432;

/// `sun_path` holds 108 bytes with the final zero.
const SOCKET_PATH_MAX: usize = 107;
const SOCKET_NAME_LEN: usize = "/.s.PGSQL.5432".len();
const LOG_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// The paths of one data directory. It exists, and its path has no links in it.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    root: PathBuf,
}

/// The data directory is this engine's, until dropped.
pub(super) struct Ours(File);

impl Drop for Ours {
    /// Said, not only let go of: a process that another thread is just starting has a copy of every
    /// open file for a moment, and would keep the next engine out.
    fn drop(&mut self) {
        // Where the kernel does not hear it, closing the file says the same.
        self.0.unlock().ok();
    }
}

impl Layout {
    /// Makes the directory when it is missing.
    pub(super) fn prepare(data_dir: &Path) -> Result<Self, PostgresError> {
        if !data_dir.is_dir() {
            fs::create_dir_all(data_dir).map_err(PostgresError::io("create", data_dir))?;
            // The server's user has to pass through; nobody has to look around.
            set_mode(data_dir, 0o711)?;
        }
        let root = data_dir.canonicalize().map_err(PostgresError::io("find", data_dir))?;
        Ok(Self { root })
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    pub(super) fn cluster(&self) -> PathBuf {
        self.root.join("pgdata")
    }

    pub(super) fn settings(&self) -> PathBuf {
        self.root.join("ibora.conf")
    }

    pub(super) fn secrets(&self) -> PathBuf {
        self.root.join("postgres.secrets")
    }

    pub(super) fn log(&self) -> PathBuf {
        self.root.join("postgres.log")
    }

    /// Takes the directory for this engine. The kernel gives it back however the engine ends; the
    /// server does not inherit it. A second engine is refused at once rather than made to wait:
    /// who restarts it knows better how long.
    pub(super) fn lock(&self) -> Result<Ours, PostgresError> {
        let path = self.root.join("engine.lock");
        let mut options = OpenOptions::new();
        options.create(true).write(true).truncate(false).mode(0o600);
        let file = options.open(&path).map_err(PostgresError::io("open", &path))?;
        match file.try_lock() {
            Ok(()) => Ok(Ours(file)),
            Err(TryLockError::WouldBlock) => {
                Err(PostgresError::InUse { data_dir: self.root.clone() })
            }
            Err(TryLockError::Error(source)) => Err(PostgresError::io("lock", &path)(source)),
        }
    }

    /// A directory for the socket: in the data directory, or where that path is too long or has
    /// letters that the server's list of directories cannot hold, a short one in `/tmp`.
    pub(super) fn socket_dir(&self, user: &ServerUser) -> Result<PathBuf, PostgresError> {
        let dir = socket_dir_for(&self.root);
        let made = DirBuilder::new().mode(0o700).create(&dir);
        match made {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(PostgresError::io("create", &dir)(error));
            }
            Ok(()) => user.own(&dir)?,
            Err(_) => {}
        }
        // In /tmp anybody may have been here first.
        let meta = fs::symlink_metadata(&dir).map_err(PostgresError::io("read", &dir))?;
        if !meta.is_dir() || meta.uid() != user.uid || meta.mode() & 0o077 != 0 {
            return Err(PostgresError::SocketDirUntrusted { path: dir, expected: user.uid });
        }
        Ok(dir)
    }

    /// The log to append to, and how long it is. A big one is put aside first, so two are kept.
    pub(super) fn open_log(&self) -> Result<(File, u64), PostgresError> {
        let path = self.log();
        if fs::metadata(&path).is_ok_and(|meta| meta.len() > LOG_BYTES_MAX) {
            let aside = self.root.join("postgres.log.1");
            fs::rename(&path, aside).map_err(PostgresError::io("rename", &path))?;
        }
        let mut options = OpenOptions::new();
        options.create(true).append(true).mode(0o600);
        let file = options.open(&path).map_err(PostgresError::io("open", &path))?;
        let len = file.metadata().map_err(PostgresError::io("read", &path))?.len();
        Ok((file, len))
    }
}

/// Replaces `path` so that after a crash either the old or the new content is there, whole.
pub(super) fn replace_file(path: &Path, content: &str, mode: u32) -> Result<(), PostgresError> {
    let new = path.with_extension("new");
    match fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(PostgresError::io("remove", &new)(error));
        }
        Ok(()) | Err(_) => {}
    }
    write_new_file(&new, content, mode)?;
    fs::rename(&new, path).map_err(PostgresError::io("rename", &new))?;
    path.parent().map_or(Ok(()), sync_dir)
}

/// Writes a file that must not exist yet, and forces it to disk.
pub(super) fn write_new_file(path: &Path, content: &str, mode: u32) -> Result<(), PostgresError> {
    let mut options = OpenOptions::new();
    options.create_new(true).write(true).mode(mode);
    let mut file = options.open(path).map_err(PostgresError::io("create", path))?;
    set_mode(path, mode)?; // Whatever the umask is.
    let written = file.write_all(content.as_bytes()).and_then(|()| file.sync_all());
    written.map_err(PostgresError::io("write", path))
}

/// Forces names in `dir` to disk: a rename is safe from a power cut only after this.
pub(super) fn sync_dir(dir: &Path) -> Result<(), PostgresError> {
    let synced = File::open(dir).and_then(|dir| dir.sync_all());
    synced.map_err(PostgresError::io("sync", dir))
}

fn set_mode(path: &Path, mode: u32) -> Result<(), PostgresError> {
    let set = fs::set_permissions(path, Permissions::from_mode(mode));
    set.map_err(PostgresError::io("set the mode of", path))
}

fn socket_dir_for(root: &Path) -> PathBuf {
    let dir = root.join("run");
    let bytes = dir.as_os_str().as_bytes();
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"/._-+@".contains(byte);
    if bytes.iter().all(plain) && bytes.len() + SOCKET_NAME_LEN <= SOCKET_PATH_MAX {
        return dir;
    }
    let digest = hex::encode(Sha256::digest(root.as_os_str().as_bytes()));
    PathBuf::from(format!("/tmp/ibora-{}", &digest[..16]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn socket_path_always_fits_and_is_always_plain() {
        let longest_inside = format!("/{}", "d".repeat(107 - 14 - "//run".len()));
        let inside = socket_dir_for(Path::new(&longest_inside));
        assert_eq!(inside, Path::new(&longest_inside).join("run"));
        assert_eq!(inside.join(".s.PGSQL.5432").as_os_str().len(), SOCKET_PATH_MAX);
        let outside = [format!("{longest_inside}d"), "/a b".into(), "/a,b".into(), "/a'b".into()];
        for root in &outside {
            let dir = socket_dir_for(Path::new(root));
            assert!(dir.starts_with("/tmp") && dir.as_os_str().len() == 27, "{root}");
            assert_eq!(dir, socket_dir_for(Path::new(root)), "found again by the next start");
        }
        assert_ne!(socket_dir_for(Path::new("/a b")), socket_dir_for(Path::new("/a c")));
    }
}
