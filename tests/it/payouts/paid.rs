//! What goes well, and what the provider refuses.

use ibora::actors::Command;
use ibora_domain::ids::PayoutId;
use ibora_domain::pix::{EndToEndId, SendId, Txid};
use ibora_domain::refusal::Refusal;
use serde_json::json;

use super::desk::Desk;
use crate::machine::ms;
use crate::world::json as json_of;

#[actix_web::test]
async fn what_was_held_is_paid_once_its_time_has_come() {
    let desk = Desk::open(&[]).await;
    let driver = desk.driver(5000, &format!("{} milliseconds", ms(1000))).await;
    assert_eq!(desk.asks(driver, 1600).await, Err(Refusal::InsufficientBalance), "still held");
    desk.world.until("the hold ends by itself", async || desk.available().await == 5000).await;
    let payout = desk.asked(driver, 1600).await;
    desk.until(payout, "done").await;
    let sends = desk.sends().await;
    assert_eq!(
        (&sends[0]["id"], &sends[0]["value"]),
        (&json!(payout.simple().to_string()), &json!(1550))
    );
    assert_eq!((desk.available().await, desk.balance(4020).await), (3400, -50));
    desk.close().await;
}

#[actix_web::test]
async fn what_a_passenger_paid_is_held_for_his_driver_and_then_paid_out() {
    let desk = Desk::open(&[("money.hold_ms", "1000")]).await;
    let world = &desk.world;
    let (driver, passenger) = (world.drivers_online(1).await[0], world.passenger().await);
    desk.registers(driver).await;
    let ride = world.request(passenger).await;
    world.drive(ride, passenger, driver).await;
    let live = "SELECT txid FROM pix_charges WHERE status = 'live'";
    let txid = async || -> Option<String> {
        sqlx::query_scalar(live).fetch_optional(world.database()).await.expect("reads")
    };
    world.until("a charge", async || txid().await.is_some()).await;
    let txid = txid().await.expect("a charge");
    desk.tell("pay", json!({"txid": txid})).await;
    let pix = desk.books().await["receipts"][0]["e2e_id"].clone();
    let pix = EndToEndId::parse(pix.as_str().expect("a number")).expect("a number");
    world.dispatch().payment_hint(Some(&Txid::parse(&txid).expect("a txid")), pix, None);
    world.until("it is his", async || desk.available().await > 0).await;
    assert_eq!(desk.balance(2000).await, 0, "nothing is held any more");
    let payout = desk.asked(driver, desk.available().await).await;
    desk.until(payout, "done").await;
    assert_eq!(desk.available().await, 0);
    desk.close().await;
}

#[actix_web::test]
async fn the_driver_is_told_each_step_and_a_repeated_command_is_the_same_payout() {
    let mut desk = Desk::open(&[]).await;
    let driver = desk.driver(5000, "0").await;
    let sent = || ibora::actors::Sent {
        id: Some("one".to_owned()),
        if_version: None,
        command: Command::Payout { amount: ibora_domain::money::Centavos(1600), pix_key: None },
    };
    let first = desk.world.dispatch().command(driver, sent()).await.expect("asked for");
    let payout = json_of(&first)["payout_id"].as_str().expect("an id").parse().expect("an id");
    desk.until(payout, "done").await;
    let told: Vec<String> = sqlx::query_scalar(
        "SELECT body::json -> 'payout' ->> 'status' FROM stream_events
         WHERE user_id = $1 AND op = 'payout.updated' ORDER BY seq",
    )
    .bind(driver.user.0)
    .fetch_all(desk.world.database())
    .await
    .expect("a stream");
    assert_eq!(
        (told.first().map(String::as_str), told.last().map(String::as_str)),
        (Some("queued"), Some("done"))
    );
    desk.world.restart().await;
    let again = desk.world.dispatch().command(driver, sent()).await.expect("the stored answer");
    assert_eq!(again.body, first.body);
    assert_eq!(desk.sends().await.len(), 1);
    desk.close().await;
}

