//! What becomes of what the provider tells: booked once, kept until somebody books it, or forged.

use futures_util::future::join_all;
use serde_json::json;

use super::bank::{Bank, Door};
use super::line::{OK, body, notices, received, tell};

const RECEIVED: &str = "PIX_RECEBIDO";
const REFUNDED: &str = "DEVOLUCAO_ENVIADA";

#[actix::test]
async fn the_address_is_registered_at_the_start_and_a_callback_settles_a_ride() {
    for door in [Door::Secret, Door::Certificate] {
        let mut bank = Bank::open(door, &[]).await;
        let (passenger, payment, txid) = bank.owed().await;
        let e2e_id = bank.pay_charge(&txid).await;
        bank.until(RECEIVED, &e2e_id, "done", "webhook").await;
        assert_eq!(bank.payment(passenger, payment).await["status"], "paid");
        bank.world.restart().await;
        assert_eq!(bank.booked(&format!("pix:{e2e_id}")).await, 1);
        bank.close().await;
    }
}

#[actix::test]
async fn a_hundred_callbacks_about_one_pix_book_it_once() {
    let bank = Bank::open(Door::Secret, &[]).await;
    let (.., txid) = bank.owed().await;
    let e2e_id = bank.pay_charge(&txid).await;
    // Each of another body: with another Pix beside it, which nobody knows, or twice in itself.
    let told = (0..100).map(|n| {
        let beside = received(&format!("E0903256220261126{n}"));
        tell(&bank.world, body(&[received(&e2e_id), beside, received(&e2e_id)]))
    });
    assert!(join_all(told).await.iter().all(|status| *status == OK));
    bank.until(RECEIVED, &e2e_id, "done", "webhook").await;
    assert_eq!(bank.booked("pix:").await, 1);
    bank.close().await;
}

#[actix::test]
async fn a_refund_that_is_told_before_its_receipt_books_the_receipt() {
    let bank = Bank::open(Door::Secret, &[]).await;
    let lose = json!({"on": "webhook", "fault": {"kind": "lose"}, "count": 1000});
    bank.tell("faults", lose).await;
    let e2e_id = bank.pay("20.00").await;
    let mut refunded = received(&e2e_id);
    refunded["txid"] = json!(null);
    refunded["devolucoes"] = json!([{"id": "r1", "valor": "5.00", "status": "DEVOLVIDO"}]);
    assert_eq!(tell(&bank.world, body(&[refunded])).await, OK);
    // It is for nobody: kept in suspense, and sent back. The refund that was told is none of ours.
    bank.world.until("a receipt", async || bank.booked(&format!("pix:{e2e_id}")).await > 0).await;
    bank.until(REFUNDED, &e2e_id, "forged", "webhook").await;
    bank.close().await;
}

#[actix::test]
async fn what_the_provider_knows_nothing_of_is_forged_and_raises_the_alarm() {
    let bank = Bank::open(Door::Secret, &[]).await;
    let e2e_id = "E0903256220261126120000000000099";
    assert_eq!(tell(&bank.world, body(&[received(e2e_id)])).await, OK);
    bank.until(RECEIVED, e2e_id, "forged", "webhook").await;
    let forged = bank.world.app().metrics.pix_hints.with_label_values(&["forged"]).get();
    assert_eq!(forged, 1);
    assert_eq!(bank.booked("").await, 0, "a callback alone posts nothing");
    bank.close().await;
}

#[actix::test]
async fn where_many_wait_the_list_confirms_what_no_question_could() {
    let patient = [("pix.failures_max", "1000"), ("pix.calls_max", "64")];
    let bank = Bank::open(Door::Secret, &patient).await;
    let lose = json!({"on": "webhook", "fault": {"kind": "lose"}, "count": 1000});
    bank.tell("faults", lose).await;
    let fault = json!({"on": "api", "method": "GET", "path": "/v2/pix/*", "count": 10_000,
                       "fault": {"kind": "delay", "ms": 60_000}});
    bank.tell("faults", fault).await;
    let paid = join_all((0..300).map(|_| bank.pay("1.00"))).await;
    let told = paid.iter().map(|e2e_id| {
        let mut told = received(e2e_id);
        told["txid"] = json!(null);
        told
    });
    assert_eq!(tell(&bank.world, body(&told.collect::<Vec<_>>())).await, OK);
    // A few are asked for by themselves, and wait.
    bank.world.until("most to be booked", async || bank.booked("pix:").await >= 200).await;
    bank.close().await;
}

#[actix::test]
async fn a_provider_that_cannot_say_makes_nothing_forged() {
    let bank = Bank::open(Door::Secret, &[("pix.failures_max", "1000")]).await;
    let fault = json!({"on": "api", "method": "GET", "path": "/v2/pix/*", "count": 10_000,
                       "fault": {"kind": "status", "status": 503, "after": false}});
    bank.tell("faults", fault).await;
    let e2e_id = "E0903256220261126120000000000098";
    assert_eq!(tell(&bank.world, body(&[received(e2e_id)])).await, OK);
    bank.world
        .until("so many looks that it would be forged", async || {
            let tries: i32 = sqlx::query_scalar("SELECT tries FROM pix_notices")
                .fetch_one(bank.world.database())
                .await
                .expect("reads");
            tries >= 4
        })
        .await;
    assert_eq!(bank.state(RECEIVED, e2e_id).await.expect("it is kept").0, "handed");
    bank.close().await;
}

#[actix::test]
async fn what_was_handed_on_and_not_booked_is_handed_on_again_after_a_start() {
    let mut bank = Bank::open(Door::Secret, &[]).await;
    let lose = json!({"on": "webhook", "fault": {"kind": "lose"}, "count": 1000});
    bank.tell("faults", lose).await;
    let e2e_id = bank.pay("20.00").await;
    // As an engine leaves it that ended behind its answer: in nobody's memory, not due for long.
    sqlx::query(
        "INSERT INTO pix_notices (id, kind, e2e_id, part, status, source, body, state, due_at)
         VALUES (gen_random_uuid(), $1, $2, '', '', 'webhook', '{}', 'handed',
                 now() + interval '1 day')",
    )
    .bind(RECEIVED)
    .bind(&e2e_id)
    .execute(bank.world.database())
    .await
    .expect("left");
    assert_eq!(bank.booked("pix:").await, 0, "nobody has heard of it");
    bank.world.restart().await;
    bank.until(RECEIVED, &e2e_id, "done", "webhook").await;
    assert_eq!(notices(&bank.world).await.iter().filter(|(kind, ..)| kind == RECEIVED).count(), 1);
    bank.close().await;
}
