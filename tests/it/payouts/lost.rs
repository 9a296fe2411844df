//! Whatever is lost between us and the provider, a driver is paid once, under one id.

use serde_json::json;

use super::desk::Desk;

use crate::machine::ms;

const SEND: (&str, &str) = ("PUT", "/v3/gn/pix/*");
const ASK: (&str, &str) = ("GET", "/v2/gn/pix/enviados/*");

#[actix_web::test]
async fn whatever_becomes_of_the_answer_it_is_one_payout() {
    let desk = Desk::open(&[]).await;
    let faults = [
        json!({"kind": "drop_after"}),
        json!({"kind": "drop_before"}),
        json!({"kind": "status", "status": 500, "after": true}),
        json!({"kind": "status", "status": 500, "after": false}),
        json!({"kind": "status", "status": 429, "after": false}),
        json!({"kind": "truncate"}),
        json!({"kind": "unknown_status"}),
    ];
    for (done, fault) in faults.into_iter().enumerate() {
        let driver = desk.driver(5000, "0").await;
        desk.fails(SEND, 1, fault.clone()).await;
        desk.fails(ASK, 1, json!({"kind": "drop_after"})).await;
        let payout = desk.asked(driver, 1600).await;
        desk.until(payout, "done").await;
        desk.heals().await;
        let sends = desk.sends().await;
        assert_eq!(sends.len(), done + 1, "{fault}");
        let id = json!(payout.simple().to_string());
        assert!(sends.iter().any(|send| send["id"] == id), "{fault}");
    }
    desk.close().await;
}

#[actix_web::test]
async fn an_engine_that_ends_while_it_pays_goes_on_under_the_same_id() {
    let mut desk = Desk::open(&[]).await;
    for fault in [json!({"kind": "drop_after"}), json!({"kind": "drop_before"})] {
        let driver = desk.driver(5000, "0").await;
        // It was sent, or not, and nobody can be asked before the engine ends.
        desk.fails(SEND, 1, fault).await;
        desk.fails(ASK, 100_000, json!({"kind": "status", "status": 503, "after": false})).await;
        let payout = desk.asked(driver, 1600).await;
        desk.until(payout, "in_flight").await;
        desk.world.restart().await;
        desk.heals().await;
        desk.until(payout, "done").await;
    }
    assert_eq!(desk.sends().await.len(), 2);
    desk.close().await;
}

#[actix_web::test]
async fn one_that_stays_unclear_lets_the_next_go_and_is_not_forgotten() {
    let desk = Desk::open(&[("money.payout_held_ms", &ms(1500))]).await;
    let (first, second) = (desk.driver(5000, "0").await, desk.driver(5000, "0").await);
    desk.fails(SEND, 1, json!({"kind": "drop_after"})).await;
    desk.fails(ASK, 100_000, json!({"kind": "status", "status": 503, "after": false})).await;
    let unclear = desk.asked(first, 1600).await;
    desk.until(unclear, "in_flight").await;
    let next = desk.asked(second, 1600).await;
    desk.until(unclear, "unclear").await;
    // The provider is left alone after its failures; then the line goes on.
    desk.until(next, "in_flight").await;
    desk.heals().await;
    desk.until(next, "done").await;
    desk.until(unclear, "done").await;
    assert_eq!(desk.sends().await.len(), 2);
    desk.close().await;
}
