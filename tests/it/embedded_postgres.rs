//! The private PostgreSQL: whatever happens to engine or server, the next start has the data, and
//! no two servers ever run on it.
//!
//! Real servers in directories under `/tmp`. Needs PostgreSQL; run as root the server's user is
//! another one, run as a plain user everything is its own.

pub(crate) mod dir;
mod refusals;

use std::fs::{self, Permissions};
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};

use ibora::postgres::{Database, DatabaseSource, EmbeddedOptions, EmbeddedPostgres, PostgresError};
use sqlx::Connection as _;
use sqlx::postgres::PgConnection;
use tokio::process::Command;

use dir::{DATA_DIR, Dir, NOBODY, THEN_STOP};
use dir::{ask, code, connect, is_zombie, own_uid, ready_pid, refusal, run};
use dir::{signal, stop, wait_until};

use crate::machine::EVER;

#[tokio::test]
async fn first_start_makes_an_app_role_that_owns_nothing() {
    let dir = Dir::new();
    let server = dir.start().await;
    assert!(!server.was_adopted() && server.is_running());
    assert_eq!(server.data_dir(), dir.path);

    let mut owner = connect(server.owner_options()).await;
    run(&mut owner, "create table ride (id int primary key); insert into ride values (1)").await;
    let mut app = connect(server.app_options()).await;
    for forbidden in ["create table x ()", "create schema x", "create temp table x ()"] {
        assert_eq!(refusal(&mut app, forbidden).await, "42501", "{forbidden}");
    }
    assert_eq!(refusal(&mut app, "select * from ride").await, "42501", "grants are migrations'");
    run(&mut owner, "grant select on ride to ibora_app").await;
    assert_eq!(ask(&mut app, "select count(*)::text from ride").await, "1");
    let elsewhere = PgConnection::connect_with(&server.app_options().database("postgres")).await;
    assert_eq!(code(&elsewhere.expect_err("only its own database")), "42501");

    let settings = [
        ("statement_timeout", "5s"),
        ("idle_in_transaction_session_timeout", "3s"),
        ("lock_timeout", "3s"),
        ("fsync", "on"),
        ("synchronous_commit", "on"),
        ("full_page_writes", "on"),
        ("data_checksums", "on"),
        ("server_encoding", "UTF8"),
        ("lc_collate", "C"),
        ("listen_addresses", ""),
    ];
    for (key, value) in settings {
        assert_eq!(ask(&mut app, &format!("show {key}")).await, value, "{key}");
    }
    assert_eq!(ask(&mut owner, "show statement_timeout").await, "0", "migrations may take long");
    stop(server).await;
}

#[tokio::test]
async fn server_and_secrets_are_kept_apart_from_others() {
    let dir = Dir::new();
    let server = dir.start().await;
    let secrets = fs::metadata(dir.path.join("postgres.secrets")).expect("was written");
    assert_eq!(secrets.mode() & 0o777, 0o600);
    assert_eq!(secrets.uid(), own_uid(), "the engine's, not the server's");
    let text = fs::read_to_string(dir.path.join("postgres.secrets")).expect("readable");
    let passwords: Vec<_> = text.lines().filter_map(|line| line.split_once('=')).collect();
    assert_eq!(passwords.len(), 3);
    let log = fs::read_to_string(dir.path.join("postgres.log")).expect("a log");
    let shown = format!("{server:?}{log}");
    assert!(passwords.iter().all(|(_, password)| !shown.contains(password)));

    let pid = server.postmaster_pid();
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("it runs");
    let after_name = stat.rsplit_once(')').expect("a process name").1;
    let group = after_name.split_whitespace().nth(2).expect("a process group");
    assert_eq!(group, pid.to_string(), "a Ctrl-C for the engine must not reach the server");
    let environment = fs::read_to_string(format!("/proc/{pid}/environ")).expect("readable");
    assert!(!environment.contains("CARGO"), "the engine's environment may hold secrets");
    if own_uid() == 0 {
        assert_ne!(fs::metadata(format!("/proc/{pid}")).expect("it runs").uid(), 0);
    }
    let stranger = PgConnection::connect_with(&server.app_options().password("guessed")).await;
    assert_eq!(code(&stranger.expect_err("no access without the password")), "28P01");
    stop(server).await;
}

