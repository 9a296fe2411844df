//! Which engine this is among those on its database: a name that outlives its process.
//!
//! Configured, or made at the first start and kept in the data directory. What must hold: no two
//! processes that run at once take their name from one file.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use super::StartError;
use super::settings::data_dir;
use crate::config::{Config, is_node_id};

/// Engines that may run at once on one data directory.
const NODES_MAX: u32 = 16;

/// This engine's name, its own for as long as this lives.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) id: String,
    /// Locked: it tells others on this directory that the name is taken.
    _file: Option<File>,
}

impl Node {
    /// The configured name, or the one in the first file `node`, `node.2`, .. that no process uses.
    ///
    /// # Errors
    /// [`StartError`] for a file that cannot be used.
    pub(super) fn of(config: &Config) -> Result<Self, StartError> {
        if let Some(id) = config.node.id.clone() {
            return Ok(Self { id, _file: None });
        }
        let dir = data_dir(config)?;
        std::fs::create_dir_all(&dir)
            .map_err(|source| StartError::File { path: dir.clone(), source })?;
        for number in 1..=NODES_MAX {
            let name = if number == 1 { "node".to_owned() } else { format!("node.{number}") };
            let path = dir.join(name);
            let kept = kept_in(&path).map_err(|source| StartError::File { path, source })?;
            if let Some(node) = kept {
                return Ok(node);
            }
        }
        Err(StartError::NodesFull { dir, count: NODES_MAX })
    }
}

/// The name in a file, made with it where there is none; `None` where a process uses it.
fn kept_in(path: &PathBuf) -> std::io::Result<Option<Node>> {
    let mut open = OpenOptions::new();
    open.read(true).write(true).create(true).truncate(false).mode(0o600);
    let mut file = open.open(path)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Ok(None),
        Err(TryLockError::Error(error)) => return Err(error),
    }
    let mut id = String::new();
    file.read_to_string(&mut id)?;
    if id.is_empty() {
        // New, or its first process ended before it had written.
        id = format!("n-{}", hex::encode(rand::random::<[u8; 8]>()));
        file.write_all(id.as_bytes())?;
        file.sync_all()?;
    }
    let id = id.trim_end().to_owned();
    if !is_node_id(&id) {
        let problem = "holds no name of an engine; delete it to have a new one made";
        return Err(std::io::Error::new(std::io::ErrorKind::InvalidData, problem));
    }
    Ok(Some(Node { id, _file: Some(file) }))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    struct Dir(PathBuf);

    impl Dir {
        fn new() -> Self {
            let dir = std::env::temp_dir().join(format!("ibora-node-{}", uuid::Uuid::new_v4()));
            Self(dir)
        }

        fn config(&self) -> Config {
            Config::with(&[("data.dir", &self.0.display().to_string())]).expect("valid")
        }
    }

    impl Drop for Dir {
        fn drop(&mut self) {
            std::fs::remove_dir_all(&self.0).ok();
        }
    }

    #[test]
    fn a_name_is_made_once_and_is_for_one_process_at_a_time() {
        let dir = Dir::new();
        let first = Node::of(&dir.config()).expect("a name");
        let second = Node::of(&dir.config()).expect("another name");
        assert_ne!(first.id, second.id);
        let (first_id, second_id) = (first.id.clone(), second.id.clone());
        drop((first, second));
        let again = [Node::of(&dir.config()), Node::of(&dir.config())];
        let again = again.map(|node| node.expect("a name"));
        assert_eq!(again.each_ref().map(|node| node.id.as_str()), [&first_id, &second_id]);
        let mode = std::fs::metadata(dir.0.join("node")).expect("a file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_configured_name_needs_no_directory_and_a_broken_file_is_refused() {
        let named = Config::with(&[("node.id", "south-1")]).expect("valid");
        assert_eq!(Node::of(&named).expect("a name").id, "south-1");
        assert!(Config::with(&[("node.id", "tool-1")]).is_err());
        assert!(Config::with(&[("node.id", "one two")]).is_err());
        let dir = Dir::new();
        std::fs::create_dir(&dir.0).expect("made");
        std::fs::write(dir.0.join("node"), "no name\n").expect("written");
        assert!(matches!(Node::of(&dir.config()), Err(StartError::File { .. })));
    }
}
