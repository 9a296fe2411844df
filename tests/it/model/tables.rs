//! PostgreSQL's side: the call as the journal makes it, and what the tables hold.

use std::collections::BTreeMap;
use std::sync::Arc;

use ibora_domain::category::Category;
use ibora_domain::facts::{
    AttemptsRow, DriverRow, ResultRow, RideRow, Row, StreamRow, Timer, WaveRow,
};
use ibora_domain::journal::seal_of;
use ibora_domain::ledger::FinancialEvent;
use ibora_domain::units::UnixMillis;
use ibora_sim::database::{Database, Fence, Owner, Write, Wrote};
use sqlx::{AssertSqlSafe, PgConnection, PgPool};
use time::OffsetDateTime;
use uuid::Uuid;

use super::disputes::OF_DISPUTES;
use super::money::{OF_CREDITS, OF_PAYMENTS, OF_PAYOUTS};

/// Arguments of `journal_write`, and of `ledger_write` beside its slot.
const OF_JOURNAL: usize = 64;
const OF_LEDGER: usize = 14;

/// The fence as PostgreSQL has it.
pub(super) async fn fence(pool: &PgPool, node: &str) -> Fence {
    let incarnation: i64 =
        sqlx::query_scalar("SELECT max(incarnation) FROM node_fence WHERE node = $1")
            .bind(node)
            .fetch_one(pool)
            .await
            .expect("a fence");
    let epochs = sqlx::query_scalar("SELECT epoch FROM shard_owner ORDER BY shard")
        .fetch_all(pool)
        .await
        .expect("epochs");
    Fence { node: Arc::from(node), incarnation, epochs }
}

/// The rows of a batch, as the journal lays them out.
#[derive(Default)]
struct Rows<'a> {
    shards: BTreeMap<i16, i64>,
    rides: Vec<&'a RideRow>,
    waves: Vec<&'a WaveRow>,
    attempts: Vec<&'a AttemptsRow>,
    drivers: BTreeMap<Uuid, &'a DriverRow>,
    timers: BTreeMap<Uuid, (&'static str, Timer)>,
    results: Vec<&'a ResultRow>,
    streams: Vec<&'a StreamRow>,
}

fn rows(write: &Write) -> Rows<'_> {
    let mut rows = Rows::default();
    for decision in &write.decisions {
        let shard = decision.entity.shard().number();
        rows.shards.insert(i16::try_from(shard).expect("small"), write.fence.epoch(shard));
        for row in &decision.rows {
            match row {
                Row::Ride(row) => match rows.rides.iter_mut().find(|known| known.id == row.id) {
                    Some(known) => *known = row,
                    None => rows.rides.push(row),
                },
                Row::Wave(row) => rows.waves.push(row),
                Row::Attempts(row) => rows.attempts.push(row),
                Row::Driver(row) => drop(rows.drivers.insert(row.id.0, row)),
                row => assert!(row.is_of_money(), "written nowhere: {row:?}"),
            }
        }
        if let Some(timer) = decision.timer {
            let kind = decision.entity.kind().as_str();
            rows.timers.insert(decision.entity.id(), (kind, timer));
        }
        rows.results.extend(&decision.results);
        rows.streams.extend(&decision.streams);
    }
    rows
}

pub(super) fn moment(at: UnixMillis) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(at.0) * 1_000_000).expect("a moment")
}

pub(super) fn shard_of(id: Uuid) -> i16 {
    i16::try_from(ibora_domain::ids::Shard::of(id).number()).expect("small")
}

pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).expect("small")
}

pub(super) fn each<T, U>(rows: &[T], field: impl FnMut(&T) -> U) -> Vec<U> {
    rows.iter().map(field).collect()
}

pub(super) type Query<'q> = sqlx::query::QueryScalar<
    'q,
    sqlx::Postgres,
    bool,
    <sqlx::Postgres as sqlx::Database>::Arguments,
>;

