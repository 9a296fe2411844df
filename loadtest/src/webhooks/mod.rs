//! Callbacks of the Pix provider: how soon each is answered, and how soon what it tells is booked.
//!
//! The engine is a process of its own, reached over HTTP by the secret in the address; behind it is
//! the simulated provider, which it asks for each Pix before it books. Open loop: callbacks leave
//! on schedule, whatever the answers do. First at a rate at which each Pix is asked for by itself;
//! then at more than the provider may be asked, where its list says most of it and what waits is
//! shown.

mod caller;
mod prepared;

use std::collections::HashMap;
use std::time::{Duration, Instant};

use clap::Args;
use ibora::pix::simulator::{Credentials, Simulator, SimulatorOptions};
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::report::{self, Latencies, ratio, rounded, say};
use crate::served::{self, Served, Settings};
use caller::{Caller, Sent};
use prepared::Told;

/// How soon a callback is to be answered, and what it tells to be booked; 99 of 100.
const ANSWERED_WITHIN_MS: f64 = 100.0;
const BOOKED_WITHIN_MS: f64 = 2000.0;
/// What is told is booked within this time at the latest, or something is lost.
const BOOKED_AT_LAST: Duration = Duration::from_secs(240);
const LOOK_EVERY: Duration = Duration::from_millis(500);

const SECRET: &str = "a-secret-of-the-bench-that-nobody-else-knows";
const KEY: &str = "ibora@example.com";

#[derive(Args, Clone)]
pub(crate) struct Options {
    /// Callbacks a second where each Pix is asked for by itself.
    #[arg(long, default_value_t = 200)]
    booked_per_s: u32,
    /// Callbacks a second where answers are measured.
    #[arg(long, default_value_t = 1000)]
    answered_per_s: u32,
    /// Seconds of either.
    #[arg(long, default_value_t = 60)]
    seconds: u32,
}

/// A phase of the bench.
struct Phase {
    sent: Vec<Sent>,
    /// The most that waited to be booked.
    backlog_max: f64,
    /// Until all was booked, after the last was sent.
    drained: Duration,
    /// Questions to the provider: for single Pix, and for pages of its list.
    asked: [f64; 2],
}

/// Runs the bench.
pub(crate) async fn run(options: Options) -> anyhow::Result<Value> {
    say(format!("load average before: {}", report::load_average()));
    let dir = served::new_dir()?;
    let provider = Simulator::start(SimulatorOptions::new(dir.join("psp"))).await?;
    let settings = settings(&dir, &provider);
    served::say_settings(&settings);
    let booked = usize::try_from(options.booked_per_s * options.seconds)?;
    let answered = usize::try_from(options.answered_per_s * options.seconds)?;
    let told = prepared::prepare(&settings, &provider, booked + answered).await?;
    let engine = Served::start(settings).await?;
    let caller = Caller::new(&provider.control_url(), callbacks(&engine));
    let measured = measure((&engine, &caller), &options, told).await;
    engine.end().await?;
    provider.stop().await;
    measured
}

fn settings(dir: &std::path::Path, provider: &Simulator) -> Settings {
    let (certificates, known) = (provider.certificates(), Credentials::default());
    let path = |path: &std::path::Path| path.display().to_string();
    let mut settings = served::common(dir);
    let more = served::settings([
        ("pix.base_url", &provider.api_url()),
        ("pix.client_id", &known.client_id),
        ("pix.client_secret", &known.client_secret),
        ("pix.certificate", &path(&certificates.client.path)),
        ("pix.ca", &path(&certificates.ca)),
        ("pix.key", KEY),
        ("pix.webhook_secret", SECRET),
        // What is told is told by callbacks alone.
        ("pix.callback_within_ms", "3600000"),
        ("pix.janitor_every_ms", "3600000"),
    ]);
    settings.extend(more);
    settings
}

fn callbacks(engine: &Served) -> String {
    engine.url(&format!("/webhooks/efi/pix?hmac={SECRET}&ignorar="))
}

