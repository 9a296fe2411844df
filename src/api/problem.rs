//! Problems: every refusal of this room as `application/problem+json` (RFC 9457).
//!
//! The one table from codes to statuses is here. A 5xx has no detail: its cause is logged once,
//! here or where it was found out, under the request's id. No text repeats what a client sent.

use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{ALLOW, RETRY_AFTER, WWW_AUTHENTICATE};
use ibora_domain::field::FieldError;
use ibora_domain::person::Scope;
use ibora_domain::refusal::Refusal;
use serde::Serialize;

use crate::accounts::{AccountError, TokenError};
use crate::readmodel::ReadError;

/// After how long a refused request may be tried again, where nothing better is known.
const RETRY_AFTER_S: u64 = 1;

/// Why a request is refused.
#[derive(Debug)]
pub(super) enum Problem {
    Refused(Refusal),
    Account(AccountError),
    /// No token at all.
    NoToken,
    Token(TokenError),
    Scope(Scope),
    /// The path names nothing.
    NoPath,
    /// Not JSON.
    Malformed,
    Invalid(Vec<FieldError>),
    TooLarge,
    MediaType,
    /// The body did not come in time.
    TooSlow,
    /// The path is there, but not for this method.
    Method {
        allow: String,
    },
    RateLimited {
        wait: Duration,
    },
    /// A handler panicked.
    Broken,
}

#[derive(Serialize)]
struct Body<'a> {
    #[serde(rename = "type")]
    kind: String,
    title: &'static str,
    status: u16,
    code: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    request_id: &'a str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    errors: &'a [FieldError],
}

impl Problem {
    /// The public name.
    pub(super) const fn code(&self) -> &'static str {
        match self {
            Self::Refused(refusal) => refusal.code(),
            Self::Account(error) => account_code(error),
            Self::NoToken | Self::Token(_) => "unauthenticated",
            Self::Scope(_) => "insufficient_scope",
            Self::NoPath => "not_found",
            Self::Malformed => "malformed",
            Self::Invalid(_) => "invalid",
            Self::TooLarge => "too_large",
            Self::MediaType => "unsupported_media_type",
            Self::TooSlow => "request_timeout",
            Self::Method { .. } => "method_not_allowed",
            Self::RateLimited { .. } => "rate_limited",
            Self::Broken => "internal",
        }
    }

    fn detail(&self) -> Option<String> {
        let text = match self {
            Self::Refused(refusal) => refusal.to_string(),
            // Which of the two it was is nobody's business.
            Self::Account(AccountError::TokenReused { .. }) => {
                AccountError::InvalidCredentials.to_string()
            }
            Self::Account(error) => error.to_string(),
            Self::NoToken => "a bearer token is needed".to_owned(),
            Self::Token(_) => "the token is expired, forged, or of another kind".to_owned(),
            Self::Scope(scope) => format!("the token lacks the scope `{scope}`"),
            Self::NoPath => "there is nothing at this path".to_owned(),
            Self::Malformed => "the body is not plain JSON in UTF-8".to_owned(),
            Self::Invalid(faults) => format!("{} of the fields are not valid", faults.len()),
            Self::TooLarge => "the body is over the limit".to_owned(),
            Self::MediaType => "bodies are application/json, neither packed nor other".to_owned(),
            Self::TooSlow => "the body did not come in time".to_owned(),
            Self::Method { allow } => format!("this path takes {allow}"),
            Self::RateLimited { .. } => "too many requests".to_owned(),
            Self::Broken => String::new(),
        };
        (status(self.code()) < 500).then_some(text)
    }

    fn faults(&self) -> &[FieldError] {
        match self {
            Self::Invalid(faults) | Self::Account(AccountError::Invalid(faults)) => faults,
            _ => &[],
        }
    }

    /// The answer, under the id of its request.
    pub(super) fn response(&self, request_id: &str) -> HttpResponse {
        let code = self.code();
        let number = status(code);
        let status = StatusCode::from_u16(number).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        if number == 500 {
            tracing::error!(cause = ?self, "a request failed");
        }
        let body = Body {
            kind: format!("urn:ibora:problem:{code}"),
            title: status.canonical_reason().unwrap_or("Error"),
            status: number,
            code,
            detail: self.detail(),
            request_id,
            errors: self.faults(),
        };
        let mut response = HttpResponse::build(status);
        response.content_type("application/problem+json");
        if let Some(challenge) = self.challenge(number) {
            response.insert_header((WWW_AUTHENTICATE, challenge));
        }
        if let Some(seconds) = self.retry_after(number) {
            response.insert_header((RETRY_AFTER, seconds.to_string()));
        }
        if let Self::Method { allow } = self {
            response.insert_header((ALLOW, allow.as_str()));
        }
        response.body(serde_json::to_string(&body).unwrap_or_default())
    }

    /// What a client must show (RFC 6750, 3).
    fn challenge(&self, status: u16) -> Option<String> {
        match self {
            Self::Token(_) => Some("Bearer error=\"invalid_token\"".to_owned()),
            Self::Scope(scope) => {
                Some(format!("Bearer error=\"insufficient_scope\", scope=\"{scope}\""))
            }
            _ if status == 401 => Some("Bearer".to_owned()),
            _ => None,
        }
    }

    fn retry_after(&self, status: u16) -> Option<u64> {
        match self {
            // Rounded up: who waits that long is let in.
            Self::RateLimited { wait } => Some(wait.as_millis().div_ceil(1000).max(1) as u64),
            Self::Refused(Refusal::IdempotencyInProgress) => Some(RETRY_AFTER_S),
            _ => (status == 503).then_some(RETRY_AFTER_S),
        }
    }
}

