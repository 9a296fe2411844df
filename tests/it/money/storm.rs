//! Many who book at once: on the same accounts, crosswise, and on accounts that are not there yet.

use futures_util::future::join_all;
use ibora::readmodel::audit;
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;
use uuid::Uuid;

use super::{PLATFORM, book};
use crate::pg;

const AT_ONCE: usize = 16;

async fn pool() -> PgPool {
    let options = PgPoolOptions::new().max_connections(u32::try_from(AT_ONCE).expect("few"));
    options.connect_with(pg::database().await).await.expect("connects")
}

/// What each of these has to take out.
async fn balances(pool: &PgPool, of: &[Uuid]) -> Vec<i64> {
    let mut balances = Vec::new();
    for owner in of {
        let sum = "SELECT coalesce(-sum(balance), 0)::bigint FROM ledger_running_balances
                   WHERE owner = $1 AND code = 2010";
        balances.push(sqlx::query_scalar(sum).bind(owner).fetch_one(pool).await.expect("reads"));
    }
    balances
}

async fn sound(pool: &PgPool) {
    let findings = audit(pool, |_| {}).await.expect("audits");
    let broken: Vec<_> = findings.iter().filter(|found| found.violations > 0).collect();
    assert!(broken.is_empty(), "{broken:?}");
}

#[tokio::test]
async fn who_is_booked_for_the_first_time_by_many_at_once_has_one_account() {
    let (pool, new) = (pool().await, Uuid::now_v7());
    let booked = (0..AT_ONCE).map(|number| {
        let (pool, key) = (pool.clone(), format!("first:{number}"));
        async move {
            let given = [(5000, PLATFORM, 100), (2010, new, -100)];
            book(&pool, (&key, "goodwill_credit"), ("passenger", new), &given).await;
        }
    });
    join_all(booked).await;
    assert_eq!(balances(&pool, &[new]).await, [100 * i64::try_from(AT_ONCE).expect("few")]);
    sound(&pool).await;
}

#[tokio::test]
async fn transfers_that_cross_wait_for_each_other_and_never_both() {
    let pool = pool().await;
    let (one, other) = (Uuid::now_v7(), Uuid::now_v7());
    for (number, who) in [one, other].into_iter().enumerate() {
        let given = [(5000, PLATFORM, 100_000), (2010, who, -100_000)];
        let key = format!("given:{number}");
        book(&pool, (&key, "goodwill_credit"), ("passenger", who), &given).await;
    }
    // `book` fails where the database ends one of two that wait for each other.
    let crossed = (0..AT_ONCE).map(|number| {
        let pool = pool.clone();
        let (from, to) = if number % 2 == 0 { (one, other) } else { (other, one) };
        async move {
            for turn in 0..20 {
                let key = format!("crossed:{number}:{turn}");
                let moved = [(2010, from, 7), (2010, to, -7)];
                book(&pool, (&key, "test_moved"), ("passenger", from), &moved).await;
            }
        }
    });
    join_all(crossed).await;
    assert_eq!(balances(&pool, &[one, other]).await, [100_000, 100_000]);
    sound(&pool).await;
}
