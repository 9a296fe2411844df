//! Charges, refunds, payouts and claims, as an engine sees them, and what the books say of them.

use ibora::pix::brcode::BrCode;
use ibora::pix::simulator::Rules;
use serde_json::{Value, json};

use super::inbox::Inbox;
use super::provider::{KEY, Provider, charge, quick};

const WINDOW: &str = "inicio=2020-01-01T00:00:00Z&fim=2100-01-01T00:00:00Z";

#[actix::test]
async fn a_charge_is_made_once_paid_and_listed() {
    let provider = Provider::start().await;
    let txid = provider.charge(1, "20.00").await;
    let path = format!("/v2/cob/{txid}");
    let (status, again) = provider.put(&path, charge("20.00")).await;
    assert_eq!((status, &again["nome"]), (409, &json!("txid_duplicado")));
    let e2e_id = provider.pay(&txid).await;
    let (_, paid) = provider.get(&path).await;
    assert_eq!(
        (&paid["status"], &paid["pix"][0]["endToEndId"]),
        (&json!("CONCLUIDA"), &json!(e2e_id))
    );
    let code = paid["pixCopiaECola"].as_str().expect("a code");
    assert!(BrCode::parse(code).is_ok(), "{code}");
    let (status, pix) = provider.get(&format!("/v2/pix/{e2e_id}")).await;
    assert_eq!((status, &pix["valor"]), (200, &json!("20.00")));
    let (_, listed) = provider.get(&format!("/v2/pix?{WINDOW}&txid={txid}")).await;
    assert_eq!(listed["pix"].as_array().map(Vec::len), Some(1), "{listed}");
    let (_, balance) = provider.get("/v2/gn/saldo?bloqueios=true").await;
    assert_eq!(balance["saldo"], "20.00");
    provider.end().await;
}

#[actix::test]
async fn what_is_wrong_with_a_charge_is_said_in_the_provider_s_words() {
    let provider = Provider::start().await;
    let good = format!("/v2/cob/{:032}", 1);
    for (path, body, status, said) in [
        (good.as_str(), charge("0.00"), 400, "CobOperacaoInvalida"),
        (
            good.as_str(),
            json!({"valor": {"original": 20.0}, "chave": KEY}),
            400,
            "RequisicaoInvalida",
        ),
        (good.as_str(), charge("20.000"), 400, "RequisicaoInvalida"),
        ("/v2/cob/short", charge("1.00"), 400, "CobOperacaoInvalida"),
    ] {
        let (answered, answer) = provider.put(path, body).await;
        let kind = answer["type"].as_str().unwrap_or_default();
        assert_eq!((answered, kind.ends_with(said)), (status, true), "{answer}");
    }
    provider.charge(1, "20.00").await;
    let patch = |body: Value| provider.try_call("PATCH", &good, Some(body));
    let mixed = json!({"status": "REMOVIDA_PELO_USUARIO_RECEBEDOR", "valor": {"original": "1.00"}});
    assert_eq!(patch(mixed).await.expect("an answer").0, 400);
    let remove = json!({"status": "REMOVIDA_PELO_USUARIO_RECEBEDOR"});
    let (status, removed) = patch(remove.clone()).await.expect("an answer");
    assert_eq!((status, &removed["revisao"]), (200, &json!(1)));
    let (status, again) = patch(remove).await.expect("an answer");
    assert_eq!((status, &again["nome"]), (400, &json!("status_cobranca_invalido")));
    assert_eq!(provider.get("/v2/cob/00000000000000000000000000000009").await.0, 404);
    assert_eq!(provider.get("/v2/cob?inicio=2020-01-01T00:00:00Z").await.0, 400);
    provider.end().await;
}

#[actix::test]
async fn pages_hold_every_row_once() {
    let provider = Provider::start().await;
    for number in 0..5 {
        let txid = provider.charge(number, "1.00").await;
        provider.pay(&txid).await;
    }
    let mut seen = std::collections::BTreeSet::new();
    for page in 0..3 {
        let paging = format!("paginacao.paginaAtual={page}&paginacao.itensPorPagina=2");
        let (_, answer) = provider.get(&format!("/v2/pix?{WINDOW}&{paging}")).await;
        assert_eq!(answer["parametros"]["paginacao"]["quantidadeDePaginas"], 3);
        let rows = answer["pix"].as_array().expect("rows");
        seen.extend(rows.iter().map(|row| row["endToEndId"].to_string()));
    }
    assert_eq!(seen.len(), 5);
    provider.end().await;
}

