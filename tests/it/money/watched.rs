//! The books, watched while the engine works: what is broken is seen within a look, and stops
//! payouts until an admin has looked.

use actix_web::http::Method;
use ibora::db::Db;
use ibora::readmodel::{Seen, Watch, audit};
use ibora_domain::units::UnixMillis;
use serde_json::{Value, json};
use sqlx::PgPool;
use uuid::Uuid;

use super::{PLATFORM, book};
use crate::pg;
use crate::world::World;

fn broken(seen: &Seen) -> Vec<&'static str> {
    let broken = seen.iter().filter(|(_, broken)| !broken.is_empty());
    broken.map(|(invariant, _)| invariant.id()).collect()
}

fn now() -> UnixMillis {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    UnixMillis(i64::try_from(now.expect("after 1970").as_millis()).expect("fits"))
}

/// Books two events of a passenger's, does `harm` to them, and looks; what `ibora audit` says.
async fn seen(harm: &str) -> (Vec<&'static str>, bool) {
    let pool = PgPool::connect_with(pg::database().await).await.expect("connects");
    let passenger = Uuid::now_v7();
    for key in ["goodwill:1", "goodwill:2"] {
        let given = [(5000, PLATFORM, 500), (2010, passenger, -500)];
        book(&pool, (key, "goodwill_credit"), ("passenger", passenger), &given).await;
    }
    let harm = format!("SET session_replication_role = replica; {harm}");
    sqlx::raw_sql(sqlx::AssertSqlSafe(harm)).execute(&pool).await.expect("done");
    let watch = Watch::new(&Db::new(pool.clone()));
    let window = (UnixMillis(now().0 - 60_000), UnixMillis(now().0 + 1000));
    let nothing = watch.bookings(UnixMillis(0), window.0).await.expect("looks");
    assert!(broken(&nothing).is_empty(), "nothing of it began so long ago: {nothing:?}");
    let mut seen = watch.bookings(window.0, window.1).await.expect("looks");
    seen.extend(watch.standing().await.expect("looks"));
    let mut found = broken(&seen);
    found.sort_unstable();
    let whole = audit(&pool, |_| {}).await.expect("audits");
    (found, whole.iter().any(|finding| finding.violations > 0))
}

#[tokio::test]
async fn a_look_at_a_window_finds_what_was_done_to_the_books_in_it() {
    let floor = "ALTER TABLE ledger_running_balances DROP CONSTRAINT ledger_running_balances_floor";
    for (harm, expected) in [
        ("SELECT 1", &[][..]),
        (
            "DELETE FROM ledger_entries WHERE code = 5000 AND event_id = (SELECT id FROM
              financial_events WHERE key = 'goodwill:1')",
            &["MONEY_1"],
        ),
        ("DELETE FROM financial_events WHERE key = 'goodwill:2'", &["MONEY_1"]),
        ("UPDATE ledger_running_balances SET version = 3 WHERE code = 2010", &["MONEY_2"]),
        ("UPDATE ledger_entries SET balance_after = -999 WHERE version = 1", &["MONEY_4"]),
        ("UPDATE ledger_entries SET version = 9 WHERE version = 2", &["MONEY_2", "MONEY_4"]),
        ("UPDATE ledger_running_balances SET balance = 999 WHERE code = 5000", &["MONEY_6"]),
        (
            &format!("{floor}; UPDATE ledger_running_balances SET balance = 1 WHERE code = 2010"),
            &["MONEY_2", "MONEY_3", "MONEY_6"],
        ),
    ] {
        let (found, whole) = seen(harm).await;
        assert_eq!(found, expected, "{harm}");
        assert_eq!(!found.is_empty(), whole, "`ibora audit` says the same: {harm}");
    }
}

async fn gauge(world: &World, name: &str) -> Option<i64> {
    let text = world.call(Method::GET, "/metrics").empty().await.text;
    let line = text.lines().find(|line| line.starts_with(name))?;
    line.rsplit(' ').next()?.parse().ok()
}

#[actix_web::test]
async fn books_that_are_wrong_stop_payouts_until_an_admin_lets_them_go_out_again() {
    let world = World::with(&[("audit.every_ms", "100")]).await;
    let admin = world.admin().await;
    let money = [(1000, PLATFORM, 5000), (3000, PLATFORM, -5000)];
    book(world.database(), ("fund:1", "funded"), ("platform", PLATFORM), &money).await;
    let fund = "ibora_ledger_surplus_centavos";
    world.until("a look", async || gauge(&world, fund).await == Some(5000)).await;
    let of_trial = "ibora_invariant_broken{id=\"MONEY_6\"}";
    assert_eq!(gauge(&world, of_trial).await, Some(0));
    let switch = async || world.get(admin, "/v1/payout-switch").await.good(200);
    assert_eq!(switch().await, json!({"stopped": false, "reason": null, "at": null}));

    let more = "UPDATE ledger_running_balances SET balance = balance + $1 WHERE code = 1000";
    let change = async |by: i64| {
        sqlx::query(more).bind(by).execute(world.database()).await.expect("changed");
    };
    change(1).await;
    world.until("the stop", async || switch().await["stopped"] == json!(true)).await;
    let reason = switch().await["reason"].as_str().expect("a reason").to_owned();
    assert_eq!(reason, "MONEY_6 is broken: Debits equal credits over all accounts.");
    assert_eq!(gauge(&world, of_trial).await, Some(1));
    let counted = "ibora_invariant_violations_total{id=\"MONEY_6\"}";
    assert_eq!(gauge(&world, counted).await, Some(1), "once, however often it is seen");

    let lift = json!({"stopped": false, "reason": "counted by hand, case 17"});
    let put = world.call(Method::PUT, "/v1/payout-switch").token(&world.token(admin));
    put.json(&lift).await.good(200);
    // Two more looks at least: what was looked at by a person is no news.
    let looks = async || gauge(&world, "ibora_audit_look_seconds_count").await;
    let then = looks().await.expect("counted");
    world.until("more looks", async || looks().await.expect("counted") > then + 2).await;
    assert_eq!(switch().await["stopped"], json!(false));
    let trail = world.get(admin, "/v1/audit/logs?entity_type=platform").await.good(200);
    let acts: Vec<&Value> =
        trail["items"].as_array().expect("items").iter().map(|item| &item["action"]).collect();
    assert_eq!(acts, ["resume_payouts", "stop_payouts", "funded"]);
    assert_eq!(trail["items"][1]["user_type"], "system");
    change(-1).await;
    world.until("all well", async || gauge(&world, of_trial).await == Some(0)).await;
    world.stop().await;
}
