//! A throw-away PostgreSQL for this test run, and a fresh database for each test that asks.
//!
//! The server listens on a unix socket in a directory of its own. A shell beside it waits for the
//! end of this process, however it ends, and then stops the server by its id and clears up.

use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use sqlx::migrate::Migrator;
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};
use tokio::sync::OnceCell;
use uuid::Uuid;

use crate::machine::EVER;

static MIGRATOR: Migrator = sqlx::migrate!("./migrations");

/// A fresh database with all migrations applied; the role `ibora_app` exists.
pub(crate) async fn database() -> PgConnectOptions {
    static TEMPLATE: OnceCell<()> = OnceCell::const_new();
    let server = server();
    TEMPLATE.get_or_init(|| make_template(&server.options)).await;
    let name = format!("t_{}", Uuid::now_v7().simple());
    let create = format!("CREATE DATABASE {name} TEMPLATE ibora_template OWNER ibora_owner");
    run(&server.options, &create).await;
    server.options.clone().database(&name)
}

/// URLs of a fresh database, as the engine's configuration takes them: app role and owner.
pub(crate) async fn urls() -> (String, String) {
    urls_of(&database().await)
}

/// URLs of a copy of a database, to which nobody is connected.
#[cfg(feature = "failpoints")]
pub(crate) async fn copy((_, owner): (&str, &str)) -> (String, String) {
    let (name, server) = (format!("t_{}", Uuid::now_v7().simple()), server());
    let from = owner.rsplit('/').next().expect("a name");
    let create = format!("CREATE DATABASE {name} TEMPLATE {from} OWNER ibora_owner");
    run(&server.options, &create).await;
    urls_of(&server.options.clone().database(&name))
}

/// Removes a database, for a test that makes many.
#[cfg(feature = "failpoints")]
pub(crate) async fn remove((_, owner): (&str, &str)) {
    let name = owner.rsplit('/').next().expect("a name");
    run(&server().options, &format!("DROP DATABASE {name} WITH (FORCE)")).await;
}

fn urls_of(options: &PgConnectOptions) -> (String, String) {
    let socket = options.get_socket().expect("a unix socket").display().to_string();
    let socket = socket.replace('/', "%2F");
    let name = options.get_database().expect("a name").to_owned();
    let url = |role: &str| format!("postgres://{role}@{socket}/{name}");
    (url("ibora_app"), url("ibora_owner"))
}

/// Waits until a server answers.
pub(crate) async fn answers(server: &PgConnectOptions) {
    let deadline = Instant::now() + EVER;
    while let Err(error) = server.connect().await {
        assert!(Instant::now() < deadline, "the test database does not start: {error}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Makes roles and the database `ibora_template`, with all migrations, on a new server.
pub(crate) async fn make_template(server: &PgConnectOptions) {
    answers(server).await;
    run(server, "CREATE ROLE ibora_app LOGIN").await;
    run(server, "CREATE ROLE ibora_owner LOGIN").await;
    run(server, "CREATE DATABASE ibora_template OWNER ibora_owner").await;
    let template = server.clone().database("ibora_template").username("ibora_owner");
    let mut connection = template.connect().await.expect("the template opens");
    MIGRATOR.run(&mut connection).await.expect("migrations apply");
    connection.close().await.expect("the template closes");
}

pub(crate) async fn run(options: &PgConnectOptions, statement: &str) {
    let mut connection = options.connect().await.expect("connects");
    let statement = sqlx::raw_sql(AssertSqlSafe(statement.to_owned()));
    statement.execute(&mut connection).await.expect("runs");
    connection.close().await.expect("closes");
}

struct Server {
    options: PgConnectOptions,
    /// Its open standard input is what keeps the server alive.
    _keeper: Child,
}

fn server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(start)
}

fn start() -> Server {
    let home = std::env::temp_dir().join(format!("ibora-it-{}", Uuid::now_v7().simple()));
    std::fs::create_dir(&home).expect("a directory");
    let owner = unprivileged();
    if let Some((user, group)) = owner {
        chown(&home, Some(user), Some(group)).expect("handed over");
    }
    let script = r#"
        "$0/initdb" -D "$1/data" -U owner --auth=trust --encoding=UTF8 --no-sync >"$1/log" 2>&1
        "$0/postgres" -D "$1/data" -k "$1" -h "" -c fsync=off -c max_connections=200 \
            >>"$1/log" 2>&1 &
        server=$!
        read -r _
        kill -INT "$server"
        wait "$server"
        rm -rf "$1"
    "#;
    let mut keeper = Command::new("sh");
    keeper.arg("-c").arg(script).arg(binaries()).arg(&home).current_dir(&home);
    keeper.stdin(Stdio::piped()).process_group(0);
    if let Some((user, group)) = owner {
        keeper.uid(user).gid(group);
    }
    let keeper = keeper.spawn().expect("a shell");
    let options =
        PgConnectOptions::new_without_pgpass().socket(&home).username("owner").database("postgres");
    Server { options, _keeper: keeper }
}

/// The newest installed server's programs.
pub(crate) fn binaries() -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let bins = versions.map(|version| version.path().join("bin"));
    let newest = bins.filter(|bin| bin.join("postgres").exists()).max();
    newest.expect("PostgreSQL in /usr/lib/postgresql")
}

/// Root may not run PostgreSQL: user and group of `postgres`, where this is root.
pub(crate) fn unprivileged() -> Option<(u32, u32)> {
    let id = |flag: &str, user: &[&str]| -> u32 {
        let output = Command::new("id").arg(flag).args(user).output().expect("id runs");
        let text = String::from_utf8(output.stdout).expect("digits");
        text.trim().parse().expect("a number")
    };
    (id("-u", &[]) == 0).then(|| (id("-u", &["postgres"]), id("-g", &["postgres"])))
}

/// Where a test wants to look beside the code: the first column of the first row, as text.
pub(crate) async fn ask(options: &PgConnectOptions, query: &'static str) -> String {
    let mut connection = options.connect().await.expect("connects");
    let answer = sqlx::query_scalar(query).fetch_one(&mut connection).await.expect("answers");
    connection.close().await.expect("closes");
    answer
}

/// Whether the database refuses this statement, and by which SQLSTATE.
pub(crate) async fn refusal(options: &PgConnectOptions, statement: &'static str) -> Option<String> {
    let mut connection = options.connect().await.expect("connects");
    let refused = sqlx::raw_sql(statement).execute(&mut connection).await.err();
    connection.close().await.expect("closes");
    let refused = refused?;
    let code = refused.as_database_error().and_then(|error| error.code().map(|c| c.to_string()));
    Some(code.expect("refused by the database"))
}
