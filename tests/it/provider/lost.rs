//! Answers that are lost, cut or wrong: each order comes to a true end under its one id.

use std::time::Duration;

use ibora::pix::client::{Bounds, Carried, ChargeErrand, RefundErrand, SendErrand};
use ibora::pix::wire::{
    ChargeStatus, ChargeValue, Expiry, NewCharge, NewRefund, NewSend, Payee, PayingKey, SendStatus,
};
use ibora_domain::money::Centavos;
use ibora_domain::pix::{EndToEndId, PixKey, RefundId, SendId, Txid};
use ibora_domain::provider::{Backoff, Code, Ending, Errand, Outcome, Patience, Why};
use ibora_domain::units::{Millis, UnixMillis};
use uuid::Uuid;

use super::desk::{Asked, Reply};
use super::{EVER, Scene, bounds};

pub(super) const QUICK: Patience = Patience {
    absent_for: Millis(200),
    absences: 3,
    backoff: Backoff { first: Millis(20), longest: Millis(100) },
};
const E2E: &str = "E00000000202611250900abcdefghijk";
const TXID: &str = "00000000000000000000000000000007";

pub(super) fn send() -> SendErrand {
    SendErrand {
        id: SendId::from(Uuid::from_u128(7)),
        send: NewSend {
            value: Centavos(1550),
            payer: PayingKey { key: key("ibora@example.com"), message: None },
            payee: Payee::Key { key: key("joao@example.com"), cpf: None, cnpj: None },
        },
    }
}

pub(super) fn charge() -> ChargeErrand {
    ChargeErrand {
        txid: Txid::from(Uuid::from_u128(7)),
        charge: NewCharge {
            calendar: Expiry { seconds: 600 },
            debtor: None,
            value: ChargeValue { original: Centavos(2000), changeable: None },
            key: key("ibora@example.com"),
            message: None,
            notes: Vec::new(),
            location: None,
        },
    }
}

pub(super) fn key(text: &str) -> PixKey {
    PixKey::parse(text).expect("a key")
}

fn accepted() -> String {
    format!(r#"{{"idEnvio":"{TXID}","e2eId":"{E2E}","valor":"15.50","status":"EM_PROCESSAMENTO"}}"#)
}

fn sent(amount: &str) -> Reply {
    Reply::ok(format!(
        r#"{{"endToEndId":"{E2E}","idEnvio":"{TXID}","valor":"{amount}","status":"ALGO_NOVO",
            "chave":"joao@example.com","horario":{{"solicitacao":"2026-11-25T09:00:00-03:00"}}}}"#
    ))
}

fn charged(status: &str) -> String {
    format!(
        r#"{{"calendario":{{"criacao":"2026-11-25T12:00:00Z","expiracao":600}},"txid":"{TXID}",
            "revisao":0,"status":"{status}","valor":{{"original":"20.00"}},
            "chave":"ibora@example.com","novo":{{"campo":1}}}}"#
    )
}

/// Carries to the end, from the start of things.
async fn carried<C: Carried>(scene: &Scene, carried: &C) -> Ending<C::Found> {
    // As `Carried::errand`, with less patience.
    let mut errand = Errand::new(carried.order(), QUICK, UnixMillis(0));
    let ending = scene.provider.carry(&mut errand, carried, EVER).await;
    ending.unwrap_or_else(|| panic!("no end: {:?}", errand.obstacle()))
}

fn puts(scene: &Scene) -> usize {
    scene.desk.lines().iter().filter(|line| line.starts_with("PUT ")).count()
}

#[actix::test]
async fn a_payout_whose_answer_is_lost_is_found_and_not_paid_again() {
    let answers: [fn() -> Reply; 5] = [
        Reply::lost,
        || Reply::Cut(201, accepted(), 30),
        || Reply::ok(&accepted()[..40]),
        || Reply::error(500, "erro_aplicacao"),
        || Reply::error(409, "id_envio_duplicado"),
    ];
    for (number, answer) in answers.into_iter().enumerate() {
        let mut asked_for = 0;
        let scene = Scene::open(move |asked| {
            if asked.line.starts_with("PUT ") {
                return answer();
            }
            asked_for += 1;
            // Not visible at first.
            if asked_for < 3 { Reply::error(404, "nao_encontrado") } else { sent("15.50") }
        })
        .await;
        let Ending::Done(payout) = carried(&scene, &send()).await else {
            panic!("answer {number}");
        };
        assert_eq!(payout.status, SendStatus::Unknown("ALGO_NOVO".to_owned()));
        assert_eq!(puts(&scene), 1, "answer {number}");
    }
}

#[actix::test]
async fn a_payout_that_never_arrived_goes_out_again_under_the_same_id() {
    let mut puts_seen = 0;
    let scene = Scene::open(move |asked| {
        if !asked.line.starts_with("PUT ") {
            return Reply::error(404, "nao_encontrado");
        }
        puts_seen += 1;
        if puts_seen == 1 { Reply::lost() } else { Reply::Says(201, accepted()) }
    })
    .await;
    assert!(matches!(carried(&scene, &send()).await, Ending::Done(_)));
    let lines = scene.desk.lines();
    let put = format!("PUT /v3/gn/pix/{TXID}");
    assert_eq!(lines.iter().filter(|line| **line == put).count(), 2, "{lines:?}");
    let ask = format!("GET /v2/gn/pix/enviados/id-envio/{TXID}");
    assert!(lines.iter().filter(|line| **line == ask).count() >= 3, "{lines:?}");
}