async fn measure(
    (engine, caller): (&Served, &Caller),
    options: &Options,
    mut told: Vec<Told>,
) -> anyhow::Result<Value> {
    let store = engine.store().await?;
    let count = usize::try_from(options.booked_per_s * options.seconds)?;
    let many = told.split_off(count.min(told.len()));
    let calm = phase((engine, caller), &store.pool, (options.booked_per_s, told)).await?;
    let storm = phase((engine, caller), &store.pool, (options.answered_per_s, many)).await?;
    let booked = calm.booked(&store.pool).await?;
    let booked_storm = storm.booked(&store.pool).await?;
    let findings = ibora::readmodel::audit(&store.pool, |_| {}).await?;
    let violations: u64 = findings.iter().map(|found| found.violations).sum();
    store.close().await?;
    let (answered, soon) = (storm.answered().percentiles(), booked.percentiles());
    let lost = calm.sent.len() + storm.sent.len()
        - usize::try_from(booked.count() + booked_storm.count())?;
    Ok(json!({
        "bench": "webhooks",
        "seconds": options.seconds,
        "answered": {
            "per_s": options.answered_per_s,
            "callbacks": storm.sent.len(),
            "refused": storm.refused(),
            "latency_ms": answered,
        },
        "booked": {
            "per_s": options.booked_per_s,
            "callbacks": calm.sent.len(),
            "refused": calm.refused(),
            "latency_ms": soon,
            "answered_ms": calm.answered().percentiles(),
            "asked_singly": calm.asked[0],
            "asked_in_pages": calm.asked[1],
            "backlog_max": calm.backlog_max,
        },
        "above": {
            "latency_ms": booked_storm.percentiles(),
            "asked_singly": storm.asked[0],
            "asked_in_pages": storm.asked[1],
            "backlog_max": storm.backlog_max,
            "drained_s": rounded(storm.drained.as_secs_f64(), 1),
        },
        "ratio": {
            "answered": ratio(ANSWERED_WITHIN_MS, answered.p99),
            "booked": ratio(BOOKED_WITHIN_MS, soon.p99),
        },
        "lost": lost,
        "violations": violations,
        "load_average": report::load_average(),
    }))
}

/// Sends callbacks at a rate, and waits until all is booked that they tell.
async fn phase(
    (engine, caller): (&Served, &Caller),
    pool: &PgPool,
    (per_s, told): (u32, Vec<Told>),
) -> anyhow::Result<Phase> {
    let (count, before) = (told.len(), booked_so_far(pool).await?);
    let asked = asked(engine).await?;
    let calling = actix_web::rt::spawn(caller.clone().call(per_s, told));
    let (mut backlog_max, mut ended): (f64, Option<Instant>) = (0.0, None);
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let waiting = engine.metric("ibora_pix_notices_waiting").await?;
        backlog_max = backlog_max.max(waiting);
        if !calling.is_finished() {
            continue;
        }
        let since = *ended.get_or_insert_with(Instant::now);
        let booked = booked_so_far(pool).await? - before;
        if booked >= count || since.elapsed() > BOOKED_AT_LAST {
            break;
        }
    }
    let drained = ended.map_or(Duration::ZERO, |ended| ended.elapsed());
    let sent = calling.await??;
    let now = self::asked(engine).await?;
    let phase = Phase { sent, backlog_max, drained, asked: [now[0] - asked[0], now[1] - asked[1]] };
    let answered = phase.answered().percentiles();
    say(format!(
        "  {per_s}/s: {count} told, {} refused, answered p50 {:.1} p99 {:.1} ms, \
         at most {backlog_max} waited, drained in {:.1} s, asked {:?}, load {}",
        phase.refused(),
        answered.p50,
        answered.p99,
        drained.as_secs_f64(),
        phase.asked,
        report::load_average()
    ));
    Ok(phase)
}

async fn asked(engine: &Served) -> anyhow::Result<[f64; 2]> {
    let calls = async |op| engine.metric(&format!("ibora_pix_calls_total{{op=\"{op}\"")).await;
    Ok([calls("pix_get").await?, calls("pix_list").await?])
}

async fn booked_so_far(pool: &PgPool) -> anyhow::Result<usize> {
    let count: i64 =
        sqlx::query_scalar("SELECT count(*) FROM pix_received").fetch_one(pool).await?;
    Ok(usize::try_from(count)?)
}

impl Phase {
    fn answered(&self) -> Latencies {
        let mut latencies = Latencies::new();
        self.sent.iter().for_each(|sent| latencies.record(sent.took));
        latencies
    }

    fn refused(&self) -> usize {
        self.sent.iter().filter(|sent| !sent.stored).count()
    }

    /// From when a callback was due to when what it tells was in the books, by one clock.
    async fn booked(&self, pool: &PgPool) -> anyhow::Result<Latencies> {
        let moments: Vec<(String, f64)> = sqlx::query_as(
            "SELECT substr(key, 5), extract(epoch FROM recorded_at)::float8
             FROM financial_events WHERE key LIKE 'pix:%'",
        )
        .fetch_all(pool)
        .await?;
        let moments: HashMap<_, _> = moments.into_iter().collect();
        let mut latencies = Latencies::new();
        for sent in &self.sent {
            let Some(at) = moments.get(sent.pix.as_str()) else { continue };
            latencies.record(Duration::from_secs_f64((at - sent.due_s).max(0.0)));
        }
        Ok(latencies)
    }
}
