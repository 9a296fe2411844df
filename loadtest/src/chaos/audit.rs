//! The audit: everybody asks everything again, and the database is held against what was told.
//!
//! Told done: it is there, the same for ever. Told no: the same no. Told nothing: one answer, the
//! same for ever. Then every promise that the database alone can prove, and whether everybody is
//! free again.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use ibora::bots::Person;
use ibora::readmodel;
use ibora_domain::place::Coordinates;
use serde_json::json;
use sqlx::PgPool;
use uuid::Uuid;

use super::memory::{Asked, Told};
use super::people::dropoff;
use super::run::Run;
use super::wire::{self, Answer};
use crate::people;
use crate::report::say;
use crate::witness::{FAR, FIRST};

const AT_ONCE: usize = 16;
const ANSWERED_WITHIN: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// A ride that everybody wants to end is over within this time, and one is offered.
const ENDS_WITHIN: Duration = Duration::from_secs(45);
const OFFERED_WITHIN: Duration = Duration::from_secs(30);

/// Asks every command again, under its id; how many answers were compared. What differs is
/// remembered as a contradiction.
pub(super) async fn ask_again(run: &Run, base: &str) -> anyhow::Result<usize> {
    let mut asking = futures_util::stream::iter(run.memory.ids())
        .map(|id| ask_one_again(run, base, id))
        .buffer_unordered(AT_ONCE);
    let mut compared = 0;
    while let Some(one) = asking.next().await {
        compared += usize::from(one?);
    }
    Ok(compared)
}

/// Whether there was something to compare with.
async fn ask_one_again(run: &Run, base: &str, id: Uuid) -> anyhow::Result<bool> {
    let Some(asked) = run.memory.get(id) else { return Ok(false) };
    match asked.told {
        Told::Passing => return Ok(false),
        // Asked twice: whatever it is, it is one answer.
        Told::Nothing => run.memory.told(id, ask(base, id, &asked).await?),
        Told::Yes { .. } | Told::No(_) => {}
    }
    let before = run.memory.get(id).map(|asked| asked.told);
    let again = ask(base, id, &asked).await?;
    if !before.is_some_and(Told::is_kept) {
        return Ok(false);
    }
    if again.is_kept() {
        run.memory.told(id, again);
    } else {
        run.memory.contradicted(id, &asked, again);
    }
    Ok(true)
}

