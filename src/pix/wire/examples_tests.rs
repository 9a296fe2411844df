//! The published examples of the central bank and of the provider are read as they stand.

use ibora_domain::money::Centavos;
use ibora_domain::units::UnixMillis;
use serde_json::{Value, json};

use super::*;

fn read<T: serde::de::DeserializeOwned>(value: &Value) -> T {
    serde_json::from_str(&value.to_string()).expect("a published example")
}

fn notice(element: &Value) -> Notice {
    let body = json!({ "pix": [element] }).to_string();
    let mut callback = Callback::read(body.as_bytes()).expect("a callback");
    callback.notices.remove(0).expect("a notice")
}

fn paid_charge() -> Value {
    json!({
        "calendario": {"criacao": "2020-09-09T20:15:00.358Z", "expiracao": 3600},
        "txid": "655dfdb1a4514b8fbb58254b958913fb",
        "revisao": 1,
        "loc": {"id": 567, "location": "pix.example.com/qr/1dd7f893a58e417287028dc33e21a403"},
        "location": "pix.example.com/qr/1dd7f893a58e417287028dc33e21a403",
        "status": "CONCLUIDA",
        "devedor": {"cnpj": "12345678000195", "nome": "Empresa de Serviços SA"},
        "valor": {"original": "100.00", "modalidadeAlteracao": 0},
        "chave": "40a0932d-1918-4eee-845d-35a2da1690dc",
        "solicitacaoPagador": "Informar cartão fidelidade",
        "pix": [{
            "endToEndId": "E1234567820200909122120200808008",
            "txid": "655dfdb1a4514b8fbb58254b958913fb",
            "valor": "110.00",
            "horario": "2020-09-09T20:15:00.358Z",
            "infoPagador": "0123456789",
            "devolucoes": [{
                "id": "123ABC",
                "rtrId": "D1234567820200909122120200808006",
                "valor": "10.00",
                "horario": {"solicitacao": "2020-09-09T20:15:00.358Z"},
                "status": "EM_PROCESSAMENTO"
            }]
        }]
    })
}

#[test]
fn a_paid_charge_is_read_whole_and_written_back_the_same() {
    let charge: Charge = read(&paid_charge());
    assert_eq!(charge.status, ChargeStatus::Completed);
    assert_eq!(charge.value.original, Centavos(10_000));
    assert_eq!(charge.calendar.created, UnixMillis(1_599_682_500_358));
    assert_eq!(charge.pix[0].value, Centavos(11_000));
    assert_eq!(charge.pix[0].refunds[0].status, RefundStatus::Pending);
    assert_eq!(serde_json::to_value(&charge).expect("JSON"), paid_charge());
}

#[test]
fn a_request_for_a_charge_has_the_provider_s_names() {
    let wanted = json!({
        "calendario": {"expiracao": 600},
        "valor": {"original": "23.50"},
        "chave": "40a0932d-1918-4eee-845d-35a2da1690dc"
    });
    let charge: NewCharge = read(&wanted);
    assert_eq!(charge.calendar, Expiry { seconds: 600 });
    assert_eq!(serde_json::to_value(&charge).expect("JSON"), wanted);
    let removal = serde_json::to_value(ChargeRevision::remove()).expect("JSON");
    assert_eq!(removal, json!({"status": "REMOVIDA_PELO_USUARIO_RECEBEDOR"}));
}

#[test]
fn a_charge_without_an_expiry_lives_for_a_day() {
    let charge: NewCharge =
        read(&json!({"calendario": {}, "valor": {"original": "1.00"}, "chave": "a@b.c"}));
    assert_eq!(charge.calendar.seconds, 86_400);
}

#[test]
fn both_spellings_of_a_removed_charge_are_one_status() {
    for (text, status) in [
        ("REMOVIDA_PELO_USUARIO_RECEBEDOR", ChargeStatus::RemovedByUser),
        ("REMOVIDO_PELO_USUARIO_RECEBEDOR", ChargeStatus::RemovedByUser),
        ("REMOVIDA_PELO_PSP", ChargeStatus::RemovedByProvider),
        ("REMOVIDO_PELO_PSP", ChargeStatus::RemovedByProvider),
        ("EXPIRADA", ChargeStatus::Unknown("EXPIRADA".to_owned())),
    ] {
        assert_eq!(read::<ChargeStatus>(&json!(text)), status);
    }
    assert_eq!(read::<SendStatus>(&json!("CONCLUIDA")), SendStatus::Done);
}

