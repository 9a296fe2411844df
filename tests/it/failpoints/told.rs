//! Clients of an engine process: the commands they send over REST, what they remember of them, and
//! how they hold an engine to its word.
//!
//! Tests that take an engine away under its people share this. How a command is sent, again and to
//! whom, is each test's own.

use std::collections::HashMap;

use serde_json::{Value, json};
use uuid::Uuid;

use crate::process::Person;

/// A status and what came with it.
pub(crate) type Heard = (u16, Value);

/// A command as its sender remembers it, and what he was told, if anything.
#[derive(Clone)]
pub(crate) struct Told {
    pub(crate) person: Person,
    pub(crate) key: String,
    pub(crate) path: String,
    pub(crate) body: Value,
    pub(crate) answer: Option<Heard>,
}

impl Told {
    /// A command under a key of its own, not sent yet.
    pub(crate) fn new(person: &Person, path: impl Into<String>, body: Value) -> Self {
        let key = Uuid::now_v7().to_string();
        Self { person: person.clone(), key, path: path.into(), body, answer: None }
    }

    /// Sends it once; nothing where no answer came.
    pub(crate) async fn send(&self, http: &awc::Client, engine: &str) -> Option<Heard> {
        let method = if self.path.ends_with("availability") { "PUT" } else { "POST" };
        let request = http
            .request(method.parse().expect("a method"), format!("{engine}{}", self.path))
            .bearer_auth(&self.person.token)
            .insert_header(("Idempotency-Key", self.key.clone()));
        let mut answer = request.send_json(&self.body).await.ok()?;
        let body = answer.body().limit(1 << 20).await.ok()?;
        let body =
            if body.is_empty() { Value::Null } else { serde_json::from_slice(&body).ok()? };
        Some((answer.status().as_u16(), body))
    }
}

/// A ride from where all drivers are.
pub(crate) fn order() -> Value {
    json!({"pickup": {"lat": -23.5503, "lng": -46.6339},
        "dropoff": {"lat": -23.5614, "lng": -46.6559}, "category": "economy",
        "payment_method": "cash"})
}

/// A driver goes online, where rides begin.
pub(crate) fn online() -> Value {
    json!({"status": "online", "location": {"lat": -23.5503, "lng": -46.6339}})
}

/// Whether this settles a command; all else is asked again.
pub(crate) fn is_settled((status, body): &Heard) -> bool {
    *status != 503 && body["code"] != "idempotency_in_progress"
}

/// Answers that are recorded, and so the same for ever. Of all others nothing was decided.
pub(crate) fn is_result(heard: &Heard) -> bool {
    let (status, body) = heard;
    is_settled(heard)
        && (matches!(status, 200 | 201 | 409)
            || matches!(body["code"].as_str(), Some("pin_wrong" | "pin_locked")))
}

/// An answer without the id of the request that fetched it.
pub(crate) fn comparable((status, body): &Heard) -> Heard {
    let mut body = body.clone();
    if let Some(fields) = body.as_object_mut() {
        fields.remove("request_id");
    }
    (*status, body)
}

/// Asks every command again, twice: what was told stays true, and what was not gets one answer. The
/// commands that have one, with it.
pub(crate) async fn stand_by_their_word(
    told: &[Told],
    ask: impl AsyncFn(&Told) -> Heard,
) -> Vec<Told> {
    let mut answered = Vec::new();
    for told in told {
        if told.answer.as_ref().is_some_and(|answer| !is_result(answer)) {
            continue;
        }
        let again = ask(told).await;
        let before = told.answer.clone().unwrap_or_else(|| again.clone());
        if is_result(&before) {
            let more = ask(told).await;
            assert_eq!(comparable(&again), comparable(&before), "{} {}", told.path, told.key);
            assert_eq!(comparable(&more), comparable(&again), "{}", told.path);
            answered.push(Told { answer: Some(before), ..told.clone() });
        }
    }
    answered
}

/// Nobody was told that he won what another won: a ride is won once a version.
pub(crate) fn nothing_is_won_twice(told: &[Told]) {
    let mut winners: HashMap<(String, u64), String> = HashMap::new();
    for told in told.iter().filter(|told| told.path.ends_with("/accept")) {
        if let Some((200, ride)) = &told.answer {
            let version = ride["version"].as_u64().expect("a version");
            let won = (ride["id"].to_string(), version);
            let winner = winners.entry(won).or_insert_with(|| told.person.id.clone());
            assert_eq!(*winner, told.person.id, "won twice: {ride}");
        }
    }
}
