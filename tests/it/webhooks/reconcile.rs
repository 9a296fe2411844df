//! The provider's balance beside the ledger, to the centavo; and claims of fraud.

use ibora::jobs::reconcile;
use ibora::journal::ReconciliationRow;
use ibora_domain::money::Centavos;
use serde_json::json;

use super::bank::{Bank, Door, control, settings, simulator};
use crate::process::Process;

const RECEIVED: &str = "PIX_RECEBIDO";
const REFUNDED: &str = "DEVOLUCAO_ENVIADA";

async fn compared(bank: &Bank) -> ReconciliationRow {
    reconcile(&bank.provider(), &bank.world.app().journal).await.expect("it is compared")
}

#[actix::test]
async fn what_was_paid_and_what_went_back_is_the_provider_s_balance_to_the_centavo() {
    let bank = Bank::open(Door::Secret, &[]).await;
    let (.., txid) = bank.owed().await;
    let e2e_id = bank.pay_charge(&txid).await;
    bank.until(RECEIVED, &e2e_id, "done", "webhook").await;
    bank.tell("webhooks", json!({"tells_strays": true})).await;
    let stray = bank.pay("33.33").await;
    bank.until(REFUNDED, &stray, "done", "webhook").await;
    let row = compared(&bank).await;
    assert!(row.is_sound() && row.quiet, "{row:?}");
    assert!(row.provider_available > Centavos::ZERO);
    assert_eq!(row.provider_available.0, row.ledger.cash.0 + row.ledger.clearing.0);
    let kept: i64 = sqlx::query_scalar("SELECT count(*) FROM reconciliations WHERE difference = 0")
        .fetch_one(bank.world.database())
        .await
        .expect("reads");
    assert_eq!(kept, 1);
    bank.close().await;
}

#[actix::test]
async fn what_is_not_booked_yet_explains_a_difference_and_what_nobody_knows_does_not() {
    let bank = Bank::open(Door::None, &[]).await;
    bank.pay("20.00").await;
    let row = compared(&bank).await;
    assert_eq!((row.receipts, row.difference, row.overdue), (Centavos(2000), Centavos(0), 0));
    bank.tell("deposit", json!({"value": "5.01"})).await;
    let row = compared(&bank).await;
    assert_eq!((row.receipts, row.difference), (Centavos(2000), Centavos(501)));
    assert!(!row.is_sound());
    assert_eq!(bank.booked("").await, 0, "nothing is corrected");
    bank.close().await;
}

#[actix::test]
async fn a_claim_of_fraud_is_taken_down_as_it_stands() {
    let quick = [("pix.janitor_every_ms", "200")];
    let bank = Bank::open(Door::Secret, &quick).await;
    let (.., txid) = bank.owed().await;
    let e2e_id = bank.pay_charge(&txid).await;
    bank.until(RECEIVED, &e2e_id, "done", "webhook").await;
    let claim = bank.tell(&format!("pix/{e2e_id}/claim"), json!({})).await;
    let stands = async |status: &str| {
        let found: Option<(String, String)> =
            sqlx::query_as("SELECT id, status FROM pix_claims WHERE e2e_id = $1")
                .bind(&e2e_id)
                .fetch_optional(bank.world.database())
                .await
                .expect("reads");
        found.filter(|(_, found)| found == status).map(|(id, _)| id)
    };
    bank.world.until("an open claim", async || stands("ABERTA").await.is_some()).await;
    let row = compared(&bank).await;
    assert!(row.provider_blocked > Centavos::ZERO && row.difference == Centavos::ZERO, "{row:?}");
    let id = stands("ABERTA").await.unwrap_or_else(|| panic!("{claim}"));
    bank.tell(&format!("claims/{id}/decide"), json!({"accepted": false})).await;
    bank.world.until("a decided claim", async || stands("REJEITADA").await.is_some()).await;
    bank.close().await;
}

#[actix::test]
async fn by_hand_it_is_said_by_the_exit_code() {
    let (simulator, dir) = simulator().await;
    let settings = settings(&simulator, Door::None);
    let settings: Vec<_> = settings.iter().map(|(key, value)| (*key, value.as_str())).collect();
    let process = Process::start(&settings).await;
    assert_eq!(run(&process).await, Some(0));
    control(&simulator, "deposit", json!({"value": "0.01"})).await;
    assert_eq!(run(&process).await, Some(3));
    drop(process);
    simulator.stop().await;
    std::fs::remove_dir_all(dir).expect("its folder goes");
}

/// Beside this thread, on which the simulator answers.
async fn run(process: &Process) -> Option<i32> {
    let mut command = process.command();
    command.args(["pix", "reconcile"]);
    let status = actix_web::web::block(move || command.status()).await.expect("a thread");
    status.expect("runs").code()
}
