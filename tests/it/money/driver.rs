//! A driver and his money: a ride paid by Pix, one in cash, a payout under way.

use ibora::actors::{Caller, Command};
use ibora_domain::money::Centavos;
use ibora_domain::ride::PaymentMethod;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{PLATFORM, book, page, texts};
use crate::world::{World, request, ride_of};

/// Drives a ride to its end; its fare.
async fn driven(world: &World, driver: Caller, by: PaymentMethod) -> (Uuid, i64) {
    let passenger = world.passenger().await;
    let mut wish = request();
    wish.payment_method = by;
    let asked = world.send(passenger, Command::Request(wish)).await.expect("requested");
    let ride = ride_of(&asked);
    let done = world.drive(ride, passenger, driver).await;
    let fare = done["fare"]["final"].clone();
    let fare: Centavos = fare.as_str().expect("a fare").parse().expect("an amount");
    (ride.0, fare.0)
}

/// Pays the driver's share of a ride of `fare`, lets it go, and asks for a payout of all but 1.00.
async fn paid_out(world: &World, driver: Caller, (ride, fare): (Uuid, i64)) -> i64 {
    let (pool, who) = (world.database(), driver.user.0);
    let share = fare - fare / 5;
    let paid =
        [(1010, PLATFORM, fare), (2100, PLATFORM, -fare), (2005, who, share), (2000, who, -share)];
    book(pool, ("pix:E1", "pix_received"), ("payment", Uuid::now_v7()), &paid).await;
    let released = [(2000, who, share), (2010, who, -share)];
    book(pool, ("hold:1", "hold_released"), ("ride", ride), &released).await;
    let gross = share - 100;
    let asked = [(2010, who, gross), (1020, PLATFORM, 50 - gross), (4020, PLATFORM, -50)];
    let payout = Uuid::now_v7();
    book(pool, ("payout:1:req", "payout_requested"), ("payout", payout), &asked).await;
    // What is on its way is what the payouts say that are not done.
    sqlx::query(
        "INSERT INTO payouts (id, shard, driver_id, status, amount, asked_at, version, state)
         VALUES ($1, 0, $2, 'awaiting_approval', $3, now(), 1, '{\"fee\": 50}')",
    )
    .bind(payout)
    .bind(who)
    .bind(gross)
    .execute(pool)
    .await
    .expect("written");
    share
}

fn reais(centavos: i64) -> Value {
    json!(Centavos(centavos).to_string())
}

#[actix_web::test]
async fn a_balance_says_what_is_his_what_is_held_what_is_on_its_way_and_what_he_owes() {
    let world = World::start().await;
    let driver = world.drivers_online(1).await[0];
    let nothing = world.get(driver, "/v1/me/balance").await.good(200);
    assert_eq!(
        nothing,
        json!({"currency": "BRL", "available": "0.00", "held": "0.00", "frozen": "0.00",
               "in_transit": "0.00", "uncollected": "0.00", "owed": "0.00"})
    );
    let pix = driven(&world, driver, PaymentMethod::Pix).await;
    let cash = driven(&world, driver, PaymentMethod::Cash).await;
    let before = world.get(driver, "/v1/me/balance").await.good(200);
    assert_eq!(before["uncollected"], reais(pix.1 - pix.1 / 5));
    assert_eq!(before["owed"], reais(cash.1 / 5));
    let share = paid_out(&world, driver, pix).await;
    let after = world.get(driver, "/v1/me/balance").await.good(200);
    assert_eq!(after["available"], "1.00");
    assert_eq!((&after["held"], &after["uncollected"]), (&json!("0.00"), &json!("0.00")));
    assert_eq!(after["in_transit"], reais(share - 150), "without the fee");
    // Another's money is another's.
    let other = world.driver().await;
    assert_eq!(world.get(other, "/v1/me/balance").await.good(200), nothing);
    world.stop().await;
}

#[actix_web::test]
async fn a_statement_runs_on_without_a_gap_page_by_page_and_within_its_moments() {
    let world = World::start().await;
    let driver = world.drivers_online(1).await[0];
    driven(&world, driver, PaymentMethod::Cash).await;
    let pix = driven(&world, driver, PaymentMethod::Pix).await;
    paid_out(&world, driver, pix).await;
    let all = world.get(driver, "/v1/me/statement?limit=100").await.good(200);
    let kinds = ["payout_requested", "hold_released", "hold_released", "pix_received"];
    assert_eq!(texts(&all, "kind"), [&kinds[..], &["cash_commission"]].concat());
    assert_eq!(
        texts(&all, "pocket"),
        ["available", "available", "held", "held", "owed"],
        "the newest first"
    );
    for pocket in ["available", "held", "owed"] {
        let lines = all["items"].as_array().expect("items").iter().rev();
        let mut balance = 0;
        for line in lines.filter(|line| line["pocket"] == pocket) {
            let sign = |text: &str| if text.starts_with('-') { -1 } else { 1 };
            let read = |field: &str| {
                let text = line[field].as_str().expect("a text");
                let amount: Centavos = text.trim_start_matches('-').parse().expect("an amount");
                amount.0 * sign(text)
            };
            balance += read("amount");
            assert_eq!(read("balance"), balance, "{line}");
        }
    }
    let (mut paged, mut next) = (Vec::new(), String::new());
    loop {
        let page = world.get(driver, &format!("/v1/me/statement?limit=2{next}")).await.good(200);
        paged.extend(page["items"].as_array().expect("items").clone());
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        next = format!("&cursor={cursor}");
    }
    assert_eq!(json!(paged), all["items"]);
    let third = all["items"][3]["at"].as_str().expect("a time");
    let since = world.get(driver, &format!("/v1/me/statement?from={third}")).await.good(200);
    assert_eq!(texts(&since, "kind"), kinds);
    let until = world.get(driver, &format!("/v1/me/statement?to={third}")).await.good(200);
    assert_eq!(texts(&until, "kind"), ["cash_commission"]);
    let wrong = world.get(driver, "/v1/me/statement?from=today&cursor=1.2.3&page=1").await;
    assert_eq!(wrong.faults(), ["from: invalid_format", "page: unknown_field"]);
    let wrong = world.get(driver, "/v1/me/statement?cursor=1.2.3").await;
    assert_eq!(wrong.faults(), ["cursor: invalid_format"]);
    world.stop().await;
}

