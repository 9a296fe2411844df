//! The simulation of demand: what passengers and drivers would have lived through under another
//! policy, with fewer cars, with another window.
//!
//! `ibora simulate` calls it. It runs the policies of the domain, the very ones that the dispatcher
//! runs, over recorded or generated requests in virtual time.
//!
//! What always holds: the same demand, options and seed give the same report, byte by byte, on any
//! number of threads; and every policy meets the same requests and cars under the same seed.

mod balance;
mod chance;
mod city;
mod demand;
mod fleet;
mod generate;
mod measure;
mod near;
#[cfg(test)]
mod real_hour;
mod report;
mod stats;
mod streets;
#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock};

use ibora_domain::dispatch::{PlanFault, PolicyKind, Rules};
use thiserror::Error;

use chance::Chance;
pub use city::Times;
use city::{Request, Scene};
pub use demand::{Demand, DemandError, Reading, RowError};
pub use generate::Town;
use measure::Run;
pub use report::Report;
pub use streets::Streets;

/// One meter's vendor rounds to whole minutes: such requests are spread over theirs.
const MINUTE_MS: u32 = 60_000;

/// What is to be compared.
#[derive(Debug, Clone)]
pub struct Options {
    pub policies: Vec<PolicyKind>,
    /// Numbers of cars, each a city of its own.
    pub cars: Vec<u32>,
    pub seeds: u32,
    pub first_seed: u64,
    /// Share of the requests that is drawn for each seed.
    pub fraction: f64,
    pub times: Times,
    pub rules: Rules,
    pub threads: usize,
}

/// Why there is no report.
#[derive(Debug, Error)]
pub enum SimulateError {
    #[error("at least one car is needed, and one seed, and one policy")]
    Nothing,
    #[error("{asked} cars are asked for and {known} are known")]
    FewCars { asked: u32, known: usize },
    #[error("the fraction has to be above 0 and not above 1")]
    Fraction,
    #[error("no request lies after the warm-up of {seconds} s")]
    AllWarmUp { seconds: u64 },
    #[error("policy {policy} broke the rules under seed {seed}")]
    Plan { policy: PolicyKind, seed: u64, source: PlanFault },
}

/// One cell of the comparison: all its runs, by seed.
pub(crate) struct Column {
    policy: PolicyKind,
    cars: u32,
    runs: Vec<Run>,
}

/// Runs everything that is to be compared.
///
/// # Errors
/// [`SimulateError`], before anything runs where the options make no sense.
pub fn run(
    demand: &Demand,
    streets: &Streets,
    options: &Options,
    progress: &(dyn Fn(usize, usize) + Sync),
) -> Result<Report, SimulateError> {
    validate(demand, options)?;
    let jobs: Vec<(u32, u64)> = seeds(options)
        .flat_map(|seed| options.cars.iter().map(move |cars| (*cars, seed)))
        .collect();
    let total = jobs.len() * options.policies.len();
    let done: Vec<OnceLock<Vec<Run>>> = jobs.iter().map(|_| OnceLock::new()).collect();
    let (next, finished) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let failed = Mutex::new(None);
    std::thread::scope(|scope| {
        for _ in 0..options.threads.clamp(1, jobs.len()) {
            scope.spawn(|| {
                while let Some((job, slot)) = claim(&jobs, &done, &next) {
                    let tell = || progress(finished.fetch_add(1, Ordering::Relaxed) + 1, total);
                    match simulate(demand, streets, options, job, &tell) {
                        Ok(runs) => drop(slot.set(runs)),
                        Err(error) => {
                            next.store(jobs.len(), Ordering::Relaxed);
                            keep_first(&failed, error);
                        }
                    }
                }
            });
        }
    });
    if let Some(error) = failed.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner) {
        return Err(error);
    }
    let mut columns: Vec<Column> = columns(options);
    for ((cars, _), runs) in jobs.iter().zip(done) {
        for (kind, run) in options.policies.iter().zip(runs.into_inner().unwrap_or_default()) {
            let column = columns.iter_mut().find(|c| (c.policy, c.cars) == (*kind, *cars));
            if let Some(column) = column {
                column.runs.push(run);
            }
        }
    }
    Ok(Report::new(demand, streets, options, columns))
}

