//! A database server of one test's own, to be ended and started again.
//!
//! A shell beside it does as it is told line by line, and at the end of this process, however it
//! ends, stops the server by its id and clears up.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use sqlx::postgres::PgConnectOptions;
use uuid::Uuid;

use crate::pg;

const KEEPER: &str = r#"
    bin=$0; home=$1
    start() {
        "$bin/postgres" -D "$home/data" -k "$home" -h "" -c fsync=off -c max_connections=100 \
            >>"$home/log" 2>&1 &
        server=$!
    }
    "$bin/initdb" -D "$home/data" -U owner --auth=trust --encoding=UTF8 --no-sync >"$home/log" 2>&1
    start
    while read -r order; do
        case "$order" in
            start) start ;;
            *) kill "-$order" "$server"; wait "$server" ;;
        esac
        echo done
    done
    kill -INT "$server"
    wait "$server"
    rm -rf "$home"
"#;

pub(crate) struct Server {
    home: PathBuf,
    pub(crate) options: PgConnectOptions,
    /// Told to end by the end of its standard input; it then clears up by itself.
    _keeper: Child,
    orders: ChildStdin,
    done: BufReader<ChildStdout>,
}

impl Server {
    /// A server with the engine's schema in the database `ibora_template`.
    pub(crate) async fn start() -> Self {
        let home = std::env::temp_dir().join(format!("ibora-it-{}", Uuid::now_v7().simple()));
        std::fs::create_dir(&home).expect("a directory");
        let mut keeper = Command::new("sh");
        keeper.arg("-c").arg(KEEPER).arg(pg::binaries()).arg(&home).current_dir(&home);
        keeper.stdin(Stdio::piped()).stdout(Stdio::piped()).process_group(0);
        if let Some((user, group)) = pg::unprivileged() {
            chown(&home, Some(user), Some(group)).expect("handed over");
            keeper.uid(user).gid(group);
        }
        let mut keeper = keeper.spawn().expect("a shell");
        let orders = keeper.stdin.take().expect("is piped");
        let done = BufReader::new(keeper.stdout.take().expect("is piped"));
        let options = PgConnectOptions::new_without_pgpass();
        let options = options.socket(&home).username("owner").database("postgres");
        pg::make_template(&options).await;
        Self { home, options, _keeper: keeper, orders, done }
    }

    /// Ends it as `pg_ctl stop -m immediate` does; open sessions hear nothing.
    pub(crate) fn end_at_once(&mut self) {
        self.order("QUIT");
    }

    /// Starts it again, and waits until it answers.
    pub(crate) async fn start_again(&mut self) {
        self.order("start");
        pg::answers(&self.options).await;
    }

    /// Where it listens.
    pub(crate) fn socket(&self) -> PathBuf {
        self.home.join(".s.PGSQL.5432")
    }

    /// The engine's database, as its owner, past everything in between.
    pub(crate) fn database(&self) -> PgConnectOptions {
        self.options.clone().database("ibora_template").username("ibora_owner")
    }

    fn order(&mut self, order: &str) {
        writeln!(self.orders, "{order}").expect("heard");
        let mut done = String::new();
        self.done.read_line(&mut done).expect("done");
    }
}
