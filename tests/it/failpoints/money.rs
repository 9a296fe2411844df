//! The engine ends at every kill point of money: it is started again, people go on with what they
//! began, and then the provider's books are the ledger. Nothing is charged, paid or sent twice.

use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant};

use futures_util::future::join;
use futures_util::{FutureExt, StreamExt, stream};
use ibora::obs::failpoints::TABLE;
use sqlx::PgPool;

use super::ABORTED;
use super::scenes::{SETTINGS, Scene};
use crate::process::{Person, Process};
use crate::story::{QUICK, Story, make_admin};
use crate::webhooks::bank::{Door, settings, simulator};
use crate::world::UNHURRIED;

/// Engines that are ended at once.
const AT_ONCE: usize = 6;
/// What the provider took of a Pix is booked within this, or never.
const STATED_WITHIN: Duration = Duration::from_secs(60);

/// Whether a point is of money.
pub(super) fn is_of_money(point: &str) -> bool {
    let room = point.split('.').next().expect("a room");
    let what_is_told = ["callback", "notice", "janitor", "registration", "claim"];
    let by_time = ["write_off", "tariff"];
    ["payment", "credit", "wallet", "effect"].contains(&room)
        || what_is_told.contains(&room)
        || by_time.contains(&room)
}

/// Ends an engine at a point, starts it again, and sees all that was begun through to its end.
async fn walk(seeded: &Process, people: &[Person], point: &str) {
    let scene = Scene::of(point);
    let (simulator, dir) = simulator().await;
    let own = settings(&simulator, Door::Certificate);
    let own = own.iter().map(|(key, value)| (*key, value.as_str()));
    let more = [QUICK, UNHURRIED, SETTINGS, scene.settings()].concat();
    let settings: Vec<_> = own.chain(more).collect();
    let mut process = seeded.on_copy(&settings).await;
    let story = Story::new(process.url(""), &simulator, people);
    process.arm(Some(point));
    process.spawn();
    let survives = async {
        let ended = process.end_signal().await;
        let log = process.log_text();
        assert_eq!(ended, ABORTED, "not reached: {log}");
        assert!(log.contains(&format!("aborting at {point}:1")), "another point: {log}");
        process.arm(None);
        process.launch().await;
    };
    join(survives, scene.play(&story)).await;
    let pool = process.pool().await;
    story.is_sound(&pool).await;
    if scene == Scene::Untariffed {
        all_is_stated(&pool).await;
    }
    pool.close().await;
    process.remove().await;
    simulator.stop().await;
    std::fs::remove_dir_all(dir).expect("its folder goes");
}

/// Waits until the provider has said of every Pix what it took.
async fn all_is_stated(pool: &PgPool) {
    let deadline = Instant::now() + STATED_WITHIN;
    let clearing = "SELECT coalesce(sum(balance), 0)::bigint FROM ledger_running_balances
                    WHERE code = 1010";
    while sqlx::query_scalar::<_, i64>(clearing).fetch_one(pool).await.expect("a balance") != 0 {
        assert!(Instant::now() < deadline, "a Pix that is never stated");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// An engine that was not started, with people in its database.
async fn seeded() -> (Process, Vec<Person>) {
    let seeded = Process::on_fresh_database(QUICK).await;
    let people = seeded.seed(1, 1);
    for name in ["ada", "bob"] {
        make_admin(&seeded, name).await;
    }
    (seeded, people)
}

#[expect(clippy::print_stderr, reason = "read by whoever measures, with --nocapture")]
#[actix_web::test]
async fn wherever_the_engine_ends_money_moves_once_and_the_provider_s_books_are_the_ledger() {
    let began = Instant::now();
    let (seeded, people) = seeded().await;
    let only = std::env::var("IBORA_FAILPOINT").ok();
    let wanted = |name: &&str| {
        is_of_money(name) && only.as_ref().is_none_or(|only| name.contains(only.as_str()))
    };
    let points: Vec<_> = TABLE.iter().map(|(_, name, _)| *name).filter(wanted).collect();
    let walked = points.iter().map(|&point| {
        let walked = AssertUnwindSafe(walk(&seeded, &people, point)).catch_unwind();
        walked.map(move |walked| {
            let failed = walked.is_err();
            failed.then(|| eprintln!("that was at {point}")).map(|()| point)
        })
    });
    let failed: Vec<_> = stream::iter(walked).buffer_unordered(AT_ONCE).collect().await;
    let failed: Vec<_> = failed.into_iter().flatten().collect();
    eprintln!("{} ends of an engine in {:?}", points.len(), began.elapsed());
    assert!(failed.is_empty(), "{failed:?}");
}