#[actix::test]
async fn a_payout_that_is_denied_at_once_is_denied() {
    let scene = Scene::open(|_| Reply::error(422, "pagamento_negado")).await;
    let Ending::Refused(error) = carried(&scene, &send()).await else {
        panic!("it was denied");
    };
    assert_eq!(error.code, Some(Code::new("pagamento_negado")));
    assert_eq!(scene.desk.asked().len(), 1);
}

#[actix::test]
async fn what_lies_under_our_id_and_is_not_ours_is_nobodys_guess() {
    let scene = Scene::open(|asked| match asked.line.starts_with("PUT ") {
        true => Reply::lost(),
        false => sent("15.51"),
    })
    .await;
    let Ending::Mismatched(payout) = carried(&scene, &send()).await else {
        panic!("another amount");
    };
    assert_eq!(payout.amount, Centavos(1551));
}

#[actix::test]
async fn a_charge_that_exists_already_is_adopted() {
    for answer in [Reply::lost, || Reply::error(409, "txid_duplicado")] {
        let scene = Scene::open(move |asked| match asked.line.as_str() {
            line if line.starts_with("PUT ") => answer(),
            _ => Reply::ok(charged("CONCLUIDA")),
        })
        .await;
        let Ending::Done(charge) = carried(&scene, &charge()).await else {
            panic!("it is ours");
        };
        assert_eq!(charge.status, ChargeStatus::Completed);
        let expected = [format!("PUT /v2/cob/{TXID}"), format!("GET /v2/cob/{TXID}")];
        assert_eq!(scene.desk.lines(), expected);
    }
}

#[actix::test]
async fn a_refund_that_was_asked_for_before_is_looked_up() {
    let scene = Scene::open(|asked| match asked.line.starts_with("PUT ") {
        true => Reply::error(400, "devolucao_id_duplicado"),
        false => Reply::ok(r#"{"id":"r1","valor":"20.00","status":"DEVOLVIDO"}"#),
    })
    .await;
    let refund = RefundErrand {
        pix: EndToEndId::parse(E2E).expect("an id"),
        id: RefundId::parse("r1").expect("an id"),
        refund: NewRefund { value: Centavos(2000), nature: None, message: None },
    };
    assert!(matches!(carried(&scene, &refund).await, Ending::Done(_)));
    let line = format!("/v2/pix/{E2E}/devolucao/r1");
    assert_eq!(scene.desk.lines(), [format!("PUT {line}"), format!("GET {line}")]);
}

#[actix::test]
async fn a_payment_may_win_against_taking_the_charge_back() {
    let scene = Scene::open(|asked| match asked.line.starts_with("PATCH ") {
        true => Reply::error(400, "status_cobranca_invalido"),
        false => Reply::ok(charged("CONCLUIDA")),
    })
    .await;
    let charge = scene.provider.take_charge_back(&charge().txid).await.done().expect("an answer");
    assert_eq!(charge.status, ChargeStatus::Completed);
    assert_eq!(scene.desk.asked()[0].body, r#"{"status":"REMOVIDA_PELO_USUARIO_RECEBEDOR"}"#);
}

#[actix::test]
async fn a_question_is_repeated_and_an_order_is_not() {
    let fails_first = |times: usize| {
        let mut seen = 0;
        move |_: &Asked| {
            seen += 1;
            if seen <= times { Reply::lost() } else { Reply::ok(charged("ATIVA")) }
        }
    };
    let scene = Scene::open(fails_first(2)).await;
    let outcome = scene.provider.charge(&charge().txid).await;
    assert!(matches!(outcome, Outcome::Done(_)), "{outcome:?}");
    assert_eq!(scene.desk.asked().len(), 3);

    let scene = Scene::open(fails_first(1)).await;
    let ChargeErrand { txid, charge } = charge();
    let outcome = scene.provider.put_charge(&txid, &charge).await;
    assert_eq!(outcome, Outcome::Unclear(Why::Lost));
    assert_eq!(scene.desk.asked().len(), 1);
}

#[actix::test]
async fn an_answer_that_does_not_come_or_does_not_end_is_given_up() {
    // The call for a token has to fit into it on a busy machine.
    let within = Bounds { call_timeout: Duration::from_secs(4), retries_max: 0, ..bounds() };
    let scene = Scene::within(within, |_| Reply::Silence).await;
    let ChargeErrand { txid, charge } = charge();
    let outcome = scene.provider.put_charge(&txid, &charge).await;
    assert_eq!(outcome, Outcome::Unclear(Why::TimedOut));

    let short = Bounds { answer_bytes_max: 1000, retries_max: 0, ..bounds() };
    let scene = Scene::within(short, |_| Reply::ok("x".repeat(1001))).await;
    let outcome = scene.provider.charge(&txid).await;
    assert_eq!(outcome, Outcome::Unclear(Why::TooLong));
}
