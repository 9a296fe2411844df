//! What the program says: totals, and a failure in so few words that it can be understood.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use ibora_sim::case::Case;
use ibora_sim::queue::{Micros, SECOND};
use ibora_sim::run::{Outcome, run};
use ibora_sim::shrink::shrink;
use ibora_sim::watch::Violation;
use ibora_sim::world::Trace;
use serde::Serialize;

/// Lines of a failing run's story that are shown.
const STORY_LINES: usize = 60;

/// The line that machines read.
#[derive(Serialize)]
struct Line<'a> {
    bench: &'static str,
    seeds: u64,
    rides: u64,
    faults: &'a BTreeMap<&'static str, u64>,
    virtual_s: u64,
    wall_s: f64,
    steps: u64,
    checks: u64,
    violations: u64,
}

/// What all runs came to.
#[derive(Default)]
pub(crate) struct Totals {
    pub(crate) seeds: u64,
    rides: u64,
    steps: u64,
    checks: u64,
    virtual_time: Micros,
    faults: BTreeMap<&'static str, u64>,
    violations: u64,
}

impl Totals {
    pub(crate) fn add(&mut self, outcome: &Outcome) {
        self.seeds += 1;
        self.rides += outcome.rides;
        self.steps += outcome.steps;
        self.checks += outcome.checks;
        self.virtual_time += outcome.virtual_time;
        self.violations += u64::from(outcome.violation.is_some());
        for (fault, count) in &outcome.faults {
            *self.faults.entry(fault).or_default() += count;
        }
    }

    /// Says what it came to; the last line is JSON.
    pub(crate) fn say(&self, took: Duration) {
        let virtual_s = self.virtual_time / SECOND;
        let wall_s = took.as_secs_f64().max(0.001);
        let rate = |count: u64| as_f64(count) / wall_s;
        let faults: Vec<_> =
            self.faults.iter().map(|(fault, count)| format!("{fault} {count}")).collect();
        say(&format!(
            "{} seeds, {} rides, {} steps, {} checks of promises, {} violations",
            self.seeds, self.rides, self.steps, self.checks, self.violations
        ));
        let faults = if faults.is_empty() { "none".to_owned() } else { faults.join(", ") };
        say(&format!("faults: {faults}"));
        say(&format!(
            "{virtual_s} s of virtual time in {wall_s:.1} s: {:.0} times as fast, {:.0} rides/s, \
             {:.0} steps/s",
            rate(virtual_s),
            rate(self.rides),
            rate(self.steps)
        ));
        let line = Line {
            bench: "sim",
            seeds: self.seeds,
            rides: self.rides,
            faults: &self.faults,
            virtual_s,
            wall_s: (wall_s * 10.0).round() / 10.0,
            steps: self.steps,
            checks: self.checks,
            violations: self.violations,
        };
        say(&serde_json::to_string(&line).unwrap_or_default());
    }
}

/// Which promise a seed broke.
pub(crate) fn verdict(seed: u64, violation: &Violation) -> String {
    let Violation { promise, what, at } = violation;
    let (seconds, micros) = (at / SECOND, at % SECOND);
    format!("seed {seed} broke {promise} at {seconds}.{micros:06} s: {what}")
}

/// Says what broke, what is enough to break it, and how it came.
pub(crate) fn say_failure(case: &Case, violation: &Violation) {
    say(&verdict(case.seed, violation));
    let (faults, outcome) = shrink(case.seed, case.profile, &case.faults);
    let short = Case { faults, ..case.clone() };
    let mut text = format!(
        "{} faults, of which {} are enough, as a case for `./dev sim --case FILE --trace`:\n\n{}\n",
        case.faults.len(),
        short.faults.len(),
        short.text()
    );
    if let Some(violation) = &outcome.violation {
        let _ = writeln!(text, "{}", verdict(short.seed, violation));
    }
    let story = run(short.seed, short.profile, &short.faults, Trace::on()).trace;
    let lines: Vec<&str> = story.lines().collect();
    let from = lines.len().saturating_sub(STORY_LINES);
    let _ =
        writeln!(text, "the last {} of {} lines of its story:", lines.len() - from, lines.len());
    for line in &lines[from..] {
        let _ = writeln!(text, "{line}");
    }
    say(&text);
}

#[expect(clippy::print_stdout, reason = "the program's product")]
pub(crate) fn say(text: &str) {
    println!("{text}");
}

#[expect(clippy::print_stderr, reason = "a person reads it")]
pub(crate) fn failed(why: &str) -> ExitCode {
    eprintln!("ibora-sim: {why}");
    ExitCode::FAILURE
}

#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
fn as_f64(count: u64) -> f64 {
    count as f64
}