const fn account_code(error: &AccountError) -> &'static str {
    match error {
        AccountError::AccountExists => "account_exists",
        AccountError::InvalidCredentials | AccountError::TokenReused { .. } => {
            "invalid_credentials"
        }
        AccountError::Invalid(_) => "invalid",
        AccountError::NotFound => "not_found",
        AccountError::Forbidden => "forbidden",
        AccountError::Review(_) => "illegal_transition",
        AccountError::Overloaded => "overloaded",
        // Answered with the stored answer; where that is not there, asking again finds it.
        AccountError::AnsweredBefore | AccountError::Unavailable => "unavailable",
        AccountError::NotStored { .. }
        | AccountError::Corrupt { .. }
        | AccountError::Hashing
        | AccountError::Signing => "internal",
    }
}

/// The status of a code: the one table. A code that is not in it is a defect.
pub(super) fn status(code: &str) -> u16 {
    match code {
        "malformed" => 400,
        "unauthenticated" | "invalid_credentials" => 401,
        "forbidden" | "insufficient_scope" | "pin_wrong" => 403,
        "not_found" | "offer_not_found" => 404,
        "method_not_allowed" => 405,
        "request_timeout" => 408,
        "account_exists"
        | "active_ride_exists"
        | "debt_outstanding"
        | "driver_busy"
        | "driver_not_approved"
        | "idempotency_in_progress"
        | "illegal_transition"
        | "offer_expired"
        | "quote_expired"
        | "refund_too_late"
        | "paid_by_credit"
        | "ride_already_assigned"
        | "ride_closed"
        | "already_approved"
        | "pix_key_cooling"
        | "pix_key_missing"
        | "too_far"
        | "vehicle_not_suitable"
        | "version_conflict" => 409,
        "too_large" => 413,
        "unsupported_media_type" => 415,
        "below_minimum"
        | "idempotency_key_reused"
        | "insufficient_balance"
        | "invalid"
        | "limit_exceeded"
        | "outside_service_area"
        | "pix_key_mismatch"
        | "refund_too_high"
        | "amount_out_of_range" => 422,
        "pin_locked" => 423,
        "rate_limited" => 429,
        "not_owner" | "overloaded" | "unavailable" => 503,
        _ => 500,
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<AccountError> for Problem {
    fn from(error: AccountError) -> Self {
        Self::Account(error)
    }
}

impl From<ReadError> for Problem {
    fn from(error: ReadError) -> Self {
        Self::Account(error.into())
    }
}

impl From<Vec<FieldError>> for Problem {
    fn from(faults: Vec<FieldError>) -> Self {
        Self::Invalid(faults)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = include_str!("../../docs/problems.md");

    /// Code and status of each row of the page's first table.
    fn rows() -> Vec<(&'static str, u16)> {
        let table = PAGE.lines().skip_while(|line| !line.starts_with("| code |"));
        let rows = table.skip(2).take_while(|line| line.starts_with('|'));
        rows.map(|row| {
            let mut cells = row.split('|').map(str::trim).skip(1);
            let code = cells.next().expect("a code").trim_matches('`');
            (code, cells.next().expect("a status").parse().expect("a number"))
        })
        .collect()
    }

    #[test]
    fn the_page_says_the_status_of_every_code() {
        let rows = rows();
        assert!(rows.len() > 30, "{rows:?}");
        for (code, listed) in rows {
            assert_eq!(status(code), listed, "{code}");
        }
    }

    #[test]
    fn no_refusal_is_a_defect_of_the_engine() {
        for refusal in Refusal::ALL {
            assert!(status(refusal.code()) != 500, "{refusal:?} has no status");
        }
    }

    #[actix_web::test]
    async fn a_5xx_says_nothing_of_its_cause_and_a_4xx_says_what_to_do() {
        let text = |problem: Problem| async move {
            let response = problem.response("r-1");
            let headers = response.headers().clone();
            let body = actix_web::body::to_bytes(response.into_body()).await.expect("bytes");
            let body: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
            (headers, body)
        };
        let cause = AccountError::NotStored { constraint: Some("secret_rule".to_owned()) };
        let (_, body) = text(cause.into()).await;
        let expected = serde_json::json!({
            "type": "urn:ibora:problem:internal", "title": "Internal Server Error", "status": 500,
            "code": "internal", "request_id": "r-1",
        });
        assert_eq!(body, expected);

        let (headers, body) = text(Problem::Scope(Scope::Admin)).await;
        assert_eq!(body["detail"], "the token lacks the scope `admin`");
        let challenge = headers.get(WWW_AUTHENTICATE).expect("a challenge");
        assert_eq!(challenge, "Bearer error=\"insufficient_scope\", scope=\"admin\"");

        let limited = Problem::RateLimited { wait: Duration::from_millis(1001) };
        let (headers, _) = text(limited).await;
        assert_eq!(headers.get(RETRY_AFTER).expect("a time"), "2");
        let (headers, _) = text(Refusal::Overloaded.into()).await;
        assert_eq!(headers.get(RETRY_AFTER).expect("a time"), "1");
    }
}