#[tokio::test]
async fn restart_keeps_the_data() {
    let dir = Dir::new();
    let source = || DatabaseSource::Embedded(dir.options());
    let database = Database::open(source()).await.expect("starts");
    dir.write_row(database.embedded().expect("no URL was given")).await;
    let pid = database.embedded().expect("no URL was given").postmaster_pid();
    database.close().await.expect("stops");
    assert!(!Path::new(&format!("/proc/{pid}")).exists(), "not even a zombie is left");

    let database = Database::open(source()).await.expect("starts again");
    let server = database.embedded().expect("no URL was given");
    assert!(!server.was_adopted());
    assert_eq!(dir.rows(server).await, "1");
    assert!(database.owner_options().is_some());
    database.close().await.expect("stops");
}

#[tokio::test]
async fn killed_engine_leaves_a_server_that_the_next_start_adopts() {
    let dir = Dir::new();
    let (mut engine, pid) = dir.start_child_engine(own_uid()).await;
    // A transaction of the dying engine that nobody will end.
    engine.kill().await.expect("SIGKILL");
    let server = dir.start().await;
    assert!(server.was_adopted());
    assert_eq!(server.postmaster_pid(), pid);
    dir.write_row(&server).await;
    let mut old_session = connect(server.owner_options()).await;
    run(&mut old_session, "begin; lock table kept").await;
    drop(server); // As after a kill: the lock is free, the server runs on.

    let server = dir.start().await;
    assert!(server.was_adopted());
    assert_eq!(dir.rows(&server).await, "1", "no lock of an old session is in the way");
    old_session.ping().await.expect_err("was ended");
    stop(server).await;
    assert!(!Path::new(&format!("/proc/{pid}")).exists() || is_zombie(pid));
}

#[tokio::test]
async fn server_with_other_settings_is_restarted_not_adopted() {
    let dir = Dir::new();
    let first = dir.start().await;
    dir.write_row(&first).await;
    let pid = first.postmaster_pid();
    drop(first);
    let more = EmbeddedOptions { max_connections: 33, ..dir.options() };
    let server = EmbeddedPostgres::start(more).await.expect("starts");
    assert!(!server.was_adopted());
    assert_ne!(server.postmaster_pid(), pid);
    let mut app = connect(server.app_options()).await;
    assert_eq!(ask(&mut app, "show max_connections").await, "38", "five are reserved");
    assert_eq!(dir.rows(&server).await, "1");
    stop(server).await;
}

#[tokio::test]
async fn crashed_server_recovers_what_it_had_confirmed() {
    let dir = Dir::new();
    let server = dir.start().await;
    dir.write_row(&server).await;
    let mut session = connect(server.app_options()).await; // Keeps a process beside the first.
    signal("KILL", server.postmaster_pid());
    wait_until("the server is dead", || !server.is_running()).await;
    assert!(dir.path.join("pgdata/postmaster.pid").exists(), "the stale file is the point");
    drop(server);
    let server = dir.start().await;
    assert!(!server.was_adopted());
    assert_eq!(dir.rows(&server).await, "1");
    session.ping().await.expect_err("belonged to the crashed server");
    stop(server).await;
}

#[tokio::test]
async fn pid_file_that_names_a_foreign_process_is_cleared_away() {
    let dir = Dir::new();
    stop(dir.start().await).await;
    let cluster = fs::metadata(dir.path.join("pgdata")).expect("exists");
    // Of the server's own user: this is what PostgreSQL alone would refuse to start beside.
    let mut foreign = Command::new("sleep").arg("600").uid(cluster.uid()).spawn().expect("sleeps");
    let pid = foreign.id().expect("runs");
    let file = dir.path.join("pgdata/postmaster.pid");
    for content in [format!("{pid}\n{}\n1\n5432\n", dir.path.display()), String::new()] {
        fs::write(&file, content).expect("written");
        chown(&file, Some(cluster.uid()), Some(cluster.gid())).expect("given away");
        let server = dir.start().await;
        assert!(!server.was_adopted());
        stop(server).await;
    }
    assert!(foreign.try_wait().expect("ours").is_none(), "it was left in peace");
    foreign.kill().await.expect("ends");
}

