//! What is booked, counted and audited: by `ibora audit`'s own checks, all of money timed.

use std::time::{Duration, Instant};

use ibora::readmodel;
use ibora_domain::invariants::Invariant;
use sqlx::PgPool;

use crate::report::say;

/// What an audit found.
pub(super) struct Audited {
    pub(super) entries: u64,
    /// Financial events that do not sum to zero, or lack postings.
    pub(super) unbalanced: u64,
    /// Of all promises.
    pub(super) violations: u64,
    /// What the checks of money took.
    pub(super) took: Duration,
}

impl Audited {
    pub(super) fn s_per_million(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "some millions")]
        let millions = self.entries.max(1) as f64 / 1e6;
        self.took.as_secs_f64() / millions
    }
}

/// Checks every promise, as `ibora audit` does.
pub(super) async fn audit(pool: &PgPool) -> anyhow::Result<Audited> {
    let entries = entries(pool).await?;
    let (mut took, mut since) = (Duration::ZERO, (Instant::now(), String::new()));
    let findings = readmodel::audit(pool, |checking| {
        let (began, checked) = std::mem::replace(&mut since, (Instant::now(), checking.to_owned()));
        if checked.starts_with("MONEY_") {
            say(format!("  {checked}: {:.2} s", began.elapsed().as_secs_f64()));
            took += began.elapsed();
        }
    })
    .await?;
    let of = |invariant| findings.iter().filter(move |found| found.invariant == invariant);
    Ok(Audited {
        entries,
        unbalanced: of(Invariant::Money1).map(|found| found.violations).sum(),
        violations: findings.iter().map(|found| found.violations).sum(),
        took,
    })
}

/// Postings so far.
pub(super) async fn entries(pool: &PgPool) -> anyhow::Result<u64> {
    count(pool, "SELECT count(*) FROM ledger_postings").await
}

/// Financial events so far.
pub(super) async fn journals(pool: &PgPool) -> anyhow::Result<u64> {
    count(pool, "SELECT count(*) FROM financial_events").await
}

async fn count(pool: &PgPool, statement: &'static str) -> anyhow::Result<u64> {
    let count: i64 = sqlx::query_scalar(statement).fetch_one(pool).await?;
    Ok(u64::try_from(count)?)
}
