//! Slow consumers: clients that never read, and witnesses who must not notice.
//!
//! Windows of the same length alternate, without the frozen clients and with all of them, in pairs.
//! The witnesses' accepts are compared within a pair, so that what else happens to the machine in
//! these minutes weighs on both. With `--control` a third window follows, in which something else
//! burns as much CPU time as the frozen clients did: what is lost there is the machine's doing.

mod burden;
mod frozen;
mod kernel;

use std::time::Duration;

use clap::Args;
use ibora::bots::Person;
use serde_json::{Value, json};

use crate::procs::Used;
use crate::report::{Percentiles, load_average, median, ratio, rounded, say};
use crate::served::{self, Served};
use crate::witness::{self, Witnesses};
use burden::Burden;
use frozen::{Frozen, Question, Seen};

#[derive(Args, Clone, Copy)]
pub(crate) struct Options {
    /// Clients that never read
    #[arg(long, default_value_t = 1000)]
    clients: usize,
    /// What the engine is made to push to each of them a second, in thousands of bytes
    #[arg(long, default_value_t = 50)]
    kb_per_s: u32,
    /// Length of each window in seconds
    #[arg(long, default_value_t = 20)]
    window_s: u64,
    /// Pairs of windows, without and with them
    #[arg(long, default_value_t = 5)]
    pairs: usize,
    /// A third window in each pair, beside as much work that is not the engine's
    #[arg(long)]
    control: bool,
}

/// Between two windows: the engine buries what a window left.
const SETTLE: Duration = Duration::from_secs(3);

/// What a pair of windows showed.
struct Pair {
    ratio: f64,
    control: Option<f64>,
    seen: Seen,
}

/// What a window showed.
struct Window {
    accepts: Percentiles,
    /// Accepts that were measured, and CPU time a second.
    count: u64,
    used: Used,
    length: Duration,
}

impl Window {
    /// Of a core, what the engine, its database and all clients took.
    fn cores(&self) -> f64 {
        let Used { own, postgres, engine, .. } = self.used;
        (own + postgres + engine).as_secs_f64() / self.length.as_secs_f64()
    }
}

impl std::fmt::Display for Window {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { accepts: Percentiles { p50, p99, .. }, count, used, length } = self;
        let share = |used: Duration| 100.0 * used.as_secs_f64() / length.as_secs_f64();
        write!(
            f,
            "{count} accepts, p50 {p50} p99 {p99} ms; of a core: engine {:.0} %, its database \
             {:.0} %, clients {:.0} %",
            share(used.engine),
            share(used.postgres),
            share(used.own)
        )
    }
}

/// What the windows are about.
struct Bench<'a> {
    served: &'a Served,
    witnesses: &'a Witnesses,
    /// Who freezes.
    people: &'a [Person],
    question: &'a Question,
    options: Options,
}

impl Bench<'_> {
    /// Lets the witnesses ride for the length of a window.
    async fn window(&self) -> anyhow::Result<Window> {
        let length = Duration::from_secs(self.options.window_s);
        let processes = self.served.processes()?;
        let before = processes.used();
        let accepts = self.witnesses.window(length).await?;
        let used = processes.used().since(before);
        Ok(Window { accepts: accepts.percentiles(), count: accepts.count(), used, length })
    }

    async fn pair(&self) -> anyhow::Result<Pair> {
        let without = self.window().await?;
        say(format!("  without: {without}"));
        let Self { served, people, question, .. } = self;
        let frozen = Frozen::start(served.address, people, question, served.pid())?;
        frozen::all_frozen(&frozen, people.len()).await;
        frozen.count_anew();
        let with = self.window().await?;
        let seen = frozen.seen();
        drop(frozen);
        say(format!("  with:    {with}"));
        say(format!(
            "  {} open in the mean, {} cut off, {} ended early; carried at most {:.1} s with {} \
             bytes in a socket; load {}",
            seen.open_mean(),
            seen.cut_off,
            seen.ended_early,
            seen.longest_s,
            seen.unsent_max,
            load_average()
        ));
        tokio::time::sleep(SETTLE).await;
        let against = |window: &Window| ratio(window.accepts.p99, without.accepts.p99);
        let mut control = None;
        if self.options.control {
            let burden = Burden::start(with.cores() - without.cores());
            let beside = self.window().await?;
            drop(burden);
            say(format!("  control: {beside}"));
            control = Some(against(&beside));
            tokio::time::sleep(SETTLE).await;
        }
        Ok(Pair { ratio: against(&with), control, seen })
    }
}

/// Runs the bench.
pub(crate) async fn run(options: Options) -> anyhow::Result<Value> {
    say(format!("load average before: {}", load_average()));
    served::check_descriptors(options.clients + 2 * witness::PAIRS)?;
    let dir = served::new_dir()?;
    let mut settings = served::common(&dir);
    settings.extend(witness::settings());
    say("settings of the engine:");
    served::say_settings(&settings);
    let served = Served::start(settings).await?;
    let clients = options.clients.max(1);
    let mut people = served.seed(witness::PAIRS, clients + witness::PAIRS).await?;
    let riders = people.passengers.split_off(clients);
    let witnesses = Witnesses::start(served.address, (&riders, &people.drivers))?;
    let bytes_per_s = options.kb_per_s.max(1) * 1000;
    let question = Question::find(served.address, &people.passengers[0], bytes_per_s).await?;
    let (people, question) = (&people.passengers[..], &question);
    let bench = Bench { served: &served, witnesses: &witnesses, people, question, options };
    witnesses.window(SETTLE).await?;
    let before_kb = served.rss_kb()?;
    let mut pairs = Vec::with_capacity(options.pairs);
    for number in 1..=options.pairs {
        say(format!("pair {number} of {}", options.pairs));
        pairs.push(bench.pair().await?);
    }
    let closed = served.metric(r#"ibora_ws_closed_total{code="4201"}"#).await?;
    say(format!("sessions that the engine closed as slow: {closed}"));
    drop(witnesses);
    served.end().await?;
    let most =
        |figure: fn(&Seen) -> f64| pairs.iter().map(|pair| figure(&pair.seen)).fold(0.0, f64::max);
    // Without a client that was ever stuck there is nothing to tell.
    let cutoff_s = Some(most(|seen| seen.longest_s)).filter(|longest| *longest > 0.0);
    let control = options.control.then(|| median(pairs.iter().filter_map(|pair| pair.control)));
    let grown_kb = most(|seen| to_number(seen.rss_kb_max)) - to_number(before_kb);
    Ok(json!({
        "bench": "slow",
        "clients": clients,
        "cutoff_s": cutoff_s.map(|longest| rounded(longest, 2)),
        "rss_growth_mb": rounded(grown_kb.max(0.0) / 1024.0, 1),
        "witness_ratio": rounded(median(pairs.iter().map(|pair| pair.ratio)), 2),
        "control_ratio": control.map(|ratio| rounded(ratio, 2)),
        "unsent_kb_max": rounded(most(|seen| f64::from(seen.unsent_max)) / 1024.0, 1),
        "cut_off": pairs.iter().map(|pair| pair.seen.cut_off).sum::<usize>(),
        "frozen_mean": pairs.iter().map(|pair| pair.seen.open_mean()).sum::<usize>()
            / pairs.len().max(1),
        "load_average": load_average(),
    }))
}

#[expect(clippy::cast_precision_loss, reason = "bytes and kilobytes of a bench: far below 2^52")]
fn to_number(count: u64) -> f64 {
    count as f64
}