/// Calls `journal_write`, or seals the batch as the journal does, and says what that said.
pub(super) async fn call(pool: &PgPool, write: &Write) -> Wrote {
    let mut transaction = pool.begin().await.expect("begins");
    let said = journal_write(&mut transaction, write).await;
    let said = match said {
        Wrote::Written if write.seal => {
            let seal = Write { id: seal_of(write.id), ..write.clone() };
            journal_write(&mut transaction, &seal).await
        }
        Wrote::Already if write.seal && is_sealed(&mut transaction, write.id).await => {
            Wrote::Written
        }
        said => said,
    };
    transaction.commit().await.expect("commits, or takes all back");
    said
}

async fn is_sealed(connection: &mut PgConnection, batch: Uuid) -> bool {
    sqlx::query_scalar("SELECT EXISTS (SELECT FROM journal_batches WHERE id = $1)")
        .bind(seal_of(batch))
        .fetch_one(connection)
        .await
        .expect("says")
}

async fn journal_write(connection: &mut PgConnection, write: &Write) -> Wrote {
    let numbers = |range: std::ops::RangeInclusive<usize>| {
        range.map(|number| format!("${number}")).collect::<Vec<_>>().join(",")
    };
    let mut last = 0;
    let counts = [OF_JOURNAL, OF_LEDGER, OF_PAYMENTS, OF_PAYOUTS, OF_CREDITS, OF_DISPUTES];
    let [journal, ledger, payments, payouts, credits, disputes] = counts.map(|count| {
        last += count;
        numbers(last - count + 1..=last)
    });
    let call = format!(
        "SELECT CASE WHEN journal_write({journal}) THEN ledger_write($3,{ledger})
             AND payment_write({payments}) AND payout_write({payouts})
             AND dispute_write({disputes}) AND credit_write({credits}) ELSE false END"
    );
    let rows = rows(write);
    let query = sqlx::query_scalar(AssertSqlSafe(call))
        .bind(write.id)
        .bind(write.fence.node.to_string())
        .bind(i16::try_from(write.lane).expect("few"))
        .bind(write.fence.incarnation)
        .bind(rows.shards.keys().copied().collect::<Vec<_>>())
        .bind(rows.shards.values().copied().collect::<Vec<_>>());
    let query = bind_events(query, write);
    let query = bind_rides(query, &rows);
    let query = bind_drivers_and_timers(query, &rows);
    let query = bind_results(query, &rows);
    let query = bind_streams(query, &rows, write);
    let query = super::money::bind(bind_money(query, write), write);
    match super::disputes::bind(query, write).fetch_one(connection).await {
        Ok(true) => Wrote::Written,
        Ok(false) => Wrote::Already,
        Err(error) => refused(&error),
    }
}

fn refused(error: &sqlx::Error) -> Wrote {
    let database = error.as_database_error().expect("the database's own refusal");
    if database.code().as_deref() == Some("IB001") {
        return Wrote::Fenced;
    }
    let constraint = database.constraint().unwrap_or_else(|| panic!("{error}"));
    Wrote::Refused { constraint: Box::leak(constraint.to_owned().into_boxed_str()) }
}

fn bind_events<'q>(query: Query<'q>, write: &Write) -> Query<'q> {
    let decisions = write.decisions.iter();
    let events: Vec<_> = decisions
        .flat_map(|decision| decision.events.iter().map(|event| (decision.entity.id(), event)))
        .collect();
    query
        .bind(each(&events, |(id, _)| *id))
        .bind(each(&events, |(_, event)| signed(event.seq)))
        .bind(each(&events, |(id, _)| shard_of(*id)))
        .bind(each(&events, |(id, _)| {
            write.fence.epoch(ibora_domain::ids::Shard::of(*id).number())
        }))
        .bind(each(&events, |(_, event)| event.kind))
        .bind(each(&events, |(_, event)| moment(event.at)))
        .bind(each(&events, |(_, event)| event.body.to_string()))
}

