//! Statements that read, counted by the database itself: it is told to log every statement.
//!
//! The engine's private server keeps its settings in a file that every start writes anew, but what
//! `postgresql.auto.conf` says has the last word. So nothing of the engine has to count for this.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::served::Served;
use crate::started;

/// Parameters stay out: those of a batch are hundreds of kilobytes.
const SETTINGS: &str = "\nlog_statement = 'all'\nlog_parameter_max_length = 0\n";
const WITHIN: Duration = Duration::from_secs(10);
/// How the server begins what was executed.
const EXECUTED: [&str; 2] = ["LOG:  execute ", "LOG:  statement: "];
/// The journal's own function writes, although it is called by a SELECT.
const WRITES: &str = "journal_write";
/// Letters by which a statement is told from others.
const SHOWN: usize = 70;

/// The server's log.
pub(super) struct Statements {
    log: PathBuf,
    from: u64,
}

impl Statements {
    /// Lets the server of this engine log, from now on.
    pub(super) async fn log(served: &Served) -> anyhow::Result<Self> {
        let dir = served.dir()?;
        let settings = dir.join("pgdata/postgresql.auto.conf");
        OpenOptions::new().append(true).open(settings)?.write_all(SETTINGS.as_bytes())?;
        started::signal(served.processes()?.postmaster, "HUP")?;
        let mut statements = Self { log: dir.join("postgres.log"), from: 0 };
        let store = served.store().await?;
        let deadline = Instant::now() + WITHIN;
        while statements.that_read()?.is_empty() {
            anyhow::ensure!(Instant::now() < deadline, "the database logs no statements");
            sqlx::query("SELECT 1").execute(&store.pool).await?;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        store.pool.close().await;
        statements.from = std::fs::metadata(&statements.log)?.len();
        Ok(statements)
    }

    /// How often which statement read since then, by its first letters.
    pub(super) fn that_read(&self) -> anyhow::Result<BTreeMap<String, usize>> {
        let mut log = std::fs::File::open(&self.log)?;
        log.seek(SeekFrom::Start(self.from))?;
        let mut bytes = Vec::new();
        log.read_to_end(&mut bytes)?;
        Ok(reads(&String::from_utf8_lossy(&bytes)))
    }
}

/// The statements of a log that read. Lines that go on with a statement begin with a tab.
fn reads(log: &str) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    let joined = log.replace("\n\t", " ");
    for line in joined.lines() {
        let Some(executed) = EXECUTED.iter().find_map(|begins| line.split_once(begins)) else {
            continue;
        };
        // `execute NAME: SQL`, where a statement was prepared.
        let sql = match line.contains(EXECUTED[0]) {
            true => executed.1.split_once(": ").map_or("", |(_, sql)| sql),
            false => executed.1,
        };
        let words: Vec<&str> = sql.split_whitespace().collect();
        let first = words.first().map(|word| word.to_ascii_uppercase()).unwrap_or_default();
        let may_read = matches!(first.as_str(), "SELECT" | "WITH" | "TABLE" | "VALUES");
        let writes = [" INSERT INTO ", " UPDATE ", " DELETE FROM ", WRITES];
        if may_read && !writes.iter().any(|word| sql.contains(word)) {
            let shown = words.join(" ").chars().take(SHOWN).collect();
            *counts.entry(shown).or_default() += 1;
        }
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_statements_that_read_are_counted() {
        let log = "2026-11-22 06:00:00 UTC [7] ibora_app@ibora LOG:  execute sqlx_s_1: SELECT a\n\
                   \t     FROM b: c\n\
                   2026-11-22 06:00:00 UTC [7] ibora_app@ibora LOG:  execute sqlx_s_1: SELECT a\n\
                   \tFROM b: c\n\
                   2026-11-22 06:00:00 UTC [7] LOG:  execute <unnamed>: SELECT journal_write($1)\n\
                   2026-11-22 06:00:00 UTC [7] LOG:  execute s: INSERT INTO a SELECT 1\n\
                   2026-11-22 06:00:00 UTC [7] LOG:  execute s: WITH x AS (SELECT 1) UPDATE y\n\
                   2026-11-22 06:00:00 UTC [7] LOG:  checkpoint complete\n\
                   2026-11-22 06:00:00 UTC [7] LOG:  statement: BEGIN\n\
                   2026-11-22 06:00:00 UTC [7] LOG:  statement: select 1\n";
        let wanted = [("SELECT a FROM b: c", 2), ("select 1", 1)];
        assert_eq!(reads(log), wanted.map(|(sql, count)| (sql.to_owned(), count)).into());
    }
}
