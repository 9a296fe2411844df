//! Commands over REST. A problem owes what every problem owes, and is never the engine's fault.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Said, Told};
use crate::process::Person;

/// What an engine says of a command; nothing where it says nothing in time.
pub(super) async fn ask(engine: &str, told: &Told, patience: Duration) -> Option<Said> {
    let mut body = told.body.clone();
    let (method, path) = match (told.op, &told.ride) {
        ("driver.online", _) => {
            body["status"] = json!("online");
            ("PUT", "/v1/me/availability".to_owned())
        }
        ("ride.request", _) => ("POST", "/v1/rides".to_owned()),
        (op, ride) => {
            let step = op.trim_start_matches("ride.");
            ("POST", format!("/v1/rides/{}/{step}", ride.as_ref().expect("a ride")))
        }
    };
    // One connection a request: none is left that leads to an engine's past.
    let request = awc::Client::builder().timeout(patience).finish();
    let request = request
        .request(method.parse().expect("a method"), format!("{engine}{path}"))
        .bearer_auth(&told.person.token)
        .insert_header(("Idempotency-Key", told.id.clone()));
    let mut answer = request.send_json(&body).await.ok()?;
    let text = answer.body().limit(1 << 20).await.ok()?;
    let body = if text.is_empty() { Value::Null } else { serde_json::from_slice(&text).ok()? };
    let status = answer.status().as_u16();
    if status < 300 {
        return Some(Said { code: "ok".to_owned(), body });
    }
    assert!(status < 500 || status == 503, "{status}: {body} to {told:?}");
    assert_eq!(status == 503, is_unavailable(&body), "{status}: {body}");
    assert!(status != 503 || answer.headers().contains_key("retry-after"), "{body}");
    let code = body["code"].as_str().expect("a code").to_owned();
    Some(Said { code, body: Value::Null })
}

fn is_unavailable(problem: &Value) -> bool {
    matches!(problem["code"].as_str(), Some("unavailable" | "overloaded" | "not_owner"))
}

/// How far a ride is, as this person sees it.
pub(super) async fn ride(engine: &str, person: &Person, ride: &str) -> u64 {
    let request = awc::Client::builder().timeout(Duration::from_secs(20)).finish();
    let request = request.get(format!("{engine}/v1/rides/{ride}")).bearer_auth(&person.token);
    let mut answer = request.send().await.expect("an answer");
    let body: Value = answer.json().await.expect("JSON");
    body["version"].as_u64().unwrap_or_else(|| panic!("{}: {body}", answer.status()))
}
