//! Finds the PostgreSQL programs on this machine.
//!
//! Used inside this room only. Existing data is opened with the major version that made it, or
//! not at all: PostgreSQL cannot read another one's files.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::command;
use super::error::PostgresError;

/// The oldest PostgreSQL the engine's SQL and settings are made for.
pub(super) const OLDEST_MAJOR: u32 = 15;

const DEBIAN_ROOT: &str = "/usr/lib/postgresql";
const PROGRAMS: [&str; 3] = ["postgres", "initdb", "pg_ctl"];
const VERSION_DEADLINE: Duration = Duration::from_secs(10);

/// A directory with all of [`PROGRAMS`], of one known version.
#[derive(Debug, Clone)]
pub(super) struct Binaries {
    dir: PathBuf,
    pub(super) major: u32,
}

impl Binaries {
    /// The programs to use. `made_by`: the major version of existing data in `data_dir`.
    pub(super) async fn find(
        configured: Option<&Path>,
        made_by: Option<u32>,
        data_dir: &Path,
    ) -> Result<Self, PostgresError> {
        let candidates = match configured {
            Some(dir) => vec![checked(dir)?],
            None => installed(),
        };
        let mut found = Vec::new();
        for dir in candidates {
            found.push(Self { major: major_of(&dir).await?, dir });
        }
        let chosen = choose(&found, made_by).ok_or_else(|| refusal(&found, made_by, data_dir))?;
        let shown = chosen.dir.display();
        tracing::info!(binaries = %shown, major = chosen.major, "PostgreSQL programs found");
        Ok(chosen.clone())
    }

    pub(super) fn postgres(&self) -> PathBuf {
        self.dir.join("postgres")
    }

    pub(super) fn initdb(&self) -> PathBuf {
        self.dir.join("initdb")
    }

    pub(super) fn pg_ctl(&self) -> PathBuf {
        self.dir.join("pg_ctl")
    }
}

/// The first that is new enough and fits the data; they come in the order of preference.
fn choose(found: &[Binaries], made_by: Option<u32>) -> Option<&Binaries> {
    let fits = |b: &&Binaries| made_by.map_or(b.major >= OLDEST_MAJOR, |made| b.major == made);
    found.iter().find(fits)
}

fn refusal(found: &[Binaries], made_by: Option<u32>, data_dir: &Path) -> PostgresError {
    match (found.first(), made_by) {
        (None, _) => PostgresError::BinariesMissing,
        (Some(_), Some(made_by)) => PostgresError::WrongMajor {
            data_dir: data_dir.to_owned(),
            made_by,
            found: found.iter().map(|binaries| binaries.major).collect(),
        },
        (Some(first), None) => {
            PostgresError::BinariesTooOld { dir: first.dir.clone(), major: first.major }
        }
    }
}

/// Complete bin directories: of PATH first, then Debian's, the newest first.
fn installed() -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let in_path = std::env::split_paths(&path).filter_map(|dir| {
        // A link in PATH: the programs beside its target are the complete set.
        let program = dir.join("postgres").canonicalize().ok()?;
        program.parent().map(Path::to_owned)
    });
    let mut dirs: Vec<PathBuf> = Vec::new();
    for dir in in_path.chain(debian_dirs(Path::new(DEBIAN_ROOT))) {
        if !dirs.contains(&dir) && checked(&dir).is_ok() {
            dirs.push(dir);
        }
    }
    dirs
}

fn debian_dirs(root: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(root).into_iter().flatten().flatten();
    let major = |entry: std::fs::DirEntry| entry.file_name().to_str()?.parse::<u32>().ok();
    let mut majors: Vec<u32> = entries.filter_map(major).collect();
    majors.sort_unstable_by(|a, b| b.cmp(a));
    majors.into_iter().map(|major| root.join(major.to_string()).join("bin")).collect()
}

fn checked(dir: &Path) -> Result<PathBuf, PostgresError> {
    let missing = PROGRAMS.iter().find(|program| !dir.join(program).is_file());
    match missing {
        Some(program) => Err(PostgresError::BinariesIncomplete { dir: dir.to_owned(), program }),
        None => std::path::absolute(dir).map_err(PostgresError::io("find", dir)),
    }
}

async fn major_of(dir: &Path) -> Result<u32, PostgresError> {
    let program = dir.join("postgres");
    let mut ask = command::bare(&program, None);
    ask.arg("--version");
    let answer = command::run(ask, "postgres --version", VERSION_DEADLINE).await?;
    parse_version(&answer.stdout).ok_or(PostgresError::VersionUnknown { program })
}

/// 15 of `postgres (PostgreSQL) 15.20 (Debian 15.20-0+deb12u1)`, 19 of `19beta1`.
fn parse_version(line: &str) -> Option<u32> {
    let version = line.split_once("(PostgreSQL) ")?.1;
    let digits = version.find(|c: char| !c.is_ascii_digit()).unwrap_or(version.len());
    version[..digits].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_from_what_the_program_says() {
        let cases = [
            ("postgres (PostgreSQL) 15.20 (Debian 15.20-0+deb12u1)\n", Some(15)),
            ("postgres (PostgreSQL) 19beta1\n", Some(19)),
            ("postgres (PostgreSQL) 18\n", Some(18)),
            ("postgres 15\n", None),
            ("", None),
        ];
        for (line, expected) in cases {
            assert_eq!(parse_version(line), expected, "{line}");
        }
    }

    #[test]
    fn existing_data_decides_which_version_opens_it() {
        let found = [(14, "/a"), (17, "/b"), (15, "/c"), (18, "/d")]
            .map(|(major, dir)| Binaries { dir: PathBuf::from(dir), major });
        let chosen = |made_by| choose(&found, made_by).map(|binaries| binaries.major);
        assert_eq!(chosen(None), Some(17), "new data: the first that is new enough");
        assert_eq!(chosen(Some(15)), Some(15));
        assert_eq!(chosen(Some(16)), None);
        let refused = refusal(&found, Some(16), Path::new("/data"));
        assert!(matches!(refused, PostgresError::WrongMajor { made_by: 16, .. }));
        let refused = refusal(&found[..1], None, Path::new("/data"));
        assert!(matches!(refused, PostgresError::BinariesTooOld { major: 14, .. }));
        assert!(matches!(refusal(&[], None, Path::new("/")), PostgresError::BinariesMissing));
    }
}