#[actix::test]
async fn a_refund_is_asked_for_once_and_settles() {
    let provider = Provider::start().await;
    let txid = provider.charge(1, "20.00").await;
    let e2e_id = provider.pay(&txid).await;
    let path = format!("/v2/pix/{e2e_id}/devolucao/R1");
    let (status, asked) = provider.put(&path, json!({"valor": "15.00"})).await;
    assert_eq!((status, &asked["status"]), (201, &json!("EM_PROCESSAMENTO")));
    let (status, again) = provider.put(&path, json!({"valor": "15.00"})).await;
    assert_eq!((status, &again["nome"]), (400, &json!("devolucao_id_duplicado")));
    let above = format!("/v2/pix/{e2e_id}/devolucao/R2");
    assert_eq!(provider.put(&above, json!({"valor": "5.01"})).await.0, 400);
    provider.until("books", |books| books["balance"] == 500).await;
    assert_eq!(provider.get(&path).await.1["status"], "DEVOLVIDO");
    provider.end().await;
}

#[actix::test]
async fn a_payout_needs_a_webhook_and_is_done_once() {
    let provider = Provider::start().await;
    let inbox = Inbox::http(&[]);
    provider.control("deposit", json!({"value": "100.00"})).await;
    let body = json!({"valor": "30.00", "pagador": {"chave": KEY},
                      "favorecido": {"chave": "joao@example.com", "cpf": "12345678909"}});
    let (status, refused) = provider.put("/v3/gn/pix/S1", body.clone()).await;
    assert_eq!((status, &refused["nome"]), (400, &json!("webhook_nao_encontrado")));
    let hook = json!({"webhookUrl": inbox.url});
    assert_eq!(provider.put(&format!("/v2/webhook/{KEY}"), hook).await.0, 201);
    provider.control("keys", json!({"key": "joao@example.com", "owner": "98765432100"})).await;
    let (status, refused) = provider.put("/v3/gn/pix/S1", body.clone()).await;
    assert_eq!((status, &refused["nome"]), (400, &json!("chave_nao_pertence_ao_documento")));
    provider.control("keys", json!({"key": "joao@example.com", "owner": "12345678909"})).await;
    assert_eq!(provider.put("/v3/gn/pix/S1", body.clone()).await.0, 201);
    let (status, again) = provider.put("/v3/gn/pix/S1", body).await;
    assert_eq!((status, &again["nome"]), (409, &json!("id_envio_duplicado")));
    provider.until("books", |books| books["balance"] == 7000).await;
    let (_, sent) = provider.get("/v2/gn/pix/enviados/id-envio/S1").await;
    assert_eq!(sent["status"], "REALIZADO");
    provider.control("payouts/S1/return", json!({"value": "10.00"})).await;
    provider.control("payouts/S1/return", json!({})).await;
    let told = inbox.wait(3).await;
    assert_eq!(told[1]["devolucoes"][0]["valor"], "10.00");
    assert_eq!(told[2]["devolucoes"][0]["valor"], "20.00");
    assert_eq!(provider.shown("books").await["balance"], 10_000);
    inbox.stop().await;
    provider.end().await;
}

