//! A durable event as the public contract shows it: the same over a session and over the long poll.

use std::fmt::Write;

use ibora_domain::facts::{StreamId, StreamRow};
use uuid::{Builder, Uuid};

/// Room for what stands around a body.
const AROUND: usize = 192;

/// The `evt` frame of an event.
#[must_use]
pub fn event_json(seq: u64, row: &StreamRow) -> String {
    let mut text = String::with_capacity(row.body.len() + AROUND);
    let id = event_id(row.stream, seq);
    let (op, key, ver, prio) = (row.op, row.key, row.version, u8::from(row.urgent));
    // Writing into a string cannot fail.
    let _ = write!(
        text,
        r#"{{"t":"evt","seq":{seq},"id":"{id}","op":"{op}","key":"{key}","ver":{ver},"prio":{prio}"#
    );
    if let Some(at) = row.expires_at {
        let _ = write!(text, r#","exp":"{at}""#);
    }
    let _ = write!(text, r#","d":{}}}"#, &*row.body);
    text
}

/// The id of an event: the same whenever and to whichever device it is sent.
fn event_id(stream: StreamId, seq: u64) -> Uuid {
    let mixed = stream.user().0.as_u128() ^ u128::from(seq);
    Builder::from_custom_bytes(mixed.to_be_bytes()).into_uuid()
}
