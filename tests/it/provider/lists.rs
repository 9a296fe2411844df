//! Lists, webhooks, statements, and what the provider may add one day.

use ibora::pix::client::ReceivedFilter;
use ibora::pix::wire::{NewWebhook, NoticeKind, Row};
use ibora_domain::pix::{EndToEndId, PixKey};
use ibora_domain::provider::{Outcome, Window};
use ibora_domain::units::UnixMillis;
use time::macros::date;

use super::Scene;
use super::desk::Reply;

const WINDOW: Window = Window { from: UnixMillis(0), to: UnixMillis(60_000) };

/// A page of received Pix with these numbers.
fn page(page: u32, pages: u32, rows: u32, numbers: &[&str]) -> Reply {
    let pix = |number: &&str| format!(r#"{{"endToEndId":"{number}","valor":"1.00"}}"#);
    let list: Vec<_> = numbers.iter().map(pix).collect();
    Reply::ok(format!(
        r#"{{"parametros":{{"inicio":"1970-01-01T00:00:00Z","fim":"1970-01-01T00:01:00Z",
            "paginacao":{{"paginaAtual":{page},"itensPorPagina":500,"quantidadeDePaginas":{pages},
            "quantidadeTotalDeItens":{rows}}}}},"pix":[{}]}}"#,
        list.join(",")
    ))
}

async fn numbers(scene: &Scene) -> Vec<String> {
    let pages = scene.provider.received_within(WINDOW, &ReceivedFilter::WithTxid(false));
    let rows = pages.all().await.done().expect("all pages");
    let number = |row: &Row<ibora::pix::wire::Received>| {
        row.read().map_or_else(|| "unread".to_owned(), |pix| pix.e2e_id.to_string())
    };
    rows.iter().map(number).collect()
}

#[actix::test]
async fn a_list_is_read_page_by_page_and_a_row_without_sense_hides_no_other() {
    let scene = Scene::open(|asked| {
        if asked.line.contains("paginaAtual=0") {
            page(0, 2, 3, &["a", "n\u{e3}o-\u{e9}-id"])
        } else {
            page(1, 2, 3, &["b"])
        }
    })
    .await;
    assert_eq!(numbers(&scene).await, ["a", "unread", "b"]);
    assert_eq!(
        scene.desk.lines()[1],
        "GET /v2/pix?inicio=1970-01-01T00:00:00.000Z&fim=1970-01-01T00:01:00.000Z\
         &paginacao.paginaAtual=1&paginacao.itensPorPagina=500&txIdPresente=false"
    );
}

#[actix::test]
async fn a_list_that_grows_while_it_is_read_is_read_again() {
    let mut asked_for = 0;
    let scene = Scene::open(move |asked| {
        asked_for += 1;
        // `b` is on the second page when the first is read, and on the first one afterwards.
        match (asked.line.contains("paginaAtual=0"), asked_for) {
            (true, 1) => page(0, 2, 2, &["a"]),
            (true, _) => page(0, 2, 3, &["a", "b"]),
            (false, _) => page(1, 2, 3, &["c"]),
        }
    })
    .await;
    let seen = numbers(&scene).await;
    for number in ["a", "b", "c"] {
        assert!(seen.iter().any(|seen| seen == number), "{number} of {seen:?}");
    }
}

#[actix::test]
async fn an_address_is_registered_for_a_key_of_any_kind() {
    let scene = Scene::open(|_| Reply::Says(201, "{}".to_owned())).await;
    let webhook = NewWebhook { url: "https://example.com/webhooks?hmac=segredo".to_owned() };
    for skips in [true, false] {
        let key = PixKey::parse("+5511999990000").expect("a key");
        assert_eq!(scene.provider.put_webhook(&key, &webhook, skips).await, Outcome::Done(()));
    }
    let asked = scene.desk.asked();
    assert_eq!(asked[0].line, "PUT /v2/webhook/%2B5511999990000");
    assert!(asked[0].headers.contains("x-skip-mtls-checking: true"));
    assert!(!asked[1].headers.contains("x-skip-mtls-checking"));
    let e2e = EndToEndId::parse("E1").expect("an id");
    assert_eq!(scene.provider.resend(NoticeKind::Sent, vec![e2e]).await, Outcome::Done(()));
    assert_eq!(scene.desk.asked()[2].body, r#"{"tipo":"PIX_ENVIADO","e2eids":["E1"]}"#);
}

#[actix::test]
async fn a_statement_is_asked_for_and_fetched_when_it_is_ready() {
    let mut asked_for = 0;
    let scene = Scene::open(move |asked| {
        if asked.line.starts_with("POST ") {
            assert!(asked.body.contains(r#""dataMovimento":"2026-11-25""#), "{}", asked.body);
            assert_eq!(asked.body.matches("true").count(), 17);
            return Reply::Says(201, r#"{"id":"r-1","status":"AGUARDANDO"}"#.to_owned());
        }
        asked_for += 1;
        if asked_for == 1 { Reply::Says(202, "{}".to_owned()) } else { Reply::ok("a;b\n1;2\n") }
    })
    .await;
    let id = scene.provider.request_report(date!(2026 - 11 - 25)).await.done().expect("an id");
    assert_eq!(scene.provider.report(&id).await, Outcome::Done(None));
    let report = scene.provider.report(&id).await.done().flatten().expect("a statement");
    assert_eq!(report.csv(), b"a;b\n1;2\n");
    assert_eq!(scene.desk.lines()[1], "GET /v2/gn/relatorios/r-1");
}

#[actix::test]
async fn a_right_that_our_application_lacks_is_named() {
    let scene = Scene::open(|_| {
        Reply::Says(403, r#"{"error":"insufficient_scope","error_description":"x"}"#.to_owned())
    })
    .await;
    let Outcome::Refused(error) = scene.provider.balance().await else {
        panic!("it was refused");
    };
    assert!(error.is_insufficient_scope());
    assert_eq!(scene.desk.asked().len(), 1, "asking again does not help");
}
