//! Idempotency: the headers that make a request the same when it is sent again, and the way in
//! which commands that no actor decides are done once.

use std::future::Future;
use std::sync::Arc;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderMap, IF_MATCH};
use ibora_domain::facts::{Answer, CommandKey};
use ibora_domain::field::FieldError;
use ibora_domain::machines::Waited;
use serde_json::Value;

use super::Api;
use super::problem::Problem;
use super::route::done;
use crate::accounts::AccountError;
use crate::actors::{Caller, Command};

const KEY: &str = "Idempotency-Key";
const KEY_CHARS_MAX: usize = 255;

/// The key of a request, if it has one.
pub(super) fn key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some(value) = headers.get(KEY) else { return Ok(None) };
    let text = value.to_str().unwrap_or_default();
    let plain = text.bytes().all(|byte| byte.is_ascii_graphic());
    if (1..=KEY_CHARS_MAX).contains(&text.len()) && plain {
        return Ok(Some(text.to_owned()));
    }
    let detail = "1 to 255 visible ASCII characters";
    Err(vec![FieldError::new(KEY, "invalid_format", detail)].into())
}

/// The version that the client knows; `*` says nothing of any.
pub(super) fn if_version(headers: &HeaderMap) -> Result<Option<u64>, Problem> {
    let Some(value) = headers.get(IF_MATCH) else { return Ok(None) };
    let text = value.to_str().unwrap_or_default().trim();
    if text == "*" {
        return Ok(None);
    }
    let number = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text);
    let digits = number.bytes().all(|byte| byte.is_ascii_digit());
    number.parse().ok().filter(|_| digits).map(Some).ok_or_else(|| {
        vec![FieldError::new("If-Match", "invalid_format", "the version, as in ETag")].into()
    })
}

/// A command that no actor decides.
pub(super) struct Once<'a> {
    pub(super) caller: Caller,
    pub(super) id: Option<String>,
    /// Op, entity and parsed fields.
    pub(super) command: &'a Value,
    pub(super) status: StatusCode,
}

/// Does a command once by its key: `work` stores its answer under the key it is given, together
/// with what it changes. A stored answer is given again instead.
pub(super) async fn once<F>(
    api: &Api,
    once: Once<'_>,
    work: impl FnOnce(Option<CommandKey>) -> F,
) -> Result<HttpResponse, Problem>
where
    F: Future<Output = Result<HttpResponse, AccountError>>,
{
    let Once { caller, id, command, status } = once;
    let Some(id) = id else { return Ok(work(None).await?) };
    let fingerprint = Command::fingerprint_of(command);
    let key = CommandKey { principal: caller.user, id: Arc::from(id), fingerprint };
    let running = api.dispatch.claim(caller, &key).await?;
    let done = answered_or(api, &key, status, work).await;
    let waited = match &done {
        Ok(_) => Waited::Recorded,
        Err(Problem::Refused(refusal)) => Waited::from(&Err(*refusal)),
        Err(Problem::Account(AccountError::Unavailable)) => Waited::InVain,
        Err(_) => {
            api.dispatch.unused(&running);
            Waited::Refused
        }
    };
    running.end(waited);
    done
}

/// The stored answer under `key`, or what comes of `work`.
async fn answered_or<F>(
    api: &Api,
    key: &CommandKey,
    status: StatusCode,
    work: impl FnOnce(Option<CommandKey>) -> F,
) -> Result<HttpResponse, Problem>
where
    F: Future<Output = Result<HttpResponse, AccountError>>,
{
    if let Some(answer) = api.dispatch.answered(key).await? {
        return again(answer, status);
    }
    match work(Some(key.clone())).await {
        // Somebody else was quicker with the same key.
        Err(AccountError::AnsweredBefore) => match api.dispatch.answered(key).await? {
            Some(answer) => again(answer, status),
            None => Err(AccountError::Unavailable.into()),
        },
        done => Ok(done?),
    }
}

fn again(answer: Answer, status: StatusCode) -> Result<HttpResponse, Problem> {
    Ok(done(status, &answer?))
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::{HeaderName, HeaderValue};

    use super::*;

    fn with(name: &'static str, value: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let value = HeaderValue::from_bytes(value.as_bytes()).expect("a header");
        headers.insert(HeaderName::from_bytes(name.as_bytes()).expect("a name"), value);
        headers
    }

    #[test]
    fn a_key_is_short_and_visible() {
        let long = "k".repeat(255);
        let longer = "k".repeat(256);
        assert_eq!(key(&HeaderMap::new()).expect("none"), None);
        assert_eq!(key(&with(KEY, &long)).expect("fits"), Some(long.clone()));
        for bad in ["", "é", "a b", "a\tb", &longer] {
            assert!(key(&with(KEY, bad)).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_version_is_what_an_etag_says() {
        let read = |text| if_version(&with("if-match", text)).ok();
        assert_eq!(read("\"7\""), Some(Some(7)));
        assert_eq!(read("7"), Some(Some(7)));
        assert_eq!(read("*"), Some(None));
        for bad in ["", "\"7", "W/\"7\"", "-1", "+1", "\"1\", \"2\""] {
            assert_eq!(read(bad), None, "{bad:?}");
        }
    }
}
