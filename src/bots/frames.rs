//! Frames of `ibora.v1` as a client writes and reads them.
//!
//! Written against the public contract alone: nothing of the engine's own types for the wire is
//! used here, so that a change of the contract is noticed.

use std::borrow::Cow;

use ibora_domain::place::Coordinates;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use uuid::Uuid;

/// Any frame from the server. Fields that its type does not have are `None`.
#[derive(Debug, Deserialize)]
pub(super) struct Down<'a> {
    #[serde(borrow)]
    pub(super) t: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) id: Option<Cow<'a, str>>,
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
    pub(super) now: Option<Cow<'a, str>>,
    pub(super) hb: Option<Heartbeat>,
    pub(super) stream: Option<StreamAt>,
    #[serde(borrow)]
    pub(super) snapshot: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) ts: Option<&'a RawValue>,
}

/// `hb` of `welcome`.
#[derive(Debug, Clone, Copy, Deserialize)]
pub(super) struct Heartbeat {
    pub(super) idle_ms: u64,
    pub(super) active_ms: u64,
}

/// Where a stream is: in `welcome`, and kept for the next `hello`.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct StreamAt {
    pub(super) id: String,
    pub(super) epoch: String,
    pub(super) seq: u64,
    #[serde(default)]
    pub(super) recovered: bool,
}

#[derive(Serialize)]
pub(super) struct Hello<'a> {
    t: &'static str,
    v: u8,
    auth: Bearer<'a>,
    device: Uuid,
    app: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    resume: Option<Resume<'a>>,
}

#[derive(Serialize)]
struct Bearer<'a> {
    bearer: &'a str,
}

#[derive(Serialize)]
struct Resume<'a> {
    stream: &'a str,
    epoch: &'a str,
    seq: u64,
}

/// The first frame of a connection.
pub(super) fn hello(token: &str, device: Uuid, stream: Option<&StreamAt>) -> String {
    let resume = stream.map(|at| Resume { stream: &at.id, epoch: &at.epoch, seq: at.seq });
    text(&Hello { t: "hello", v: 1, auth: Bearer { bearer: token }, device, app: "bot/1", resume })
}

/// Asks for a change.
pub(super) fn command(id: Uuid, op: &str, key: Option<Uuid>, d: &Value) -> String {
    match key {
        Some(key) => text(&serde_json::json!({"t": "cmd", "id": id, "op": op, "key": key, "d": d})),
        None => text(&serde_json::json!({"t": "cmd", "id": id, "op": op, "d": d})),
    }
}

/// A position as a phone would report it.
#[derive(Debug, Clone, Copy)]
pub struct Fix {
    pub at_ms: i64,
    pub place: Coordinates,
    pub accuracy_m: u32,
    pub speed_mps: f64,
    pub bearing_deg: f64,
}

/// Positions, oldest first.
pub(super) fn telemetry(n: u64, fixes: &[Fix]) -> String {
    let row = |fix: &Fix| {
        let Fix { at_ms, place, accuracy_m, speed_mps, bearing_deg } = fix;
        let (lat, lng) = (place.lat(), place.lng());
        format!("[{at_ms},{lat:.6},{lng:.6},{accuracy_m},{speed_mps:.1},{bearing_deg:.1}]")
    };
    let points: Vec<_> = fixes.iter().map(row).collect();
    format!(r#"{{"t":"tel","n":{n},"pts":[{}]}}"#, points.join(","))
}

pub(super) fn ack(seq: u64) -> String {
    format!(r#"{{"t":"ack","seq":{seq}}}"#)
}

pub(super) fn ping(ts: u64) -> String {
    format!(r#"{{"t":"ping","ts":{ts}}}"#)
}

/// Answers a `ping` with its own `ts`.
pub(super) fn pong(ts: Option<&RawValue>) -> String {
    format!(r#"{{"t":"pong","ts":{}}}"#, ts.map_or("0", RawValue::get))
}

fn text<T: Serialize>(frame: &T) -> String {
    serde_json::to_string(frame).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_welcome_and_an_event_are_read() {
        let welcome = r#"{"t":"welcome","session":"s","now":"2026-11-22T01:26:03.512Z",
            "auth_ttl_s":840,"hb":{"idle_ms":15000,"active_ms":5000,"grace_ms":8000,
            "active_grace_ms":4000},"stream":{"id":"drv:1","epoch":"7c1e","seq":1047,
            "recovered":true},"limits":{"frame":16384},"snapshot":{"offers":[]}}"#;
        let frame: Down<'_> = serde_json::from_str(welcome).expect("a frame");
        let stream = frame.stream.expect("a stream");
        assert_eq!((stream.seq, stream.recovered), (1047, true));
        assert_eq!(frame.snapshot.expect("a snapshot").get(), r#"{"offers":[]}"#);
        let event = r#"{"t":"evt","seq":3,"id":"x","op":"offer.made",
            "key":"0193a1c0-0000-7000-8000-000000000001","ver":2,"prio":1,"d":{"a":1}}"#;
        let frame: Down<'_> = serde_json::from_str(event).expect("a frame");
        assert_eq!((frame.seq, frame.prio, frame.ver), (Some(3), Some(1), Some(2)));
    }

    #[test]
    fn frames_are_written_as_the_contract_says() {
        let at = StreamAt { id: "drv:1".into(), epoch: "7c".into(), seq: 9, recovered: true };
        let hello: Value = serde_json::from_str(&hello("tok", Uuid::nil(), Some(&at))).expect("J");
        assert_eq!(hello["auth"]["bearer"], "tok");
        assert_eq!(
            hello["resume"],
            serde_json::json!({"stream": "drv:1", "epoch": "7c", "seq": 9})
        );
        let place = Coordinates::new(-22.123_456_7, -43.0).expect("a place");
        let fix = Fix { at_ms: 5, place, accuracy_m: 8, speed_mps: 7.36, bearing_deg: 90.0 };
        let wanted = r#"{"t":"tel","n":1,"pts":[[5,-22.123457,-43.000000,8,7.4,90.0]]}"#;
        assert_eq!(telemetry(1, &[fix]), wanted);
        let command: Value =
            serde_json::from_str(&command(Uuid::nil(), "ride.request", None, &Value::Null))
                .expect("JSON");
        assert!(command.get("key").is_none(), "left out where there is no entity");
    }
}
