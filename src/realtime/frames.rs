//! Frames that come in: read strictly. An unknown type, an unknown field, a wrong type of value or
//! a missing field is a [`Fault`]; past this file every field is valid.

use ibora_domain::field::FieldError;
use secrecy::SecretString;
use serde_json::Value;
use uuid::{Uuid, Version};

use super::tel;
use crate::actors::Point;
use crate::actors::parse::{Form, JsonFault, Read, integer, json, raw_text, rows, text, uuid};

/// The version of the protocol that is spoken here.
const VERSION: i64 = 1;
/// Characters of a ping's `ts` as it was sent.
const TS_CHARS_MAX: usize = 64;

/// A frame of a session that was opened.
#[derive(Debug)]
pub(super) enum Inbound {
    Cmd(Box<Cmd>),
    Ack {
        seq: u64,
    },
    /// The positions are in the buffer that was handed in.
    Tel {
        n: u64,
    },
    /// `ts` as it was sent.
    Ping {
        ts: Option<String>,
    },
    Pong,
    Auth {
        bearer: SecretString,
    },
}

/// A command as sent.
#[derive(Debug)]
pub(super) struct Cmd {
    /// A UUIDv7, by its letters: the same text is the same key over REST.
    pub(super) id: String,
    pub(super) op: String,
    pub(super) key: Option<Uuid>,
    pub(super) if_version: Option<u64>,
    pub(super) d: Value,
}

/// The first frame.
#[derive(Debug)]
pub(super) struct Hello {
    pub(super) proof: Proof,
    /// `None`: a device like no other.
    pub(super) device: Option<Uuid>,
    pub(super) resume: Option<Resume>,
}

/// Where a client was when it lost its connection.
#[derive(Debug)]
pub(super) struct Resume {
    pub(super) stream: String,
    pub(super) epoch: String,
    /// The newest event that it has.
    pub(super) seq: u64,
}

/// How a client proves who it is.
#[derive(Debug)]
pub(super) enum Proof {
    Bearer(SecretString),
    Ticket(SecretString),
}

/// Why a first frame is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoHello {
    Malformed,
    /// Another version of the protocol; the rest of the frame may mean anything.
    Version,
}

/// What is wrong with a frame.
#[derive(Debug, PartialEq)]
pub(super) struct Fault {
    /// `malformed`, or `invalid` where only values are out of range.
    pub(super) code: &'static str,
    pub(super) errors: Vec<FieldError>,
}

impl Fault {
    pub(super) fn malformed() -> Self {
        Self { code: "malformed", errors: Vec::new() }
    }

    pub(super) fn out_of_range(field: &'static str, detail: &'static str) -> Self {
        Self::from(vec![FieldError::new(field, "out_of_range", detail)])
    }
}

impl From<Vec<FieldError>> for Fault {
    fn from(errors: Vec<FieldError>) -> Self {
        let only_values = errors.iter().all(|error| error.code == "out_of_range");
        Self { code: if only_values { "invalid" } else { "malformed" }, errors }
    }
}

impl From<JsonFault> for Fault {
    fn from(fault: JsonFault) -> Self {
        match fault {
            JsonFault::Malformed => Self::malformed(),
            JsonFault::Invalid(errors) => Self::from(errors),
        }
    }
}

/// Reads a frame of an opened session; the positions of a `tel` go into `points`.
///
/// # Errors
/// [`Fault`]; `points` may then hold anything.
pub(super) fn read(text: &str, points: &mut Vec<Point>) -> Result<Inbound, Fault> {
    if let Some(n) = tel::read(text, points) {
        return Ok(Inbound::Tel { n });
    }
    let mut value = json(text.as_bytes())?;
    let mut form = Form::of(&value);
    let Some(kind) = form.required("t", raw_text) else { return Err(Fault::malformed()) };
    let read = match kind.as_str() {
        "cmd" => cmd(form).map(|mut cmd| {
            cmd.d = value.get_mut("d").map(Value::take).unwrap_or_default();
            Inbound::Cmd(cmd)
        }),
        "ack" => {
            let seq = form.required("seq", natural);
            form.close(seq.map(|seq| Inbound::Ack { seq }))
        }
        "tel" => {
            let n = form.required("n", natural);
            let read = form.required("pts", rows);
            form.close(n.zip(read).map(|(n, read)| {
                *points = read;
                Inbound::Tel { n }
            }))
        }
        "ping" => {
            let ts = form.optional("ts", scalar);
            form.close(Some(Inbound::Ping { ts }))
        }
        "pong" => {
            form.optional("ts", scalar);
            form.close(Some(Inbound::Pong))
        }
        "auth" => {
            let bearer = form.required("bearer", secret);
            form.close(bearer.map(|bearer| Inbound::Auth { bearer }))
        }
        _ => return Err(Fault::malformed()),
    };
    Ok(read?)
}

