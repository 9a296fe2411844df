//! A bench that is stopped takes what it started with it: engine, PostgreSQL, Redis, files.
//!
//! Everything a bench starts lies in a directory below `TMPDIR`, which is one of the test's own
//! here; so whatever is left can be told from everybody else's.

use std::io::{BufRead, BufReader};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use uuid::Uuid;

const ENDS_WITHIN: Duration = Duration::from_secs(120);

/// A bench on its way, and the only place where it may leave something.
struct Running {
    child: Child,
    dir: PathBuf,
}

impl Running {
    /// Starts a bench and returns when it has said `line`.
    fn until(line: &str, arguments: &[&str]) -> Self {
        // Short: the path of PostgreSQL's socket must not become too long.
        let name = Uuid::now_v7().simple().to_string();
        let dir = std::env::temp_dir().join(format!("ibora-{}", &name[20..]));
        std::fs::create_dir(&dir).expect("a directory");
        let mut command = Command::new(env!("CARGO_BIN_EXE_ibora-loadtest"));
        command.args(arguments).env("TMPDIR", &dir).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("starts");
        let said = BufReader::new(child.stderr.take().expect("stderr"));
        let mut running = Self { child, dir };
        let mut before = Vec::new();
        let mut said = said.lines();
        loop {
            let next = said.next().and_then(Result::ok);
            let Some(next) = next else { panic!("it ended before `{line}`: {before:?}") };
            if next.starts_with(line) {
                break;
            }
            before.push(next);
        }
        // Nobody shall be stopped by a pipe that is full.
        std::thread::spawn(move || said.for_each(drop));
        assert!(!running.left().is_empty(), "something was started");
        assert!(running.child.try_wait().expect("waits").is_none(), "it runs");
        running
    }

    /// Sends a signal; returns the exit code.
    fn stop(&mut self, signal: &str) -> Option<i32> {
        let pid = self.child.id().to_string();
        let sent = Command::new("sh").args(["-c", r#"kill -s "$0" "$1""#, signal, &pid]).status();
        assert!(sent.expect("a shell").success());
        let deadline = Instant::now() + ENDS_WITHIN;
        loop {
            if let Some(status) = self.child.try_wait().expect("waits") {
                return status.code();
            }
            assert!(Instant::now() < deadline, "it does not end");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Processes that name the directory or work in it, other than the bench itself.
    fn left(&self) -> Vec<String> {
        let processes = std::fs::read_dir("/proc").expect("/proc").flatten();
        let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
        let others = pids.filter(|pid| *pid != self.child.id());
        others.filter_map(|pid| belongs(pid, &self.dir)).collect()
    }

    fn runs(&self, program: &str) -> bool {
        self.left().iter().any(|process| process.contains(program))
    }

    fn files(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(&self.dir).expect("the directory").flatten();
        entries.map(|entry| entry.path()).collect()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
        std::fs::remove_dir_all(&self.dir).ok();
    }
}

/// The command line of a process that has to do with this directory.
fn belongs(pid: u32, dir: &Path) -> Option<String> {
    let command = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let name = dir.as_os_str().as_bytes();
    let is_named = command.windows(name.len()).any(|part| part == name);
    let works_in = std::fs::read_link(format!("/proc/{pid}/cwd"));
    let is_inside = works_in.is_ok_and(|place| place.starts_with(dir));
    let text = || format!("{pid} {}", String::from_utf8_lossy(&command).replace('\0', " "));
    (!command.is_empty() && (is_named || is_inside)).then(text)
}

#[test]
fn a_bench_that_is_terminated_leaves_no_engine_no_database_and_no_files() {
    let mut bench = Running::until("making", &["recovery", "--rides", "30000"]);
    assert!(bench.runs("ibora-loadtest"), "the part that is filled runs");
    assert!(bench.runs("postgres"), "its database runs");
    assert_eq!(bench.stop("TERM"), Some(143));
    assert_eq!((bench.left(), bench.files()), (vec![], vec![]));
}

#[test]
fn a_bench_that_is_interrupted_leaves_no_redis_either() {
    if Command::new("redis-server").arg("--version").output().is_err() {
        return skipped("this machine has no redis-server");
    }
    let beside = Path::new(env!("CARGO_BIN_EXE_ibora-loadtest")).with_file_name("ibora");
    assert!(beside.exists(), "it lies there after `cargo build --package ibora`");
    let mut bench = Running::until("making", &["locations", "--drivers", "5000"]);
    for program in ["redis-server", "serve", "postgres"] {
        assert!(bench.runs(program), "{program} runs");
    }
    assert_eq!(bench.stop("INT"), Some(130));
    assert_eq!((bench.left(), bench.files()), (vec![], vec![]));
}

#[test]
fn chaos_that_is_terminated_leaves_neither_of_its_engines() {
    let people = ["--drivers", "4", "--passengers", "4"];
    let arguments = [&["chaos"], &people[..]].concat();
    let mut bench = Running::until("4 drivers race", &arguments);
    for program in ["node.id=a", "node.id=b", "postgres"] {
        assert!(bench.runs(program), "{program} runs");
    }
    assert_eq!(bench.stop("TERM"), Some(143));
    assert_eq!((bench.left(), bench.files()), (vec![], vec![]));
}

#[expect(clippy::print_stderr, reason = "a test that did not run says so")]
fn skipped(why: &str) {
    eprintln!("skipped: {why}");
}