#[test]
fn a_receipt_with_a_short_number_is_a_receipt() {
    let received = notice(&json!({
        "endToEndId": "E1803615022211340s08793XPJ",
        "txid": "fc9a43k6ff384ryP5f41719",
        "chave": "2c3c7441-b91e-4982-3c25-6105581e18ae",
        "valor": "0.10",
        "horario": "2020-12-21T13:40:34.000Z",
        "infoPagador": "pagando o pix",
        "gnExtras": {
            "pagador": {"nome": "Consultoria Efi", "cnpj": "09089356000118",
                        "codigoBanco": "00416968"},
            "tarifa": "0.01",
            "split": {"id": "f659e882b00440ef9f07538fb697a6b2", "revisao": 0}
        }
    }));
    let Notice::Received(pix) = &received else { panic!("{received:?}") };
    let extras = pix.extras.as_ref().expect("extras");
    assert_eq!((pix.value, extras.tariff), (Centavos(10), Some(Centavos(1))));
    assert_eq!(received.pieces().len(), 1);
}

#[test]
fn a_refund_is_another_notice_under_the_receipt_s_number() {
    let mut element = json!({
        "endToEndId": "E12345678202009091221syhgfgufg",
        "txid": "c3e0e7a4e7f1469a9f782d3d4999343c",
        "chave": "2c3c7441-b91e-4982-3c25-6105581e18ae",
        "valor": "110.00",
        "horario": "2020-09-09T20:15:00.358Z",
        "infoPagador": "0123456789"
    });
    let receipt = notice(&element);
    element["devolucoes"] = json!([{
        "id": "123ABC", "rtrId": "D12345678202009091221abcdf098765", "valor": "110.00",
        "horario": {"solicitacao": "2020-09-09T20:15:00.358Z"}, "status": "DEVOLVIDO"
    }]);
    let refunded = notice(&element);
    assert_eq!(receipt.e2e_id(), refunded.e2e_id());
    assert_ne!(receipt.pieces(), refunded.pieces());
    element["devolucoes"][0]["status"] = json!("NAO_REALIZADO");
    element["devolucoes"][0]["motivo"] = json!("Saldo insuficiente para realizar a devolução.");
    assert_ne!(notice(&element).pieces(), refunded.pieces(), "another end is another notice");
}

#[test]
fn a_refund_without_its_list_is_read_as_the_central_bank_printed_it() {
    let pix: Received = read(&json!({
        "endToEndId": "E12345678202009091221kkkkkkkkkkk",
        "txid": "c3e0e7a4e7f1469a9f782d3d4999343c",
        "valor": "110.00",
        "horario": "2020-09-09T20:15:00.358Z",
        "devolucoes": {
            "id": "123ABC", "rtrId": "D12345678202009091221abcdf098765", "valor": "10.00",
            "horario": {"solicitacao": "2020-09-09T20:15:00.358Z"}, "status": "EM_PROCESSAMENTO"
        }
    }));
    assert_eq!(pix.refunds.len(), 1);
}

#[test]
fn a_payout_s_end_is_told_with_its_id_and_its_failure() {
    let done = notice(&json!({
        "endToEndId": "E090893562021030PIf25a7868",
        "chave": "2c3c7441-b91e-4982-3c25-6105581e18ae",
        "tipo": "SOLICITACAO", "status": "REALIZADO", "valor": "0.01",
        "horario": "2021-03-04T20:39:47.000Z",
        "gnExtras": {"idEnvio": "123ABC"}
    }));
    assert_eq!(done.kind(), NoticeKind::Sent);
    let failed = notice(&json!({
        "endToEndId": "E090893562021030PIf25a7868",
        "chave": "2c3c7441-b91e-4982-3c25-6105581e18ae",
        "tipo": "SOLICITACAO", "status": "NAO_REALIZADO", "valor": "0.01",
        "horario": null, "infoPagador": "0123456789",
        "gnExtras": {
            "idEnvio": "123ABC",
            "erro": {"codigo": "AC03", "origem": "PSP do usuário recebedor",
                     "motivo": "Número da agência e/ou conta inexistente ou inválido"}
        }
    }));
    let Notice::Sent(failed) = &failed else { panic!("{failed:?}") };
    assert_eq!((failed.at, &failed.status), (None, &SendStatus::Failed));
    assert_eq!(failed.extras.failure.as_ref().expect("a reason").code, "AC03");
}

#[test]
fn a_payout_that_came_back_in_two_parts_is_two_pieces() {
    let back = |id: &str| json!({"rtrId": id, "valor": "2.00", "status": "DEVOLVIDO"});
    let returned = notice(&json!({
        "endToEndId": "E090893562021030PIf25a7868", "tipo": "SOLICITACAO",
        "status": "REALIZADO", "valor": "4.00", "horario": "2021-03-04T20:39:47.000Z",
        "devolucoes": [back("D1"), back("D2")], "gnExtras": {"idEnvio": "123ABC"}
    }));
    assert_eq!(returned.kind(), NoticeKind::Returned);
    let parts: Vec<_> = returned.pieces().into_iter().map(|piece| piece.part).collect();
    assert_eq!(parts, ["D1", "D2"]);
}

