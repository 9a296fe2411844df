//! The ledger: what a ride leaves in it, and what the database itself refuses to put there.

use ibora::actors::{Caller, Command, Sent};
use ibora_domain::ids::RideId;
use ibora_domain::ledger::{Account, Guard, Side};
use ibora_domain::ride::{CancelReason, PaymentMethod};
use sqlx::PgPool;
use uuid::Uuid;

use crate::pg;
use crate::world::{World, json, request};

/// The postings about `ride`: account and centavos, debits positive.
async fn booked(world: &World, ride: RideId) -> Vec<(i16, i64)> {
    sqlx::query_as(
        "SELECT e.code, e.amount FROM financial_events f JOIN ledger_entries e ON e.event_id = f.id
         WHERE f.subject_id = $1 ORDER BY e.event_id, e.line",
    )
    .bind(ride.0)
    .fetch_all(world.database())
    .await
    .expect("postings")
}

/// Brings a ride to where its driver may complete it.
async fn started(world: &World, by: PaymentMethod) -> (Caller, Caller, RideId) {
    let driver = world.drivers_online(1).await[0];
    let passenger = world.passenger().await;
    let mut wish = request();
    wish.payment_method = by;
    let asked = world.send(passenger, Command::Request(wish)).await.expect("requested");
    let ride = crate::world::ride_of(&asked);
    world.offered(driver, ride).await;
    world.send(driver, Command::Accept { ride, offer_id: None }).await.expect("accepted");
    world.send(driver, Command::Arrive { ride, location: None }).await.expect("arrived");
    let pin = world.pin(passenger, ride).await;
    world.send(driver, Command::Start { ride, pin }).await.expect("started");
    (driver, passenger, ride)
}

#[actix_web::test]
async fn a_ride_by_pix_is_owed_once_and_promised_to_its_driver() {
    let mut world = World::start().await;
    let (driver, _, ride) = started(&world, PaymentMethod::Pix).await;
    let complete = || Sent {
        id: Some("complete".into()),
        if_version: None,
        command: Command::Complete { ride, location: None, reason: None },
    };
    let done = world.dispatch().command(driver, complete()).await.expect("completed");
    let fare: ibora_domain::money::Centavos =
        json(&done)["fare"]["final"].as_str().expect("a fare").parse().expect("an amount");
    let commission = fare.0 / 5;
    let owed = vec![(1100, fare.0), (2005, commission - fare.0), (4000, -commission)];
    assert_eq!(booked(&world, ride).await, owed);

    world.restart().await;
    world.dispatch().command(driver, complete()).await.expect("completed, as before");
    assert_eq!(booked(&world, ride).await, owed, "said twice, booked once");
    world.stop().await;
}

#[actix_web::test]
async fn a_ride_paid_in_cash_leaves_its_driver_owing_the_commission() {
    let world = World::with(&[("money.commission", "0.25")]).await;
    let (driver, _, ride) = started(&world, PaymentMethod::Cash).await;
    let complete = Command::Complete { ride, location: None, reason: None };
    let done = world.send(driver, complete).await.expect("completed");
    let fare: ibora_domain::money::Centavos =
        json(&done)["fare"]["final"].as_str().expect("a fare").parse().expect("an amount");
    assert_eq!(booked(&world, ride).await, [(1110, fare.0 / 4), (4000, -(fare.0 / 4))]);
    world.stop().await;
}

#[actix_web::test]
async fn a_ride_called_off_costs_its_fee_and_one_without_a_fee_costs_nothing() {
    let world = World::start().await;
    let driver = world.drivers_online(1).await[0];
    let passenger = world.passenger().await;
    let cancel = |ride| Command::Cancel { ride, reason: CancelReason::ChangedMind, note: None };
    let free = world.request(passenger).await;
    world.send(passenger, cancel(free)).await.expect("canceled");
    assert_eq!(booked(&world, free).await, []);

    let ride = world.request(passenger).await;
    world.offered(driver, ride).await;
    world.send(driver, Command::Accept { ride, offer_id: None }).await.expect("accepted");
    world.send(passenger, cancel(ride)).await.expect("canceled");
    assert_eq!(booked(&world, ride).await, [(1100, 500), (2005, -400), (4010, -100)]);
    world.stop().await;
}

