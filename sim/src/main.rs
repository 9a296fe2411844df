//! `ibora-sim`, which `./dev sim` runs: seeds, one seed with its story, a case, or planted bugs.
//!
//! Exit codes: 0 every promise held, 1 one was broken or could not be tried, 2 called wrongly. The
//! last line is JSON. Here, and nowhere else in this package, is a clock: for the speed, and for a
//! first seed that nobody chose.

mod report;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime};

use clap::Parser;
use ibora_sim::case::Case;
use ibora_sim::faults::{Profile, plan};
use ibora_sim::run::run;
use ibora_sim::world::Trace;
use report::{Totals, failed, say, say_failure};

/// Seeds in which a planted bug has to be found.
#[cfg(feature = "mutants")]
const MUTANT_SEEDS: u64 = 1000;

/// The seeded simulator of Ibora.
#[derive(Parser)]
#[command(name = "ibora-sim", version)]
struct Args {
    /// How many seeds to run, one after the other; 1000 unless --seed or --seconds is given
    #[arg(long)]
    seeds: Option<u64>,
    /// The first seed; without one, 0, or a fresh one for --seconds
    #[arg(long)]
    seed: Option<u64>,
    /// Run fresh seeds for so many seconds
    #[arg(long, conflicts_with = "seeds")]
    seconds: Option<u64>,
    /// Tell the whole story of the run
    #[arg(long)]
    trace: bool,
    /// How much goes wrong: calm, swarm or storm
    #[arg(long, default_value = "swarm")]
    profile: Profile,
    /// Run a case that was kept: its seed, profile and faults
    #[arg(long, value_name = "FILE", conflicts_with_all = ["seeds", "seed", "seconds"])]
    case: Option<PathBuf>,
    /// Plant each known bug in turn, and say which seed, from --seed on, finds it
    #[arg(long)]
    mutants: bool,
}

fn main() -> ExitCode {
    let args = Args::parse();
    if args.mutants {
        return mutants(&args);
    }
    if let Some(path) = &args.case {
        return match std::fs::read_to_string(path) {
            Ok(text) => match Case::parse(&text) {
                Ok(case) => one(&case, args.trace),
                Err(error) => failed(&format!("{}: {error}", path.display())),
            },
            Err(error) => failed(&format!("{}: {error}", path.display())),
        };
    }
    seeds(&args)
}

/// Runs seeds until one fails, or the number or the time is over.
fn seeds(args: &Args) -> ExitCode {
    let first = args.seed.unwrap_or_else(|| if args.seconds.is_some() { fresh() } else { 0 });
    let count = args.seeds.unwrap_or(match (args.seed, args.seconds) {
        (_, Some(_)) => u64::MAX,
        (Some(_), None) => 1,
        (None, None) => 1000,
    });
    let until = args.seconds.map(Duration::from_secs);
    say(&format!("profile {}, seeds from {first}", args.profile.name));
    let began = Instant::now();
    let mut totals = Totals::default();
    for seed in first..first.saturating_add(count) {
        if until.is_some_and(|until| began.elapsed() >= until) {
            break;
        }
        let plan = plan(seed, &args.profile);
        let trace = if args.trace { Trace::on() } else { Trace::default() };
        let outcome = run(seed, args.profile, &plan, trace);
        if args.trace {
            say(&outcome.trace);
        }
        totals.add(&outcome);
        if let Some(violation) = &outcome.violation {
            say_failure(&Case { seed, profile: args.profile, faults: plan }, violation);
            totals.say(began.elapsed());
            return ExitCode::FAILURE;
        }
    }
    say(&format!("seeds {first} to {}", first + totals.seeds.saturating_sub(1)));
    totals.say(began.elapsed());
    ExitCode::SUCCESS
}

/// Runs a case as it is.
fn one(case: &Case, trace: bool) -> ExitCode {
    let began = Instant::now();
    let outcome = run(case.seed, case.profile, &case.faults, Trace::on());
    if trace {
        say(&outcome.trace);
    }
    let mut totals = Totals::default();
    totals.add(&outcome);
    if let Some(violation) = &outcome.violation {
        say(&report::verdict(case.seed, violation));
    }
    totals.say(began.elapsed());
    if outcome.violation.is_some() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// A seed that nobody chose.
fn fresh() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_millis()).unwrap_or(0)
}

#[cfg(not(feature = "mutants"))]
fn mutants(_args: &Args) -> ExitCode {
    failed("built without the feature `mutants`: `./dev sim --mutants` builds with it")
}

/// Plants each bug, and looks for the first seed that finds it.
#[cfg(feature = "mutants")]
fn mutants(args: &Args) -> ExitCode {
    use ibora_domain::mutants::{Mutant, choose};

    let first = args.seed.unwrap_or(0);
    say(&format!("{} planted bugs, each sought from --seed {first} on", Mutant::ALL.len()));
    let mut missed = 0;
    for mutant in Mutant::ALL {
        choose(Some(*mutant));
        let began = Instant::now();
        let found = found_by(first);
        let (name, took) = (mutant.name(), began.elapsed().as_millis());
        match found {
            Some((seed, profile, violation)) => say(&format!(
                "{name:24} {:>3} seeds, {took:>6} ms: {profile} {seed}, {}: {}",
                seed - first + 1,
                violation.promise,
                violation.what
            )),
            None => {
                missed += 1;
                say(&format!("{name:24} MISSED in {took} ms: {}", mutant.what()));
            }
        }
    }
    choose(None);
    let count = Mutant::ALL.len();
    say(&format!(r#"{{"bench":"mutants","mutants":{count},"missed":{missed}}}"#));
    if missed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The first seed in which the planted bug breaks a promise.
#[cfg(feature = "mutants")]
fn found_by(first: u64) -> Option<(u64, &'static str, ibora_sim::watch::Violation)> {
    (first..first.saturating_add(MUTANT_SEEDS)).find_map(|seed| {
        // Some bugs need a quiet day to matter, some a storm.
        let profile = if seed % 2 == 0 { Profile::SWARM } else { Profile::STORM };
        let outcome = run(seed, profile, &plan(seed, &profile), Trace::default());
        Some((seed, profile.name, outcome.violation?))
    })
}