#[test]
fn errors_are_read_in_both_shapes() {
    let problem = json!({
        "type": "https://pix.bcb.gov.br/api/v2/error/CobOperacaoInvalida",
        "title": "Cobrança inválida.", "status": 400,
        "detail": "A requisição não respeita o schema.",
        "violacoes": [{"razao": "Valor zero", "propriedade": "cob.valor.original",
                       "valor": "0.00"}]
    });
    let error = ProviderError::read(problem.to_string().as_bytes());
    assert_eq!(error.name(), Some("CobOperacaoInvalida"));
    let ProviderError::Problem(problem) = error else { panic!("{error:?}") };
    assert_eq!((problem.status, problem.violations.len()), (400, 1));
    let named = r#"{"nome":"txid_duplicado","mensagem":"O campo txid informado já existe"}"#;
    assert_eq!(ProviderError::read(named.as_bytes()).name(), Some("txid_duplicado"));
    for page in ["", "<html>", "{", "[]", "{\"error\":1}", "null"] {
        assert_eq!(ProviderError::read(page.as_bytes()), ProviderError::Unreadable, "{page}");
    }
}

#[test]
fn a_token_a_balance_and_a_webhook_are_read() {
    let token: TokenAnswer = read(&json!({
        "access_token": "RfSfS9AJkLu7jPjOp2IbrI", "token_type": "Bearer", "expires_in": 3600,
        "scope": "cob.read cob.write"
    }));
    assert_eq!(token.expires_in, 3600);
    let balance: Balance = read(&json!({
        "saldo": "100.00", "bloqueios": {"judicial": "0.00", "med": "1.00", "total": "1.00"}
    }));
    assert_eq!(balance.available, Centavos(10_000));
    assert_eq!(balance.blocks.expect("blocks").med, Some(Centavos(100)));
    let webhook: Webhook = read(&json!({
        "webhookUrl": "https://example.com/hook?hmac=abc&ignorar=",
        "chave": "40a0932d-1918-4eee-845d-35a2da1690dc", "criacao": "2020-11-11T10:15:00.358Z"
    }));
    assert_eq!(format!("{webhook:?}"), "Webhook(https://example.com/hook)");
}

#[test]
fn a_page_says_whether_there_is_another() {
    let page: Listing<Received> = read(&json!({
        "parametros": {
            "inicio": "2020-04-01T00:00:00Z", "fim": "2020-04-02T10:00:00Z",
            "paginacao": {"paginaAtual": 0, "itensPorPagina": 100, "quantidadeDePaginas": 2,
                          "quantidadeTotalDeItens": 102}
        },
        "pix": [{"endToEndId": "E87654321202009091221dfghi123456",
                 "valor": "1000.00", "horario": "2020-09-09T20:15:00.358Z"}]
    }));
    assert!(page.parameters.paging.has_more());
    assert_eq!(page.rows[0].read().expect("a row").value, Centavos(100_000));
    let query = PageQuery { from: UnixMillis(0), to: UnixMillis(1), page: 1, per_page: 50 };
    assert_eq!(
        query.to_query(),
        "inicio=1970-01-01T00:00:00.000Z&fim=1970-01-01T00:00:00.001Z\
         &paginacao.paginaAtual=1&paginacao.itensPorPagina=50"
    );
}

#[test]
fn a_claim_of_fraud_is_read() {
    let claim: Infraction = read(&json!({
        "idInfracao": "9d3a", "endToEndId": "E87654321202009091221dfghi123456",
        "protocolo": "123", "valor": "20.00", "status": "ABERTA",
        "dadosAnalise": {"abertura": "2026-01-01T00:00:00Z", "prazoFinalizacao": null}
    }));
    assert_eq!((claim.value, claim.status), (Centavos(2000), InfractionStatus::Open));
}

#[test]
fn a_payout_is_asked_for_by_key_or_by_account() {
    let by_key = json!({
        "valor": "15.50",
        "pagador": {"chave": "19974764017", "infoPagador": "Ganhos da semana"},
        "favorecido": {"chave": "joao@example.com", "cpf": "12345678909"}
    });
    let by_account = json!({
        "valor": "15.50", "pagador": {"chave": "19974764017"},
        "favorecido": {"contaBanco": {"nome": "João Souza", "cpf": "12345678909",
            "codigoBanco": "09089356", "agencia": "1", "conta": "123453", "tipoConta": "cacc"}}
    });
    for wanted in [by_key, by_account] {
        let send: NewSend = read(&wanted);
        assert_eq!(send.value, Centavos(1550));
        assert_eq!(serde_json::to_value(&send).expect("JSON"), wanted);
    }
}
