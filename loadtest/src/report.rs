//! What a bench says: percentiles, medians of runs, one line of JSON, and progress on stderr.

use std::io::Write;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use serde::Serialize;
use serde_json::Value;

/// Latencies of one kind of call, in microseconds, exact to 0.1 %.
#[derive(Clone)]
pub(crate) struct Latencies(Histogram<u64>);

/// What is told of latencies, in milliseconds.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(crate) struct Percentiles {
    pub(crate) p50: f64,
    pub(crate) p99: f64,
}

impl Latencies {
    pub(crate) fn new() -> Self {
        #[expect(clippy::expect_used, reason = "3 digits are within what the histogram takes")]
        let mut histogram = Histogram::new(3).expect("3 digits");
        histogram.auto(true);
        Self(histogram)
    }

    pub(crate) fn record(&mut self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        // Grows as needed, so that it refuses nothing.
        self.0.record(micros.max(1)).ok();
    }

    /// As [`Self::record`], for a caller who calls this often: one who waits cannot call meanwhile,
    /// and those calls would have waited too.
    pub(crate) fn record_every(&mut self, took: Duration, every: Duration) {
        let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        // Grows as needed, so that it refuses nothing.
        self.0.record_correct(micros(took).max(1), micros(every)).ok();
    }

    pub(crate) fn count(&self) -> u64 {
        self.0.len()
    }

    pub(crate) fn add(&mut self, other: &Self) {
        // Both grow as needed, so that one always fits the other.
        self.0.add(&other.0).ok();
    }

    pub(crate) fn percentiles(&self) -> Percentiles {
        let at = |quantile| Duration::from_micros(self.0.value_at_quantile(quantile));
        Percentiles { p50: millis(at(0.5)), p99: millis(at(0.99)) }
    }
}

impl Percentiles {
    /// The median of each percentile over several runs.
    pub(crate) fn median(runs: impl Iterator<Item = Self> + Clone) -> Self {
        Self {
            p50: rounded(median(runs.clone().map(|run| run.p50)), 3),
            p99: rounded(median(runs.map(|run| run.p99)), 3),
        }
    }
}

/// The middle of some figures; zero of none.
pub(crate) fn median(figures: impl Iterator<Item = f64>) -> f64 {
    let mut sorted: Vec<f64> = figures.collect();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => 0.0,
        odd if odd % 2 == 1 => sorted[middle],
        _ => f64::midpoint(sorted[middle - 1], sorted[middle]),
    }
}

/// A figure with this many digits behind the point.
pub(crate) fn rounded(figure: f64, digits: i32) -> f64 {
    let scale = 10_f64.powi(digits);
    (figure * scale).round() / scale
}

/// How many times `figure` is `of`, to two digits; zero where there is nothing to compare with.
pub(crate) fn ratio(figure: f64, of: f64) -> f64 {
    if of > 0.0 { rounded(figure / of, 2) } else { 0.0 }
}

fn millis(time: Duration) -> f64 {
    rounded(time.as_secs_f64() * 1000.0, 3)
}

/// A count as a number to compute with.
#[expect(clippy::cast_precision_loss, reason = "counts of a bench are far below 2^52")]
pub(crate) fn number(count: usize) -> f64 {
    count as f64
}

/// The time that is covered by at least one of these spans.
pub(crate) fn union(spans: &[(Instant, Instant)]) -> Duration {
    let mut spans = spans.to_vec();
    spans.sort_unstable();
    let mut covered = Duration::ZERO;
    let mut until: Option<Instant> = None;
    for (from, to) in spans {
        let from = until.map_or(from, |until| from.max(until));
        covered += to.saturating_duration_since(from);
        until = Some(until.map_or(to, |until| until.max(to)));
    }
    covered
}

/// Runnable processes of the last minute: how busy the machine was, us included.
pub(crate) fn load_average() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').take(3).collect::<Vec<_>>().join(" ")
}

/// The engine's own figures beside what was asked for, in one object.
pub(crate) fn beside(mut line: Value, figures: &impl Serialize) -> Value {
    if let (Some(line), Ok(Value::Object(own))) =
        (line.as_object_mut(), serde_json::to_value(figures))
    {
        line.extend(own);
    }
    line
}

/// Says on stderr how far the bench is.
#[expect(clippy::print_stderr, reason = "progress goes there; stdout is for the one line")]
pub(crate) fn say(line: impl AsRef<str>) {
    eprintln!("{}", line.as_ref());
}

/// Writes the one line that machines read.
pub(crate) fn print_line(line: &Value) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    serde_json::to_writer(&mut out, line)?;
    out.write_all(b"\n")?;
    Ok(out.flush()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overlapping_spans_count_once_and_gaps_do_not_count() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let spans = [(at(50), at(60)), (at(0), at(10)), (at(5), at(20)), (at(6), at(7))];
        assert_eq!(union(&spans), Duration::from_millis(30));
        assert_eq!(union(&[]), Duration::ZERO);
    }

    #[test]
    fn the_median_is_the_middle_run() {
        assert!((median([3.0, 1.0, 2.0].into_iter()) - 2.0).abs() < 1e-9);
        assert!((median([4.0, 1.0].into_iter()) - 2.5).abs() < 1e-9);
        assert!(median(std::iter::empty()).abs() < 1e-9);
    }
}
