//! Frames that go out. Bodies are JSON already and are put in as they are.

use std::fmt::Write;

use ibora_domain::facts::{Answer, Done, StreamId, StreamRow};
use ibora_domain::field::FieldError;
use ibora_domain::ids::RideId;
use ibora_domain::machines::Ephemeral;
use ibora_domain::refusal::Refusal;
use ibora_domain::ride::Status;
use ibora_domain::units::UnixMillis;
use serde::Deserialize;
use serde_json::value::RawValue;
use uuid::Uuid;

use super::frames::{Cmd, Fault};
use crate::actors::event_json;

/// Room for what stands around a body.
const AROUND: usize = 192;
/// Room for a fault of a field.
const A_FAULT: usize = 128;
/// When something that may succeed is worth asking again.
const AGAIN_MS: u64 = 1000;
/// When a command that is still running is worth asking after.
const STILL_RUNNING_MS: u64 = 250;

/// The types of frames that go out, for the metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Welcome,
    Res,
    Err,
    Evt,
    Eph,
    Tack,
    Pong,
    Auth,
    Drain,
    Sync,
}

impl Kind {
    pub(super) const ALL: [Self; 10] = [
        Self::Welcome,
        Self::Res,
        Self::Err,
        Self::Evt,
        Self::Eph,
        Self::Tack,
        Self::Pong,
        Self::Auth,
        Self::Drain,
        Self::Sync,
    ];

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Welcome => "welcome",
            Self::Res => "res",
            Self::Err => "err",
            Self::Evt => "evt",
            Self::Eph => "eph",
            Self::Tack => "tack",
            Self::Pong => "pong",
            Self::Auth => "auth",
            Self::Drain => "drain",
            Self::Sync => "sync",
        }
    }
}

/// What a frame says of the offers and the ride that its reader has open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    None,
    OfferOpen(RideId),
    OfferClosed(RideId),
    Ride { id: RideId, open: bool },
}

/// A frame on its way out.
#[derive(Debug, Clone)]
pub(super) struct Outgoing {
    pub(super) kind: Kind,
    pub(super) text: String,
    /// Of an event; 0 for all else.
    pub(super) seq: u64,
    pub(super) mark: Mark,
    pub(super) urgency: Urgency,
}

/// Whether a frame is sent again until it is acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Urgency {
    Once,
    /// Until then, in domain time, at the latest; `None`: for as long as the session lasts.
    UntilAcked(Option<UnixMillis>),
}

impl Outgoing {
    pub(super) const fn plain(kind: Kind, text: String) -> Self {
        Self { kind, text, seq: 0, mark: Mark::None, urgency: Urgency::Once }
    }
}

/// A durable event.
pub(super) fn event(seq: u64, row: &StreamRow) -> Outgoing {
    let urgency = match row.urgent {
        true => Urgency::UntilAcked(row.expires_at),
        false => Urgency::Once,
    };
    Outgoing { kind: Kind::Evt, text: event_json(seq, row), seq, mark: mark_of(row), urgency }
}

fn mark_of(row: &StreamRow) -> Mark {
    match row.op {
        "offer.made" => Mark::OfferOpen(RideId(row.key)),
        "offer.withdrawn" => Mark::OfferClosed(RideId(row.key)),
        "ride.updated" => {
            let ride = serde_json::from_str::<OfRide>(&row.body).map(|body| body.ride);
            ride.map_or(Mark::None, |ride| ride.mark(matches!(row.stream, StreamId::Driver(_))))
        }
        _ => Mark::None,
    }
}

#[derive(Deserialize)]
struct OfRide {
    ride: RideHead,
}

#[derive(Deserialize)]
struct RideHead {
    id: RideId,
    status: Status,
}

impl RideHead {
    /// A driver who gave a ride back reads that it is searching: it is not his any more.
    fn mark(&self, as_driver: bool) -> Mark {
        let open = if as_driver { self.status.has_driver() } else { !self.status.is_final() };
        Mark::Ride { id: self.id, open }
    }
}

/// What a ride's JSON says of its reader's activity; `None` for other JSON.
pub(super) fn mark_of_ride(json: &str, as_driver: bool) -> Mark {
    serde_json::from_str::<RideHead>(json).map_or(Mark::None, |ride| ride.mark(as_driver))
}

