//! The provider's API: who may call what, and what the dial makes of it.

use actix_web::body::BodyStream;
use actix_web::http::{StatusCode, header};
use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::json;

use super::answer::{Answer, Body};
use super::core::Core;
use super::dial::{ApiFault, UNKNOWN_STATUS};
use super::page::Query;
use super::{account, charges, pix, sends, webhooks};

/// Bytes of a request's body.
pub(super) const BODY_MAX: usize = 256 * 1024;

pub(super) fn routes(config: &mut web::ServiceConfig) {
    config.default_service(web::to(handle));
}

/// A call that is let through: parts of the path decoded, the query read.
pub(super) struct Call<'a> {
    pub(super) query: Query,
    pub(super) body: &'a [u8],
    /// Does not want its address to be checked for mTLS.
    pub(super) skips_mtls: bool,
}

async fn handle(request: HttpRequest, core: web::Data<Core>, body: web::Bytes) -> HttpResponse {
    let decoded: Vec<_> = request.path().split('/').filter(|p| !p.is_empty()).map(decode).collect();
    let parts: Vec<_> = decoded.iter().map(String::as_str).collect();
    let method = request.method().as_str();
    let fault = core.lock().dial.of_call(method, &parts);
    match fault {
        Some(ApiFault::DropBefore) => return dropped(),
        Some(ApiFault::Status { status, after: false }) => {
            return respond(Answer::fault(status), false);
        }
        Some(ApiFault::Delay { ms }) => {
            actix_web::rt::time::sleep(std::time::Duration::from_millis(ms)).await;
        }
        _ => {}
    }
    let answer = answer(&request, &core, &parts, &body).await.unwrap_or_else(|refused| refused);
    core.changed();
    match fault {
        Some(ApiFault::DropAfter) => dropped(),
        Some(ApiFault::Status { status, .. }) => respond(Answer::fault(status), false),
        Some(ApiFault::Truncate) => respond(answer, true),
        Some(ApiFault::UnknownStatus) => respond(with_unknown_status(answer), false),
        _ => respond(answer, false),
    }
}

async fn answer(
    request: &HttpRequest,
    core: &Core,
    parts: &[&str],
    body: &[u8],
) -> Result<Answer, Answer> {
    let header = |name| request.headers().get(name).and_then(|value| value.to_str().ok());
    let method = request.method().as_str();
    let authorization = header("authorization").unwrap_or_default();
    if (method, parts) == ("POST", &["oauth", "token"][..]) {
        return account::token(&mut core.lock(), authorization, body);
    }
    let scope = scope(method, parts).ok_or_else(Answer::not_found)?;
    {
        let state = core.lock();
        state.tokens.check(authorization, scope, state.now())?;
    }
    let call = Call {
        query: Query::read(request.query_string())?,
        body,
        skips_mtls: header("x-skip-mtls-checking") == Some("true"),
    };
    if let ("PUT", ["v2", "webhook", key]) = (method, parts) {
        return webhooks::register(core, key, &call).await;
    }
    let state = &mut core.lock();
    let answer = match (method, parts) {
        ("PUT", ["v2", "cob", txid]) => charges::create(state, txid, body),
        ("POST", ["v2", "cob"]) => charges::create_unnamed(state, body),
        ("PATCH", ["v2", "cob", txid]) => charges::revise(state, txid, body),
        ("GET", ["v2", "cob", txid]) => charges::get(state, txid),
        ("GET", ["v2", "cob"]) => charges::list(state, &call),
        ("GET", ["v2", "pix"]) => pix::list(state, &call),
        ("GET", ["v2", "pix", e2e_id]) => pix::get(state, e2e_id),
        ("PUT", ["v2", "pix", e2e_id, "devolucao", id]) => pix::refund(state, e2e_id, id, body),
        ("GET", ["v2", "pix", e2e_id, "devolucao", id]) => pix::get_refund(state, e2e_id, id),
        ("PUT", ["v2" | "v3", "gn", "pix", id]) => sends::send(state, id, body),
        ("GET", ["v2", "gn", "pix", "enviados"]) => sends::list(state, &call),
        ("GET", ["v2", "gn", "pix", "enviados", "id-envio", id]) => sends::by_id(state, id),
        ("GET", ["v2", "gn", "pix", "enviados", e2e_id]) => sends::by_number(state, e2e_id),
        ("GET", ["v2", "webhook", key]) => webhooks::get(state, key),
        ("DELETE", ["v2", "webhook", key]) => webhooks::delete(state, key),
        ("GET", ["v2", "webhook"]) => webhooks::list(state, &call),
        ("POST", ["v2", "gn", "webhook", "reenviar"]) => webhooks::resend(state, body),
        ("PUT", ["v2", "gn", "config"]) => account::configure(state, body),
        ("GET", ["v2", "gn", "saldo"]) => account::balance(state, &call),
        ("GET", ["v2", "gn", "infracoes"]) => account::infractions(state, &call),
        ("POST", ["v2", "gn", "infracoes", id, "defesa"]) => account::defend(state, id, body),
        ("POST", ["v2", "gn", "relatorios", "extrato-conciliacao"]) => {
            account::ask_report(state, body)
        }
        ("GET", ["v2", "gn", "relatorios", id]) => account::report(state, id),
        _ => Err(Answer::not_found()),
    };
    state.pump();
    answer
}