fn bind_rides<'q>(query: Query<'q>, rows: &Rows<'_>) -> Query<'q> {
    let (rides, waves, attempts) = (&rows.rides, &rows.waves, &rows.attempts);
    query
        .bind(each(rides, |row| row.id.0))
        .bind(each(rides, |row| shard_of(row.id.0)))
        .bind(each(rides, |row| row.status.as_str()))
        .bind(each(rides, |row| row.passenger.0))
        .bind(each(rides, |row| row.driver.map(|driver| driver.0)))
        .bind(each(rides, |row| row.category.as_str()))
        .bind(each(rides, |row| signed(row.version)))
        .bind(each(rides, |row| moment(row.requested_at)))
        .bind(each(rides, |row| row.state.to_string()))
        .bind(each(waves, |row| row.ride.0))
        .bind(each(waves, |row| shard_of(row.ride.0)))
        .bind(each(waves, |row| i16::from(row.search)))
        .bind(each(waves, |row| i32::from(row.wave)))
        .bind(each(waves, |row| moment(row.offered_at)))
        .bind(each(waves, |row| moment(row.expires_at)))
        .bind(each(waves, |_| "[]"))
        .bind(each(attempts, |row| row.ride.0))
        .bind(each(attempts, |row| shard_of(row.ride.0)))
        .bind(each(attempts, |_| Uuid::now_v7()))
        .bind(each(attempts, |_| "[]"))
}

fn bind_drivers_and_timers<'q>(query: Query<'q>, rows: &Rows<'_>) -> Query<'q> {
    let drivers: Vec<_> = rows.drivers.values().copied().collect();
    let due = rows.timers.iter().filter_map(|(id, (kind, timer))| match timer {
        Timer::Due(at) => Some((*id, *kind, moment(*at))),
        Timer::Off => None,
    });
    let due: Vec<_> = due.collect();
    let off = rows.timers.iter().filter(|(_, (_, timer))| *timer == Timer::Off);
    query
        .bind(each(&drivers, |row| row.id.0))
        .bind(each(&drivers, |row| shard_of(row.id.0)))
        .bind(each(&drivers, |row| row.online))
        .bind(each(&drivers, |row| row.category.map(Category::as_str)))
        .bind(each(&drivers, |row| row.vehicle.map(|vehicle| vehicle.0)))
        .bind(each(&drivers, |row| signed(row.version)))
        .bind(each(&due, |(id, _, _)| *id))
        .bind(each(&due, |(_, kind, _)| *kind))
        .bind(each(&due, |(id, _, _)| shard_of(*id)))
        .bind(each(&due, |(_, _, at)| *at))
        .bind(off.map(|(id, _)| *id).collect::<Vec<_>>())
}

fn bind_results<'q>(query: Query<'q>, rows: &Rows<'_>) -> Query<'q> {
    let results = &rows.results;
    query
        .bind(each(results, |row| row.key.principal.0))
        .bind(each(results, |row| row.key.id.to_string()))
        .bind(each(results, |row| row.owner))
        .bind(each(results, |row| row.key.fingerprint))
        .bind(each(results, |row| row.answer.as_ref().map_or_else(|no| no.code(), |_| "ok")))
        .bind(each(results, |row| row.answer.as_ref().map_or(0, |done| signed(done.version))))
        .bind(each(results, |row| row.answer.as_ref().ok().map(|done| done.body.to_string())))
        .bind(each(results, |_| None::<i64>))
        .bind(each(results, |_| OffsetDateTime::UNIX_EPOCH))
}

fn bind_streams<'q>(query: Query<'q>, rows: &Rows<'_>, write: &Write) -> Query<'q> {
    let streams = &rows.streams;
    query
        .bind(each(streams, |row| row.stream.user().0))
        .bind(write.seqs.clone())
        .bind(each(streams, |row| row.op))
        .bind(each(streams, |row| row.key))
        .bind(each(streams, |row| signed(row.version)))
        .bind(each(streams, |row| row.expires_at.map(moment)))
        .bind(each(streams, |row| row.urgent))
        .bind(each(streams, |_| OffsetDateTime::UNIX_EPOCH))
        .bind(each(streams, |row| row.body.to_string()))
        .bind(each(&write.new_streams, |(user, _)| *user))
        .bind(each(&write.new_streams, |(_, epoch)| epoch.clone()))
}

