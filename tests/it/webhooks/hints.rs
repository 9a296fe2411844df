//! What becomes of what the provider tells: confirmed, kept until somebody books it, or forged.

use serde_json::json;
use uuid::Uuid;

use super::bank::{Bank, Door};
use super::line::{OK, body, notices, received, tell};

const RECEIVED: &str = "PIX_RECEBIDO";

#[actix::test]
async fn the_address_is_registered_at_the_start_behind_either_door() {
    for door in [Door::Secret, Door::Certificate] {
        let mut bank = Bank::open(door, &[]).await;
        bank.tell("webhooks", json!({"tells_strays": true})).await;
        let e2e_id = bank.pay("20.00").await;
        // Nobody has booked it, and it is true.
        bank.until(RECEIVED, &e2e_id, "parked", "webhook").await;
        bank.world.restart().await;
        bank.until(RECEIVED, &e2e_id, "parked", "webhook").await;
        bank.close().await;
    }
}

#[actix::test]
async fn what_the_provider_knows_nothing_of_is_forged_and_raises_the_alarm() {
    let bank = Bank::open(Door::Secret, &[]).await;
    let e2e_id = "E0903256220261126120000000000099";
    assert_eq!(tell(&bank.world, body(&[received(e2e_id)])).await, OK);
    bank.until(RECEIVED, e2e_id, "forged", "webhook").await;
    let forged = bank.world.app().metrics.pix_hints.with_label_values(&["forged"]).get();
    assert_eq!(forged, 1);
    assert_eq!(journals(&bank).await, 0, "a callback alone posts nothing");
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
        .until("three looks", async || {
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
async fn what_is_booked_is_done() {
    let bank = Bank::open(Door::Secret, &[]).await;
    bank.tell("webhooks", json!({"tells_strays": true})).await;
    let e2e_id = bank.pay("20.00").await;
    bank.until(RECEIVED, &e2e_id, "parked", "webhook").await;
    book(&bank, &format!("pix:{e2e_id}")).await;
    bank.until(RECEIVED, &e2e_id, "done", "webhook").await;
    assert_eq!(tell(&bank.world, body(&[received(&e2e_id)])).await, OK);
    assert_eq!(notices(&bank.world).await.len(), 1);
    assert_eq!(bank.state(RECEIVED, &e2e_id).await.expect("it is kept").0, "done");
    bank.close().await;
}

/// A receipt without a payment, as the ledger has it: the provider's clearing against suspense.
async fn book(bank: &Bank, key: &str) {
    let id = Uuid::now_v7();
    let owner = bank.world.owner_pool().await;
    sqlx::query(
        "SELECT ledger_write(0::smallint, ARRAY[$1], ARRAY[$2], ARRAY['pix_suspended'],
            ARRAY['platform'], ARRAY['00000000-0000-0000-0000-000000000000'::uuid],
            ARRAY[0::smallint], ARRAY[NULL::text], ARRAY[2::smallint], ARRAY[now()],
            ARRAY[1, 1], ARRAY[1::smallint, 2::smallint], ARRAY[1010::smallint, 2100::smallint],
            ARRAY['00000000-0000-0000-0000-000000000000'::uuid,
                  '00000000-0000-0000-0000-000000000000'::uuid],
            ARRAY[2000::bigint, -2000::bigint])",
    )
    .bind(id)
    .bind(key)
    .execute(&*owner)
    .await
    .expect("books");
}

async fn journals(bank: &Bank) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM financial_events")
        .fetch_one(bank.world.database())
        .await
        .expect("reads")
}
