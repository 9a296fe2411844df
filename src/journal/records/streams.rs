//! Reading back streams: events that a client missed and that memory no longer has.

use ibora_domain::facts::{STREAM_OPS, StreamId, StreamRow};
use time::OffsetDateTime;
use uuid::Uuid;

use super::super::{Published, moment};
use super::Records;

type EventRecord = (i64, String, Uuid, i64, Option<OffsetDateTime>, bool, String);

impl Records {
    /// The events of a person after number `after` up to `upto`, in order; `None` where not all are
    /// kept any more.
    ///
    /// # Errors
    /// Whatever the database reports.
    pub(in super::super) async fn events_between(
        &self,
        stream: StreamId,
        after: u64,
        upto: u64,
    ) -> Result<Option<Vec<Published>>, sqlx::Error> {
        let signed = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        let rows: Vec<EventRecord> = sqlx::query_as(
            "SELECT seq, op, key, version, expires_at, urgent, body FROM stream_events
             WHERE user_id = $1 AND seq > $2 AND seq <= $3 ORDER BY seq",
        )
        .bind(stream.user().0)
        .bind(signed(after))
        .bind(signed(upto))
        .fetch_all(self.read())
        .await?;
        let complete = u64::try_from(rows.len()) == Ok(upto - after);
        let events = rows.into_iter().map(|row| published(stream, row));
        // An op that this engine does not know was written by a newer one.
        Ok(events.collect::<Option<Vec<_>>>().filter(|_| complete))
    }
}

fn published(
    stream: StreamId,
    (seq, op, key, version, expires_at, urgent, body): EventRecord,
) -> Option<Published> {
    let op = STREAM_OPS.into_iter().find(|known| *known == op)?;
    let row = StreamRow {
        stream,
        op,
        key,
        version: u64::try_from(version).unwrap_or(0),
        expires_at: expires_at.map(moment),
        urgent,
        body: body.into(),
    };
    Some(Published { seq: u64::try_from(seq).unwrap_or(0), row })
}