fn validate(demand: &Demand, options: &Options) -> Result<(), SimulateError> {
    let nothing = options.cars.is_empty() || options.cars.contains(&0);
    if nothing || options.seeds == 0 || options.policies.is_empty() {
        return Err(SimulateError::Nothing);
    }
    if !(options.fraction > 0.0 && options.fraction <= 1.0) {
        return Err(SimulateError::Fraction);
    }
    let asked = options.cars.iter().copied().max().unwrap_or(0);
    if asked as usize > demand.cars.len() {
        return Err(SimulateError::FewCars { asked, known: demand.cars.len() });
    }
    let warm_up = options.times.warm_up;
    if demand.asks.last().is_none_or(|ask| u64::from(ask.at_ms) < warm_up.0) {
        return Err(SimulateError::AllWarmUp { seconds: warm_up.0 / 1000 });
    }
    Ok(())
}

fn seeds(options: &Options) -> impl Iterator<Item = u64> + use<> {
    let first = options.first_seed;
    (0..u64::from(options.seeds)).map(move |number| first.wrapping_add(number))
}

fn columns(options: &Options) -> Vec<Column> {
    let cells = options
        .policies
        .iter()
        .flat_map(|policy| options.cars.iter().map(move |cars| (*policy, *cars)));
    cells.map(|(policy, cars)| Column { policy, cars, runs: Vec::new() }).collect()
}

type Job = (u32, u64);

fn claim<'a>(
    jobs: &'a [Job],
    done: &'a [OnceLock<Vec<Run>>],
    next: &AtomicUsize,
) -> Option<(&'a Job, &'a OnceLock<Vec<Run>>)> {
    let at = next.fetch_add(1, Ordering::Relaxed);
    Some((jobs.get(at)?, done.get(at)?))
}

fn keep_first(failed: &Mutex<Option<SimulateError>>, error: SimulateError) {
    let mut kept = failed.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    kept.get_or_insert(error);
}

/// Every policy over the same requests and cars.
fn simulate(
    demand: &Demand,
    streets: &Streets,
    options: &Options,
    &(cars, seed): &Job,
    tell: &dyn Fn(),
) -> Result<Vec<Run>, SimulateError> {
    let requests = requests(demand, streets, options.fraction, seed);
    let known = u32::try_from(demand.cars.len()).unwrap_or(u32::MAX);
    let places = Chance::new(seed, 2).sample(known, cars);
    let spots: Vec<_> =
        places.iter().filter_map(|car| streets.spot(demand.cars[*car as usize])).collect();
    let scene = Scene { streets, requests: &requests, cars: &spots, rules: options.times, seed };
    let mut runs = Vec::new();
    for kind in &options.policies {
        let policy = kind.build(options.rules);
        let run = city::play(&scene, &*policy).map_err(|source| SimulateError::Plan {
            policy: *kind,
            seed,
            source,
        })?;
        runs.push(run);
        tell();
    }
    Ok(runs)
}

/// The requests of a seed, in order of time.
fn requests(demand: &Demand, streets: &Streets, fraction: f64, seed: u64) -> Vec<Request> {
    let mut chance = Chance::new(seed, 1);
    let known = u32::try_from(demand.asks.len()).unwrap_or(u32::MAX);
    let wanted = ibora_domain::place::whole(f64::from(known) * fraction).max(1);
    let drawn = chance.sample(known, wanted);
    let rounded = demand.asks.iter().filter(|ask| ask.at_ms.is_multiple_of(MINUTE_MS)).count();
    // Of times to the second a sixtieth is whole by chance: only more than that was rounded.
    let spread = rounded * 10 > demand.asks.len();
    let mut requests = Vec::with_capacity(drawn.len());
    for number in drawn {
        let ask = &demand.asks[number as usize];
        let within = match ask.at_ms {
            at if spread && at.is_multiple_of(MINUTE_MS) => MINUTE_MS,
            at if at.is_multiple_of(1000) => 1000,
            _ => 1,
        };
        let at_ms = ask.at_ms + chance.below(within);
        let spots =
            ask.ends().and_then(|(from, to)| Some((streets.spot(from)?, streets.spot(to)?)));
        if let Some((pickup, dropoff)) = spots {
            requests.push(Request { at_ms, pickup, dropoff });
        }
    }
    requests.sort_by_key(|request| request.at_ms);
    requests
}
