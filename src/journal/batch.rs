//! A batch as columns: what `journal_write` takes, one array a column, borrowed from the decisions.

use std::collections::{BTreeMap, HashMap};
use std::sync::LazyLock;

use ibora_domain::facts::{
    AttemptsRow, AuditRow, Decision, DriverRow, EventRow, ResultRow, RideRow, Row, StreamRow,
    Timer, WaveOffer, WaveRow,
};
use ibora_domain::ids::{DriverId, OfferId};
use ibora_domain::journal::Numbered;
use ibora_domain::units::{Metres, Seconds};
use serde::Serialize;
use time::OffsetDateTime;
use uuid::Uuid;

use super::credits::{Credits, OF_CREDITS};
use super::disputes::{Disputes, OF_DISPUTES};
use super::fence::Fence;
use super::money::Money;
use super::payments::{OF_PAYMENTS, Payments};
use super::payouts::{OF_PAYOUTS, Payouts};
use super::timestamp;

/// What `journal_write` takes, who writes included, and what `ledger_write` takes beside its slot.
const OF_JOURNAL: usize = 64;
const OF_LEDGER: usize = 14;
pub(super) const PARAMETERS: usize =
    OF_JOURNAL + OF_LEDGER + OF_PAYMENTS + OF_PAYOUTS + OF_DISPUTES + OF_CREDITS;

/// What is called beside `journal_write`, where a batch has rows for it: the function, what it
/// takes before its columns, and how many those are. The slot of the ledger is the lane, the third
/// parameter.
const BESIDE: [(&str, &str, usize); 5] = [
    ("ledger_write", "$3,", OF_LEDGER),
    ("payment_write", "", OF_PAYMENTS),
    ("payout_write", "", OF_PAYOUTS),
    ("dispute_write", "", OF_DISPUTES),
    ("credit_write", "", OF_CREDITS),
];

/// The SQL calls, by which of [`BESIDE`] a batch has rows for, a bit each. Parameters are numbered
/// in the order of [`Batch::bind`].
static CALLS: LazyLock<[String; 1 << BESIDE.len()]> =
    LazyLock::new(|| std::array::from_fn(call_of));

fn call_of(parts: usize) -> String {
    let journal = format!("journal_write({})", numbered(1, OF_JOURNAL));
    let mut next = OF_JOURNAL + 1;
    let mut beside = Vec::new();
    for (bit, (function, first, count)) in BESIDE.into_iter().enumerate() {
        if parts & 1 << bit != 0 {
            beside.push(format!("{function}({first}{})", numbered(next, count)));
            next += count;
        }
    }
    if beside.is_empty() {
        return format!("SELECT {journal}");
    }
    format!("SELECT CASE WHEN {journal} THEN {} ELSE false END", beside.join(" AND "))
}

fn numbered(first: usize, count: usize) -> String {
    (first..first + count).map(|number| format!("${number}")).collect::<Vec<_>>().join(",")
}

/// Bytes that the columns of a row take beside its text, at most.
const ROW_BYTES: usize = 200;

/// What an event has around an answer. `Records::answer` takes it away by its length.
const TOLD_BEFORE: &str = "{\"ride\":";
const TOLD_AFTER: &str = "}";

pub(super) type Query<'q> = sqlx::query::QueryScalar<
    'q,
    sqlx::Postgres,
    bool,
    <sqlx::Postgres as sqlx::Database>::Arguments,
>;