#[actix_web::test]
async fn the_chart_in_the_database_is_the_one_in_the_code() {
    let pool = PgPool::connect_with(pg::database().await).await.expect("connects");
    let chart: Vec<(i16, String, bool)> =
        sqlx::query_as("SELECT code, side, floored FROM ledger_accounts ORDER BY code")
            .fetch_all(&pool)
            .await
            .expect("a chart");
    let known = (0..10_000).filter_map(|code| Account::of(code, Uuid::nil()));
    let line = |account: Account| {
        let side = if account.side() == Side::Debit { "debit" } else { "credit" };
        let code = i16::try_from(account.code()).expect("small");
        (code, side.to_owned(), account.guard() == Guard::Floor)
    };
    assert_eq!(chart, known.map(line).collect::<Vec<_>>());
}

#[actix_web::test]
async fn the_trail_lies_in_months_and_what_is_ahead_of_them_beside() {
    let pool = PgPool::connect_with(pg::database().await).await.expect("connects");
    let lies = async |at: &str| -> bool {
        sqlx::query_scalar(sqlx::AssertSqlSafe(format!(
            "INSERT INTO audit_logs (id, shard, action, entity_type, entity_id, user_type, changes,
                                     at)
             VALUES (gen_random_uuid(), 0, 'test', 'platform', {NOBODY}, 'system', '{{}}', {at})
             RETURNING tableoid::regclass::text = 'audit_logs_' || to_char({at}, 'YYYY_MM')"
        )))
        .fetch_one(&pool)
        .await
        .expect("an entry")
    };
    assert!(lies("now()").await);
    assert!(lies("now() + interval '1 year'").await);
    assert!(!lies("now() + interval '9 years'").await);
    for statement in ["DELETE FROM audit_logs", "UPDATE audit_logs SET action = 'other'"] {
        let month = refusal(&pool, statement).await;
        assert!(month.starts_with("audit_logs"), "{statement}: {month}");
    }
    assert_eq!(refusal(&pool, "TRUNCATE audit_logs_default").await, "audit_logs_default");
}

/// The platform, as owner of accounts.
const NOBODY: &str = "'00000000-0000-0000-0000-000000000000'::uuid";

/// An event of two postings, under `key`.
fn event(key: &str, postings: [(i16, i64); 2]) -> String {
    let [(debit, to), (credit, from)] = postings;
    format!(
        "SELECT ledger_write(1::smallint, ARRAY[gen_random_uuid()], ARRAY['{key}'], ARRAY['test'],
             ARRAY['platform'], ARRAY[{NOBODY}], ARRAY[0::smallint],
             ARRAY[NULL::text], ARRAY[2::smallint], ARRAY[now()], ARRAY[1, 1],
             ARRAY[1, 2]::smallint[], ARRAY[{debit}, {credit}]::smallint[],
             ARRAY[{NOBODY}, {NOBODY}],
             ARRAY[{to}, {from}]::bigint[])"
    )
}

/// What refuses `statement`: a constraint, or the name of the table that is append-only.
async fn refusal(pool: &PgPool, statement: &str) -> String {
    let refused = sqlx::raw_sql(sqlx::AssertSqlSafe(statement)).execute(pool).await;
    let error = refused.map(|_| ()).expect_err(statement);
    let error = error.as_database_error().expect("the database's own refusal");
    error.constraint().or(error.table()).map(str::to_owned).unwrap_or_else(|| error.to_string())
}

