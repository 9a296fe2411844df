//! Financial events as columns: what `ledger_write` takes.
//!
//! `batch` uses it, and `account_rows` for what is booked by hand. Who makes an event saw to it
//! that its postings sum to zero; the database checks it once more.

use ibora_domain::ledger::{FinancialEvent, Posting};
use sqlx::PgConnection;
use uuid::Uuid;

use super::batch::{Query, each};
use super::timestamp;

/// What is booked by hand is summed in a row of its own: no lane waits for it.
const BY_HAND: i16 = -1;

/// Books an event by one statement in the caller's transaction.
///
/// # Errors
/// What the database reports.
pub(super) async fn write(
    connection: &mut PgConnection,
    event: &FinancialEvent,
    shard: i16,
) -> Result<(), sqlx::Error> {
    let mut money = Money::default();
    money.add(std::slice::from_ref(event), shard);
    let call = "SELECT ledger_write($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12,$13,$14,$15)";
    let query = sqlx::query_scalar(call).bind(BY_HAND);
    money.bind(query).fetch_one(connection).await?;
    Ok(())
}

/// The financial events of a batch, in the order of its decisions.
#[derive(Default)]
pub(super) struct Money<'a> {
    events: Vec<(i16, &'a FinancialEvent)>,
    postings: Vec<Line>,
}

/// A posting and its place: which event of the batch, from 1, and which line of that, from 1.
struct Line {
    event: i32,
    line: i16,
    posting: Posting,
}

impl<'a> Money<'a> {
    /// Adds what a decision of an entity in `shard` does to the ledger.
    pub(super) fn add(&mut self, events: &'a [FinancialEvent], shard: i16) {
        for event in events {
            self.events.push((shard, event));
            let place = i32::try_from(self.events.len()).unwrap_or(i32::MAX);
            let lines = (1..).zip(event.postings());
            self.postings.extend(lines.map(|(line, posting)| Line {
                event: place,
                line,
                posting: *posting,
            }));
        }
    }

    /// Events and postings.
    pub(super) fn rows(&self) -> usize {
        self.events.len() + self.postings.len()
    }

    /// Binds the columns after those of `journal_write`, where there is anything to bind.
    pub(super) fn bind(&self, query: Query<'a>) -> Query<'a> {
        if self.rows() == 0 {
            return query;
        }
        let (events, postings) = (&self.events, &self.postings);
        let lines =
            |event: &FinancialEvent| i16::try_from(event.postings().len()).unwrap_or(i16::MAX);
        let code = |line: &Line| i16::try_from(line.posting.account.code()).unwrap_or(i16::MAX);
        query
            // Ids in the order of events, for an index that grows at its end.
            .bind(each(events, |_| Uuid::now_v7()))
            .bind(each(events, |(_, event)| &**event.key()))
            .bind(each(events, |(_, event)| event.kind()))
            .bind(each(events, |(_, event)| event.subject().kind()))
            .bind(each(events, |(_, event)| event.subject().id()))
            .bind(each(events, |(shard, _)| *shard))
            .bind(each(events, |(_, event)| event.reverses().map(|key| &**key)))
            .bind(each(events, |(_, event)| lines(event)))
            .bind(each(events, |(_, event)| timestamp(event.at())))
            .bind(each(postings, |line| line.event))
            .bind(each(postings, |line| line.line))
            .bind(each(postings, code))
            .bind(each(postings, |line| line.posting.account.owner()))
            .bind(each(postings, |line| line.posting.amount.0))
    }
}