/// What a token must be good for.
fn scope(method: &str, parts: &[&str]) -> Option<&'static str> {
    let writes = method != "GET";
    let either = |read, write| Some(if writes { write } else { read });
    match parts {
        ["v2", "cob", ..] => either("cob.read", "cob.write"),
        ["v2", "pix", ..] => either("pix.read", "pix.write"),
        ["v2", "webhook", ..] => either("webhook.read", "webhook.write"),
        ["v2", "gn", "pix", "enviados", ..] => Some("gn.pix.send.read"),
        ["v2" | "v3", "gn", "pix", _] => Some("pix.send"),
        ["v2", "gn", "webhook", ..] => Some("webhook.write"),
        ["v2", "gn", "config"] => Some("gn.settings.write"),
        ["v2", "gn", "saldo"] => Some("gn.balance.read"),
        ["v2", "gn", "infracoes", ..] => either("gn.infractions.read", "gn.infractions.write"),
        ["v2", "gn", "relatorios", ..] => either("gn.reports.read", "gn.reports.write"),
        _ => None,
    }
}

fn with_unknown_status(mut answer: Answer) -> Answer {
    if let Body::Json(body) = &mut answer.body
        && let Some(status) = body.get_mut("status")
    {
        *status = json!(UNKNOWN_STATUS);
    }
    answer
}

fn respond(answer: Answer, truncated: bool) -> HttpResponse {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = HttpResponse::build(status);
    match answer.status {
        401 => response.insert_header((header::WWW_AUTHENTICATE, "Bearer error=\"invalid_token\"")),
        403 => response
            .insert_header((header::WWW_AUTHENTICATE, "Bearer error=\"insufficient_scope\"")),
        429 => response.insert_header((header::RETRY_AFTER, "1")),
        _ => &mut response,
    };
    let (kind, text) = match answer.body {
        Body::Empty => return response.finish(),
        Body::Json(body) => ("application/json", body.to_string()),
        Body::Problem(body) => ("application/problem+json", body.to_string()),
        Body::Csv(text) => ("text/csv", text),
    };
    let mut bytes = text.into_bytes();
    if truncated {
        bytes.truncate(bytes.len() / 2);
    }
    response.content_type(kind).body(bytes)
}

/// Breaks the connection off in place of an answer.
fn dropped() -> HttpResponse {
    let broken = std::io::Error::from(std::io::ErrorKind::ConnectionAborted);
    let never = futures_util::stream::once(std::future::ready(Err::<web::Bytes, _>(broken)));
    HttpResponse::Ok().force_close().body(BodyStream::new(never))
}

/// A part of a path without its `%` escapes; one that makes no sense stays as it is.
fn decode(part: &str) -> String {
    let mut bytes = Vec::with_capacity(part.len());
    let mut rest = part.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        let escaped = (*first == b'%').then(|| behind.get(..2)).flatten();
        let byte = escaped
            .and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok());
        bytes.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { &behind[2..] } else { behind };
    }
    String::from_utf8(bytes).unwrap_or_else(|_| part.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_of_a_path_are_undone() {
        for (part, text) in
            [("maria%40example.com", "maria@example.com"), ("%2B5581", "+5581"), ("a+b", "a+b")]
        {
            assert_eq!(decode(part), text);
        }
        for odd in ["%", "%4", "%zz", "%ff"] {
            assert_eq!(decode(odd), odd);
        }
    }

    #[test]
    fn every_call_has_its_scope() {
        assert_eq!(scope("PUT", &["v3", "gn", "pix", "a"]), Some("pix.send"));
        assert_eq!(scope("GET", &["v2", "gn", "pix", "enviados"]), Some("gn.pix.send.read"));
        assert_eq!(scope("GET", &["v2", "cob", "a"]), Some("cob.read"));
        assert_eq!(scope("PATCH", &["v2", "cob", "a"]), Some("cob.write"));
        assert_eq!(scope("GET", &["v1"]), None);
    }
}
