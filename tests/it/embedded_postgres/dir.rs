//! A directory with a private server on it, and the small tools of its tests.
//!
//! Whatever a test did, and however it ended: no server and no file stays behind.

use std::fs::{self, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use ibora::postgres::{EmbeddedOptions, EmbeddedPostgres, PostgresError};
use sqlx::error::DatabaseError;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, Connection as _};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use crate::machine::EVER;

/// Tells the child engine where to work.
pub(super) const DATA_DIR: &str = "IBORA_TEST_DATA_DIR";
/// Tells the child engine to stop by itself.
pub(super) const THEN_STOP: &str = "IBORA_TEST_THEN_STOP";
pub(super) const NOBODY: u32 = 65_534;

/// A directory for one test; when it goes, the server on it goes first.
pub(crate) struct Dir {
    pub(crate) path: PathBuf,
}

impl Dir {
    pub(crate) fn new() -> Self {
        let path = PathBuf::from(format!("/tmp/ib-{:08x}", rand::random::<u32>()));
        fs::create_dir(&path).expect("a fresh name");
        fs::set_permissions(&path, Permissions::from_mode(0o711)).expect("ours");
        Self { path }
    }

    pub(super) fn options(&self) -> EmbeddedOptions {
        EmbeddedOptions {
            data_dir: self.path.clone(),
            binaries: None,
            max_connections: 10,
            wal_reserve_mb: 0,
        }
    }

    pub(super) async fn start(&self) -> EmbeddedPostgres {
        EmbeddedPostgres::start(self.options()).await.expect("starts")
    }

    pub(super) async fn refusal(&self) -> PostgresError {
        EmbeddedPostgres::start(self.options()).await.expect_err("is refused")
    }

    pub(super) async fn write_row(&self, server: &EmbeddedPostgres) {
        let mut owner = connect(server.owner_options()).await;
        run(&mut owner, "create table kept (id int); insert into kept values (1)").await;
    }

    pub(super) async fn rows(&self, server: &EmbeddedPostgres) -> String {
        let mut owner = connect(server.owner_options()).await;
        ask(&mut owner, "select count(*)::text from kept").await
    }

    /// This test binary, told to be an engine. From a place that any user can enter.
    pub(super) fn child_engine(&self, uid: u32) -> Command {
        let program = self.path.join("engine");
        if !program.exists() {
            fs::copy(std::env::current_exe().expect("known"), &program).expect("copied");
            fs::set_permissions(&program, Permissions::from_mode(0o755)).expect("ours");
        }
        let tests = module_path!().strip_suffix("::dir").expect("the name of this file");
        let module = tests.split_once("::").expect("crate and module").1;
        let mut command = Command::new(program);
        command.args(["--ignored", "--exact", "--nocapture"]);
        command.arg(format!("{module}::child_engine"));
        command.env(DATA_DIR, &self.path).current_dir("/").uid(uid);
        command.stdout(Stdio::piped()).kill_on_drop(true);
        command
    }

    pub(super) fn spawn_child_engine(&self, uid: u32) -> Child {
        let deadline = Instant::now() + EVER;
        loop {
            match self.child_engine(uid).spawn() {
                // A child that another test forked meanwhile has the copy open until its own exec.
                Err(error)
                    if error.kind() == ErrorKind::ExecutableFileBusy
                        && Instant::now() < deadline =>
                {
                    std::thread::yield_now();
                }
                spawned => return spawned.expect("runs"),
            }
        }
    }

    pub(super) async fn start_child_engine(&self, uid: u32) -> (Child, u32) {
        let mut engine = self.spawn_child_engine(uid);
        let pid = ready_pid(&mut engine).await;
        (engine, pid)
    }

    /// The server on this directory, and only that: a pid file may lie.
    pub(crate) fn server_pid(&self, cluster: &Path) -> Option<u32> {
        let text = fs::read_to_string(cluster.join("postmaster.pid")).ok()?;
        let pid = text.lines().next()?.parse().ok()?;
        let command_line = fs::read_to_string(format!("/proc/{pid}/cmdline")).ok()?;
        command_line.contains(self.path.to_str()?).then_some(pid)
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let long = self.path.join("long name ".repeat(9)).join("d/pgdata");
        for cluster in [self.path.join("pgdata"), long] {
            if let Some(pid) = self.server_pid(&cluster) {
                signal("QUIT", pid);
                let deadline = Instant::now() + EVER;
                while self.server_pid(&cluster).is_some() && Instant::now() < deadline {
                    std::thread::sleep(Duration::from_millis(10));
                }
            }
        }
        // An initdb whose engine was killed may still be writing.
        let deadline = Instant::now() + EVER;
        while fs::remove_dir_all(&self.path).is_err() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

pub(super) async fn ready_pid(engine: &mut Child) -> u32 {
    let mut lines = BufReader::new(engine.stdout.take().expect("is piped")).lines();
    let reading = async {
        while let Some(line) = lines.next_line().await.expect("readable") {
            if let Some(pid) = line.strip_prefix("ready ") {
                return pid.parse().expect("a pid");
            }
        }
        panic!("the child engine ended before it was ready");
    };
    let pid = tokio::time::timeout(EVER, reading).await.expect("in time");
    // Its last words must find a listener, or it would end in an error.
    tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
    pid
}

pub(super) async fn stop(server: EmbeddedPostgres) {
    server.stop().await.expect("stops");
}

pub(super) async fn connect(options: PgConnectOptions) -> PgConnection {
    PgConnection::connect_with(&options).await.expect("connects")
}

pub(super) async fn run(db: &mut PgConnection, sql: &'static str) {
    sqlx::raw_sql(sql).execute(db).await.expect(sql);
}

pub(super) async fn ask(db: &mut PgConnection, sql: &str) -> String {
    let asking = sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(db);
    let answer = tokio::time::timeout(EVER, asking).await.expect("in time");
    answer.expect(sql)
}

pub(super) async fn refusal(db: &mut PgConnection, sql: &'static str) -> String {
    code(&sqlx::raw_sql(sql).execute(db).await.expect_err(sql))
}

pub(super) fn code(error: &sqlx::Error) -> String {
    let code = error.as_database_error().and_then(DatabaseError::code);
    code.map_or_else(|| error.to_string(), Into::into)
}

pub(super) async fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + EVER;
    while !holds() {
        assert!(Instant::now() < deadline, "waited too long until {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

pub(crate) fn signal(name: &str, pid: u32) {
    let sent = std::process::Command::new("kill").args(["-s", name, &pid.to_string()]).status();
    assert!(sent.expect("there is a kill").success());
}

pub(super) fn own_uid() -> u32 {
    fs::metadata("/proc/self").expect("Linux").uid()
}

pub(super) fn is_zombie(pid: u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line.is_empty())
}

/// The same line with another password of the same form.
pub(super) fn rotated(line: &str) -> String {
    let (key, value) = line.split_once('=').expect("key=value");
    format!("{key}={}{}", &value[1..], &value[..1])
}
