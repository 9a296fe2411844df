//! Bytes that are wrong, new or private: what is refused, what is kept, what is never shown.

use serde_json::{Value, json};

use super::*;

fn receipt() -> Value {
    json!({
        "endToEndId": "E1803615022211340s08793XPJ", "txid": "abc", "chave": "maria@example.com",
        "valor": "1.00", "horario": null, "infoPagador": "para Maria"
    })
}

fn read(element: &Value) -> Result<Notice, CallbackError> {
    Notice::read(element)
}

#[test]
fn an_amount_that_is_no_amount_is_refused_wherever_it_stands() {
    for bad in [
        json!(1),
        json!(1.0),
        json!(null),
        json!("1"),
        json!("1.5"),
        json!("1e2"),
        json!(" 1.00"),
        json!("-1.00"),
        json!("1.000"),
        json!("١.00"),
        json!("NaN"),
        json!("10000000000.00"),
    ] {
        let mut element = receipt();
        element["valor"] = bad.clone();
        assert_eq!(read(&element), Err(CallbackError::Element), "{bad}");
        let token = json!({"saldo": bad});
        assert!(serde_json::from_value::<Balance>(token).is_err(), "{bad}");
    }
}

#[test]
fn numbers_from_end_to_end_are_opaque_up_to_64_characters() {
    for (number, fits) in [("E".repeat(64), true), ("E".repeat(65), false), (String::new(), false)]
    {
        let mut element = receipt();
        element["endToEndId"] = json!(number);
        assert_eq!(read(&element).is_ok(), fits, "{}", number.len());
    }
}

#[test]
fn what_is_new_is_passed_over_or_kept() {
    let mut element = receipt();
    element["novo"] = json!({"a": [1, 2]});
    element["devolucoes"] = json!(null);
    element["gnExtras"] = json!({"outro": true});
    assert_eq!(read(&element).expect("a receipt").kind(), NoticeKind::Received);
    element["devolucoes"] =
        json!([{"id": "1", "valor": "1.00", "status": "EM_ANALISE", "natureza": "NOVA"}]);
    let Ok(Notice::Refunded(pix)) = read(&element) else { panic!("no refund") };
    assert_eq!(pix.refunds[0].status, RefundStatus::Unknown("EM_ANALISE".to_owned()));
    let written = serde_json::to_value(&pix.refunds[0]).expect("JSON");
    assert_eq!(written["status"], "EM_ANALISE");
}

#[test]
fn one_element_that_makes_no_sense_leaves_the_others() {
    let body = json!({"pix": [receipt(), 7, {"valor": "1.00"}, receipt()], "mais": 1});
    let callback = Callback::read(body.to_string().as_bytes()).expect("a callback");
    let read: Vec<_> = callback.notices.iter().map(Result::is_ok).collect();
    assert_eq!(read, [true, false, false, true]);
    for bad in ["", "{", "[]", "{}", "{\"pix\":{}}", "{\"pix\":null}", "\u{feff}{\"pix\":[]}"] {
        assert_eq!(Callback::read(bad.as_bytes()), Err(CallbackError::Body), "{bad}");
    }
    let empty = Callback::read(b"{\"pix\":[]}").expect("no notices are no error");
    assert!(empty.notices.is_empty());
}

#[test]
fn a_row_that_makes_no_sense_leaves_the_others() {
    let paging = json!({"paginaAtual": 0, "itensPorPagina": 2, "quantidadeDePaginas": 1,
                        "quantidadeTotalDeItens": 2});
    let page = json!({"parametros": {"paginacao": paging}, "pix": [{"valor": 3}, receipt()]});
    let page: Listing<Received> = serde_json::from_value(page).expect("a page");
    assert!(page.rows[0].read().is_none() && page.rows[1].read().is_some());
}

#[test]
fn nothing_personal_is_shown() {
    let shown = format!("{:?}", read(&receipt()).expect("a receipt"));
    assert!(!shown.contains("aria"), "{shown}");
    let party = Party {
        cpf: Some(Personal::new("12345678909".to_owned())),
        name: Some(Personal::new("Maria".to_owned())),
        ..Party::default()
    };
    let shown = format!("{party:?}");
    assert!(!shown.contains("Maria") && !shown.contains("12345"), "{shown}");
    let token = r#"{"access_token":"sesame","token_type":"Bearer","expires_in":1}"#;
    let token: TokenAnswer = serde_json::from_str(token).expect("a token");
    assert!(!format!("{token:?}").contains("sesame"));
    let named =
        Named { name: "chave_invalida".to_owned(), message: "maria@example.com".to_owned() };
    assert!(!format!("{named:?}").contains("maria"));
    let unread: Row<Received> = Row::Unread(receipt());
    assert!(!format!("{unread:?}").contains("maria"));
    let hook = NewWebhook { url: "https://example.com/hook?hmac=sesame".to_owned() };
    assert!(!format!("{hook:?}").contains("sesame"));
}
