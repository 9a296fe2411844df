//! The books at any moment, over the months in use and those that were archived.

use ibora::app::archive_ledger;
use ibora::db::Db;
use ibora::readmodel::{Ledger, audit};
use ibora_domain::money::Centavos;
use ibora_domain::units::UnixMillis;
use sqlx::PgPool;
use sqlx::postgres::PgConnectOptions;
use uuid::Uuid;

use super::{PLATFORM, book};
use crate::pg;

const PAST: &str = "2024-01-15 12:00+00";

/// A ledger with an event of January 2024 and one of February, as if they had been written then.
async fn old_books(options: &PgConnectOptions) -> (PgPool, Uuid) {
    let pool = PgPool::connect_with(options.clone()).await.expect("connects");
    let driver = Uuid::now_v7();
    sqlx::query("SELECT ledger_make_months($1::timestamptz, 2)")
        .bind(PAST)
        .execute(&pool)
        .await
        .expect("months");
    // What tells the time is replaced, so that the very code writes the past.
    for (month, amount) in [(1, 500), (2, 300)] {
        sqlx::raw_sql(sqlx::AssertSqlSafe(format!(
            "CREATE OR REPLACE FUNCTION clock_timestamp() RETURNS timestamptz LANGUAGE sql AS
                 $$ SELECT '2024-0{month}-15 12:00+00'::timestamptz $$;
             ALTER FUNCTION ledger_write SET search_path = public, pg_catalog"
        )))
        .execute(&pool)
        .await
        .expect("told another time");
        let key = format!("hold:{month}");
        let given = [(5000, PLATFORM, amount), (2010, driver, -amount)];
        book(&pool, (&key, "hold_released"), ("driver", driver), &given).await;
    }
    sqlx::raw_sql(
        "DROP FUNCTION public.clock_timestamp(); ALTER FUNCTION ledger_write RESET search_path",
    )
    .execute(&pool)
    .await
    .expect("the time again");
    (pool, driver)
}

async fn balance(ledger: &Ledger, owner: Uuid, at: Option<i64>) -> (Centavos, i64) {
    let read = ledger.balance("driver_available", owner, at.map(UnixMillis)).await;
    let balance = read.expect("reads").expect("an account");
    (balance.balance, balance.postings)
}

/// 2024-02-15T12:00:00Z.
const FEBRUARY: i64 = 1_707_998_400_000;

#[tokio::test]
async fn a_balance_of_any_moment_is_the_same_before_and_after_months_are_archived() {
    let options = pg::database().await;
    let (pool, driver) = old_books(&options).await;
    let ledger = Ledger::new(Db::new(pool.clone()));
    let now = [(5000, PLATFORM, 7), (2010, driver, -7)];
    book(&pool, ("hold:3", "hold_released"), ("driver", driver), &now).await;
    let moments = [
        (Some(FEBRUARY - 40 * 86_400_000), (Centavos(0), 0)),
        (Some(FEBRUARY - 1), (Centavos(500), 1)),
        (Some(FEBRUARY), (Centavos(800), 2)),
        (None, (Centavos(807), 3)),
    ];
    let holds = async |when: &str| {
        for (at, expected) in moments {
            assert_eq!(balance(&ledger, driver, at).await, expected, "{when}: {at:?}");
        }
        let trial = ledger.trial(None).await.expect("reads");
        let sides = |side: &str| -> i64 {
            trial.iter().filter(|a| a.side == side).map(|account| account.balance.0).sum()
        };
        assert_eq!(sides("debit"), sides("credit"), "{when}");
        let findings = audit(&pool, |_| {}).await.expect("audits");
        assert!(findings.iter().all(|found| found.violations == 0), "{when}: {findings:?}");
    };
    holds("in use").await;
    let moved = archive_ledger(options.clone(), "2024-02-01T00:00:00Z").await.expect("archived");
    assert_eq!(moved, ["ledger_entries_2024_01"]);
    holds("january archived").await;
    let moved = archive_ledger(options.clone(), "2024-03-15T00:00:00Z").await.expect("archived");
    assert_eq!(moved, ["ledger_entries_2024_02"], "a month moves as a whole, when it is over");
    holds("both archived").await;
    let again = archive_ledger(options.clone(), "2024-03-15T00:00:00Z").await.expect("archived");
    assert!(again.is_empty());
    assert_eq!(pg::ask(&options, "SELECT count(*)::text FROM ledger_entries_history").await, "4");
    let trail = "SELECT string_agg(changes ->> 'months', ' ' ORDER BY at) FROM audit_logs
                 WHERE action = 'archive_ledger'";
    assert_eq!(
        pg::ask(&options, trail).await,
        r#"["ledger_entries_2024_01"] ["ledger_entries_2024_02"]"#
    );
}

#[tokio::test]
async fn what_was_archived_cannot_be_changed_and_the_present_month_is_not_archived() {
    let options = pg::database().await;
    old_books(&options).await;
    archive_ledger(options.clone(), "2024-03-01T00:00:00Z").await.expect("archived");
    for attempt in [
        "UPDATE ledger_entries_history SET amount = 1",
        "UPDATE ledger_entries_2024_01 SET amount = 1",
        "DELETE FROM ledger_entries_2024_01",
        "TRUNCATE ledger_entries_2024_01",
        "SET ROLE ibora_app; DELETE FROM ledger_entries_history",
        "SET ROLE ibora_app; INSERT INTO ledger_entries_history SELECT * FROM ledger_entries",
        "SET ROLE ibora_app; SELECT ledger_archive(now() - interval '1 year')",
    ] {
        assert_eq!(pg::refusal(&options, attempt).await.as_deref(), Some("42501"), "{attempt}");
    }
    let allowed = "SET ROLE ibora_app; SELECT count(*) FROM ledger_postings;
                   SELECT ledger_make_months(now(), 14)";
    assert_eq!(pg::refusal(&options, allowed).await, None);
    let present = archive_ledger(options, "2999-01-01T00:00:00Z").await;
    assert!(present.is_err(), "{present:?}");
}

#[tokio::test]
async fn a_key_is_taken_for_ever_also_when_its_month_is_over() {
    let options = pg::database().await;
    old_books(&options).await;
    let again = "INSERT INTO financial_events
                     SELECT gen_random_uuid(), key, kind, subject_kind, subject_id, shard, reverses,
                            lines, occurred_at, now()
                     FROM financial_events WHERE key = 'hold:1'";
    assert_eq!(pg::refusal(&options, again).await.as_deref(), Some("23505"));
    archive_ledger(options.clone(), "2024-03-01T00:00:00Z").await.expect("archived");
    assert_eq!(pg::refusal(&options, again).await.as_deref(), Some("23505"), "archived as well");
}
