//! What is booked by hand for the platform: what its owner puts in, and what only the provider's
//! statement tells. Each once, audited, and then both books agree.

use std::process::{Output, Stdio};

use actix_web::http::Method;
use serde_json::{Value, json};
use sqlx::PgPool;
use time::{OffsetDateTime, UtcOffset};

use crate::process::Process;
use crate::story::{QUICK, Story, books_of};
use crate::webhooks::bank::{Door, settings, simulator};
use crate::world::{UNHURRIED, World};

/// Runs a command of the program beside this thread, on which the provider answers.
async fn run(process: &Process, args: &[&str]) -> Output {
    let mut command = process.command();
    command.args(args).stdout(Stdio::piped());
    let output = actix_web::web::block(move || command.output()).await.expect("a thread");
    output.expect("runs")
}

async fn code(process: &Process, args: &[&str]) -> Option<i32> {
    run(process, args).await.status.code()
}

/// What the command says, which goes well.
async fn said(process: &Process, args: &[&str]) -> String {
    let output = run(process, args).await;
    assert_eq!(output.status.code(), Some(0), "{args:?}");
    String::from_utf8(output.stdout).expect("text")
}

/// Centavos of cash, equity and fees of the provider, debits positive.
async fn stand(pool: &PgPool) -> (i64, i64, i64) {
    sqlx::query_as(
        "SELECT coalesce(sum(balance) FILTER (WHERE code = 1000), 0)::bigint,
                coalesce(sum(balance) FILTER (WHERE code = 3000), 0)::bigint,
                coalesce(sum(balance) FILTER (WHERE code = 5020), 0)::bigint
         FROM ledger_running_balances",
    )
    .fetch_one(pool)
    .await
    .expect("balances")
}

async fn audited(pool: &PgPool, action: &str) -> i64 {
    let count = "SELECT count(*) FROM audit_logs WHERE action = $1";
    sqlx::query_scalar(count).bind(action).fetch_one(pool).await.expect("a count")
}

/// Today in São Paulo, as the provider counts days.
fn today() -> String {
    let there = UtcOffset::from_hms(-3, 0, 0).expect("an offset");
    OffsetDateTime::now_utc().to_offset(there).date().to_string()
}

#[actix_web::test]
async fn e6_what_the_provider_took_for_payouts_is_named_by_the_comparison_and_booked_once() {
    let (simulator, dir) = simulator().await;
    let own = settings(&simulator, Door::Certificate);
    let own = own.iter().map(|(key, value)| (*key, value.as_str()));
    let settings: Vec<_> = own.chain(QUICK.iter().chain(UNHURRIED).copied()).collect();
    let process = Process::start(&settings).await;
    let people = process.seed(1, 1);
    let story = Story::new(process.url(""), &simulator, &people);
    let rules = json!({"settle_after_ms": 0, "tariff": "0.24", "send_tariff": "1.50"});
    story.tell("rules", rules).await;
    story.rides_and_pays().await;
    let payout = story.takes_out().await;
    story.ends(&payout, "done").await;
    let day = today();

    let compared = run(&process, &["pix", "reconcile"]).await;
    assert_eq!(compared.status.code(), Some(3), "R$ 1.50 is missing there");
    let compared = String::from_utf8(compared.stdout).expect("text");
    assert!(compared.contains("-1.50") && compared.contains("ibora ledger tariff"), "{compared}");
    // Two days later by its clock: there is a statement of a day that is over.
    story.tell("clock", json!({"advance_ms": 172_800_000})).await;
    let statement = said(&process, &["pix", "statement", "--day", &day]).await;
    let taken = statement.lines().filter(|line| line.contains("PAYOUT_TARIFF"));
    assert_eq!(taken.count(), 1, "{statement}");

    let pool = process.pool().await;
    let book = ["ledger", "tariff", "--amount", "1.50", "--reference", &day, "--reason", "sends"];
    for _ in 0..2 {
        said(&process, &book).await;
        let theirs = books_of(&simulator).await["balance"].as_i64().expect("centavos");
        let (cash, _, fees) = stand(&pool).await;
        assert_eq!((cash, fees), (theirs, 24 + 150), "to the centavo, however often it is said");
    }
    assert_eq!(audited(&pool, "book_payout_tariff").await, 1);
    assert_eq!(code(&process, &["pix", "reconcile"]).await, Some(0));
    assert_eq!(process.audit(), Some(0));
    pool.close().await;
    drop(process);
    simulator.stop().await;
    std::fs::remove_dir_all(dir).expect("its folder goes");
}