#[actix_web::test]
async fn the_database_refuses_what_is_no_ledger_whoever_asks() {
    let pool = PgPool::connect_with(pg::database().await).await.expect("connects");
    let funded = event("fund:1", [(1000, 500), (3000, -500)]);
    sqlx::raw_sql(sqlx::AssertSqlSafe(funded.as_str())).execute(&pool).await.expect("balanced");
    let given = event("given:1", [(5000, 100), (2020, -100)]);
    sqlx::raw_sql(sqlx::AssertSqlSafe(given.as_str())).execute(&pool).await.expect("balanced");

    let month: String = sqlx::query_scalar(
        "SELECT tableoid::regclass::text FROM ledger_entries ORDER BY recorded_at LIMIT 1",
    )
    .fetch_one(&pool)
    .await
    .expect("a month");
    let one = "(SELECT id FROM financial_events LIMIT 1)";
    let line = |line: i16| {
        format!(
            "INSERT INTO ledger_entries SELECT id, {line}, 1000, subject_id, 5, NULL, NULL,
             recorded_at FROM financial_events WHERE id = {one}"
        )
    };
    for (statement, by) in [
        (event("bad:1", [(1000, 500), (3000, -499)]), "ledger_event_balances"),
        (funded.clone(), "financial_events_key"),
        (event("bad:2", [(2020, 101), (1000, -101)]), "ledger_running_balances_floor"),
        (event("bad:3", [(1000, 0), (3000, 0)]), "ledger_entries_amount_check"),
        (event("bad:4", [(9999, 5), (3000, -5)]), "ledger_running_balances_code_fkey"),
        (line(3), "ledger_entries_whole"),
        (line(1), &*format!("{month}_pkey")),
        (
            "INSERT INTO financial_events SELECT gen_random_uuid(), 'bad:5', kind, subject_kind,
             subject_id, shard, reverses, lines, occurred_at, now() FROM financial_events LIMIT 1"
                .to_owned(),
            "ledger_event_balances",
        ),
        ("UPDATE ledger_entries SET amount = 1".to_owned(), "ledger_entries"),
        ("DELETE FROM ledger_entries".to_owned(), "ledger_entries"),
        (format!("TRUNCATE {month}"), &*month),
        (format!("DELETE FROM {month}"), &*month),
        ("TRUNCATE ledger_entries_default".to_owned(), "ledger_entries_default"),
        ("DELETE FROM ledger_entries_history".to_owned(), "ledger_entries_history"),
        (
            "INSERT INTO ledger_entries_history SELECT * FROM ledger_entries".to_owned(),
            "ledger_entries_history",
        ),
        ("UPDATE financial_events SET kind = 'other'".to_owned(), "financial_events"),
        ("DELETE FROM financial_events".to_owned(), "financial_events"),
        ("UPDATE ledger_accounts SET floored = false".to_owned(), "ledger_accounts"),
        (
            "UPDATE ledger_running_balances SET balance = 1 WHERE code = 2020".to_owned(),
            "ledger_running_balances_floor",
        ),
    ] {
        assert_eq!(refusal(&pool, &statement).await, by, "{statement}");
    }
    let left: (i64, i64) =
        sqlx::query_as("SELECT count(*), sum(amount)::bigint FROM ledger_entries")
            .fetch_one(&pool)
            .await
            .expect("counts");
    assert_eq!(left, (4, 0), "a refused event leaves nothing behind");
}

#[actix_web::test]
async fn of_many_rides_that_end_at_once_one_that_cannot_be_booked_keeps_no_other_back() {
    let world = World::start().await;
    let mut rides = Vec::new();
    for _ in 0..8 {
        rides.push(started(&world, PaymentMethod::Pix).await);
    }
    let bad = rides[3].2;
    let taken = event(&format!("ride:{}:fare", bad.0.simple()), [(1000, 500), (3000, -500)]);
    let owner = world.owner_pool().await;
    sqlx::raw_sql(sqlx::AssertSqlSafe(taken)).execute(&*owner).await.expect("its key is taken");
    let ends = rides.iter().map(|(driver, _, ride)| {
        let complete = Command::Complete { ride: *ride, location: None, reason: None };
        world.send(*driver, complete)
    });
    let ended = futures_util::future::join_all(ends).await;
    for ((_, passenger, ride), ended) in rides.iter().zip(ended) {
        assert_eq!(ended.is_ok(), *ride != bad, "{ended:?}");
        let status = if *ride == bad { "started" } else { "completed" };
        assert_eq!(world.status(*passenger, *ride).await, status);
    }
    world.stop().await;
}