#[actix_web::test]
async fn of_thirty_payouts_of_the_whole_balance_one_is_made() {
    let desk = Desk::open(&[]).await;
    let driver = desk.driver(5000, "0").await;
    let asked = (0..30).map(|_| desk.asks(driver, 5000));
    let answers = futures_util::future::join_all(asked).await;
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1);
    desk.world.until("it is paid", async || desk.balance(1020).await == 0).await;
    assert_eq!(desk.sends().await.len(), 1);
    desk.close().await;
}

#[actix_web::test]
async fn a_payout_that_the_provider_denies_or_fails_is_his_again() {
    let desk = Desk::open(&[]).await;
    let driver = desk.driver(5000, "0").await;
    for script in [json!({"deny_sends": 1}), json!({"fail_sends": 1})] {
        desk.tell("script", script).await;
        let payout = desk.asked(driver, 1600).await;
        desk.until(payout, "failed").await;
        assert_eq!((desk.available().await, desk.balance(4020).await), (5000, 0));
    }
    let key = format!("{}@example.com", driver.user);
    desk.tell("keys", json!({"key": key, "owner": null})).await;
    let payout = desk.asked(driver, 1600).await;
    desk.until(payout, "failed").await;
    desk.close().await;
}

#[actix_web::test]
async fn what_his_bank_sends_back_is_his_again_part_by_part() {
    let desk = Desk::open(&[]).await;
    let driver = desk.driver(5000, "0").await;
    let payout = desk.asked(driver, 1600).await;
    desk.until(payout, "done").await;
    let id = SendId::from(payout);
    for (value, available, status) in [("7.75", 4175, "done"), ("7.75", 4950, "returned")] {
        desk.tell(&format!("payouts/{id}/return"), json!({"value": value})).await;
        for _ in 0..3 {
            desk.world.dispatch().payout_hint(&id);
        }
        desk.world.until("it is his", async || desk.available().await == available).await;
        assert_eq!(desk.status(payout).await, status);
    }
    desk.close().await;
}

#[actix_web::test]
async fn while_payouts_are_stopped_or_the_provider_has_too_little_they_wait() {
    let mut desk = Desk::open(&[]).await;
    let driver = desk.driver(5000, "0").await;
    let switch = |stopped: bool| {
        sqlx::query("INSERT INTO payout_switch (stopped, reason, at) VALUES ($1, 'test', now())")
            .bind(stopped)
    };
    switch(true).execute(desk.world.database()).await.expect("stopped");
    let payout = desk.asked(driver, 1600).await;
    let waits =
        async || desk.world.app().metrics.payouts_wait.with_label_values(&["stopped"]).get() > 1;
    desk.world.until("it waits", waits).await;
    desk.world.restart().await;
    assert_eq!((desk.status(payout).await, desk.sends().await.len()), ("queued".to_owned(), 0));
    switch(false).execute(desk.world.database()).await.expect("goes on");
    desk.until(payout, "done").await;
    desk.close().await;
}

#[actix_web::test]
async fn two_people_let_a_large_payout_go() {
    let desk = Desk::open(&[("money.payout_approval_above", "10.00")]).await;
    let (driver, admins) =
        (desk.driver(5000, "0").await, [desk.world.admin().await, desk.world.admin().await]);
    let payout = PayoutId(desk.asked(driver, 1600).await);
    assert_eq!(desk.status(payout.0).await, "awaiting_approval");
    let approve = Command::ApprovePayout { payout };
    assert_eq!(desk.world.send(driver, approve.clone()).await, Err(Refusal::Forbidden));
    assert!(desk.world.send(admins[0], approve.clone()).await.is_ok());
    let again = desk.world.send(admins[0], approve.clone()).await;
    assert_eq!(again, Err(Refusal::AlreadyApproved));
    assert!(desk.world.send(admins[1], approve.clone()).await.is_ok());
    desk.until(payout.0, "done").await;
    let third = desk.world.admin().await;
    assert_eq!(desk.world.send(third, approve).await, Err(Refusal::IllegalTransition));
    let other = PayoutId(desk.asked(driver, 1600).await);
    let reject = Command::RejectPayout { payout: other, reason: None };
    assert!(desk.world.send(admins[0], reject).await.is_ok());
    assert_eq!(desk.available().await, 3400);
    desk.close().await;
}
