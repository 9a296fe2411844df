//! What banks claim and take by themselves (MED): blocked, freed, gone, and never booked twice.

use serde_json::{Value, json};

use super::shared::{paid, share};
use super::till::Till;

/// The provider's list is read so often.
const SOON: [(&str, &str); 2] = [("pix.janitor_every_ms", "200"), ("pix.callback_within_ms", "0")];

async fn claimed(till: &Till) -> (String, String) {
    let books = till.bank.books().await;
    let pix = books["receipts"][0]["e2e_id"].as_str().expect("a number").to_owned();
    let claim = till.bank.tell(&format!("pix/{pix}/claim"), json!({})).await;
    (pix, claim["id"].as_str().expect("an id").to_owned())
}

/// Blocked, in escrow, held, available, owed, commission, loss.
async fn stand(till: &Till) -> [i64; 7] {
    let mut stand = [0; 7];
    let codes = [1040, 2110, 2000, 2010, 1110, 4000, 5030];
    for (balance, code) in stand.iter_mut().zip(codes) {
        *balance = till.balance(code).await;
    }
    stand
}

async fn stands(till: &Till, wanted: [i64; 7]) {
    let reached = async || stand(till).await == wanted;
    till.world.until(&format!("the books say {wanted:?}"), reached).await;
}

/// What the provider has and has blocked is what our books say.
async fn agree(till: &Till) {
    let books = till.bank.books().await;
    let ours = till.balance(1000).await + till.balance(1010).await;
    assert_eq!(
        (cents(&books["balance"]), cents(&books["blocked"])),
        (ours, till.balance(1040).await)
    );
}

fn cents(value: &Value) -> i64 {
    value.as_i64().unwrap_or_else(|| panic!("centavos: {value}"))
}

#[actix_web::test]
async fn e14_a_claim_that_the_banks_refuse_leaves_nothing_behind() {
    let till = Till::open(&SOON).await;
    let (driver, _, _, fare) = paid(&till).await;
    let (his, ours) = (share(fare), fare - share(fare));
    let (_, claim) = claimed(&till).await;
    stands(&till, [fare, -his, 0, 0, 0, -ours, 0]).await;
    agree(&till).await;
    let seen = till.world.get(driver, "/v1/disputes").await.good(200);
    assert_eq!(seen["items"][0]["kind"], "bank_claim", "its driver is shown why");
    till.bank.tell(&format!("claims/{claim}/decide"), json!({"accepted": false})).await;
    stands(&till, [0, 0, -his, 0, 0, -ours, 0]).await;
    agree(&till).await;
    till.close().await;
}

#[actix_web::test]
async fn e14_a_claim_that_is_granted_takes_the_escrow_and_the_commission() {
    let mut till = Till::open(&SOON).await;
    let (_, passenger, payment, fare) = paid(&till).await;
    let (_, claim) = claimed(&till).await;
    stands(&till, [fare, -share(fare), 0, 0, 0, share(fare) - fare, 0]).await;
    till.world.restart().await;
    till.bank.tell(&format!("claims/{claim}/decide"), json!({"accepted": true})).await;
    stands(&till, [0; 7]).await;
    agree(&till).await;
    till.when((passenger, payment), |shown| shown["status"] == "refunded").await;
    till.close().await;
}

#[actix_web::test]
async fn case_25_a_debit_that_nobody_asked_for_is_found_and_booked_once() {
    let till = Till::open(&SOON).await;
    let (_, _, _, fare) = paid(&till).await;
    let books = till.bank.books().await;
    let pix = books["receipts"][0]["e2e_id"].as_str().expect("a number");
    till.bank.tell(&format!("pix/{pix}/bank-refund"), json!({})).await;
    stands(&till, [0; 7]).await;
    agree(&till).await;
    let booked: i64 =
        sqlx::query_scalar("SELECT count(*) FROM financial_events WHERE kind = 'med_accepted'")
            .fetch_one(till.world.database())
            .await
            .expect("a count");
    assert_eq!((booked, till.balance(1000).await + till.balance(1010).await), (1, fare - fare));
    till.close().await;
}