#[actix_web::test]
async fn e22_what_the_owner_puts_in_is_his_and_booked_once_under_its_name() {
    let process = Process::start(&[]).await;
    let pool = process.pool().await;
    let fund = |amount: &'static str, reference: &'static str| {
        ["ledger", "fund", "--amount", amount, "--reference", reference, "--reason", "for refunds"]
    };
    assert_eq!(said(&process, &fund("500.00", "TED-17")).await.trim(), FUNDED);
    assert_eq!(said(&process, &fund("500.00", "TED-17")).await.trim(), FUNDED, "said again");
    assert_eq!(stand(&pool).await, (50_000, -50_000, 0));
    assert_eq!(code(&process, &fund("500.01", "TED-17")).await, Some(1), "another amount");
    for wrong in ["0.00", "-1.00", "1", "1e2"] {
        assert_ne!(code(&process, &fund(wrong, "TED-18")).await, Some(0), "{wrong}");
    }
    assert_eq!(code(&process, &fund("1.00", "a name")).await, Some(1), "with a blank");
    said(&process, &fund("0.01", "TED-18")).await;
    assert_eq!(stand(&pool).await, (50_001, -50_001, 0));
    assert_eq!(audited(&pool, "book_funding").await, 2, "what was booked");
    assert_eq!(code(&process, &["ledger", "trial"]).await, Some(0));
    assert_eq!(process.audit(), Some(0));
    pool.close().await;
}

const FUNDED: &str = "booked: 500.00 under TED-17";

fn entry(amount: &str, reference: &str) -> Value {
    json!({"kind": "funding", "amount": amount, "reference": reference, "reason": "for refunds"})
}

#[actix_web::test]
async fn an_admin_books_by_hand_over_rest_and_is_named_for_it() {
    let world = World::start().await;
    let admin = world.admin().await;
    let path = "/v1/admin/ledger/entries";
    let post = async |key: &'static str, body: Value| {
        let call = world.call(Method::POST, path).token(&world.token(admin));
        call.key(key).json(&body).await
    };
    let booked = post("k", entry("500.00", "TED-17")).await.good(201);
    let shown =
        json!({"kind": "funding", "currency": "BRL", "amount": "500.00", "reference": "TED-17"});
    assert_eq!(booked, shown);
    assert_eq!(post("k", entry("500.00", "TED-17")).await.good(201), shown, "the same command");
    assert_eq!(post("l", entry("500.00", "TED-17")).await.good(201), shown, "the same name");
    assert_eq!(post("k", entry("500.00", "TED-18")).await.problem(422), "idempotency_key_reused");
    let taken = post("m", entry("600.00", "TED-17")).await;
    assert_eq!(taken.faults(), ["reference: taken"]);
    let left_open: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM pg_stat_activity
         WHERE datname = current_database() AND state = 'idle in transaction (aborted)'",
    )
    .fetch_one(world.database())
    .await
    .expect("a count");
    assert_eq!(left_open, 0, "the server ends what is left open, and a commit would be in doubt");
    for bad in [entry("0.00", "x"), entry("1", "x"), entry("1.00", ""), entry("1.00", "é")] {
        assert_eq!(world.post(admin, path, &bad).await.problem(422), "invalid", "{bad}");
    }
    let driver = world.driver().await;
    let told = world.post(driver, path, &entry("1.00", "x")).await;
    assert_eq!(told.problem(403), "insufficient_scope");
    assert_eq!(stand(world.database()).await, (50_000, -50_000, 0));
    let trail = world.get(admin, "/v1/audit/logs?action=book_funding").await.good(200);
    let items = trail["items"].as_array().expect("items");
    assert_eq!((items.len(), &items[0]["user_id"]), (1, &json!(admin.user)), "{trail}");
    assert_eq!(
        items[0]["changes"],
        json!({"key": "fund:TED-17", "amount": "500.00", "reason": "for refunds"})
    );
    world.stop().await;
}
