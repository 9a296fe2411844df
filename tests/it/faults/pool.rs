//! The pool that is read through, with nothing behind its connections: nobody waits for long, and
//! no place in it is lost.

use std::time::{Duration, Instant};

use ibora::db::{Db, pool};
use ibora_loadtest::proxy::{FaultProxy, Upstream};
use sqlx::postgres::PgConnectOptions;

use crate::pg;

/// Connections of the pool.
const SIZE: u32 = 2;
/// Much longer than any limit of the pool, much shorter than for ever.
const SOON: Duration = Duration::from_secs(20);

async fn behind_a_proxy() -> (FaultProxy, Db) {
    let database = pg::database().await;
    let socket = database.get_socket().expect("a socket").join(".s.PGSQL.5432");
    let proxy = FaultProxy::start(Upstream::Unix(socket)).expect("starts");
    let options = PgConnectOptions::new_without_pgpass().host("127.0.0.1");
    let options = options.port(proxy.address().port()).username("ibora_app");
    let options = options.database(database.get_database().expect("a name"));
    (proxy, Db::new(pool(options, SIZE).await.expect("connects")))
}

async fn reads(db: &Db) -> bool {
    let read = sqlx::query_scalar::<_, i32>("SELECT 1").fetch_one(db);
    tokio::time::timeout(SOON, read).await.expect("an end").is_ok()
}

#[tokio::test]
async fn whoever_reads_where_nobody_answers_hears_so_soon_and_the_next_reads_again() {
    let (proxy, db) = behind_a_proxy().await;
    assert!(reads(&db).await);
    for _ in 0..3 {
        proxy.hold(true);
        let both = tokio::join!(reads(&db), reads(&db));
        assert_eq!(both, (false, false));
        proxy.hold(false);
        assert!(reads(&db).await, "what it had is thrown away, and it has a new one");
    }
}

#[tokio::test]
async fn one_who_gives_up_in_the_midst_costs_no_place() {
    let (proxy, db) = behind_a_proxy().await;
    for _ in 0..2 * SIZE {
        let slow = sqlx::query("SELECT pg_sleep(60)").execute(&db);
        tokio::time::timeout(Duration::from_millis(300), slow).await.expect_err("is slow");
        proxy.links().into_iter().for_each(|link| proxy.silence(link));
    }
    let deadline = Instant::now() + SOON;
    while !reads(&db).await {
        assert!(Instant::now() < deadline, "no place is left");
    }
}

/// Whether a statement of this database is asleep.
async fn is_asleep(db: &Db) -> bool {
    let asleep = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE wait_event = 'PgSleep'
                                 AND datname = current_database())";
    sqlx::query_scalar(asleep).fetch_one(db).await.expect("reads")
}

#[tokio::test]
async fn one_slow_statement_costs_its_own_connection_alone() {
    let (_proxy, db) = behind_a_proxy().await;
    let server_of = || sqlx::query_scalar::<_, i32>("SELECT pg_backend_pid()").fetch_one(&db);
    let slow = async { sqlx::query("SELECT pg_sleep(60)").execute(&db).await };
    let other = async {
        // Not before the slow one has its connection.
        while !is_asleep(&db).await {}
        server_of().await.expect("reads")
    };
    let (slow, before) = tokio::join!(slow, other);
    slow.expect_err("too slow");
    assert_eq!(server_of().await.expect("reads"), before, "the other connection is kept");
}