/// The columns of a batch.
#[derive(Default)]
pub(super) struct Batch<'a> {
    shards: BTreeMap<u16, i64>,
    events: Events<'a>,
    rides: HashMap<Uuid, (u16, &'a RideRow)>,
    ride_order: Vec<Uuid>,
    waves: Vec<(u16, &'a WaveRow, String)>,
    attempts: Vec<(u16, &'a AttemptsRow, String)>,
    drivers: HashMap<Uuid, (u16, &'a DriverRow)>,
    timers: HashMap<Uuid, (&'static str, u16, Timer)>,
    results: Vec<Answered<'a>>,
    streams: Vec<(i64, OffsetDateTime, &'a StreamRow)>,
    new_streams: &'a [(Uuid, String)],
    money: Money<'a>,
    payments: Payments<'a>,
    payouts: Payouts<'a>,
    disputes: Disputes<'a>,
    credits: Credits<'a>,
    audit: Vec<&'a AuditRow>,
}

/// A result, and the event that tells its asker the same, if one does.
struct Answered<'a> {
    at: OffsetDateTime,
    row: &'a ResultRow,
    told: Option<i64>,
}

#[derive(Default)]
struct Events<'a> {
    entity: Vec<Uuid>,
    shard: Vec<i16>,
    epoch: Vec<i64>,
    rows: Vec<&'a EventRow>,
}

impl<'a> Batch<'a> {
    /// Lays out `decisions`; `numbered` holds the `seq` of their stream rows, in their order.
    pub(super) fn new(
        decisions: impl Iterator<Item = &'a Decision>,
        numbered: &'a Numbered,
        fence: &Fence,
    ) -> Self {
        let mut batch = Self { new_streams: &numbered.new_streams, ..Self::default() };
        let mut seqs = numbered.seqs.iter();
        for decision in decisions {
            batch.add(decision, &mut seqs, fence);
        }
        batch
    }

    fn add(
        &mut self,
        decision: &'a Decision,
        seqs: &mut impl Iterator<Item = &'a i64>,
        fence: &Fence,
    ) {
        let shard = decision.entity.shard().number();
        let epoch = fence.epoch(shard);
        let id = decision.entity.id();
        let at = timestamp(decision.at);
        self.shards.insert(shard, epoch);
        for event in &decision.events {
            self.events.entity.push(id);
            self.events.shard.push(column(shard));
            self.events.epoch.push(epoch);
            self.events.rows.push(event);
        }
        for row in &decision.rows {
            match row {
                // Two decisions on one ride in a batch: the later row is the one to keep.
                Row::Ride(row) => {
                    if self.rides.insert(row.id.0, (shard, row)).is_none() {
                        self.ride_order.push(row.id.0);
                    }
                }
                Row::Wave(row) => self.waves.push((shard, row, wave_json(row))),
                Row::Attempts(row) => self.attempts.push((shard, row, attempts_json(row))),
                Row::Driver(row) => {
                    self.drivers.insert(row.id.0, (shard, row));
                }
                Row::Payment(_)
                | Row::Charge(_)
                | Row::Receipt(_)
                | Row::Refund(_)
                | Row::Hold(_)
                | Row::Held(_)
                | Row::Payout(_)
                | Row::Dispute(_)
                | Row::Evidence(_)
                | Row::Credit(_)
                | Row::CreditUse(_) => {}
            }
        }
        if let Some(timer) = decision.timer {
            self.timers.insert(id, (decision.entity.kind().as_str(), shard, timer));
        }
        let first = self.streams.len();
        for (row, seq) in decision.streams.iter().zip(seqs) {
            self.streams.push((*seq, at, row));
        }
        let told = &self.streams[first..];
        let tells = |result: &ResultRow| {
            told.iter().find(|(_, _, row)| tells(row, result)).map(|(seq, _, _)| *seq)
        };
        let answered = |row| Answered { at, row, told: tells(row) };
        self.results.extend(decision.results.iter().map(answered));
        self.money.add(&decision.money, column(shard));
        self.payments.add(decision);
        self.payouts.add(decision);
        self.disputes.add(decision);
        self.credits.add(decision);
        self.audit.extend(&decision.audit);
    }

    /// How much all columns take as they are sent, at most.
    pub(super) fn bytes(&self) -> usize {
        let events = self.events.rows.iter().map(|event| event.body.len());
        let rides = self.rides.values().map(|(_, row)| row.state.len());
        let waves = self.waves.iter().map(|(_, _, json)| json.len());
        let attempts = self.attempts.iter().map(|(_, _, json)| json.len());
        let result = |answered: &Answered<'_>| {
            let body = answered.row.answer.as_ref().map_or(0, |done| done.body.len());
            body + answered.row.key.id.len()
        };
        let results = self.results.iter().map(result);
        let streams = self.streams.iter().map(|(_, _, row)| row.body.len());
        let others = self.drivers.len() + self.timers.len() + self.new_streams.len();
        let all = events.chain(rides).chain(waves).chain(attempts).chain(results).chain(streams);
        let text: usize = all.map(|text| text + ROW_BYTES).sum();
        let beside: usize = self.beside().iter().sum();
        let text = text + self.payments.bytes() + self.payouts.bytes() + self.disputes.bytes();
        text + (others + beside + PARAMETERS) * ROW_BYTES
    }

    /// What of the batch the call does not write: it is rare, and has a statement of its own.
    pub(super) fn audit(&self) -> &[&'a AuditRow] {
        &self.audit
    }

    /// The text of the call that takes these columns.
    pub(super) fn call(&self) -> &'static str {
        let parts = self.beside().map(|rows| usize::from(rows > 0));
        &CALLS[parts.iter().enumerate().map(|(bit, part)| part << bit).sum::<usize>()]
    }

    /// How many rows there are for each of [`BESIDE`].
    fn beside(&self) -> [usize; BESIDE.len()] {
        let Self { money, payments, payouts, disputes, credits, .. } = self;
        [money.rows(), payments.rows(), payouts.rows(), disputes.rows(), credits.rows()]
    }

    /// Binds the columns in the order of [`Batch::call`], after the six that say who writes.
    pub(super) fn bind(&self, query: Query<'a>) -> Query<'a> {
        let query = self.bind_events(query);
        let query = self.bind_rides(query);
        let query = self.bind_offers(query);
        let query = self.bind_drivers_and_timers(query);
        let query = self.bind_results(query);
        let query = self.bind_streams(query);
        let query = self.money.bind(query);
        let query = self.payments.bind(query);
        let query = self.payouts.bind(query);
        let query = self.disputes.bind(query);
        self.credits.bind(query)
    }

    /// The shards written for, with their epochs.
    pub(super) fn shards(&self) -> (Vec<i16>, Vec<i64>) {
        self.shards.iter().map(|(shard, epoch)| (column(*shard), *epoch)).unzip()
    }

    fn bind_events(&self, query: Query<'a>) -> Query<'a> {
        let rows = &self.events.rows;
        query
            .bind(self.events.entity.clone())
            .bind(each(rows, |event| signed(event.seq)))
            .bind(self.events.shard.clone())
            .bind(self.events.epoch.clone())
            .bind(each(rows, |event| event.kind))
            .bind(each(rows, |event| timestamp(event.at)))
            .bind(each(rows, |event| &*event.body))
    }

    fn bind_rides(&self, query: Query<'a>) -> Query<'a> {
        let rows: Vec<_> = self.ride_order.iter().filter_map(|id| self.rides.get(id)).collect();
        query
            .bind(each(&rows, |(_, row)| row.id.0))
            .bind(each(&rows, |(shard, _)| column(*shard)))
            .bind(each(&rows, |(_, row)| row.status.as_str()))
            .bind(each(&rows, |(_, row)| row.passenger.0))
            .bind(each(&rows, |(_, row)| row.driver.map(|driver| driver.0)))
            .bind(each(&rows, |(_, row)| row.category.as_str()))
            .bind(each(&rows, |(_, row)| signed(row.version)))
            .bind(each(&rows, |(_, row)| timestamp(row.requested_at)))
            .bind(each(&rows, |(_, row)| &*row.state))
    }

    fn bind_offers(&self, query: Query<'a>) -> Query<'a> {
        let (waves, attempts) = (&self.waves, &self.attempts);
        query
            .bind(each(waves, |(_, row, _)| row.ride.0))
            .bind(each(waves, |(shard, _, _)| column(*shard)))
            .bind(each(waves, |(_, row, _)| i16::from(row.search)))
            .bind(each(waves, |(_, row, _)| i32::from(row.wave)))
            .bind(each(waves, |(_, row, _)| timestamp(row.offered_at)))
            .bind(each(waves, |(_, row, _)| timestamp(row.expires_at)))
            .bind(each(waves, |(_, _, json)| json.clone()))
            .bind(each(attempts, |(_, row, _)| row.ride.0))
            .bind(each(attempts, |(shard, _, _)| column(*shard)))
            .bind(each(attempts, |_| Uuid::now_v7()))
            .bind(each(attempts, |(_, _, json)| json.clone()))
    }

    fn bind_drivers_and_timers(&self, query: Query<'a>) -> Query<'a> {
        let drivers: Vec<_> = self.drivers.values().collect();
        let due: Vec<_> = self
            .timers
            .iter()
            .filter_map(|(id, (kind, shard, timer))| match timer {
                Timer::Due(at) => Some((*id, *kind, column(*shard), timestamp(*at))),
                Timer::Off => None,
            })
            .collect();
        let off = self.timers.iter().filter(|(_, (_, _, timer))| *timer == Timer::Off);
        query
            .bind(each(&drivers, |(_, row)| row.id.0))
            .bind(each(&drivers, |(shard, _)| column(*shard)))
            .bind(each(&drivers, |(_, row)| row.online))
            .bind(each(&drivers, |(_, row)| {
                row.category.map(ibora_domain::category::Category::as_str)
            }))
            .bind(each(&drivers, |(_, row)| row.vehicle.map(|vehicle| vehicle.0)))
            .bind(each(&drivers, |(_, row)| signed(row.version)))
            .bind(each(&due, |(id, _, _, _)| *id))
            .bind(each(&due, |(_, kind, _, _)| *kind))
            .bind(each(&due, |(_, _, shard, _)| *shard))
            .bind(each(&due, |(_, _, _, at)| *at))
            .bind(off.map(|(id, _)| *id).collect::<Vec<_>>())
    }

    fn bind_results(&self, query: Query<'a>) -> Query<'a> {
        let rows = &self.results;
        let outcome = |row: &'a ResultRow| row.answer.as_ref().map_or_else(|r| r.code(), |_| "ok");
        let done = |row: &'a ResultRow| row.answer.as_ref().ok();
        let own_body = |answered: &Answered<'a>| {
            done(answered.row).filter(|_| answered.told.is_none()).map(|done| &*done.body)
        };
        query
            .bind(each(rows, |answered| answered.row.key.principal.0))
            .bind(each(rows, |answered| &*answered.row.key.id))
            .bind(each(rows, |answered| answered.row.owner))
            .bind(each(rows, |answered| answered.row.key.fingerprint))
            .bind(each(rows, |answered| outcome(answered.row)))
            .bind(each(rows, |answered| done(answered.row).map_or(0, |done| signed(done.version))))
            .bind(each(rows, own_body))
            .bind(each(rows, |answered| answered.told))
            .bind(each(rows, |answered| answered.at))
    }

    fn bind_streams(&self, query: Query<'a>) -> Query<'a> {
        let rows = &self.streams;
        query
            .bind(each(rows, |(_, _, row)| row.stream.user().0))
            .bind(each(rows, |(seq, _, _)| *seq))
            .bind(each(rows, |(_, _, row)| row.op))
            .bind(each(rows, |(_, _, row)| row.key))
            .bind(each(rows, |(_, _, row)| signed(row.version)))
            .bind(each(rows, |(_, _, row)| row.expires_at.map(timestamp)))
            .bind(each(rows, |(_, _, row)| row.urgent))
            .bind(each(rows, |(_, at, _)| *at))
            .bind(each(rows, |(_, _, row)| &*row.body))
            .bind(each(self.new_streams, |(user, _)| *user))
            .bind(each(self.new_streams, |(_, epoch)| epoch.as_str()))
    }
}

/// Whether the event `row` holds the answer of `result` for whoever asked: `{"ride":answer}`.
fn tells(row: &StreamRow, result: &ResultRow) -> bool {
    let Ok(done) = &result.answer else { return false };
    let inner = row.body.strip_prefix(TOLD_BEFORE).and_then(|rest| rest.strip_suffix(TOLD_AFTER));
    row.stream.user() == result.key.principal && inner == Some(&*done.body)
}

pub(super) fn each<'r, T, U>(rows: &'r [T], field: impl FnMut(&'r T) -> U) -> Vec<U> {
    rows.iter().map(field).collect()
}

pub(super) fn column(shard: u16) -> i16 {
    i16::try_from(shard).unwrap_or(i16::MAX)
}

pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// An offer of a wave, as `ride_offer_lines` reads it.
#[derive(Serialize)]
struct OfferLine {
    id: OfferId,
    driver: DriverId,
    distance_m: Metres,
    eta_s: Seconds,
}

/// An attempt, as `ride_accept_attempt_lines` reads it.
#[derive(Serialize)]
struct AttemptLine<'a> {
    driver: DriverId,
    outcome: &'static str,
    at: i64,
    latency_ms: u64,
    command: Option<&'a str>,
    fingerprint: Option<i64>,
}

fn wave_json(row: &WaveRow) -> String {
    let line = |offer: &WaveOffer| OfferLine {
        id: offer.id,
        driver: offer.driver,
        distance_m: offer.distance,
        eta_s: offer.eta,
    };
    let lines: Vec<OfferLine> = row.offers.iter().map(line).collect();
    serde_json::to_string(&lines).unwrap_or_default()
}

fn attempts_json(row: &AttemptsRow) -> String {
    let lines = row.attempts.iter().map(|attempt| AttemptLine {
        driver: attempt.driver,
        outcome: attempt.outcome,
        at: attempt.at.0,
        latency_ms: attempt.latency.0,
        command: attempt.command.as_ref().map(|key| &*key.id),
        fingerprint: attempt.command.as_ref().map(|key| key.fingerprint),
    });
    let lines: Vec<AttemptLine<'_>> = lines.collect();
    serde_json::to_string(&lines).unwrap_or_default()
}
