//! Every metric of the engine: name, type, labels, buckets and meaning in one table.
//!
//! Any room may hold an `Arc<Metrics>` and move its fields. One registry an engine, so that several
//! engines in one test process never mix. Labels are enums and route patterns, never ids or
//! anything a client chose. `docs/metrics.md` is this table for people; a test compares them.

use std::future::Future;
use std::sync::Arc;

use ibora_domain::invariants::Invariant;
use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry, TextEncoder,
};

/// What a metric's samples mean to a query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// One line of the table: a metric as documents and dashboards know it.
#[derive(Debug, Clone, Copy)]
pub struct Described {
    pub name: &'static str,
    pub kind: Kind,
    pub labels: &'static [&'static str],
    pub meaning: &'static str,
    /// Upper bounds; empty for what is no histogram.
    pub buckets: &'static [f64],
}

/// A search for a driver, in seconds. Fixed by the source plans.
const ACCEPT_S: &[f64] = &[0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0];
/// Length of a ride, in minutes. Fixed by the source plans.
const RIDE_MIN: &[f64] = &[5.0, 10.0, 15.0, 20.0, 30.0, 45.0, 60.0, 90.0, 120.0];
/// Requests: 0.2, 0.5 and 1.0 are bounds because the latency targets read them.
const REQUEST_S: &[f64] =
    &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1.0, 2.5, 5.0, 10.0];
/// Work inside the engine: from tens of microseconds to a stuck disk.
const INNER_S: &[f64] = &[
    0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0,
    5.0,
];
/// Decisions in a commit: doubling up to past the default `journal.batch_max`.
const BATCH: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0];

/// A type of the client library that can be made from a line of the table.
trait Made: Sized {
    const KIND: Kind;
    fn made(line: &Described) -> prometheus::Result<Self>;
}

macro_rules! made {
    ($($type:ty, $kind:ident, |$line:ident| $make:expr;)*) => {$(
        impl Made for $type {
            const KIND: Kind = Kind::$kind;
            fn made($line: &Described) -> prometheus::Result<Self> {
                $make
            }
        }
    )*};
}

made! {
    IntCounter, Counter, |line| Self::new(line.name, line.meaning);
    IntCounterVec, Counter, |line| Self::new(Opts::new(line.name, line.meaning), line.labels);
    IntGauge, Gauge, |line| Self::new(line.name, line.meaning);
    IntGaugeVec, Gauge, |line| Self::new(Opts::new(line.name, line.meaning), line.labels);
    Histogram, Histogram, |line| Self::with_opts(histogram_opts(line));
    HistogramVec, Histogram, |line| Self::new(histogram_opts(line), line.labels);
}

fn histogram_opts(line: &Described) -> HistogramOpts {
    HistogramOpts::new(line.name, line.meaning).buckets(line.buckets.to_vec())
}