#[actix_web::test]
async fn earnings_are_what_the_rides_brought_however_they_were_paid_and_paid_out() {
    let world = World::start().await;
    let driver = world.drivers_online(1).await[0];
    let cash = driven(&world, driver, PaymentMethod::Cash).await;
    let pix = driven(&world, driver, PaymentMethod::Pix).await;
    let earned = world.get(driver, "/v1/me/earnings").await.good(200);
    let share = pix.1 - pix.1 / 5;
    let expected = json!({
        "rides": 2, "fares": reais(share), "cash": reais(cash.1), "commission": reais(cash.1 / 5),
        "fees": "0.00", "tips": "0.00", "adjustments": "0.00",
        "earned": reais(share + cash.1 - cash.1 / 5),
    });
    for part in ["days", "weeks"] {
        let mut period = earned[part][0].clone();
        period.as_object_mut().expect("an object").remove("from").expect("a date");
        assert_eq!(period, expected, "{part}");
        assert_eq!(earned[part].as_array().expect("a list").len(), 1);
    }
    paid_out(&world, driver, pix).await;
    let later = world.get(driver, "/v1/me/earnings").await.good(200);
    assert_eq!(later, earned, "being paid, released and paid out is not earning once more");
    let never = world.get(driver, "/v1/me/earnings?from=2020-01-01&to=2020-03-31").await.good(200);
    assert_eq!((&never["days"], &never["weeks"]), (&json!([]), &json!([])));
    for (query, fault) in [
        ("from=2026-02-30", "from: invalid_format"),
        ("from=2026-01-01&to=2025-12-31", "to: out_of_range"),
        ("from=2020-01-01&to=2026-01-01", "to: out_of_range"),
        ("day=1", "day: unknown_field"),
    ] {
        let answer = world.get(driver, &format!("/v1/me/earnings?{query}")).await;
        assert_eq!(answer.faults(), [fault], "{query}");
    }
    world.stop().await;
}

#[actix_web::test]
async fn a_day_ends_at_midnight_in_sao_paulo() {
    let world = World::start().await;
    let ledger = ibora::readmodel::Ledger::new(world.app().store.db());
    let day = time::macros::date!(2026 - 11 - 22);
    let (_, _, span) =
        ledger.days(Some(day), Some(day), world.dispatch().now()).await.expect("days");
    assert_eq!(span.from.to_string(), "2026-11-22T03:00:00.000Z");
    assert_eq!(span.to.to_string(), "2026-11-23T03:00:00.000Z");
    world.stop().await;
}

#[actix_web::test]
async fn a_statement_is_printed_in_the_language_of_its_reader_and_runs_nothing() {
    let world = World::start().await;
    let driver = world.drivers_online(1).await[0];
    driven(&world, driver, PaymentMethod::Cash).await;
    let pix = driven(&world, driver, PaymentMethod::Pix).await;
    let share = paid_out(&world, driver, pix).await;
    let token = world.token(driver);
    let (kind, html) = page(&world, &token, "/v1/me/statement.html", "*").await;
    assert_eq!(kind, "text/html; charset=utf-8");
    let comma = |centavos: i64| format!("{},{:02}", centavos / 100, centavos % 100);
    for part in ["Extrato do motorista", "Test driver", "Saque por Pix", "Liberação"] {
        assert!(html.contains(part), "{part}");
    }
    assert!(html.contains(&format!("\u{2212}{}", comma(share - 100))), "the payout");
    let ends = "<td>Disponível</td><td class=\"n\">0,00</td><td class=\"n\">1,00</td>";
    assert!(html.contains(ends), "{html}");
    assert!(!html.contains("<script") && !html.contains("http"), "nothing from elsewhere");
    let (_, english) = page(&world, &token, "/v1/me/statement.html", "en-GB,pt;q=0.5").await;
    assert!(english.contains("Payout by Pix") && english.contains("lang=\"en\""));
    let (_, named) = page(&world, &token, "/v1/me/statement.html?lang=pt", "en").await;
    assert!(named.contains("Saque por Pix"));
    let empty = "/v1/me/statement.html?from=2020-01-01&to=2020-01-31";
    assert!(page(&world, &token, empty, "*").await.1.contains("Nenhum lançamento"));
    if let Ok(file) = std::env::var("STATEMENT_TO_LOOK_AT") {
        std::fs::write(file, html).expect("written");
    }
    let wrong = world.get(driver, "/v1/me/statement.html?lang=de").await;
    assert_eq!(wrong.faults(), ["lang: unknown_value"]);
    world.stop().await;
}
