//! What every request has: an id, a trace, an address, a line in the log, and the fixed headers.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::{HttpRequest, HttpResponse};
use ibora_domain::facts::Origin;
use tracing::Span;

use crate::accounts::{Caller, Identity};
use crate::network::{Proxies, REQUEST_ID, named};

const TRACE_ID: HeaderName = HeaderName::from_static("x-trace-id");
/// Characters of a user agent that are logged.
const AGENT_CHARS_MAX: usize = 200;

/// Answers hold personal data and tokens: nobody keeps them, no page frames them.
const FIXED: [(&str, &str); 5] = [
    ("cache-control", "no-store"),
    ("strict-transport-security", "max-age=31536000"),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("x-xss-protection", "1; mode=block"),
];

/// A request's names.
#[derive(Debug, Clone)]
pub(super) struct Meta {
    pub(super) request_id: String,
    pub(super) trace_id: String,
    pub(super) address: Option<IpAddr>,
    pub(super) user_agent: Option<String>,
}

impl Meta {
    /// Takes what the client named, makes what it did not.
    pub(super) fn of(request: &HttpRequest, proxies: &Proxies) -> Self {
        let agent = request.headers().get("user-agent").and_then(|agent| agent.to_str().ok());
        Self {
            request_id: named(request.headers(), &REQUEST_ID),
            trace_id: named(request.headers(), &TRACE_ID),
            address: proxies.client_of(request),
            user_agent: agent.map(|agent| agent.chars().take(AGENT_CHARS_MAX).collect()),
        }
    }

    /// From where it comes, as the audit trail keeps it.
    pub(super) fn origin(&self) -> Arc<Origin> {
        Arc::new(Origin {
            address: self.address.map(|address| address.to_string()),
            user_agent: self.user_agent.clone(),
            request_id: Some(self.request_id.clone()),
        })
    }

    /// The same for accounts, with who asks.
    pub(super) fn caller(&self, who: &Identity) -> Caller {
        Caller {
            ip: self.address,
            user_agent: self.user_agent.clone(),
            request_id: Some(self.request_id.clone()),
            ..Caller::of(who)
        }
    }

    /// The span in which everything about the request is logged.
    pub(super) fn span(&self) -> Span {
        tracing::info_span!(
            "request",
            request_id = %self.request_id,
            trace_id = %self.trace_id,
            client_ip = self.address.map(tracing::field::display),
            user_agent = self.user_agent.as_deref(),
            user_id = tracing::field::Empty,
        )
    }

    /// Puts the request's names and the fixed headers on its answer.
    pub(super) fn stamp(&self, response: &mut HttpResponse) {
        let headers = response.headers_mut();
        for (name, value) in [(REQUEST_ID, &self.request_id), (TRACE_ID, &self.trace_id)] {
            if let Ok(value) = HeaderValue::from_str(value) {
                headers.insert(name, value);
            }
        }
        for (name, value) in FIXED {
            headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
    }
}

/// Writes the one line a request gets.
pub(super) fn log(method: &str, route: &str, status: u16, took: Duration) {
    let duration_ms = took.as_secs_f64() * 1000.0;
    tracing::info!(method, route, status, duration_ms, "request answered");
}