/// Something that is shown and forgotten.
pub(super) fn ephemeral(frame: &Ephemeral) -> Outgoing {
    let mut text = String::with_capacity(frame.body.len() + AROUND);
    let (op, key) = (frame.op, frame.key);
    put(&mut text, format_args!(r#"{{"t":"eph","op":"{op}","key":"{key}","d":{}}}"#, &*frame.body));
    Outgoing::plain(Kind::Eph, text)
}

/// The answer to a command.
pub(super) fn answer(cmd: &Cmd, as_driver: bool, answer: &Answer) -> Outgoing {
    let of_offer = matches!(cmd.op.as_str(), "ride.accept" | "ride.decline");
    let closed =
        cmd.key.filter(|_| of_offer).map_or(Mark::None, |id| Mark::OfferClosed(RideId(id)));
    match answer {
        Ok(done) => {
            let of_ride = match cmd.op.as_str() {
                "ride.estimate" => Mark::None,
                _ => mark_of_ride(&done.body, as_driver),
            };
            let mark = if of_ride == Mark::None { closed } else { of_ride };
            Outgoing { mark, ..Outgoing::plain(Kind::Res, result(&cmd.id, done)) }
        }
        Err(refusal) => {
            let mark = if refusal.is_result() { closed } else { Mark::None };
            let wait = match refusal {
                Refusal::Overloaded | Refusal::Unavailable | Refusal::NotOwner => Some(AGAIN_MS),
                Refusal::IdempotencyInProgress => Some(STILL_RUNNING_MS),
                _ => None,
            };
            Outgoing { mark, ..error(Some(&cmd.id), refusal.code(), wait) }
        }
    }
}

fn result(id: &str, done: &Done) -> String {
    let mut text = String::with_capacity(done.body.len() + AROUND);
    let body = if done.body.is_empty() { "null" } else { &done.body };
    let ver = done.version;
    put(&mut text, format_args!(r#"{{"t":"res","id":"{id}","ok":true,"ver":{ver},"d":{body}}}"#));
    text
}

/// A refusal; `wait_ms` where asking again may help.
pub(super) fn error(id: Option<&str>, code: &str, wait_ms: Option<u64>) -> Outgoing {
    let mut text = error_head(id, code, wait_ms, AROUND);
    text.push('}');
    Outgoing::plain(Kind::Err, text)
}

/// What was wrong with a frame, or with a command's fields.
pub(super) fn fault(id: Option<&str>, fault: &Fault) -> Outgoing {
    let Fault { code, errors } = fault;
    let mut text = error_head(id, code, None, AROUND + errors.len() * A_FAULT);
    if !errors.is_empty() {
        text.push_str(r#","d":{"errors":["#);
        for (at, FieldError { field, code, detail }) in errors.iter().enumerate() {
            text.push_str(if at == 0 { r#"{"field":"# } else { r#",{"field":"# });
            put_text(&mut text, field);
            text.push_str(r#","code":"#);
            put_text(&mut text, code);
            text.push_str(r#","detail":"#);
            put_text(&mut text, detail);
            text.push('}');
        }
        text.push_str("]}");
    }
    text.push('}');
    Outgoing::plain(Kind::Err, text)
}

/// All of an error but what else it may tell, and its last brace.
fn error_head(id: Option<&str>, code: &str, wait_ms: Option<u64>, room: usize) -> String {
    let mut text = String::with_capacity(room);
    text.push_str(r#"{"t":"err""#);
    if let Some(id) = id {
        put(&mut text, format_args!(r#","id":"{id}""#));
    }
    put(&mut text, format_args!(r#","code":"{code}","retry":{}"#, wait_ms.is_some()));
    if let Some(ms) = wait_ms {
        put(&mut text, format_args!(r#","retry_ms":{ms}"#));
    }
    text
}

/// A text as JSON. Ours need no escape, a name that a client made up may.
fn put_text(text: &mut String, value: &str) {
    let is_plain = |byte: u8| byte >= b' ' && byte != b'"' && byte != b'\\';
    if value.bytes().all(is_plain) {
        text.push('"');
        text.push_str(value);
        text.push('"');
    } else {
        put(text, format_args!("{}", serde_json::Value::from(value)));
    }
}

pub(super) fn tack(n: u64) -> Outgoing {
    Outgoing::plain(Kind::Tack, format!(r#"{{"t":"tack","n":{n}}}"#))
}

/// `ts` is JSON, as it came.
pub(super) fn pong(ts: Option<&str>) -> Outgoing {
    let text = match ts {
        Some(ts) => format!(r#"{{"t":"pong","ts":{ts}}}"#),
        None => r#"{"t":"pong"}"#.to_owned(),
    };
    Outgoing::plain(Kind::Pong, text)
}

pub(super) fn auth(ttl_s: u64) -> Outgoing {
    Outgoing::plain(Kind::Auth, format!(r#"{{"t":"auth","auth_ttl_s":{ttl_s}}}"#))
}

pub(super) fn drain(in_ms: u64) -> Outgoing {
    Outgoing::plain(Kind::Drain, format!(r#"{{"t":"drain","in_ms":{in_ms}}}"#))
}

/// The truth after a gap: the newest event in it is `seq` of the stream.
pub(super) fn sync(stream: StreamId, (epoch, seq): (&str, u64), snapshot: &RawValue) -> Outgoing {
    let mut text = String::with_capacity(snapshot.get().len() + AROUND);
    put(
        &mut text,
        format_args!(r#"{{"t":"sync","stream":{{"id":"{stream}","epoch":"{epoch}","seq":{seq}}},"#),
    );
    put(&mut text, format_args!(r#""snapshot":{snapshot}}}"#));
    Outgoing::plain(Kind::Sync, text)
}

/// What a session begins with.
#[derive(Debug)]
pub(super) struct Welcome<'a> {
    pub(super) session: Uuid,
    pub(super) now: UnixMillis,
    pub(super) auth_ttl_s: u64,
    pub(super) stream: StreamId,
    pub(super) epoch: &'a str,
    pub(super) seq: u64,
    /// Whether all events that the client missed follow.
    pub(super) recovered: bool,
    pub(super) snapshot: &'a RawValue,
}

impl Welcome<'_> {
    /// The frame; `rules` are the members that are the same for all sessions.
    pub(super) fn frame(&self, rules: &str) -> Outgoing {
        let Self { session, now, auth_ttl_s, stream, epoch, seq, recovered, snapshot } = self;
        let mut text = String::with_capacity(snapshot.get().len() + 2 * AROUND + rules.len());
        put(
            &mut text,
            format_args!(
                r#"{{"t":"welcome","session":"{session}","now":"{now}","auth_ttl_s":{auth_ttl_s},"#
            ),
        );
        put(
            &mut text,
            format_args!(r#"{rules},"stream":{{"id":"{stream}","epoch":"{epoch}","seq":{seq},"#),
        );
        put(&mut text, format_args!(r#""recovered":{recovered}}},"snapshot":{snapshot}}}"#));
        Outgoing::plain(Kind::Welcome, text)
    }
}

fn put(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    // A `String` takes all.
    text.write_fmt(arguments).ok();
}

#[cfg(test)]
mod tests {
    use ibora_domain::ids::{DriverId, PassengerId};
    use serde_json::{Value, json};

    use super::*;

    fn parsed(frame: &Outgoing) -> Value {
        serde_json::from_str(&frame.text).unwrap_or_else(|e| panic!("{e}: {}", frame.text))
    }

    fn row(op: &'static str, body: &str) -> StreamRow {
        StreamRow {
            stream: StreamId::Driver(DriverId(Uuid::from_u128(5))),
            op,
            key: Uuid::from_u128(9),
            version: 4,
            expires_at: None,
            urgent: true,
            body: body.into(),
        }
    }

    fn cmd(op: &str) -> Cmd {
        let key = Some(Uuid::from_u128(9));
        Cmd { id: "i".into(), op: op.into(), key, if_version: None, d: Value::Null }
    }

    #[test]
    fn an_event_has_the_fields_of_the_contract() {
        let at = Some(UnixMillis(0));
        let frame = event(7, &StreamRow { expires_at: at, ..row("offer.made", r#"{"a":1}"#) });
        let id = parsed(&frame)["id"].clone();
        let expected = json!({"t": "evt", "seq": 7, "id": id, "op": "offer.made", "prio": 1,
            "key": Uuid::from_u128(9), "ver": 4, "exp": "1970-01-01T00:00:00.000Z", "d": {"a": 1}});
        assert_eq!(parsed(&frame), expected);
        assert_eq!((frame.seq, frame.mark), (7, Mark::OfferOpen(RideId(Uuid::from_u128(9)))));
        assert_eq!(parsed(&event(7, &row("x", "{}"))).get("exp"), None);
        let other = event(8, &row("offer.made", "{}"));
        assert_ne!(parsed(&other)["id"], id);
        assert_eq!(other.urgency, Urgency::UntilAcked(None));
    }

    #[test]
    fn a_refusal_says_whether_to_ask_again() {
        let refused = |refusal| parsed(&answer(&cmd("ride.start"), true, &Err(refusal)));
        let lost = json!({"t": "err", "id": "i", "code": "ride_closed", "retry": false});
        assert_eq!(refused(Refusal::RideClosed), lost);
        let again = json!({"t": "err", "id": "i", "code": "unavailable", "retry": true,
            "retry_ms": 1000});
        assert_eq!(refused(Refusal::Unavailable), again);
        let wrong = parsed(&fault(None, &Fault::out_of_range("seq", "too high")));
        assert_eq!(wrong["d"]["errors"][0]["field"], "seq");
        assert_eq!(parsed(&error(None, "malformed", None)).get("id"), None);
    }

    #[test]
    fn all_that_is_wrong_is_told_whatever_its_names_are_made_of() {
        let error = |field: &str| FieldError::new(field.to_owned(), "unknown_field", "as it is");
        let names = ["pickup.lat", "a\"b", "a\\", "\n\u{1}", "é\u{1F697}", ""];
        let errors: Vec<_> = names.iter().map(|name| error(name)).collect();
        let expected = serde_json::to_value(&errors).expect("JSON");
        let id = "0192f0c1-7a00-7000-8000-000000000000";
        let told = parsed(&fault(Some(id), &Fault { code: "malformed", errors }));
        assert_eq!(told["d"], json!({"errors": expected}));
        assert_eq!((&told["id"], &told["retry"]), (&json!(id), &json!(false)));
        let told = parsed(&fault(None, &Fault::malformed()));
        assert_eq!(told, json!({"t": "err", "code": "malformed", "retry": false}));
    }

    #[test]
    fn marks_follow_offers_and_rides() {
        let ride = RideId(Uuid::from_u128(9));
        let body = |status| format!(r#"{{"id":"{ride}","status":"{status}","x":{{"status":1}}}}"#);
        let updated = |stream, status| {
            let body = format!(r#"{{"ride":{}}}"#, body(status));
            event(1, &StreamRow { stream, ..row("ride.updated", &body) }).mark
        };
        let driver = StreamId::Driver(DriverId(Uuid::from_u128(5)));
        let passenger = StreamId::Passenger(PassengerId(Uuid::from_u128(5)));
        let of = |open| Mark::Ride { id: ride, open };
        assert_eq!(updated(driver, "accepted"), of(true));
        assert_eq!(updated(driver, "searching"), of(false));
        assert_eq!(updated(passenger, "searching"), of(true));
        assert_eq!(updated(passenger, "completed"), of(false));
        assert_eq!(event(1, &row("offer.withdrawn", "{}")).mark, Mark::OfferClosed(ride));
        assert_eq!(event(1, &row("driver.updated", "{}")).mark, Mark::None);

        let done = |body: String| Ok(Done { version: 3, body: body.into() });
        let accept = cmd("ride.accept");
        assert_eq!(answer(&accept, true, &done(body("accepted"))).mark, of(true));
        assert_eq!(answer(&cmd("ride.cancel"), true, &done(body("searching"))).mark, of(false));
        let taken = answer(&accept, true, &Err(Refusal::RideAlreadyAssigned)).mark;
        assert_eq!(taken, Mark::OfferClosed(ride));
        assert_eq!(answer(&accept, true, &Err(Refusal::Overloaded)).mark, Mark::None);
        let res = parsed(&answer(&cmd("driver.offline"), true, &done(String::new())));
        assert_eq!(res, json!({"t": "res", "id": "i", "ok": true, "ver": 3, "d": null}));
    }

    #[test]
    fn small_frames_are_json() {
        assert_eq!(parsed(&tack(4)), json!({"t": "tack", "n": 4}));
        assert_eq!(parsed(&pong(Some("\"a\""))), json!({"t": "pong", "ts": "a"}));
        assert_eq!(parsed(&pong(None)), json!({"t": "pong"}));
        assert_eq!(parsed(&auth(840)), json!({"t": "auth", "auth_ttl_s": 840}));
        assert_eq!(parsed(&drain(50)), json!({"t": "drain", "in_ms": 50}));
        let body: std::sync::Arc<str> = r#"{"lat":1}"#.into();
        let to = ibora_domain::ids::UserId(Uuid::nil());
        let shown = ephemeral(&Ephemeral { to, op: "driver.position", key: Uuid::nil(), body });
        let expected =
            json!({"t": "eph", "op": "driver.position", "key": Uuid::nil(), "d": {"lat": 1}});
        assert_eq!(parsed(&shown), expected);
        let mut seen: Vec<_> = Kind::ALL.iter().map(|kind| kind.as_str()).collect();
        seen.dedup();
        assert_eq!(seen.len(), Kind::ALL.len());
    }
}