/// Reads the first frame.
///
/// # Errors
/// [`NoHello`].
pub(super) fn hello(text: &str) -> Result<Hello, NoHello> {
    let value = json(text.as_bytes()).map_err(|_| NoHello::Malformed)?;
    if value.get("t").and_then(Value::as_str) != Some("hello") {
        return Err(NoHello::Malformed);
    }
    match value.get("v") {
        Some(version) if version.as_i64() == Some(VERSION) => {}
        Some(version) if version.is_number() => return Err(NoHello::Version),
        Some(_) | None => return Err(NoHello::Malformed),
    }
    let mut form = Form::of(&value);
    form.required("t", raw_text);
    form.required("v", integer(VERSION..=VERSION));
    let proof = form.required("auth", proof);
    let device = form.optional("device", uuid);
    form.optional("app", text_of_app);
    let resume = form.optional("resume", resume);
    form.close(proof.map(|proof| Hello { proof, device, resume })).map_err(|_| NoHello::Malformed)
}

/// A command but for its `d`.
fn cmd(mut form: Form<'_>) -> Read<Box<Cmd>> {
    let id = form.required("id", command_id);
    let op = form.required("op", text(1..=64));
    let key = form.optional("key", uuid);
    let if_version = form.optional("if", natural);
    // Read by whoever knows the op; only its place is judged here.
    form.optional("d", |_| Ok(()));
    form.close(id.zip(op).map(|(id, op)| Box::new(Cmd { id, op, key, if_version, d: Value::Null })))
}

fn command_id(value: &Value) -> Read<String> {
    let id = uuid(value)?;
    if id.get_version() != Some(Version::SortRand) {
        return Err(vec![FieldError::whole("invalid_format", "the id of a command is a UUIDv7")]);
    }
    raw_text(value)
}

fn proof(value: &Value) -> Read<Proof> {
    let mut form = Form::of(value);
    let bearer = form.optional("bearer", secret).map(Proof::Bearer);
    let ticket = form.optional("ticket", secret).map(Proof::Ticket);
    let one = bearer.is_some() != ticket.is_some();
    if !one {
        form.fault(FieldError::whole("required", "either a bearer or a ticket"));
    }
    form.close(bearer.or(ticket))
}

fn resume(value: &Value) -> Read<Resume> {
    let mut form = Form::of(value);
    let stream = form.required("stream", text(1..=64));
    let epoch = form.required("epoch", text(1..=64));
    let seq = form.required("seq", natural);
    let place = stream.zip(epoch).zip(seq);
    form.close(place.map(|((stream, epoch), seq)| Resume { stream, epoch, seq }))
}

fn text_of_app(value: &Value) -> Read<String> {
    text(1..=200)(value)
}

fn secret(value: &Value) -> Read<SecretString> {
    raw_text(value).map(SecretString::from)
}

fn natural(value: &Value) -> Read<u64> {
    integer(0..=i64::MAX)(value).map(i64::unsigned_abs)
}

