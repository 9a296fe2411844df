//! Frames of the session and answers of REST, as a client reads them: what matters to it, and
//! bodies as they came.

use std::borrow::Cow;
use std::time::Duration;

use ibora::bots::Person;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use uuid::Uuid;

use super::memory::{Asked, Told};
use crate::client::Entity;

/// Any frame from the engine. Fields that its type does not have are `None`.
#[derive(Deserialize)]
pub(super) struct Down<'a> {
    #[serde(borrow)]
    pub(super) t: Cow<'a, str>,
    pub(super) id: Option<Uuid>,
    pub(super) seq: Option<u64>,
    #[serde(borrow)]
    pub(super) op: Option<Cow<'a, str>>,
    pub(super) key: Option<Uuid>,
    pub(super) ver: Option<u64>,
    pub(super) prio: Option<u8>,
    #[serde(borrow)]
    pub(super) code: Option<Cow<'a, str>>,
    pub(super) retry: Option<bool>,
    pub(super) retry_ms: Option<u64>,
    #[serde(borrow)]
    pub(super) d: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) snapshot: Option<&'a RawValue>,
    pub(super) stream: Option<StreamAt>,
}

/// Where a stream is.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct StreamAt {
    pub(super) id: String,
    pub(super) epoch: String,
    pub(super) seq: u64,
    #[serde(default)]
    pub(super) recovered: bool,
}

/// The answer to a long poll.
#[derive(Deserialize)]
pub(super) struct Polled {
    pub(super) epoch: String,
    pub(super) seq: u64,
    pub(super) recovered: bool,
    pub(super) events: Vec<Box<RawValue>>,
    pub(super) snapshot: Option<Box<RawValue>>,
}

/// The first frame of a connection.
pub(super) fn hello(person: &Person, device: Uuid, at: Option<&StreamAt>) -> String {
    let mut hello = json!({
        "t": "hello", "v": 1, "auth": {"bearer": &*person.token}, "device": device,
        "app": "bench/1",
    });
    if let Some(StreamAt { id, epoch, seq, .. }) = at {
        hello["resume"] = json!({"stream": id, "epoch": epoch, "seq": seq});
    }
    hello.to_string()
}

/// An answer to a command, or that there is none yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    Told(Told),
    /// Ask again, with the same id, after this long.
    Later(Duration),
}

/// What a refusal that may be retried says where it names no pause.
const LATER: Duration = Duration::from_millis(500);

impl Down<'_> {
    /// What a `res` or an `err` says of its command.
    pub(super) fn answer(&self) -> Answer {
        if &*self.t == "res" {
            let body = self.d.unwrap_or(RawValue::NULL).get();
            return Answer::Told(Told::yes(self.ver.unwrap_or(0), body));
        }
        match self.retry {
            Some(true) => Answer::Later(self.retry_ms.map_or(LATER, Duration::from_millis)),
            Some(false) | None => Answer::Told(Told::no(self.code.as_deref().unwrap_or_default())),
        }
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Problem {
    code: String,
}

/// Asks a command over REST. `None`: nobody answered.
pub(super) async fn by_rest(base: &str, id: Uuid, asked: &Asked) -> Option<Answer> {
    let (method, path, body) = as_request(asked);
    // A connection of its own: none is left that leads to an engine's past.
    let http = awc::Client::builder().timeout(Duration::from_secs(5)).finish();
    let request = http
        .request(method.parse().ok()?, format!("{base}{path}"))
        .bearer_auth(&*asked.person.token)
        .insert_header(("Idempotency-Key", id.to_string()));
    let mut answer = request.send_json(&body).await.ok()?;
    let tag = answer.headers().get("etag").and_then(|tag| tag.to_str().ok());
    let version = tag.and_then(|tag| tag.trim_matches('"').parse().ok()).unwrap_or(0);
    let length = answer.headers().get("content-length").and_then(|text| text.to_str().ok());
    let length: Option<usize> = length.and_then(|text| text.parse().ok());
    let text = answer.body().limit(1 << 20).await.ok()?;
    if length.is_some_and(|length| length != text.len()) {
        // Cut off on the road, which the library does not mind.
        return None;
    }
    let text = std::str::from_utf8(&text).ok()?;
    if answer.status().is_success() {
        let body = if text.is_empty() { "null" } else { text };
        return Some(Answer::Told(Told::yes(version, body)));
    }
    let Problem { code } = serde_json::from_str(text).unwrap_or_default();
    let is_later = answer.status().is_server_error()
        || matches!(code.as_str(), "rate_limited" | "idempotency_in_progress");
    Some(if is_later { Answer::Later(LATER) } else { Answer::Told(Told::no(&code)) })
}

/// The same command as a request: method, path, body.
fn as_request(Asked { op, key, d, .. }: &Asked) -> (&'static str, String, Value) {
    let mut body = d.clone();
    let availability = |mut body: Value, status: &str| {
        body["status"] = status.into();
        ("PUT", "/v1/me/availability".to_owned(), body)
    };
    match *op {
        "driver.online" => availability(body, "online"),
        "driver.offline" => availability(body, "offline"),
        "ride.request" => ("POST", "/v1/rides".to_owned(), body),
        op => {
            if body.is_null() {
                body = json!({});
            }
            let step = op.trim_start_matches("ride.");
            ("POST", format!("/v1/rides/{}/{step}", key.unwrap_or_default()), body)
        }
    }
}

/// The ride that a person has now, as `/me` says.
pub(super) async fn active_ride(base: &str, person: &Person) -> anyhow::Result<Option<Uuid>> {
    #[derive(Deserialize)]
    struct Me {
        active_ride: Option<Entity>,
    }
    let http = awc::Client::builder().timeout(Duration::from_secs(5)).finish();
    let asked = http.get(format!("{base}/v1/me")).bearer_auth(&*person.token).send().await;
    let mut answer = asked.map_err(|error| anyhow::anyhow!("/me: {error}"))?;
    let me: Me = serde_json::from_slice(&answer.body().await?)?;
    Ok(me.active_ride.map(|ride| ride.id))
}