macro_rules! metrics {
    ($($field:ident: $type:ty = $name:literal [$($label:literal),*] $($buckets:ident)?
        $meaning:literal;)*) => {
        /// The metrics of one engine. Fields are moved directly; labels in the order of the table.
        #[derive(Debug)]
        pub struct Metrics {
            registry: Registry,
            $(#[doc = $meaning] pub $field: $type,)*
        }

        impl Metrics {
            /// Every metric of this engine's own, in the order of the documents.
            pub const TABLE: &[Described] = &[$(Described {
                name: $name,
                kind: <$type as Made>::KIND,
                labels: &[$($label),*],
                meaning: $meaning,
                buckets: metrics!(@buckets $($buckets)?),
            }),*];

            fn registered(registry: Registry) -> prometheus::Result<Self> {
                let mut table = Self::TABLE.iter();
                $(let $field = register::<$type>(&registry, table.next())?;)*
                Ok(Self { registry, $($field),* })
            }
        }
    };
    (@buckets) => { &[] };
    (@buckets $buckets:ident) => { $buckets };
}

fn register<M>(registry: &Registry, line: Option<&Described>) -> prometheus::Result<M>
where
    M: Made + Clone + prometheus::core::Collector + 'static,
{
    let line = line.ok_or_else(|| prometheus::Error::Msg("a field without a line".to_owned()))?;
    let metric = M::made(line)?;
    registry.register(Box::new(metric.clone()))?;
    Ok(metric)
}

metrics! {
    rides_created: IntCounterVec = "rides_created_total" ["category"]
        "Rides created.";
    rides_completed: IntCounterVec = "rides_completed_total" ["category"]
        "Rides completed.";
    rides_canceled: IntCounterVec = "rides_canceled_total" ["canceled_by", "reason_category"]
        "Rides canceled.";
    rides_rated: IntCounterVec = "rides_rated_total" ["rated_by", "stars"]
        "Ratings given.";
    ride_accept_duration_seconds: Histogram = "ride_accept_duration_seconds" [] ACCEPT_S
        "Time from a ride's request to its acceptance.";
    ride_duration_minutes: HistogramVec = "ride_duration_minutes" ["category"] RIDE_MIN
        "Time from the start of a ride to its completion.";
    active_rides: IntGauge = "active_rides" []
        "Rides accepted, arriving, arrived or started.";
    drivers_online: IntGauge = "drivers_online" []
        "Drivers online.";
    drivers_available: IntGauge = "drivers_available" []
        "Drivers online and not on a ride.";
    http_requests: IntCounterVec = "http_requests_total" ["endpoint", "status"]
        "HTTP requests answered; endpoint is the route pattern.";
    http_request_duration_seconds: HistogramVec =
        "http_request_duration_seconds" ["endpoint"] REQUEST_S
        "Time from a request's head to its answer's head.";
    build_info: IntGaugeVec = "ibora_build_info" ["version"]
        "Always 1; the version that runs.";
    journal_batch_size: Histogram = "ibora_journal_batch_size" [] BATCH
        "Decisions in one commit.";
    journal_queue_wait_seconds: Histogram = "ibora_journal_queue_wait_seconds" [] INNER_S
        "Time a decision waited before its commit began.";
    journal_commit_seconds: Histogram = "ibora_journal_commit_seconds" [] INNER_S
        "Time one commit took, failed ones too.";
    journal_queue_depth: IntGauge = "ibora_journal_queue_depth" []
        "Decisions waiting for a commit.";
    db_reads: IntCounter = "ibora_db_reads_total" []
        "Statements that read the database for actors and sessions.";
    postgres_restarts: IntCounter = "ibora_postgres_restarts_total" []
        "Starts of the private PostgreSQL after it died under the engine.";
    journal_refused: IntCounterVec = "ibora_journal_refused_total" ["reason"]
        "Decisions that the journal did not record.";
    journal_owner: IntGauge = "ibora_journal_owner" []
        "1 while this engine has the shards, 0 while it stands by or leaves.";
    ride_transitions: IntCounterVec = "ibora_ride_transitions_total" ["from", "to"]
        "Recorded changes of a ride's status.";
    accept_attempts: IntCounterVec = "ibora_accept_attempts_total" ["outcome"]
        "Attempts of drivers to accept a ride.";
    dispatch_wave_seconds: Histogram = "ibora_dispatch_wave_seconds" [] INNER_S
        "Time to choose the drivers of one wave.";
    offers_made: IntCounter = "ibora_offers_made_total" []
        "Offers recorded.";
    dispatch_plans_refused: IntCounter = "ibora_dispatch_plans_refused_total" []
        "Plans of a dispatch policy that could not be carried out.";
    ws_sessions: IntGaugeVec = "ibora_ws_sessions" ["role"]
        "Open sessions.";
    ws_frames: IntCounterVec = "ibora_ws_frames_total" ["direction", "kind"]
        "Frames of sessions; kind is the frame's type.";
    ws_closed: IntCounterVec = "ibora_ws_closed_total" ["code"]
        "Sessions ended, by close code.";
    actors: IntGaugeVec = "ibora_actors" ["kind"]
        "Actors in memory.";
    actor_panics: IntCounterVec = "ibora_actor_panics_total" ["kind"]
        "Actors that died of a panic.";
    actor_activations: IntCounterVec = "ibora_actor_activations_total" ["kind"]
        "Actors built from the journal or made new.";
    mailbox_depth: IntGaugeVec = "ibora_mailbox_depth" ["actor"]
        "Messages admitted and not yet handled, over all actors of a kind.";
    positions: IntCounterVec = "ibora_positions_total" ["outcome"]
        "Positions of drivers received; `shed`: the ride was not told, for the journal is more \
         than half full.";
    ride_etas: IntCounterVec = "ibora_ride_etas_total" ["outcome"]
        "Ways of drivers to their passengers that a router was asked for; `shed`: too many waited \
         for a remote one.";
    commands: IntCounterVec = "ibora_commands_total" ["op", "outcome"]
        "Commands answered, over REST and sessions.";
    rate_limited: IntCounterVec = "ibora_rate_limited_total" ["limit"]
        "Requests, frames and logins refused by a limit.";
    login_failures: IntCounter = "ibora_login_failures_total" []
        "Logins refused for their credentials.";
    payouts: IntCounterVec = "ibora_payouts_total" ["event"]
        "What happened to payouts; `payout_set_aside`: nobody could learn its outcome in time, \
         look at it.";
    disputes: IntCounterVec = "ibora_disputes_total" ["event"]
        "What happened to what stands against drivers' shares: contested rides, banks' claims, \
         refunds that both bear.";
    payouts_wait: IntCounterVec = "ibora_payouts_wait_total" ["why"]
        "Times that the next payout could not go out: the provider has too little for us \
         (`short`), payouts are `stopped`, or neither is known.";
    payouts_mismatched: IntCounter = "ibora_payouts_mismatched_total" []
        "Times that the provider said of a payout what cannot be: another amount under our id, or \
         done after it was refused. Above 0: somebody has to look.";
    effects: IntCounterVec = "ibora_effects_total" ["effect", "outcome"]
        "Calls that actors wanted made to the Pix provider, by what came of them; `mismatched`: \
         somebody has to look.";
    pix_calls: IntCounterVec = "ibora_pix_calls_total" ["op", "outcome"]
        "Calls to the Pix provider by what came of them, each try for itself; `unclear`: it may \
         have been carried out.";
    pix_call_seconds: HistogramVec = "ibora_pix_call_seconds" ["op"] REQUEST_S
        "Time of one try of a call to the Pix provider, its wait for a turn too.";
    pix_retries: IntCounterVec = "ibora_pix_retries_total" ["op"]
        "Calls to the Pix provider that were repeated.";
    pix_breaker_open: IntGauge = "ibora_pix_breaker_open" []
        "1 from when the Pix provider is left alone for its failures to its next good answer.";
    pix_webhooks: IntCounterVec = "ibora_pix_webhooks_total" ["outcome"]
        "Callbacks of the Pix provider; `stranger`: neither secret nor certificate, `not_stored`: \
         the provider comes again.";
    pix_notices: IntCounterVec = "ibora_pix_notices_total" ["outcome"]
        "What the callbacks tell, piece by piece; `unreadable`: it makes no sense, and is kept.";
    pix_hints: IntCounterVec = "ibora_pix_hints_total" ["outcome"]
        "What became of what the Pix provider tells, each time that it was looked at; `forged`: \
         the provider itself knows nothing of it; alert above 0.";
    pix_notices_waiting: IntGaugeVec = "ibora_pix_notices_waiting" ["state"]
        "What the Pix provider tells and is not booked; `parked`: it is true, and nobody takes it.";
    pix_confirms_waiting: IntGauge = "ibora_pix_confirms_waiting" []
        "Pix that payments want confirmed; from 200 on the provider's list is read for them, and \
         from 512 on what it tells waits as `new` in ibora_pix_notices_waiting.";
    pix_webhook_registered: IntGauge = "ibora_pix_webhook_registered" []
        "1 once the Pix provider has taken our address for callbacks in this run.";
    webhooks_missed: IntCounterVec = "webhooks_missed_total" ["kind"]
        "What stands in the Pix provider's lists and no callback told in time.";
    pix_unfinished: IntGaugeVec = "ibora_pix_unfinished" ["what"]
        "Charges that expired ten minutes ago and refunds asked for an hour ago that have no end, \
         payouts of which nobody knows whether they were carried out, and claims of fraud that are \
         open.";
    pix_difference_centavos: IntGauge = "ibora_pix_difference_centavos" []
        "The provider's balance less the ledger's and what explains it, when last compared; not 0: \
         somebody has to look.";
    reconciliation_discrepancies: IntCounter = "reconciliation_discrepancies_total" []
        "Comparisons of the provider's balance with the ledger that did not agree; alert above 0.";
    invariant_violations: IntCounterVec = "ibora_invariant_violations_total" ["id"]
        "Broken promises of the engine; alert above 0.";
    invariant_broken: IntGaugeVec = "ibora_invariant_broken" ["id"]
        "How often the background audit last found a promise broken; it has looked at those that \
         are shown.";
    audit_look_seconds: Histogram = "ibora_audit_look_seconds" [] REQUEST_S
        "Time of one look of the background audit.";
    ledger_surplus_centavos: IntGauge = "ibora_ledger_surplus_centavos" []
        "Money at the provider beyond what clients are owed; below 0 the owner has to pay in.";
}

impl Metrics {
    /// A registry of its own with every metric in it, those of the process too (on Linux).
    ///
    /// # Panics
    /// Where the table names a metric twice or badly: any test that makes one notices.
    #[must_use]
    pub fn new() -> Arc<Self> {
        let metrics =
            Self::registered(Registry::new()).expect("the table holds valid, distinct names");
        #[cfg(target_os = "linux")]
        metrics
            .registry
            .register(Box::new(prometheus::process_collector::ProcessCollector::for_self()))
            .expect("no own metric begins with process_");
        metrics.build_info.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        for invariant in Invariant::ALL {
            // A series that springs from nothing to 1 is no increase to a query: begin at 0.
            metrics.invariant_violations.with_label_values(&[invariant.id()]).inc_by(0);
        }
        Arc::new(metrics)
    }

    /// Every sample in the text format of Prometheus, version 0.0.4.
    #[must_use]
    pub fn render(&self) -> String {
        let mut text = String::with_capacity(16 * 1024);
        if let Err(error) = TextEncoder::new().encode_utf8(&self.registry.gather(), &mut text) {
            tracing::error!(%error, "metrics rendered in part");
        }
        text
    }

    /// Counts one answered request. `endpoint` is the route's pattern, never the path.
    pub fn observe_request(&self, endpoint: &str, status: u16, seconds: f64) {
        self.http_request_duration_seconds.with_label_values(&[endpoint]).observe(seconds);
        self.http_requests.with_label_values(&[endpoint, &status.to_string()]).inc();
    }
}

/// Runs `work` and observes its seconds however it ends: done, failed, panicked or dropped.
///
/// Work that does not wait takes `let _timer = histogram.start_timer();` for the same effect.
pub async fn timed<F: Future>(histogram: &Histogram, work: F) -> F::Output {
    let _observes_when_dropped = histogram.start_timer();
    work.await
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;
    use std::time::Duration;

    use super::*;

    const DOCUMENT: &str = include_str!("../../docs/metrics.md");

    /// The row of the document that a line of the table owes.
    fn row(line: &Described) -> String {
        let kind = match line.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        let labels: Vec<_> = line.labels.iter().map(|label| format!("`{label}`")).collect();
        let mut row = format!("| `{}` | {kind} | {} | ", line.name, labels.join(", "));
        row.push_str(line.meaning);
        for (at, bound) in line.buckets.iter().enumerate() {
            let lead = if at == 0 { " Buckets: " } else { ", " };
            write!(row, "{lead}{bound}").expect("a String takes all");
        }
        row.push_str(if line.buckets.is_empty() { " |" } else { ". |" });
        row
    }

    #[test]
    fn the_document_says_what_the_table_says() {
        for line in Metrics::TABLE {
            assert!(
                DOCUMENT.lines().any(|l| l == row(line)),
                "docs/metrics.md lacks\n{}",
                row(line)
            );
        }
        let told = DOCUMENT.lines().filter(|line| line.starts_with("| `")).count();
        let of_the_process = DOCUMENT.lines().filter(|l| l.starts_with("| `process_")).count();
        assert_eq!(told - of_the_process, Metrics::TABLE.len(), "rows that nothing backs");
    }

    #[test]
    fn names_follow_the_convention() {
        for line in Metrics::TABLE {
            assert_eq!(line.name.ends_with("_total"), line.kind == Kind::Counter, "{}", line.name);
            assert_eq!(line.buckets.is_empty(), line.kind != Kind::Histogram, "{}", line.name);
            for label in line.labels {
                assert!(!label.ends_with("_id"), "{}: a label is never an id", line.name);
            }
        }
    }

    #[test]
    fn two_engines_in_one_process_do_not_share_samples() {
        let (one, other) = (Metrics::new(), Metrics::new());
        one.rides_created.with_label_values(&["economy"]).inc();
        assert!(one.render().contains("rides_created_total{category=\"economy\"} 1\n"));
        assert!(!other.render().contains("rides_created_total{"));
    }

    #[test]
    fn a_fresh_engine_shows_its_version_its_process_and_unbroken_promises() {
        let text = Metrics::new().render();
        let version = env!("CARGO_PKG_VERSION");
        assert!(text.contains(&format!("ibora_build_info{{version=\"{version}\"}} 1\n")));
        assert!(text.contains("# TYPE active_rides gauge\nactive_rides 0\n"));
        for invariant in Invariant::ALL {
            let sample = format!("ibora_invariant_violations_total{{id=\"{invariant}\"}} 0\n");
            assert!(text.contains(&sample), "{sample}");
        }
        if cfg!(target_os = "linux") {
            assert!(text.contains("\nprocess_resident_memory_bytes "));
        }
    }

    #[test]
    fn a_request_moves_its_counter_and_its_histogram() {
        let metrics = Metrics::new();
        metrics.observe_request("/v1/rides/{id}", 409, 0.15);
        let text = metrics.render();
        let endpoint = "endpoint=\"/v1/rides/{id}\"";
        assert!(text.contains(&format!("http_requests_total{{{endpoint},status=\"409\"}} 1\n")));
        let bucket = format!("http_request_duration_seconds_bucket{{{endpoint},le=\"0.2\"}} 1\n");
        assert!(text.contains(&bucket), "{text}");
    }

    #[tokio::test]
    async fn failed_and_abandoned_work_is_timed_too() {
        let metrics = Metrics::new();
        let commits = &metrics.journal_commit_seconds;
        let failed: Result<(), &str> = timed(commits, async { Err("disk full") }).await;
        assert_eq!(failed, Err("disk full"));
        assert_eq!(commits.get_sample_count(), 1);
        let never = timed(commits, std::future::pending::<()>());
        assert!(tokio::time::timeout(Duration::from_millis(1), never).await.is_err());
        assert_eq!(commits.get_sample_count(), 2);
    }
}
