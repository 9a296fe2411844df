//! Each fault of the dial, once: what a client sees, and what the books say all the same.

use serde_json::{Value, json};

use super::inbox::Inbox;
use super::provider::{KEY, Provider, charge};

async fn fault(provider: &Provider, path: &str, fault: Value) {
    provider.control("faults", json!({"on": "api", "path": path, "fault": fault})).await;
}

async fn webhook_fault(provider: &Provider, kind: &str) {
    provider.control("faults", json!({"on": "webhook", "fault": {"kind": kind}})).await;
}

async fn charges(provider: &Provider) -> usize {
    provider.shown("books").await["charges"].as_array().map_or(0, Vec::len)
}

#[actix::test]
async fn an_answer_is_lost_before_or_after_the_effect() {
    let provider = Provider::start().await;
    let path = format!("/v2/cob/{:032}", 1);
    fault(&provider, "/v2/cob/*", json!({"kind": "drop_before"})).await;
    let lost = provider.try_call("PUT", &path, Some(charge("1.00"))).await;
    assert!(lost.is_err(), "{lost:?}");
    assert_eq!(charges(&provider).await, 0);
    fault(&provider, "/v2/cob/*", json!({"kind": "drop_after"})).await;
    let lost = provider.try_call("PUT", &path, Some(charge("1.00"))).await;
    assert!(lost.is_err(), "{lost:?}");
    assert_eq!(charges(&provider).await, 1);
    assert_eq!(provider.get(&path).await.0, 200, "the dial is used up");
    provider.end().await;
}

#[actix::test]
async fn another_status_comes_before_or_after_the_effect() {
    let provider = Provider::start().await;
    for (number, status) in [(1, 429), (2, 500), (3, 503)] {
        fault(&provider, "/v2/cob/*", json!({"kind": "status", "status": status})).await;
        let path = format!("/v2/cob/{number:032}");
        assert_eq!(provider.put(&path, charge("1.00")).await.0, status);
        assert_eq!(provider.put(&path, charge("1.00")).await.0, 201);
    }
    fault(&provider, "/v2/cob/*", json!({"kind": "status", "status": 500, "after": true})).await;
    let path = format!("/v2/cob/{:032}", 4);
    assert_eq!(provider.put(&path, charge("1.00")).await.0, 500);
    assert_eq!(provider.put(&path, charge("1.00")).await.0, 409);
    provider.end().await;
}

#[actix::test]
async fn an_answer_is_cut_late_or_new() {
    let provider = Provider::start().await;
    let path = format!("/v2/cob/{:032}", 1);
    fault(&provider, "/v2/cob/*", json!({"kind": "truncate"})).await;
    let half = provider.try_call("PUT", &path, Some(charge("1.00"))).await;
    assert!(half.is_err_and(|error| error.starts_with("half")), "it is done all the same");
    fault(&provider, "/v2/cob/*", json!({"kind": "unknown_status"})).await;
    assert_eq!(provider.get(&path).await.1["status"], "EM_ANALISE_NOVA");
    fault(&provider, "/v2/cob/*", json!({"kind": "delay", "ms": 150})).await;
    let before = std::time::Instant::now();
    assert_eq!(provider.get(&path).await.1["status"], "ATIVA");
    assert!(before.elapsed().as_millis() >= 150);
    provider.end().await;
}

#[actix::test]
async fn callbacks_are_lost_doubled_reordered_and_new() {
    let provider = Provider::start().await;
    let inbox = Inbox::http(&[]);
    let hook = json!({"webhookUrl": inbox.url});
    assert_eq!(provider.put(&format!("/v2/webhook/{KEY}"), hook).await.0, 201);
    for kind in ["lose", "duplicate", "reorder"] {
        webhook_fault(&provider, kind).await;
    }
    let mut paid = Vec::new();
    for number in 1..=4 {
        let txid = provider.charge(number, "1.00").await;
        paid.push(provider.pay(&txid).await);
        // One after the other, so that only the dial changes their order.
        let told = [0, 2, 2, 4][number as usize - 1];
        inbox.wait(told).await;
    }
    let told: Vec<_> = inbox.elements().iter().map(|one| one["endToEndId"].clone()).collect();
    assert_eq!(
        told[..2],
        [json!(paid[1]), json!(paid[1])],
        "the first is lost, the second doubled"
    );
    assert_eq!(told[2..], [json!(paid[3]), json!(paid[2])], "the fourth passes the third");
    webhook_fault(&provider, "unknown_status").await;
    provider.control("script", json!({"short_numbers": 1})).await;
    let txid = provider.charge(5, "1.00").await;
    let short = provider.pay(&txid).await;
    let told = inbox.wait(5).await;
    assert_eq!((&told[4]["status"], short.len()), (&json!("EM_ANALISE_NOVA"), 26));
    assert_eq!(provider.get(&format!("/v2/pix/{short}")).await.0, 200);
    inbox.stop().await;
    provider.end().await;
}

#[actix::test]
async fn payers_are_late_pay_twice_and_pay_too_little() {
    let provider = Provider::start().await;
    let txid = provider.charge(1, "20.00").await;
    provider.control("clock", json!({"advance_ms": 601_000})).await;
    let late = json!({"txid": txid, "forced": true});
    provider.control("pay", late.clone()).await;
    provider.control("pay", late).await;
    provider.control("pay", json!({"txid": txid, "value": "7.00", "forced": true})).await;
    let (_, paid) = provider.get(&format!("/v2/cob/{txid}")).await;
    let values: Vec<_> =
        paid["pix"].as_array().expect("payments").iter().map(|pix| pix["valor"].clone()).collect();
    assert_eq!(values, ["20.00", "20.00", "7.00"]);
    provider.end().await;
}

#[actix::test]
async fn payouts_are_denied_and_fail_by_script() {
    let provider = Provider::start().await;
    let inbox = Inbox::http(&[]);
    let hook = json!({"webhookUrl": inbox.url});
    assert_eq!(provider.put(&format!("/v2/webhook/{KEY}"), hook).await.0, 201);
    provider.control("deposit", json!({"value": "10.00"})).await;
    provider.control("script", json!({"deny_sends": 1, "fail_sends": 1})).await;
    let body = json!({"valor": "3.00", "pagador": {"chave": KEY},
                      "favorecido": {"chave": "joao@example.com"}});
    let (status, denied) = provider.put("/v3/gn/pix/S1", body.clone()).await;
    assert_eq!((status, &denied["nome"]), (422, &json!("pagamento_negado")));
    assert_eq!(provider.put("/v3/gn/pix/S1", body).await.0, 201);
    let told = inbox.wait(1).await;
    assert_eq!((&told[0]["status"], &told[0]["horario"]), (&json!("NAO_REALIZADO"), &json!(null)));
    assert_eq!(told[0]["gnExtras"]["erro"]["codigo"], "AC03");
    assert_eq!(provider.shown("books").await["balance"], 1000);
    inbox.stop().await;
    provider.end().await;
}