/// Asks until there is an answer.
async fn ask(base: &str, id: Uuid, asked: &Asked) -> anyhow::Result<Told> {
    let deadline = Instant::now() + ANSWERED_WITHIN;
    loop {
        match wire::by_rest(base, id, asked).await {
            Some(Answer::Told(told)) => return Ok(told),
            Some(Answer::Later(_)) | None => {}
        }
        anyhow::ensure!(Instant::now() < deadline, "{} {id} is never answered", asked.op);
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Waits until no ride is open; how many are when that takes too long.
pub(super) async fn rides_end(pool: &PgPool) -> anyhow::Result<Vec<(Uuid, String)>> {
    let deadline = Instant::now() + ENDS_WITHIN;
    loop {
        let open: Vec<(Uuid, String)> = sqlx::query_as(
            "SELECT id, status FROM rides WHERE active_passenger_id IS NOT NULL LIMIT 20",
        )
        .fetch_all(pool)
        .await?;
        if open.is_empty() || Instant::now() >= deadline {
            return Ok(open);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Ends what asking again has begun.
pub(super) async fn cancel_all(
    base: &str,
    passengers: &[Person],
    pool: &PgPool,
) -> anyhow::Result<()> {
    let open: Vec<(Uuid, Uuid)> = sqlx::query_as(
        "SELECT id, active_passenger_id FROM rides WHERE active_passenger_id IS NOT NULL",
    )
    .fetch_all(pool)
    .await?;
    for (ride, passenger) in open {
        let Some(person) = passengers.iter().find(|person| person.id == passenger) else {
            continue;
        };
        let cancel = command(person, "ride.cancel", Some(ride), json!({"reason": "other"}));
        ask(base, Uuid::now_v7(), &cancel).await?;
    }
    Ok(())
}

/// Whether every driver can still win a ride, and every passenger get one: nobody is reserved for
/// something that is over.
pub(super) async fn everybody_is_free(
    run: &Rc<Run>,
    base: &str,
    (drivers, passengers): (&[Person], &[Person]),
) -> anyhow::Result<()> {
    for round in drivers.chunks(passengers.len()) {
        let trying =
            round.iter().zip(passengers).enumerate().map(|(number, (driver, passenger))| {
                // Far from everybody else.
                let place = people::place(FIRST + number, FAR);
                async move {
                    let is_free = is_free(base, (driver, passenger), place?).await?;
                    if let Err(why) = is_free {
                        run.found("not_free", || {
                            format!("driver {}, passenger {}: {why}", driver.id, passenger.id)
                        });
                    }
                    anyhow::Ok(())
                }
            });
        for tried in futures_util::future::join_all(trying).await {
            tried?;
        }
    }
    Ok(())
}

async fn is_free(
    base: &str,
    (driver, passenger): (&Person, &Person),
    place: Coordinates,
) -> anyhow::Result<Result<(), String>> {
    let d = json!({"category": "economy", "location": place});
    ask(base, Uuid::now_v7(), &command(driver, "driver.online", Some(driver.id), d)).await?;
    let d = json!({"pickup": place, "dropoff": dropoff(place), "category": "economy",
        "payment_method": "pix"});
    let ride = match request(base, passenger, d).await? {
        Ok(ride) => ride,
        Err(why) => return Ok(Err(format!("no ride: {why}"))),
    };
    let deadline = Instant::now() + OFFERED_WITHIN;
    let won = loop {
        let accept = command(driver, "ride.accept", Some(ride), json!({}));
        match ask(base, Uuid::now_v7(), &accept).await? {
            Told::Yes { .. } => break Ok(()),
            told if Instant::now() >= deadline => break Err(format!("never his: {told:?}")),
            _ => tokio::time::sleep(LOOK_EVERY).await,
        }
    };
    let cancel = command(passenger, "ride.cancel", Some(ride), json!({"reason": "other"}));
    ask(base, Uuid::now_v7(), &cancel).await?;
    let me = Some(driver.id);
    ask(base, Uuid::now_v7(), &command(driver, "driver.offline", me, json!({}))).await?;
    Ok(won)
}

/// Requests a ride: its id, or why there is none.
async fn request(
    base: &str,
    passenger: &Person,
    d: serde_json::Value,
) -> anyhow::Result<Result<Uuid, String>> {
    let asked = command(passenger, "ride.request", None, d);
    let told = ask(base, Uuid::now_v7(), &asked).await?;
    if !matches!(told, Told::Yes { .. }) {
        return Ok(Err(format!("{told:?}")));
    }
    wire::active_ride(base, passenger).await.map(|ride| ride.ok_or_else(|| "it is gone".into()))
}

fn command(person: &Person, op: &'static str, key: Option<Uuid>, d: serde_json::Value) -> Asked {
    Asked { person: person.clone(), op, key, d, told: Told::Nothing }
}

/// Promises that the database breaks.
pub(super) async fn broken_promises(pool: &PgPool) -> anyhow::Result<u64> {
    let findings = readmodel::audit(pool, |_| {}).await?;
    for finding in findings.iter().filter(|finding| finding.violations > 0) {
        let id = finding.invariant.id();
        say(format!("BROKEN {id}: {} times, e.g. {:?}", finding.violations, finding.examples));
    }
    Ok(findings.iter().map(|finding| finding.violations).sum())
}

/// Steps that were acknowledged and are not in the database, and rides that two were told to have
/// won at once.
pub(super) async fn lost_steps(run: &Run, pool: &PgPool) -> anyhow::Result<(u64, u64)> {
    let rows: Vec<(Uuid, i64)> =
        sqlx::query_as("SELECT id, version FROM rides").fetch_all(pool).await?;
    let versions: HashMap<Uuid, u64> =
        rows.into_iter().map(|(id, version)| (id, version.unsigned_abs())).collect();
    let rows: Vec<(Uuid, i64, Uuid)> = sqlx::query_as(
        "SELECT entity_id, seq, (body::json -> 'driver' ->> 'id')::uuid FROM events
         WHERE kind = 'assigned'",
    )
    .fetch_all(pool)
    .await?;
    let mut assigned: HashMap<(Uuid, Uuid), u64> = HashMap::new();
    for (ride, seq, driver) in rows {
        let first = assigned.entry((ride, driver)).or_insert(u64::MAX);
        *first = (*first).min(seq.unsigned_abs());
    }
    let mut lost = 0;
    for op in ["ride.arrive", "ride.start", "ride.complete", "ride.cancel", "ride.accept"] {
        for (ride, _, version) in run.memory.done(op) {
            if versions.get(&ride).is_none_or(|stored| *stored < version) {
                say(format!("LOST: {op} of {ride}, version {version}"));
                lost += 1;
            }
        }
    }
    let (mut winners, mut twice): (HashMap<(Uuid, u64), Uuid>, HashSet<Uuid>) = Default::default();
    for (ride, driver, version) in run.memory.done("ride.accept") {
        if assigned.get(&(ride, driver)).is_none_or(|seq| *seq > version) {
            say(format!("LOST: {driver} did not win {ride} by version {version}"));
            lost += 1;
        }
        if *winners.entry((ride, version)).or_insert(driver) != driver {
            twice.insert(ride);
        }
    }
    Ok((lost, u64::try_from(twice.len())?))
}