fn bind_money<'q>(query: Query<'q>, write: &Write) -> Query<'q> {
    let events: Vec<_> = write.decisions.iter().flat_map(|decision| &decision.money).collect();
    let place = |place: usize| i32::try_from(place + 1).expect("few");
    let postings = events.iter().enumerate().flat_map(|(event, all)| {
        all.postings().iter().enumerate().map(move |(line, posting)| (place(event), line, posting))
    });
    let postings: Vec<_> = postings.collect();
    let small = |number: usize| i16::try_from(number).expect("small");
    query
        .bind(each(&events, |_| Uuid::now_v7()))
        .bind(each(&events, |event| event.key().to_string()))
        .bind(each(&events, |event| event.kind()))
        .bind(each(&events, |event| event.subject().kind()))
        .bind(each(&events, |event| event.subject().id()))
        .bind(each(&events, |_| 0_i16))
        .bind(each(&events, |event| event.reverses().map(std::string::ToString::to_string)))
        .bind(each(&events, |event| small(event.postings().len())))
        .bind(each(&events, |event| moment(event.at())))
        .bind(each(&postings, |(event, _, _)| *event))
        .bind(each(&postings, |(_, line, _)| small(line + 1)))
        .bind(each(&postings, |(_, _, posting)| small(usize::from(posting.account.code()))))
        .bind(each(&postings, |(_, _, posting)| posting.account.owner()))
        .bind(each(&postings, |(_, _, posting)| posting.amount.0))
}

/// Each table in a line a row, as both have them.
const TABLES: [(&str, &str); 15] = [
    ("events", "SELECT concat_ws(' ', entity_id, seq, epoch, kind, body) FROM events"),
    (
        "rides",
        "SELECT concat_ws(' ', id, status, passenger_id, driver_id, version, state, chained)
         FROM rides",
    ),
    ("waves", "SELECT concat_ws(' ', ride_id, search, wave) FROM ride_offers"),
    ("attempts", "SELECT ride_id::text FROM ride_accept_attempts"),
    ("drivers", "SELECT concat_ws(' ', id, online, version) FROM driver_states"),
    (
        "timers",
        "SELECT concat_ws(' ', entity_id, (extract(epoch FROM due_at) * 1000)::bigint) FROM timers",
    ),
    (
        "results",
        "SELECT concat_ws(' ', principal, id, owner, fingerprint, outcome) FROM command_results",
    ),
    ("leases", "SELECT concat_ws(' ', node, incarnation) FROM node_lease"),
    ("fences", "SELECT concat_ws(' ', node, lane, incarnation) FROM node_fence"),
    ("shards", "SELECT concat_ws(' ', shard, epoch, node) FROM shard_owner"),
    ("streams", "SELECT concat_ws(' ', user_id, epoch) FROM streams"),
    ("stream events", "SELECT concat_ws(' ', user_id, seq, op, key) FROM stream_events"),
    ("money", "SELECT concat_ws(' ', key, kind, lines, reverses) FROM financial_events"),
    (
        "postings",
        "SELECT concat_ws(' ', f.key, e.line, e.code, e.owner, e.amount) FROM ledger_entries e
         JOIN financial_events f ON f.id = e.event_id",
    ),
    (
        "balances",
        "SELECT concat_ws(' ', code, owner, sum(balance), sum(version))
         FROM ledger_running_balances GROUP BY code, owner",
    ),
];

/// Both hold the same.
pub(super) async fn agree(pool: &PgPool, model: &Database, seed: u64) {
    for (name, query) in TABLES.into_iter().chain(super::money::TABLES) {
        same(pool, (name, query), lines(model, name), seed).await;
    }
    for (name, query) in super::disputes::TABLES {
        same(pool, (name, query), super::disputes::lines(model, name), seed).await;
    }
}

