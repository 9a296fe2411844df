//! For operators: whether the engine lives, whether requests should come here, its figures, and
//! the description of this interface.

use std::sync::atomic::Ordering;
use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use ibora_domain::refusal::Refusal;
use serde_json::json;

use super::openapi;
use super::route::{self, Answered, Call, Entry, probe, public};
use crate::obs::Metrics;

/// How long the database may take to say that it is there.
const DATABASE_WITHIN: Duration = Duration::from_secs(1);

pub(super) fn entries() -> Vec<Entry> {
    vec![
        probe("/health", health),
        probe("/ready", ready),
        public("/openapi.json", description),
        public("/asyncapi.json", session_description),
    ]
}

pub(super) fn metrics_entry() -> Entry {
    probe("/metrics", metrics)
}

/// Lives: this process answers. Says nothing of what it depends on.
async fn health(_call: Call) -> Answered {
    Ok(live())
}

pub(super) fn live() -> HttpResponse {
    let body = json!({ "status": "live", "version": env!("CARGO_PKG_VERSION") });
    route::json(StatusCode::OK, &body)
}

/// Ready: neither starting nor stopping, no other engine has the shards, and the database answers.
async fn ready(call: Call) -> Answered {
    call.api.dispatch.may_act()?;
    if !call.api.ready.load(Ordering::Acquire) {
        return Err(Refusal::Unavailable.into());
    }
    let answered = tokio::time::timeout(DATABASE_WITHIN, call.api.rides.ping()).await;
    match answered {
        Ok(Ok(())) => Ok(route::json(StatusCode::OK, &json!({ "status": "ready" }))),
        Ok(Err(_)) | Err(_) => Err(Refusal::Unavailable.into()),
    }
}

async fn metrics(call: Call) -> Answered {
    Ok(figures(&call.api.metrics))
}

pub(super) fn figures(metrics: &Metrics) -> HttpResponse {
    let text = metrics.render();
    HttpResponse::Ok().content_type("text/plain; version=0.0.4; charset=utf-8").body(text)
}

async fn session_description(_call: Call) -> Answered {
    Ok(HttpResponse::Ok().content_type("application/json").body(openapi::SESSION_TEXT))
}

async fn description(_call: Call) -> Answered {
    Ok(HttpResponse::Ok().content_type("application/json").body(openapi::TEXT))
}
