//! What the provider takes: the ledger's cash is its balance, to the centavo.

use ibora_domain::ids::PaymentId;
use serde_json::{Value, json};

use super::returned::{comes, went_back};
use super::till::Till;
use crate::world::UNHURRIED;

/// A minute is over soon, after which a tariff that was not told is none.
const FAST: &[(&str, &str)] = &[("pix.janitor_every_ms", "200"), ("clock.speed", "100")];

impl Till {
    /// The provider takes so much of each Pix from now on.
    async fn takes(&self, tariff: &str) {
        let rules = json!({ "settle_after_ms": 0, "tariff": tariff });
        self.bank.tell("rules", rules).await;
    }

    /// What lies at the provider, as it says.
    async fn at_the_provider(&self) -> i64 {
        let books: Value = self.bank.books().await;
        books["balance"].as_i64().expect("centavos")
    }

    /// Waits until nothing is between the provider and us; then both say the same.
    async fn agrees(&self) -> i64 {
        self.world.until("stated", async || self.balance(1010).await == 0).await;
        let cash = self.balance(1000).await;
        assert_eq!(cash, self.at_the_provider().await, "to the centavo");
        cash
    }
}

#[actix_web::test]
async fn what_the_provider_takes_is_booked_and_cash_is_its_balance_to_the_centavo() {
    let till = Till::open(&[FAST, UNHURRIED].concat()).await;
    till.takes("0.24").await;
    let (_, passenger, fare) = till.owed().await;
    let txid = till.charged((passenger, fare)).await;
    let paid = till.paid((passenger, fare), &txid).await;
    let first = till.agrees().await;
    assert_eq!(till.balance(5020).await, 24);

    till.takes("0.00").await;
    let tip = json!({ "amount": "5.00" });
    let path = format!("/v1/rides/{}/tip", fare.ride());
    let given = till.world.post(passenger, &path, &tip).await.good(201);
    let code = given["pix"]["txid"].as_str().expect("a charge").to_owned();
    till.paid((passenger, PaymentId::of_tip(fare.ride())), &code).await;
    assert_eq!(till.agrees().await, first + 500, "of a Pix without tariff nothing is taken");

    till.takes("0.24").await;
    let pix = comes(&till, Some(&txid), paid["amount"].as_str().expect("a text")).await;
    went_back(&till, &pix).await;
    till.agrees().await;
    assert_eq!(till.balance(5020).await, 48, "what goes back has cost its tariff all the same");
    till.close().await;
}

#[actix_web::test]
async fn a_receipt_whose_tariff_was_not_told_is_asked_about_also_after_a_restart() {
    let mut till = Till::open(&[FAST, UNHURRIED].concat()).await;
    let (_, passenger, fare) = till.owed().await;
    let txid = till.charged((passenger, fare)).await;
    till.paid((passenger, fare), &txid).await;
    till.world.restart().await;
    assert!(till.agrees().await > 0);
    assert_eq!(till.balance(5020).await, 0);
    till.close().await;
}