async fn same(
    pool: &PgPool,
    (name, query): (&str, &'static str),
    mut modelled: Vec<String>,
    seed: u64,
) {
    let mut truth: Vec<String> = sqlx::query_scalar(query).fetch_all(pool).await.expect("a table");
    truth.sort_unstable();
    modelled.sort_unstable();
    assert_eq!(modelled, truth, "history {seed}: {name}");
}

fn lines(model: &Database, table: &str) -> Vec<String> {
    let flag = |is: bool| if is { "t" } else { "f" };
    match table {
        "events" => {
            let all = model.events.iter().flat_map(|(id, all)| all.iter().map(move |e| (id, e)));
            all.map(|(id, e)| {
                format!("{id} {} {} {} {}", e.row.seq, e.epoch, e.row.kind, e.row.body)
            })
            .collect()
        }
        "rides" => {
            let rows = model.rides.values();
            rows.map(|row| format!("{} {}", ride_line(row), flag(row.chained))).collect()
        }
        "waves" => {
            let rows = model.waves.values().flatten();
            rows.map(|row| format!("{} {} {}", row.ride, row.search, row.wave)).collect()
        }
        "attempts" => model.attempts.values().flatten().map(|row| row.ride.to_string()).collect(),
        "drivers" => {
            let rows = model.drivers.values();
            rows.map(|row| format!("{} {} {}", row.id, flag(row.online), row.version)).collect()
        }
        "timers" => model.timers.iter().map(|(id, (_, due))| format!("{id} {}", due.0)).collect(),
        "results" => {
            let rows = model.results.iter();
            rows.map(|((principal, id), rec)| {
                let outcome = rec.answer.as_ref().map_or_else(|no| no.code(), |_| "ok");
                format!("{principal} {id} {} {} {outcome}", rec.owner, rec.fingerprint)
            })
            .collect()
        }
        "money" => model.ledger.events.values().map(money_line).collect(),
        "postings" => {
            let all = model.ledger.events.values().flat_map(|event| {
                (1..).zip(event.postings()).map(move |(line, posting)| (event.key(), line, posting))
            });
            all.map(|(key, line, posting)| {
                let (account, amount) = (posting.account, posting.amount.0);
                format!("{key} {line} {} {} {amount}", account.code(), account.owner())
            })
            .collect()
        }
        "balances" => {
            let rows = model.ledger.balances.iter();
            rows.map(|(account, (balance, lines))| {
                format!("{} {} {balance} {lines}", account.code(), account.owner())
            })
            .collect()
        }
        "leases" => {
            let rows = model.leases.iter();
            rows.map(|(node, row)| format!("{node} {}", row.incarnation)).collect()
        }
        "fences" => {
            let rows = model.fences.iter();
            rows.map(|((node, lane), incarnation)| format!("{node} {lane} {incarnation}")).collect()
        }
        "shards" => model.shards.iter().enumerate().map(shard_line).collect(),
        name if super::money::TABLES.iter().any(|(table, _)| *table == name) => {
            super::money::lines(model, name)
        }
        "streams" => model.streams.iter().map(|(user, epoch)| format!("{user} {epoch}")).collect(),
        _ => {
            let rows = model.stream_events.iter();
            let rows = rows.flat_map(|(user, all)| all.iter().map(move |row| (user, row)));
            rows.map(|(user, (seq, row))| format!("{user} {seq} {} {}", row.op, row.key)).collect()
        }
    }
}

fn money_line(event: &FinancialEvent) -> String {
    let reverses = event.reverses().map(|key| format!(" {key}")).unwrap_or_default();
    format!("{} {} {}{reverses}", event.key(), event.kind(), event.postings().len())
}

fn shard_line((shard, owner): (usize, &Owner)) -> String {
    let node = owner.node.as_ref().map(|node| format!(" {node}")).unwrap_or_default();
    format!("{shard} {}{node}", owner.epoch)
}

fn ride_line(row: &RideRow) -> String {
    let driver = row.driver.map(|driver| format!("{driver} ")).unwrap_or_default();
    let (status, passenger) = (row.status.as_str(), row.passenger);
    format!("{} {status} {passenger} {driver}{} {}", row.id, row.version, row.state)
}
