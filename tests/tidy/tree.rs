//! The files of the project as text, read once per test. Only `tidy` uses it.
//!
//! Build output is known by the `CACHEDIR.TAG` that cargo writes, so a target directory of any
//! name is left out. Files that are no UTF-8 text are left out too.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::source::{Source, test_modules};

/// Names that hold no file of ours; `.git` is a file in a worktree.
const FOREIGN: [&str; 4] = [".git", ".data", "node_modules", "vendor"];

/// A file by its path from the root, with `/` between the parts.
pub(crate) struct File {
    pub(crate) path: String,
    pub(crate) text: String,
}

/// All text files, sorted by path.
pub(crate) struct Tree {
    pub(crate) root: PathBuf,
    pub(crate) files: Vec<File>,
}

impl Tree {
    /// Reads the tree this test was built from.
    pub(crate) fn read() -> Self {
        let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
        let mut files = Vec::new();
        collect(&root, &root, &mut files);
        files.sort_by(|a, b| a.path.cmp(&b.path));
        Self { root, files }
    }

    /// A tree in memory, for the samples of the rules.
    pub(crate) fn sample(files: &[(&str, &str)]) -> Self {
        let file =
            |(path, text): &(&str, &str)| File { path: (*path).into(), text: (*text).into() };
        Self { root: PathBuf::from("sample"), files: files.iter().map(file).collect() }
    }

    pub(crate) fn file(&self, path: &str) -> Option<&File> {
        self.files.iter().find(|file| file.path == path)
    }

    /// The files whose path begins with `under` and ends with `ending`.
    pub(crate) fn under(&self, under: &str, ending: &str) -> impl Iterator<Item = &File> {
        let wanted =
            move |file: &&File| file.path.starts_with(under) && file.path.ends_with(ending);
        self.files.iter().filter(wanted)
    }

    /// Every Rust file, with what is test code in it marked as such.
    pub(crate) fn sources(&self) -> Vec<Source<'_>> {
        let mut sources: Vec<_> =
            self.under("", ".rs").map(|file| Source::new(&file.path, &file.text)).collect();
        let tests: BTreeSet<_> = sources.iter().flat_map(test_modules).collect();
        for source in &mut sources {
            source.all_test |= tests.iter().any(|module| {
                let below = format!("{module}/");
                source.path == format!("{module}.rs") || source.path.starts_with(&below)
            });
        }
        sources
    }
}

fn collect(root: &Path, dir: &Path, files: &mut Vec<File>) {
    if dir.join("CACHEDIR.TAG").exists() {
        return;
    }
    let entries = fs::read_dir(dir).unwrap_or_else(|e| panic!("{}: {e}", dir.display()));
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let Ok(kind) = entry.file_type() else {
            continue;
        };
        if FOREIGN.contains(&name.as_str()) {
            continue;
        }
        if kind.is_dir() {
            collect(root, &entry.path(), files);
        } else if kind.is_file() {
            // A picture has a name, for links, and no text.
            let text = fs::read_to_string(entry.path()).unwrap_or_default();
            let path = entry.path();
            let path = path.strip_prefix(root).unwrap_or(&path);
            files.push(File { path: path.to_string_lossy().replace('\\', "/"), text });
        }
    }
}
