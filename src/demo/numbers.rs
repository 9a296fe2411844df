//! The figures of a demo, as of a moment: for the terminal and for the page.

use std::sync::Arc;
use std::time::Instant;

use prometheus::Histogram;
use serde::Serialize;

use crate::bots::{DriverDoes, Engine, PassengerDoes};
use crate::obs::Metrics;

/// Samples that a quantile looks back on.
const NEWEST: usize = 500;
/// How long rates and means look back.
const WINDOW_S: f64 = 2.0;

/// Figures of a moment. Times of people are in seconds of the engine's clock, latencies in real
/// milliseconds; `None` where nothing was measured yet.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Numbers {
    pub uptime_s: u64,
    pub speed: u32,
    pub sockets: i64,
    pub drivers: usize,
    pub idle: usize,
    pub searching: usize,
    /// Passengers with a driver on the way or driving them.
    pub active: usize,
    pub requested: u64,
    pub completed: u64,
    pub canceled: u64,
    pub no_driver: u64,
    pub offers: u64,
    pub won: u64,
    pub lost: u64,
    /// Payouts that drivers have got, and centavos of all of them.
    pub payouts: u64,
    pub paid_out_centavos: u64,
    pub unanswered: u64,
    pub odd_refusals: u64,
    pub wait_p50_s: Option<f64>,
    pub wait_p90_s: Option<f64>,
    pub pickup_p50_s: Option<f64>,
    pub accept_p50_ms: Option<f64>,
    pub accept_p99_ms: Option<f64>,
    pub request_p50_ms: Option<f64>,
    pub request_p99_ms: Option<f64>,
    /// Decisions in a commit, and how long one takes, in the mean of the last seconds.
    pub batch: Option<f64>,
    pub commit_ms: Option<f64>,
    pub commits_per_s: f64,
    pub frames_per_s: f64,
}

/// Makes figures from counts: keeps what they were, for rates.
pub(super) struct Sampler {
    engine: Arc<Engine>,
    metrics: Arc<Metrics>,
    since: Instant,
    taken: Instant,
    commits: (u64, f64),
    batches: (u64, f64),
    frames: u64,
    last: Numbers,
}

impl Sampler {
    pub(super) fn new(engine: Arc<Engine>, metrics: Arc<Metrics>) -> Self {
        let now = Instant::now();
        let (commits, batches) =
            (totals(&metrics.journal_commit_seconds), totals(&metrics.journal_batch_size));
        let last = Numbers { speed: engine.speed, ..Numbers::default() };
        Self { engine, metrics, since: now, taken: now, commits, batches, frames: 0, last }
    }

    /// The figures, with people counted by what they do.
    pub(super) fn numbers(
        &mut self,
        drivers: impl Iterator<Item = DriverDoes>,
        passengers: impl Iterator<Item = PassengerDoes>,
    ) -> Numbers {
        self.take_rates();
        let mut numbers = self.last.clone();
        for does in drivers {
            numbers.drivers += usize::from(does != DriverDoes::Offline);
            numbers.idle += usize::from(matches!(does, DriverDoes::Idle | DriverDoes::Offered));
        }
        for does in passengers {
            match does {
                PassengerDoes::Away => {}
                PassengerDoes::Searching => numbers.searching += 1,
                PassengerDoes::Waiting | PassengerDoes::Riding => numbers.active += 1,
            }
        }
        self.count(&mut numbers);
        numbers
    }

    fn take_rates(&mut self) {
        let seconds = self.taken.elapsed().as_secs_f64();
        if seconds < WINDOW_S {
            return;
        }
        let commits = totals(&self.metrics.journal_commit_seconds);
        let batches = totals(&self.metrics.journal_batch_size);
        let figures = &self.engine.figures;
        let frames = figures.frames_in.get() + figures.frames_out.get();
        let last = &mut self.last;
        last.commit_ms = mean(self.commits, commits).map(|seconds| seconds * 1000.0);
        last.batch = mean(self.batches, batches);
        last.commits_per_s = per_second(commits.0.saturating_sub(self.commits.0), seconds);
        last.frames_per_s = per_second(frames - self.frames, seconds);
        (self.commits, self.batches, self.frames) = (commits, batches, frames);
        self.taken = Instant::now();
    }

    fn count(&self, numbers: &mut Numbers) {
        let figures = &self.engine.figures;
        let seconds = |ms: u32| f64::from(ms) / 1000.0;
        let ms = |us: u32| f64::from(us) / 1000.0;
        numbers.uptime_s = self.since.elapsed().as_secs();
        numbers.sockets = figures.sockets.get();
        numbers.requested = figures.requested.get();
        numbers.completed = figures.completed.get();
        numbers.canceled = figures.canceled.get();
        numbers.no_driver = figures.no_driver.get();
        numbers.offers = figures.offers.get();
        numbers.won = figures.accepts_won.get();
        numbers.lost = figures.accepts_lost.get();
        numbers.payouts = figures.payouts.get();
        numbers.paid_out_centavos = figures.paid_out_centavos.get();
        numbers.unanswered = figures.unanswered.get();
        numbers.odd_refusals = figures.odd_refusals.get();
        if let Some([p50, p90]) = figures.wait_ms.quantiles(NEWEST, [0.5, 0.9]) {
            (numbers.wait_p50_s, numbers.wait_p90_s) = (Some(seconds(p50)), Some(seconds(p90)));
        }
        if let Some([p50]) = figures.pickup_ms.quantiles(NEWEST, [0.5]) {
            numbers.pickup_p50_s = Some(seconds(p50));
        }
        if let Some([p50, p99]) = figures.accept_us.quantiles(NEWEST, [0.5, 0.99]) {
            (numbers.accept_p50_ms, numbers.accept_p99_ms) = (Some(ms(p50)), Some(ms(p99)));
        }
        if let Some([p50, p99]) = figures.request_us.quantiles(NEWEST, [0.5, 0.99]) {
            (numbers.request_p50_ms, numbers.request_p99_ms) = (Some(ms(p50)), Some(ms(p99)));
        }
    }
}

/// Count and sum of a histogram.
fn totals(histogram: &Histogram) -> (u64, f64) {
    (histogram.get_sample_count(), histogram.get_sample_sum())
}

/// The mean of what came between two totals.
fn mean(before: (u64, f64), after: (u64, f64)) -> Option<f64> {
    let count = after.0.checked_sub(before.0).filter(|count| *count > 0)?;
    #[expect(clippy::cast_precision_loss, reason = "a count of some seconds")]
    let count = count as f64;
    Some((after.1 - before.1) / count)
}

fn per_second(count: u64, seconds: f64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a count of some seconds")]
    let count = count as f64;
    count / seconds
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mean_needs_something_between() {
        assert_eq!(mean((3, 6.0), (3, 6.0)), None);
        assert_eq!(mean((3, 6.0), (5, 16.0)), Some(5.0));
    }

    #[test]
    fn people_are_counted_by_what_they_do() {
        let engine = Arc::new(Engine::new(([127, 0, 0, 1], 1).into(), 4, false));
        let mut sampler = Sampler::new(engine, Metrics::new());
        let drivers = [DriverDoes::Offline, DriverDoes::Idle, DriverDoes::ToPickup];
        let passengers = [PassengerDoes::Away, PassengerDoes::Searching, PassengerDoes::Riding];
        let numbers = sampler.numbers(drivers.into_iter(), passengers.into_iter());
        assert_eq!((numbers.drivers, numbers.idle), (2, 1));
        assert_eq!((numbers.searching, numbers.active, numbers.speed), (1, 1, 4));
        assert_eq!(numbers.wait_p50_s, None);
    }
}