#[tokio::test]
async fn interrupted_first_start_is_done_again() {
    let dir = Dir::new();
    let rest = dir.path.join("pgdata.new-0123/pgdata");
    fs::create_dir_all(&rest).expect("made");
    fs::write(rest.join("PG_VERSION"), "15\n").expect("written");
    let mut engine = dir.spawn_child_engine(own_uid());
    let unfinished = || {
        let entries = fs::read_dir(&dir.path).into_iter().flatten().flatten();
        let new = entries.map(|entry| entry.path().join("pgdata/base")).filter(|p| p.exists());
        new.count() > 0 && !dir.path.join("pgdata").exists()
    };
    wait_until("initdb is at work", unfinished).await;
    engine.kill().await.expect("SIGKILL");
    assert!(!dir.path.join("pgdata").exists(), "killed before the cluster was whole");
    assert!(!rest.exists());

    let server = dir.start().await;
    dir.write_row(&server).await;
    assert_eq!(dir.rows(&server).await, "1");
    stop(server).await;
}

#[tokio::test]
async fn long_path_moves_only_the_socket() {
    let dir = Dir::new();
    let data_dir = dir.path.join("long name ".repeat(9)).join("d");
    let options = EmbeddedOptions { data_dir: data_dir.clone(), ..dir.options() };
    let server = EmbeddedPostgres::start(options.clone()).await.expect("starts");
    let socket = server.app_options().get_socket().expect("a socket").clone();
    assert!(socket.starts_with("/tmp") && !socket.starts_with(&dir.path), "{socket:?}");
    assert_eq!(fs::metadata(&socket).expect("exists").mode() & 0o777, 0o700);
    dir.write_row(&server).await;
    drop(server);
    let server = EmbeddedPostgres::start(options.clone()).await.expect("starts");
    assert!(server.was_adopted());
    stop(server).await;

    // What lies there must be the server's own directory, not one that somebody left open.
    fs::set_permissions(&socket, Permissions::from_mode(0o777)).expect("set");
    let refused = EmbeddedPostgres::start(options).await.expect_err("open to everybody");
    assert!(matches!(refused, PostgresError::SocketDirUntrusted { .. }), "{refused}");
    fs::remove_dir_all(&socket).expect("removed");
}

#[tokio::test]
async fn plain_user_runs_a_server_of_its_own() {
    let dir = Dir::new();
    let uid = if own_uid() == 0 { NOBODY } else { own_uid() };
    chown(&dir.path, Some(uid), None).expect("given away");
    let (mut engine, pid) = dir.start_child_engine(uid).await;
    assert_eq!(fs::metadata(format!("/proc/{pid}")).expect("it runs").uid(), uid);
    engine.kill().await.expect("SIGKILL");
    let mut engine = dir.child_engine(uid).env(THEN_STOP, "1").spawn().expect("runs");
    assert_eq!(ready_pid(&mut engine).await, pid, "adopted");
    let ended = tokio::time::timeout(EVER, engine.wait()).await.expect("in time");
    assert!(ended.expect("ours").success());
    assert!(!dir.path.join("pgdata/postmaster.pid").exists(), "stopped");
}

/// An engine in a process of its own, to be killed.
#[tokio::test]
#[ignore = "the other tests run it as a child process"]
async fn child_engine() {
    let data_dir = PathBuf::from(std::env::var_os(DATA_DIR).expect("told by the other tests"));
    let options =
        EmbeddedOptions { data_dir, binaries: None, max_connections: 10, wal_reserve_mb: 0 };
    let server = EmbeddedPostgres::start(options).await.expect("starts");
    let mut stdout = std::io::stdout();
    writeln!(stdout, "\nready {}", server.postmaster_pid()).expect("heard");
    stdout.flush().expect("heard");
    match std::env::var_os(THEN_STOP) {
        Some(_) => server.stop().await.expect("stops"),
        None => std::future::pending().await,
    }
}
