//! `/v2/webhook`: where callbacks go, checked when it is registered; and callbacks once more.

use hyper::Uri;
use ibora_domain::pix::PixKey;
use ibora_psp::Notice;
use serde_json::json;

use super::answer::Answer;
use super::core::{Core, Hook, State};
use super::outgoing::{CallError, HttpsClient, post};
use super::provider::Call;
use crate::pix::wire::{NewWebhook, NoticeKind, Resend, Webhook};

type Answered = Result<Answer, Answer>;

/// Registers an address for a key. It is called first: without a certificate, which it must refuse,
/// and with the provider's, which it must take. Who skips that check is called once.
pub(super) async fn register(core: &Core, key: &str, call: &Call<'_>) -> Answered {
    let key = parse(key)?;
    let new: NewWebhook = serde_json::from_slice(call.body).map_err(|_| Answer::malformed())?;
    let uri = uri_of(&new.url)?;
    if !call.skips_mtls {
        let secure = uri.scheme_str() == Some("https");
        if !secure || test(&core.nameless, &uri).await.is_ok() {
            return Err(invalid(
                "A autenticação de TLS mútuo não está configurada na URL informada",
            ));
        }
    }
    test(&core.known, &uri).await?;
    let mut state = core.lock();
    let hook = Hook { url: new.url, created: state.now() };
    let answer = shown(&key, &hook);
    state.hooks.insert(key, hook);
    Ok(Answer::json(201, &answer))
}

/// HTTPS, as the provider demands; to this machine also HTTP, which is the simulator's favour to
/// who develops without certificates.
fn uri_of(url: &str) -> Result<Uri, Answer> {
    let invalid = || Answer::named(400, "valor_invalido", "A URL informada é inválida");
    let uri: Uri = url.parse().map_err(|_| invalid())?;
    let near = matches!(uri.host(), Some("127.0.0.1" | "localhost" | "[::1]"));
    match uri.scheme_str() {
        Some("https") if uri.host().is_some() => Ok(uri),
        Some("http") if near => Ok(uri),
        Some("http") => {
            Err(Answer::named(400, "valor_invalido", "A URL deve usar o protocolo HTTPS"))
        }
        _ => Err(invalid()),
    }
}

async fn test(client: &HttpsClient, uri: &Uri) -> Result<(), Answer> {
    match post(client, uri, json!({"evento": "teste_webhook"}).to_string().into_bytes()).await {
        Ok(status) if (200..300).contains(&status) => Ok(()),
        Ok(status) => {
            Err(invalid(&format!("A URL informada respondeu com o código HTTP {status}")))
        }
        Err(CallError::Timeout) => {
            Err(invalid("A URL informada atingiu o tempo limite de resposta"))
        }
        Err(CallError::Unreachable(cause)) => {
            Err(invalid(&format!("A requisição na URL informada falhou com o erro: {cause}")))
        }
    }
}

fn invalid(message: &str) -> Answer {
    Answer::named(400, "webhook_invalido", message)
}

pub(super) fn get(state: &State, key: &str) -> Answered {
    let key = parse(key)?;
    let hook = state.hooks.get(&key).ok_or_else(Answer::not_found)?;
    Ok(Answer::json(200, &shown(&key, hook)))
}

pub(super) fn delete(state: &mut State, key: &str) -> Answered {
    let removed = state.hooks.remove(&parse(key)?);
    removed.map(|_| Answer::empty(204)).ok_or_else(Answer::not_found)
}

pub(super) fn list(state: &State, call: &Call<'_>) -> Answered {
    let window = call.query.window()?;
    let rows = state.hooks.iter().map(|(key, hook)| (hook.created, shown(key, hook)));
    Ok(Answer::json(200, &window.page(rows.collect())))
}

/// Tells again what was told before, to whatever address the key has now.
pub(super) fn resend(state: &mut State, body: &[u8]) -> Answered {
    let order: Resend = serde_json::from_slice(body).map_err(|_| Answer::malformed())?;
    for e2e_id in &order.e2e_ids {
        let receipt = state.books.receipt(e2e_id);
        let payout = state.books.payouts().find(|payout| payout.e2e_id == *e2e_id);
        let notices: Vec<_> = match (&order.kind, receipt, payout) {
            (NoticeKind::Received, Some(_), _) => {
                vec![Notice::Received { e2e_id: e2e_id.clone() }]
            }
            (NoticeKind::Refunded, Some(receipt), _) => {
                let settled = receipt.refunds.iter().filter(|refund| refund.settled.is_some());
                let told = settled.map(|refund| refund.id.clone());
                told.map(|refund| Notice::Refunded { e2e_id: e2e_id.clone(), refund }).collect()
            }
            (NoticeKind::Sent, _, Some(payout)) if payout.settled.is_some() => {
                vec![Notice::Sent { send: payout.id.clone() }]
            }
            (NoticeKind::Returned, _, Some(payout)) => (0..payout.returns.len())
                .map(|at| Notice::Returned { send: payout.id.clone(), at })
                .collect(),
            _ => Vec::new(),
        };
        for notice in notices {
            state.tell(notice);
        }
    }
    Ok(Answer::empty(202))
}

fn parse(key: &str) -> Result<PixKey, Answer> {
    PixKey::parse(key).map_err(|_| Answer::named(400, "chave_invalida", "A chave é inválida"))
}

fn shown(key: &PixKey, hook: &Hook) -> Webhook {
    Webhook { url: hook.url.clone(), key: Some(key.clone()), created: Some(hook.created) }
}
