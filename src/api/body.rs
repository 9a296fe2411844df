//! Bodies: read within bounds of size and time, then as strict JSON. Packed ones are refused, for
//! a small one can hold a huge one.

use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::http::Method;
use actix_web::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, UPGRADE};
use actix_web::web::{Bytes, BytesMut, Payload};
use futures_util::StreamExt;
use serde_json::Value;

use super::problem::Problem;
use crate::actors::parse::{JsonFault, json};

/// Time a body may take to come in.
const WITHIN: Duration = Duration::from_secs(30);
/// Bytes of a refused body that are still read, and the time they may take.
const DRAINED_MAX: usize = 1 << 20;
const DRAINED_WITHIN: Duration = Duration::from_millis(500);

/// Reads a body of at most `bytes_max`.
pub(super) async fn read(
    request: &HttpRequest,
    payload: &mut Payload,
    bytes_max: usize,
) -> Result<Bytes, Problem> {
    if is_endless(request) {
        return Ok(Bytes::new());
    }
    let headers = request.headers();
    let packed = headers.get(CONTENT_ENCODING).is_some_and(|packing| packing != "identity");
    if packed {
        return Err(Problem::MediaType);
    }
    let said = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok());
    if said.and_then(|length| length.parse().ok()).is_some_and(|length: usize| length > bytes_max) {
        return Err(Problem::TooLarge);
    }
    tokio::time::timeout(WITHIN, collect(payload, bytes_max)).await.map_err(|_| Problem::TooSlow)?
}

/// Whether a request wants to turn into something else: then what follows it is no body, and the
/// server hands out all that ever comes. Nothing here becomes a WebSocket or a tunnel.
fn is_endless(request: &HttpRequest) -> bool {
    let upgrade = request.headers().get(UPGRADE).and_then(|to| to.to_str().ok());
    let is_socket = |to: &str| to.trim().eq_ignore_ascii_case("websocket");
    request.method() == Method::CONNECT || upgrade.is_some_and(is_socket)
}

async fn collect(payload: &mut Payload, bytes_max: usize) -> Result<Bytes, Problem> {
    let mut body = BytesMut::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|_| Problem::Malformed)?;
        if body.len() + chunk.len() > bytes_max {
            return Err(Problem::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

/// Reads what is left of a body that was refused, for a moment: bytes that nobody reads would take
/// the answer from their sender.
pub(super) async fn drain(request: &HttpRequest, payload: &mut Payload) {
    if is_endless(request) {
        return;
    }
    let read = async {
        let mut left = DRAINED_MAX;
        while let Some(Ok(chunk)) = payload.next().await {
            left = left.saturating_sub(chunk.len());
            if left == 0 {
                break;
            }
        }
    };
    tokio::time::timeout(DRAINED_WITHIN, read).await.ok();
}

/// The JSON in a body; none is `null`.
pub(super) fn value(headers: &HeaderMap, body: &[u8]) -> Result<Value, Problem> {
    if body.is_empty() {
        return Ok(Value::Null);
    }
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    if !kind.is_some_and(is_json) {
        return Err(Problem::MediaType);
    }
    json(body).map_err(|fault| match fault {
        JsonFault::Malformed => Problem::Malformed,
        JsonFault::Invalid(faults) => Problem::Invalid(faults),
    })
}

fn is_json(kind: &str) -> bool {
    let mut parts = kind.split(';').map(str::trim);
    let essence = parts.next().unwrap_or_default().to_ascii_lowercase();
    let structured = essence.strip_prefix("application/").is_some_and(|sub| sub.ends_with("+json"));
    // JSON is UTF-8; another charset means that the client thinks otherwise.
    let utf8 = |part: &str| {
        let part = part.to_ascii_lowercase();
        part.strip_prefix("charset=").is_none_or(|name| name.trim_matches('"') == "utf-8")
    };
    (essence == "application/json" || structured) && parts.all(utf8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_told_by_its_type() {
        for kind in [
            "application/json",
            "Application/JSON; charset=UTF-8",
            "application/json;charset=\"utf-8\"",
            "application/merge-patch+json",
        ] {
            assert!(is_json(kind), "{kind}");
        }
        for kind in ["text/json", "application/jsonp", "application/json; charset=utf-16", ""] {
            assert!(!is_json(kind), "{kind}");
        }
    }
}
