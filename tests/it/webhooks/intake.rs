//! What is kept of a callback: the body as it came, each thing that it tells once.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::json;

use super::line::{OK, bodies, body, engine, notices, received, tell};
use crate::world::World;

const E2E: &str = "E0903256220261126120000000000001";

#[actix::test]
async fn the_same_callback_a_hundred_times_at_once_is_kept_once() {
    let world = engine().await;
    let text = body(&[received(E2E)]);
    let answers = join_all((0..100).map(|_| tell(&world, text.clone()))).await;
    assert!(answers.iter().all(|status| *status == OK), "{answers:?}");
    assert_eq!(bodies(&world).await, [text.into_bytes()], "byte for byte");
    assert_eq!(notices(&world).await.len(), 1);
    world.stop().await;
}

#[actix::test]
async fn a_pix_in_two_bodies_is_one_and_its_refunds_are_others() {
    let world = engine().await;
    let other = "E0903256220261126120000000000002";
    assert_eq!(tell(&world, body(&[received(E2E), received(other)])).await, OK);
    assert_eq!(tell(&world, body(&[received(E2E)])).await, OK);
    let mut refunded = received(E2E);
    let refund = |id: &str, status: &str| json!({"id": id, "valor": "5.00", "status": status});
    refunded["devolucoes"] = json!([refund("r1", "EM_PROCESSAMENTO"), refund("r2", "DEVOLVIDO")]);
    assert_eq!(tell(&world, body(&[refunded.clone()])).await, OK);
    refunded["devolucoes"] = json!([refund("r1", "DEVOLVIDO"), refund("r2", "DEVOLVIDO")]);
    assert_eq!(tell(&world, body(&[refunded])).await, OK);
    let told: Vec<_> = notices(&world).await;
    let told: Vec<_> =
        told.iter().map(|(k, _, p, s)| (k.as_str(), p.as_str(), s.as_str())).collect();
    assert_eq!(
        told,
        [
            ("DEVOLUCAO_ENVIADA", "r1", "DEVOLVIDO"),
            ("DEVOLUCAO_ENVIADA", "r1", "EM_PROCESSAMENTO"),
            ("DEVOLUCAO_ENVIADA", "r2", "DEVOLVIDO"),
            ("PIX_RECEBIDO", "", ""),
            ("PIX_RECEBIDO", "", ""),
        ]
    );
    assert_eq!(bodies(&world).await.len(), 4);
    world.stop().await;
}

#[actix::test]
async fn short_numbers_new_states_and_new_fields_are_kept() {
    let world = engine().await;
    let mut short = received("E1803615022211340s08793XPJ");
    short["novidade"] = json!({"deep": [1, null]});
    let failed = json!({
        "endToEndId": "E090893562021030PIf25a7868", "tipo": "SOLICITACAO", "valor": "1.00",
        "status": "EM_ESPERA", "horario": null,
        "gnExtras": {"idEnvio": "1", "erro": {"codigo": "AC03", "origem": "x", "motivo": "y"}},
    });
    assert_eq!(tell(&world, body(&[short, failed])).await, OK);
    let told = notices(&world).await;
    let states: Vec<_> = told.iter().map(|(kind, .., status)| (&**kind, &**status)).collect();
    assert_eq!(states, [("PIX_ENVIADO", "EM_ESPERA"), ("PIX_RECEBIDO", "")]);
    world.stop().await;
}

#[actix::test]
async fn an_element_that_makes_no_sense_is_kept_with_its_body_and_does_not_hide_the_others() {
    let world = engine().await;
    let amounts =
        ["0,00", "1", "1.5", "1e2", " 1.00", "-1.00", "99999999999.99", "１.00", "NaN", "1.000"];
    let mut elements: Vec<_> = amounts
        .iter()
        .map(|amount| {
            let mut element = received(E2E);
            element["valor"] = json!(amount);
            element
        })
        .collect();
    elements.push(json!({"endToEndId": "no number", "valor": "1.00"}));
    elements.push(json!({"endToEndId": E2E, "valor": 1.0}));
    elements.push(json!(null));
    elements.push(received("E2"));
    assert_eq!(tell(&world, body(&elements)).await, OK);
    let told = notices(&world).await;
    assert_eq!(told.iter().map(|(_, e2e_id, ..)| &**e2e_id).collect::<Vec<_>>(), ["E2"]);
    assert_eq!(bodies(&world).await.len(), 1);
    let unreadable = world.app().metrics.pix_notices.with_label_values(&["unreadable"]).get();
    assert_eq!(unreadable, 13);
    world.stop().await;
}

#[actix::test]
async fn what_is_no_callback_is_refused_and_not_kept() {
    let world = engine().await;
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let cases = [
        (String::new(), 400),
        ("pix".to_owned(), 400),
        ("{}".to_owned(), 400),
        ("[]".to_owned(), 400),
        (r#"{"pix": {}}"#.to_owned(), 400),
        (r#"{"pix": null}"#.to_owned(), 400),
        (r#"{"pix": [{}"#.to_owned(), 400),
        (format!(r#"{{"pix": {deep}}}"#), 400),
        (format!(r#"{{"pix": [], "x": "{}"}}"#, "x".repeat(300_000)), 413),
        // What the provider tries a new address with.
        (r#"{"evento": "teste_webhook"}"#.to_owned(), 200),
    ];
    for (text, expected) in cases {
        let begin: String = text.chars().take(30).collect();
        assert_eq!(tell(&world, text).await, expected, "{begin}");
    }
    assert!(bodies(&world).await.is_empty());
    world.stop().await;
}

#[actix::test]
async fn a_callback_is_answered_only_once_it_is_durable() {
    let world = engine().await;
    let owner = world.owner_pool().await;
    let mut held = owner.begin().await.expect("begins");
    sqlx::query("LOCK TABLE webhook_events").execute(&mut *held).await.expect("locks");
    let text = body(&[received(E2E)]);
    let mut answer = Box::pin(tell(&world, text));
    let early = tokio::time::timeout(Duration::from_millis(300), &mut answer).await;
    assert!(early.is_err(), "answered {early:?} before it could be stored");
    held.rollback().await.expect("lets go");
    assert_eq!(answer.await, OK);
    assert_eq!(notices(&world).await.len(), 1);
    world.stop().await;
}

#[actix::test]
async fn a_database_that_is_away_makes_the_provider_come_again() {
    let world = engine().await;
    let owner = world.owner_pool().await;
    let deny = "REVOKE INSERT ON webhook_events FROM ibora_app";
    sqlx::query(deny).execute(&*owner).await.expect("revoked");
    assert_eq!(tell(&world, body(&[received(E2E)])).await, 503);
    let allow = "GRANT INSERT ON webhook_events TO ibora_app";
    sqlx::query(allow).execute(&*owner).await.expect("granted");
    assert_eq!(tell(&world, body(&[received(E2E)])).await, OK);
    stored_once(&world).await;
    world.stop().await;
}

async fn stored_once(world: &World) {
    assert_eq!((bodies(world).await.len(), notices(world).await.len()), (1, 1));
}