/// A number or a short text, as it was sent.
fn scalar(value: &Value) -> Read<String> {
    let text = value.to_string();
    let plain = value.is_number() || value.is_string();
    if plain && text.len() <= TS_CHARS_MAX {
        return Ok(text);
    }
    Err(vec![FieldError::whole("wrong_type", "a number or a short text")])
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    const ID: &str = "0199a1b2-c3d4-7e5f-8a6b-7c8d9e0f1a2b";

    fn code(text: &str) -> &'static str {
        read(text, &mut Vec::new()).map_or_else(|fault| fault.code, |_| "ok")
    }

    #[test]
    fn frames_of_the_contract_are_read() {
        let cmd = format!(
            r#"{{"t":"cmd","id":"{ID}","op":"ride.accept","key":"{ID}","if":4,"d":{{"a":1}}}}"#
        );
        let Ok(Inbound::Cmd(cmd)) = read(&cmd, &mut Vec::new()) else { panic!("a command") };
        assert_eq!(
            (cmd.id.as_str(), cmd.op.as_str(), cmd.if_version),
            (ID, "ride.accept", Some(4))
        );
        assert_eq!(cmd.d["a"], 1);
        let Ok(Inbound::Ping { ts }) = read(r#"{"ts":"x\"y","t":"ping"}"#, &mut Vec::new()) else {
            panic!("a ping")
        };
        assert_eq!(ts.as_deref(), Some(r#""x\"y""#));
        let Ok(Inbound::Auth { bearer }) = read(r#"{"t":"auth","bearer":"b"}"#, &mut Vec::new())
        else {
            panic!("an auth")
        };
        assert_eq!(bearer.expose_secret(), "b");
        let mut points = Vec::new();
        let slow = r#"{"n":3,"t":"tel","pts":[[9,1,2],[5,3,4]]}"#;
        assert!(matches!(read(slow, &mut points), Ok(Inbound::Tel { n: 3 })));
        assert_eq!(points.last().map(|point| point.at.0), Some(9), "the newest is last");
        let short = [r#"{"t":"ack","seq":0}"#, r#"{"t":"pong","ts":1}"#, r#"{"t":"ping"}"#];
        assert_eq!(short.map(code), ["ok"; 3]);
    }

    #[test]
    fn what_is_no_frame_is_told_apart_from_what_is_out_of_range() {
        let malformed = [
            "",
            "[]",
            "null",
            r#"{"t":"#,
            r#"{"t":1}"#,
            r#"{"t":"nope"}"#,
            r#"{"t":"hello","v":1}"#,
            r#"{"t":"ack"}"#,
            r#"{"t":"ack","seq":"1"}"#,
            r#"{"t":"ack","seq":1,"x":2}"#,
            r#"{"t":"ack","seq":1,"seq":2}"#,
            r#"{"t":"ping","ts":{}}"#,
            r#"{"t":"cmd","id":"1","op":"ride.accept"}"#,
            r#"{"t":"cmd","id":"b9d7f6a2-5d1e-4c3b-9a8f-7e6d5c4b3a21","op":"ride.accept"}"#,
            r#"{"t":"tel","n":1,"pts":[[1,2,"3"]]}"#,
            r#"{"t":"auth"}"#,
        ];
        for text in malformed {
            assert_eq!(code(text), "malformed", "{text}");
        }
        let invalid = [
            r#"{"t":"tel","n":1,"pts":[[1,91,3]]}"#,
            r#"{"t":"tel","n":1,"pts":[]}"#,
            r#"{"t":"ack","seq":-1}"#,
            r#"{"t":"tel","n":1,"pts":[[1,1e999,3]]}"#,
        ];
        for text in invalid {
            assert_eq!(code(text), "invalid", "{text}");
        }
    }

    #[test]
    fn a_hello_is_judged_by_its_version_first() {
        let refused = |text: &str| hello(text).err();
        let good = r#"{"t":"hello","v":1,"auth":{"bearer":"b"},"app":"a/1",
            "resume":{"stream":"drv:x","epoch":"7c","seq":5}}"#;
        assert!(refused(good).is_none());
        assert!(refused(r#"{"t":"hello","v":1,"auth":{"ticket":"b"}}"#).is_none());
        let other = r#"{"t":"hello","v":2,"whatever":true}"#;
        assert_eq!(refused(other), Some(NoHello::Version));
        let bad = [
            r#"{"t":"ping","ts":1}"#,
            r#"{"t":"hello","auth":{"bearer":"b"}}"#,
            r#"{"t":"hello","v":"1","auth":{"bearer":"b"}}"#,
            r#"{"t":"hello","v":1}"#,
            r#"{"t":"hello","v":1,"auth":{}}"#,
            r#"{"t":"hello","v":1,"auth":{"bearer":"b","ticket":"t"}}"#,
            r#"{"t":"hello","v":1,"auth":{"bearer":"b"},"device":"phone"}"#,
            r#"{"t":"hello","v":1,"auth":{"bearer":"b"},"x":1}"#,
            r#"{"t":"hello","v":1,"auth":{"bearer":"b"},"resume":{"seq":1}}"#,
            "hello",
        ];
        for text in bad {
            assert_eq!(refused(text), Some(NoHello::Malformed), "{text}");
        }
    }

    #[test]
    fn no_secret_is_shown_by_debug() {
        let hello = hello(r#"{"t":"hello","v":1,"auth":{"bearer":"secret-token"}}"#).expect("one");
        assert!(!format!("{hello:?}").contains("secret-token"));
    }
}