#[actix::test]
async fn the_bank_takes_money_by_a_claim_and_without_one() {
    let provider = Provider::start().await;
    let txid = provider.charge(1, "20.00").await;
    let e2e_id = provider.pay(&txid).await;
    provider.control(&format!("pix/{e2e_id}/bank-refund"), json!({"value": "5.00"})).await;
    let claim = provider.control(&format!("pix/{e2e_id}/claim"), json!({})).await;
    let (_, balance) = provider.get("/v2/gn/saldo?bloqueios=true").await;
    assert_eq!(
        (&balance["saldo"], &balance["bloqueios"]["med"]),
        (&json!("0.00"), &json!("15.00"))
    );
    let (_, claims) = provider.get(&format!("/v2/gn/infracoes?{WINDOW}")).await;
    assert_eq!(claims["infracoes"][0]["status"], "ABERTA");
    let id = claim["id"].as_str().expect("an id");
    let defence = json!({"analise": "rejeitado", "justificativa": "corrida feita"});
    let path = format!("/v2/gn/infracoes/{id}/defesa");
    let (status, _) = provider.try_call("POST", &path, Some(defence)).await.expect("an answer");
    assert_eq!(status, 200);
    provider.control(&format!("claims/{id}/decide"), json!({"accepted": true})).await;
    let (_, pix) = provider.get(&format!("/v2/pix/{e2e_id}")).await;
    let natures: Vec<_> = pix["devolucoes"]
        .as_array()
        .expect("refunds")
        .iter()
        .map(|refund| refund["natureza"].clone())
        .collect();
    assert_eq!(natures, ["MED_FRAUDE", "MED_FRAUDE"]);
    provider.end().await;
}

#[actix::test]
async fn in_the_sandbox_amounts_choose_what_happens() {
    let provider = Provider::with(Rules { sandbox: true, ..quick() }).await;
    let (small, large) = (provider.charge(1, "10.00").await, provider.charge(2, "10.01").await);
    provider.until("books", |books| books["balance"] == 1000).await;
    let status =
        async |txid: &str| provider.get(&format!("/v2/cob/{txid}")).await.1["status"].clone();
    assert_eq!(status(&small).await, "CONCLUIDA");
    assert_eq!(status(&large).await, "ATIVA");
    provider.end().await;
}

#[actix::test]
async fn a_charge_is_revised_and_found_by_its_state() {
    let provider = Provider::start().await;
    let (kept, paid) = (provider.charge(1, "20.00").await, provider.charge(2, "5.00").await);
    provider.pay(&paid).await;
    let body = json!({"valor": {"original": "25.00"}, "solicitacaoPagador": "Corrida"});
    let path = format!("/v2/cob/{kept}");
    let (status, revised) = provider.try_call("PATCH", &path, Some(body)).await.expect("an answer");
    assert_eq!((status, &revised["revisao"]), (200, &json!(1)));
    let (_, answer) = provider.get(&path).await;
    assert_eq!(
        (&answer["valor"]["original"], &answer["calendario"]["expiracao"]),
        (&json!("25.00"), &json!(600))
    );
    for (state, txid) in [("ATIVA", &kept), ("CONCLUIDA", &paid)] {
        let (_, listed) = provider.get(&format!("/v2/cob?{WINDOW}&status={state}")).await;
        let cobs = listed["cobs"].as_array().expect("charges");
        assert_eq!((cobs.len(), cobs[0]["txid"].as_str()), (1, Some(txid.as_str())), "{state}");
    }
    provider.end().await;
}

#[actix::test]
async fn a_day_that_is_over_has_a_report() {
    let mut provider = Provider::start().await;
    let txid = provider.charge(1, "20.00").await;
    let e2e_id = provider.pay(&txid).await;
    let now = provider.shown("clock").await["now"].clone();
    // The day of Brazil, three hours behind.
    let utc = time::OffsetDateTime::parse(
        now.as_str().expect("a moment"),
        &time::format_description::well_known::Rfc3339,
    );
    let day = (utc.expect("a moment") - time::Duration::hours(3)).date().to_string();
    let path = "/v2/gn/relatorios/extrato-conciliacao";
    let body = json!({"dataMovimento": day, "tipoRegistros": {"pixRecebido": true}});
    let (status, _) = provider.try_call("POST", path, Some(body.clone())).await.expect("an answer");
    assert_eq!(status, 400, "today is not over");
    provider.control("clock", json!({"advance_ms": 86_400_000})).await;
    assert_eq!(provider.get("/v2/gn/saldo").await.0, 401, "tokens are good for an hour");
    provider.renew().await;
    let (status, order) = provider.try_call("POST", path, Some(body)).await.expect("an answer");
    assert_eq!(status, 201, "{order}");
    let id = order["id"].as_str().expect("an id");
    let csv = provider.try_call("GET", &format!("/v2/gn/relatorios/{id}"), None).await;
    let csv = csv.expect_err("CSV is no JSON");
    assert!(csv.contains(&format!("RECEIPT;{e2e_id};20.00;20.00")), "{csv}");
    provider.end().await;
}
