//! Callbacks: where they go, who they come from, how often they are tried.

use std::time::Duration;

use serde_json::json;

use super::inbox::Inbox;
use super::provider::{KEY, Provider, https, send};

const MINUTE_MS: usize = 60_000;
const HOUR_MS: u64 = 3_600_000;

async fn register(provider: &Provider, url: &str) -> (u16, serde_json::Value) {
    provider.put(&format!("/v2/webhook/{KEY}"), json!({"webhookUrl": url})).await
}

#[actix::test]
async fn a_paid_charge_is_told_until_it_is_taken() {
    let provider = Provider::start().await;
    let inbox = Inbox::http(&[500, 429]);
    let url = format!("{}?hmac=secret&ignorar=", inbox.url);
    assert_eq!(register(&provider, &url).await.0, 201);
    let txid = provider.charge(1, "20.00").await;
    let e2e_id = provider.pay(&txid).await;
    inbox.wait(1).await;
    for failures in 1..=2 {
        provider
            .until("webhooks", |shown| {
                let one = &shown["waiting"][0];
                one["failures"] == failures && one["in_flight"] == false
            })
            .await;
        provider.control("clock", json!({"advance_ms": (failures * 5 - 1) * MINUTE_MS})).await;
        assert_eq!(inbox.elements().len(), failures, "not a minute too early");
        provider.control("clock", json!({"advance_ms": MINUTE_MS})).await;
        inbox.wait(failures + 1).await;
    }
    let shown = provider.until("webhooks", |shown| shown["delivered"] == 1).await;
    assert_eq!(shown["waiting"], json!([]));
    let told = inbox.elements();
    assert!(told.iter().all(|element| element["endToEndId"] == e2e_id.as_str()), "{told:?}");
    let paths = inbox.paths();
    assert_eq!(paths[0], "/hook?hmac=secret&ignorar=", "the test goes to the address as it is");
    assert_eq!(paths[1], "/hook?hmac=secret&ignorar=/pix");
    inbox.stop().await;
    provider.end().await;
}

#[actix::test]
async fn an_address_is_taken_when_it_knows_the_provider_and_refuses_strangers() {
    let provider = Provider::start().await;
    let certificates = provider.simulator.certificates().clone();
    let inbox = Inbox::mutual(&certificates);
    let stranger = https(&certificates, Some(&certificates.client.path));
    let call = send(&stranger, "POST", &inbox.url, "", Some(&json!({}))).await;
    assert!(call.is_err(), "our own certificate is none of the provider's");
    let path = format!("/v2/webhook/{KEY}");
    let body = json!({"webhookUrl": inbox.url});
    let (status, answer) = provider.register_checked(&path, body).await;
    assert_eq!(status, 201, "{answer}");
    let txid = provider.charge(1, "20.00").await;
    provider.pay(&txid).await;
    inbox.wait(1).await;
    let open = Inbox::http(&[]);
    let (status, answer) = provider.register_checked(&path, json!({"webhookUrl": open.url})).await;
    assert_eq!((status, &answer["nome"]), (400, &json!("webhook_invalido")));
    for wrong in ["ftp://localhost/x", "http://example.com/x", "no address"] {
        let (status, answer) = register(&provider, wrong).await;
        assert_eq!((status, &answer["nome"]), (400, &json!("valor_invalido")), "{wrong}");
    }
    assert_eq!(register(&provider, "http://127.0.0.1:1/x").await.1["nome"], "webhook_invalido");
    open.stop().await;
    inbox.stop().await;
    provider.end().await;
}

#[actix::test]
async fn several_pix_share_a_callback_and_any_can_be_told_again() {
    let provider = Provider::start().await;
    let inbox = Inbox::http(&[]);
    assert_eq!(register(&provider, &inbox.url).await.0, 201);
    provider.control("webhooks", json!({"batch": 2})).await;
    let mut paid = Vec::new();
    for number in 1..=2 {
        let txid = provider.charge(number, "1.00").await;
        paid.push(provider.pay(&txid).await);
    }
    inbox.wait(2).await;
    assert_eq!(inbox.paths().len(), 2, "the test of the address, and one callback");
    provider.control("webhooks", json!({"batch": 1})).await;
    let again = json!({"tipo": "PIX_RECEBIDO", "e2eids": paid});
    let call = provider.try_call("POST", "/v2/gn/webhook/reenviar", Some(again)).await;
    assert_eq!(call.expect("an answer").0, 202);
    inbox.wait(4).await;
    inbox.stop().await;
    provider.end().await;
}

#[actix::test]
async fn a_pix_without_a_reference_is_told_only_to_who_wants_it() {
    let provider = Provider::start().await;
    let inbox = Inbox::http(&[]);
    assert_eq!(register(&provider, &inbox.url).await.0, 201);
    provider.control("pay", json!({"key": KEY, "value": "7.00"})).await;
    let settings = json!({"pix": {"notificar": {"pixSemTxid": true}}});
    assert_eq!(provider.put("/v2/gn/config", settings).await.0, 200);
    provider.control("pay", json!({"key": KEY, "value": "8.00"})).await;
    let told = inbox.wait(1).await;
    assert_eq!((&told[0]["valor"], told[0].get("txid")), (&json!("8.00"), None));
    inbox.stop().await;
    provider.end().await;
}

#[actix::test]
async fn a_clock_that_runs_faster_sends_the_last_try_too() {
    let provider = Provider::start().await;
    let inbox = Inbox::http(&[500; 11]);
    assert_eq!(register(&provider, &inbox.url).await.0, 201);
    let txid = provider.charge(1, "1.00").await;
    provider.pay(&txid).await;
    for tries in 1..=11 {
        inbox.wait(tries).await;
        provider
            .until("webhooks", |shown| {
                shown["waiting"]
                    .as_array()
                    .is_some_and(|waiting| waiting.iter().all(|one| one["in_flight"] == false))
            })
            .await;
        provider.control("clock", json!({"advance_ms": 876 * HOUR_MS})).await;
    }
    provider.until("webhooks", |shown| shown["given_up"] == 1).await;
    provider.control("clock", json!({"speed": 1000})).await;
    let before = provider.shown("clock").await["now"].clone();
    provider.until("clock", |shown| shown["now"].as_str() > before.as_str()).await;
    actix_web::rt::time::timeout(Duration::from_secs(30), inbox.stop()).await.expect("it stops");
    provider.end().await;
}
