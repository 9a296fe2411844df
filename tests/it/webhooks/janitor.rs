//! Callbacks that are lost: the provider's lists have what they would have told.

use ibora::pix::wire::{NewSend, Payee, PayingKey};
use ibora_domain::money::Centavos;
use ibora_domain::pix::{PixKey, SendId};
use ibora_domain::provider::Outcome;
use serde_json::json;
use uuid::Uuid;

use super::bank::{Bank, Door, KEY};
use super::line::{OK, body, notices, received, tell};

use crate::machine::ms;

const QUICK: &[(&str, &str)] = &[("pix.janitor_every_ms", "200"), ("pix.callback_within_ms", "0")];
const RECEIVED: &str = "PIX_RECEBIDO";
const REFUNDED: &str = "DEVOLUCAO_ENVIADA";
const SENT: &str = "PIX_ENVIADO";
const RETURNED: &str = "DEVOLUCAO_RECEBIDA";

/// An engine that hears of nothing by callback.
async fn deaf() -> Bank {
    let bank = Bank::open(Door::Secret, QUICK).await;
    let lose = json!({"on": "webhook", "fault": {"kind": "lose"}, "count": 100_000});
    bank.tell("faults", lose).await;
    bank
}

/// Receipts that are known.
async fn receipts(bank: &Bank) -> usize {
    notices(&bank.world).await.iter().filter(|(kind, ..)| kind == RECEIVED).count()
}

fn missed(bank: &Bank, kind: &str) -> u64 {
    bank.world.app().metrics.webhooks_missed.with_label_values(&[kind]).get()
}

#[actix::test]
async fn a_callback_that_is_lost_is_found_in_the_list_and_a_late_one_changes_nothing() {
    let bank = deaf().await;
    let e2e_id = bank.pay("20.00").await;
    bank.until(RECEIVED, &e2e_id, "done", "list").await;
    assert_eq!(tell(&bank.world, body(&[received(&e2e_id)])).await, OK);
    assert_eq!((receipts(&bank).await, bank.booked("pix:").await), (1, 2), "booked, and resolved");
    assert_eq!(missed(&bank, RECEIVED), 1);
    bank.close().await;
}

#[actix::test]
async fn what_was_told_in_time_is_not_missed() {
    let settings = [("pix.janitor_every_ms", "200"), ("pix.callback_within_ms", &ms(3000))];
    let bank = Bank::open(Door::Secret, &settings).await;
    bank.tell("webhooks", json!({"tells_strays": true})).await;
    let e2e_id = bank.pay("20.00").await;
    bank.until(RECEIVED, &e2e_id, "done", "webhook").await;
    bank.world
        .until("the list is read behind it", async || {
            let behind = "SELECT EXISTS (SELECT FROM job_cursors c JOIN pix_notices n
                ON c.upto > n.received_at + interval '1 s' WHERE c.name = 'pix_received')";
            sqlx::query_scalar(behind).fetch_one(bank.world.database()).await.expect("reads")
        })
        .await;
    assert_eq!(missed(&bank, RECEIVED), 0);
    bank.until(RECEIVED, &e2e_id, "done", "webhook").await;
    bank.close().await;
}

#[actix::test]
async fn money_that_goes_back_unasked_is_found() {
    let bank = deaf().await;
    let (.., txid) = bank.owed().await;
    let e2e_id = bank.pay_charge(&txid).await;
    bank.until(RECEIVED, &e2e_id, "done", "list").await;
    bank.tell(&format!("pix/{e2e_id}/bank-refund"), json!({"value": "5.00"})).await;
    // Nobody asked for it; it is booked all the same, as what the bank took.
    bank.until(REFUNDED, &e2e_id, "done", "list").await;
    bank.close().await;
}

#[actix::test]
async fn payouts_that_ended_and_that_came_back_are_found() {
    let bank = deaf().await;
    bank.tell("deposit", json!({"value": "100.00"})).await;
    let key = |text: &str| PixKey::parse(text).expect("a key");
    let send = NewSend {
        value: Centavos(700),
        payer: PayingKey { key: key(KEY), message: None },
        payee: Payee::Key { key: key("driver@example.com"), cpf: None, cnpj: None },
    };
    let id = SendId::from(Uuid::now_v7());
    let Outcome::Done(sent) = bank.provider().put_send(&id, &send).await else {
        panic!("it is accepted");
    };
    let e2e_id = sent.e2e_id.as_str();
    bank.until(SENT, e2e_id, "parked", "list").await;
    bank.tell(&format!("payouts/{id}/return"), json!({"value": "3.00"})).await;
    bank.until(RETURNED, e2e_id, "parked", "list").await;
    assert_eq!((missed(&bank, SENT), missed(&bank, RETURNED)), (1, 1));
    bank.close().await;
}

#[actix::test]
async fn what_was_taken_for_forged_and_stands_in_the_list_is_true() {
    let bank = deaf().await;
    let e2e_id = bank.pay("20.00").await;
    bank.until(RECEIVED, &e2e_id, "done", "list").await;
    sqlx::query("UPDATE pix_notices SET state = 'forged', source = 'webhook'")
        .execute(bank.world.database())
        .await
        .expect("as a hasty look would have it");
    bank.until(RECEIVED, &e2e_id, "done", "list").await;
    bank.close().await;
}

#[actix::test]
async fn a_list_of_two_pages_that_fails_in_between_is_read_whole_all_the_same() {
    let bank = deaf().await;
    let fault = |skip: u32| {
        json!({"on": "api", "method": "GET", "path": "/v2/pix", "skip": skip, "count": 4,
               "fault": {"kind": "status", "status": 503, "after": false}})
    };
    bank.tell("faults", fault(1)).await;
    for _ in 0..510 {
        bank.pay("1.00").await;
    }
    bank.world.until("all of them", async || receipts(&bank).await == 510).await;
    assert_eq!(missed(&bank, RECEIVED), 510);
    bank.close().await;
}

#[actix::test]
async fn what_a_provider_whose_clock_is_ahead_lists_is_found_when_our_time_has_come() {
    let bank = deaf().await;
    bank.tell("clock", json!({"advance_ms": 3000})).await;
    let e2e_id = bank.pay("20.00").await;
    bank.until(RECEIVED, &e2e_id, "done", "list").await;
    assert_eq!((receipts(&bank).await, bank.booked("pix:").await), (1, 2));
    bank.close().await;
}
