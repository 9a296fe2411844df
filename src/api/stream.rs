//! `GET /stream`: the events of a session for a client whose network lets no WebSocket through.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use actix_web::http::{Method, StatusCode};
use ibora_domain::facts::StreamId;
use ibora_domain::field::FieldError;
use ibora_domain::person::{Role, Scope};
use ibora_domain::refusal::Refusal;
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::auth::caller;
use super::problem::Problem;
use super::query;
use super::route::{self, Answered, Call, Entry, known};
use crate::accounts::Identity;
use crate::actors::parse::{Form, Read, integer, text};
use crate::actors::{Caller, Published, Truth, event_json, stream_of};
use crate::obs::failpoint;

const PEOPLE: &[Role] = &[Role::Driver, Role::Passenger];
/// Seconds that a client may have us wait.
const WAIT_MAX_S: i64 = 30;
/// Events of one answer; the next question gets the rest.
const EVENTS_MAX: u64 = 200;
/// How often one who waits is looked after: whether the engine stops, whether he is still there.
const LOOK_EVERY: Duration = Duration::from_secs(1);

pub(super) fn entries() -> Vec<Entry> {
    vec![known((Method::GET, "/v1/stream"), PEOPLE, Scope::Read, stream)]
}

/// What a client says of itself.
struct Asked {
    epoch: Option<String>,
    seq: Option<u64>,
    wait: Duration,
}

/// Without `snapshot`, all events after the one that was named follow.
#[derive(Serialize)]
struct StreamAnswer<'a> {
    epoch: &'a str,
    /// The newest event that the client has with this answer.
    seq: u64,
    recovered: bool,
    events: Vec<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    snapshot: Option<&'a RawValue>,
}

async fn stream(call: Call, who: Identity) -> Answered {
    let asked = asked(&call)?;
    let caller = caller(&who);
    call.api.dispatch.may_act()?;
    let stream = stream_of(caller).ok_or(Problem::Refused(Refusal::Forbidden))?;
    let journal = call.api.dispatch.journal();
    let (epoch, head) = call.api.dispatch.stream_head(caller).await?;
    seen(&call, caller);
    let known = asked.seq.filter(|seq| asked.epoch.as_deref() == Some(&*epoch) && *seq <= head);
    if let Some(after) = known {
        journal.acknowledge(caller.user, after);
        if let Some(events) = wait_for_events(&call, (caller, stream), after, asked.wait).await? {
            failpoint!(StreamAnswer);
            let seq = events.last().map_or(after, |event| event.seq);
            let answer = StreamAnswer {
                epoch: &epoch,
                seq,
                recovered: true,
                events: events.iter().filter_map(frame).collect(),
                snapshot: None,
            };
            return Ok(route::json(StatusCode::OK, &answer));
        }
    }
    let Truth { epoch, seq, snapshot } = call.api.dispatch.truth(caller).await?;
    let answer = StreamAnswer {
        epoch: &epoch,
        seq,
        recovered: false,
        events: Vec::new(),
        snapshot: Some(&snapshot.json),
    };
    Ok(route::json(StatusCode::OK, &answer))
}

/// The events after `after`, waited for if there are none yet; `None` where not all are kept.
async fn wait_for_events(
    call: &Call,
    (caller, stream): (Caller, StreamId),
    after: u64,
    wait: Duration,
) -> Result<Option<Vec<Published>>, Problem> {
    let journal = call.api.dispatch.journal();
    let until = Instant::now() + wait;
    loop {
        // Asked for before it is looked: none comes in between unseen.
        let next = journal.next_event(caller.user);
        let (_, head) = call.api.dispatch.stream_head(caller).await?;
        let left = until.saturating_duration_since(Instant::now());
        let stops = !call.api.ready.load(Ordering::Acquire) || call.api.dispatch.may_act().is_err();
        if head > after || left.is_zero() || stops {
            let upto = head.min(after + EVENTS_MAX);
            return Ok(call.api.dispatch.missed(stream, after, upto).await?);
        }
        if tokio::time::timeout(left.min(LOOK_EVERY), next).await.is_err() {
            seen(call, caller);
        }
    }
}

/// A driver who asks is there, as one with a session.
fn seen(call: &Call, caller: Caller) {
    if caller.role == Role::Driver {
        call.api.dispatch.driver_seen(caller.user.into());
    }
}

fn frame(event: &Published) -> Option<Box<RawValue>> {
    RawValue::from_string(event_json(event.seq, &event.row)).ok()
}

fn asked(call: &Call) -> Result<Asked, Problem> {
    let parameters = query::parameters(call.request.query_string())?;
    let mut form = Form::of(&parameters);
    let epoch = form.optional("epoch", text(1..=64));
    let seq = form.optional("seq", number(i64::MAX));
    let wait = form.optional("wait", number(WAIT_MAX_S));
    let wait = Duration::from_secs(wait.unwrap_or(0));
    Ok(form.close(Some(Asked { epoch, seq, wait }))?)
}

/// A whole number from 0 to `max`, written as a text as all in a query is.
fn number(max: i64) -> impl Fn(&Value) -> Read<u64> {
    move |value| {
        let text = value.as_str().unwrap_or_default();
        let number = text.parse::<i64>().map_or(Value::Null, Value::from);
        let checked: Read<i64> = integer(0..=max)(&number);
        let detail = format!("a whole number from 0 to {max}");
        checked.map(i64::unsigned_abs).map_err(|_| vec![FieldError::whole("out_of_range", detail)])
    }
}
