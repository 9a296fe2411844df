//! The audit at the end: every promise in the database, and every answer that a bot was given
//! against what the database has.

use std::collections::HashMap;

use ibora::bots::{Promise, Promises, Told};
use ibora::readmodel;
use ibora_domain::invariants;
use serde_json::{Value, json};
use sqlx::PgPool;
use uuid::Uuid;

use crate::report::say;

/// What was found.
pub(super) struct Verdict {
    /// Rides won twice, by the bots' word or by the database's.
    pub(super) duplicates: u64,
    /// Answers that the database contradicts.
    pub(super) lost_acks: usize,
    /// Offers that the database has.
    pub(super) offers: i64,
    pub(super) details: Value,
}

pub(super) async fn judge(pool: &PgPool, promises: &Promises) -> anyhow::Result<Verdict> {
    let findings = readmodel::audit(pool, |checking| say(format!("checking {checking}"))).await?;
    for finding in findings.iter().filter(|finding| finding.violations > 0) {
        let id = finding.invariant.id();
        say(format!("BROKEN {id}: {} times, e.g. {:?}", finding.violations, finding.examples));
    }
    let of = |wanted| {
        let found = findings.iter().find(|finding| finding.invariant == wanted);
        found.map_or(0, |finding| finding.violations)
    };
    let violations: u64 = findings.iter().map(|finding| finding.violations).sum();
    let told = promises.told();
    let answers = contradicted(pool, &told).await?;
    let shown = rides_behind(pool, &promises.versions()).await?;
    let faults = promises.faults();
    let offers = sqlx::query_scalar("SELECT count(*) FROM ride_offer_lines").fetch_one(pool);
    Ok(Verdict {
        duplicates: of(invariants::RIDE_1) + u64::try_from(promises.duplicates().len())?,
        lost_acks: answers + shown,
        offers: offers.await?,
        details: json!({
            "promises_checked": findings.len(), "violations": violations,
            "answers_checked": told.len(), "answers_contradicted": answers,
            "rides_behind_what_was_shown": shown,
            "events_missing": faults.missing, "versions_backwards": faults.backwards,
            "streams_restarted": faults.restarted,
        }),
    })
}

/// Answers whose results the database has not, or has otherwise.
async fn contradicted(pool: &PgPool, told: &[Promise]) -> anyhow::Result<usize> {
    let rows: Vec<(Uuid, String, String, i64)> =
        sqlx::query_as("SELECT principal, id, outcome, version FROM command_results")
            .fetch_all(pool)
            .await?;
    let results: HashMap<(Uuid, String), (String, i64)> =
        rows.into_iter().map(|(who, id, how, version)| ((who, id), (how, version))).collect();
    let broken = |promise: &&Promise| {
        let result = results.get(&(promise.person, promise.command.to_string()));
        match (promise.told, result) {
            // A price is no change: nothing of it is kept.
            (Told::Yes { .. }, None) => promise.op != "ride.estimate",
            (Told::Yes { version }, Some((outcome, kept))) => {
                outcome != "ok" || u64::try_from(*kept) != Ok(version)
            }
            // Refused accepts are kept with the ride's attempts.
            (Told::No(_), None) => false,
            (Told::No(refusal), Some((outcome, _))) => *outcome != *refusal.code(),
        }
    };
    let broken: Vec<&Promise> = told.iter().filter(broken).collect();
    for promise in broken.iter().take(5) {
        say(format!("CONTRADICTED {promise:?}"));
    }
    Ok(broken.len())
}

/// Rides of which somebody was shown a later version than the database has.
async fn rides_behind(pool: &PgPool, shown: &HashMap<Uuid, u64>) -> anyhow::Result<usize> {
    let rows: Vec<(Uuid, i64)> =
        sqlx::query_as("SELECT id, version FROM rides").fetch_all(pool).await?;
    let behind = |(id, version): &&(Uuid, i64)| {
        shown.get(id).is_some_and(|seen| *seen > u64::try_from(*version).unwrap_or(0))
    };
    Ok(rows.iter().filter(behind).count())
}
