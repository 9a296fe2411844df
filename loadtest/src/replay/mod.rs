//! The recorded hour over real sockets: `ibora serve` in one process, everybody else in this one.
//!
//! Domain time runs at `--speed`; heartbeats, limits and sockets stay real. A bot sends at most one
//! point a real second, so the ages of positions that the engine accepts are stretched alike.

mod audit;
mod crowd;
pub(crate) mod data;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use ibora::bots::{Engine, Outcome, Story, Town};
use serde_json::{Value, json};

use crate::report::{load_average, number, rounded, say};
use crate::served::{self, Served, Settings};
use crowd::{Ended, Fleet, Shared};
use data::Hour;

/// Domain time that rides under way at the end of the hour are given, in seconds.
const TAIL_S: f64 = 3600.0;
const PROGRESS_EVERY: Duration = Duration::from_secs(5);
const ONLINE_WITHIN: Duration = Duration::from_secs(120);
/// Defaults that are stretched with the clock, in milliseconds.
const POSITION_STALE_MS: u64 = 45_000;

#[derive(Clone, Copy, ValueEnum)]
enum Routing {
    RoadGraph,
    PowerLaw,
}

#[derive(Args)]
pub(crate) struct Options {
    /// Folder with requests, taxis and roads
    #[arg(long)]
    data: PathBuf,
    /// Domain seconds a real second
    #[arg(long, default_value_t = 60)]
    speed: u32,
    /// Only the first minutes of the hour
    #[arg(long)]
    minutes: Option<u32>,
    /// Only so many cars, evenly chosen
    #[arg(long)]
    drivers: Option<usize>,
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How the engine estimates pickup times; bots drive along the roads either way
    #[arg(long, value_enum, default_value = "road-graph")]
    routing: Routing,
}

/// Runs the bench.
pub(crate) async fn run(options: Options) -> anyhow::Result<Value> {
    say(format!("load average before: {}", load_average()));
    let mut hour = Hour::read(&options.data, options.seed)?;
    if let Some(minutes) = options.minutes {
        hour.until(f64::from(minutes) * 60.0);
    }
    if let Some(drivers) = options.drivers {
        thin(&mut hour.cars, drivers);
    }
    let (requests, cars) = (hour.requests.len(), hour.cars.len());
    say(format!("{requests} requests ({} spread over their minute), {cars} cars", hour.spread));
    served::check_descriptors(cars + requests / 3)?;
    let dir = served::new_dir()?;
    let roads = data::unpack_roads(&options.data, &dir)?;
    let settings = settings(&options, &dir, &roads);
    say("settings of the engine:");
    served::say_settings(&settings);
    let served = Served::start(settings).await?;
    let people = served.seed(cars, requests).await?;
    let engine = Arc::new(ibora::bots::Engine::new(served.address, options.speed, true));
    let town = Town::new(data::roads(&roads)?, Vec::new(), Box::new(|_| {}));
    let (shared, took) = live(
        (Arc::clone(&engine), Arc::new(town)),
        (people.drivers.into_iter().zip(hour.cars).collect(), options.speed),
        people.passengers.into_iter().zip(hour.requests).collect(),
        (&served, options.seed),
    )
    .await?;
    say("auditing");
    let store = served.store().await?;
    let Some(promises) = &engine.promises else { anyhow::bail!("promises were not kept") };
    let verdict = audit::judge(&store.pool, promises).await?;
    store.pool.close().await;
    served.end().await?;
    let ended = shared.ended.lock();
    let mut line = figures(&engine, &ended, requests);
    line["speed"] = options.speed.into();
    line["cars"] = cars.into();
    line["took_s"] = rounded(took.as_secs_f64(), 1).into();
    line["duplicates"] = verdict.duplicates.into();
    line["lost_acks"] = verdict.lost_acks.into();
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    let offers = verdict.offers as f64;
    line["offers_per_ride"] = rounded(offers / number(requests), 3).into();
    line["audit"] = verdict.details;
    line["load_average"] = load_average().into();
    Ok(line)
}

/// Keeps so many of them, evenly chosen.
fn thin<T: Copy>(all: &mut Vec<T>, wanted: usize) {
    let count = all.len();
    if wanted < count {
        *all = (0..wanted).map(|number| all[number * count / wanted]).collect();
    }
}

fn settings(
    options: &Options,
    dir: &std::path::Path,
    (nodes, edges): &(PathBuf, PathBuf),
) -> Settings {
    let speed = u64::from(options.speed);
    let stale = (POSITION_STALE_MS * speed).to_string();
    let mut all = served::common(dir);
    all.extend(served::settings([
        ("seed.enabled", "true"),
        ("clock.speed", &speed.to_string()),
        ("dispatch.position_stale_ms", &stale),
        ("session.tel_per_s", "5"),
        ("session.tel_burst", "20"),
    ]));
    if matches!(options.routing, Routing::RoadGraph) {
        all.extend(served::settings([
            ("routing.kind", "road_graph"),
            ("routing.nodes", &nodes.display().to_string()),
            ("routing.edges", &edges.display().to_string()),
        ]));
    }
    all
}

/// Lives through the hour; what it left, and how long it took.
async fn live(
    (engine, town): (Arc<Engine>, Arc<Town>),
    (drivers, speed): (Vec<(ibora::bots::Person, data::Car)>, u32),
    passengers: Vec<(ibora::bots::Person, data::Request)>,
    (served, seed): (&Served, u64),
) -> anyhow::Result<(Shared, Duration)> {
    let (early, late): (Vec<_>, Vec<_>) = drivers.into_iter().partition(|(_, car)| car.at_s <= 0.0);
    let requests = passengers.len();
    let last_s = passengers.last().map_or(0.0, |(_, request)| request.at_s);
    say(format!("{} drivers connect before the hour begins", early.len()));
    let mut fleet = Fleet::new(Arc::clone(&engine), Arc::clone(&town), seed << 32);
    let wanted = number(early.len());
    fleet.gather(early).await;
    online(served, wanted).await?;
    let (speed, ended) = (f64::from(speed), Arc::default());
    let begins = Instant::now() + Duration::from_secs_f64(crowd::OPENS_APP_S / speed);
    let shared = Shared { engine, town, begins, speed, ended };
    say(format!("the hour begins with {wanted} drivers online, load {}", load_average()));
    let before = served.cpu();
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(fleet.grow(shared.clone(), late));
    let mut asking = tokio::spawn(crowd::ask(shared.clone(), passengers, (seed << 32) + (1 << 24)));
    let ends = shared.begins + Duration::from_secs_f64((last_s + TAIL_S) / shared.speed);
    loop {
        tokio::select! {
            over = &mut asking => {
                over?;
                break;
            }
            () = tokio::time::sleep(PROGRESS_EVERY) => progress(&shared, requests),
            () = tokio::time::sleep_until(ends.into()) => {
                say("the tail is over; what is under way counts as that");
                break;
            }
        }
    }
    asking.abort();
    let took = shared.begins.elapsed();
    let used = served.cpu().saturating_sub(before);
    say(format!("the engine used {:.1} s of CPU", used.as_secs_f64()));
    tasks.shutdown().await;
    Ok((shared, took))
}

/// Waits until so many drivers are offered rides.
async fn online(served: &Served, wanted: f64) -> anyhow::Result<()> {
    let deadline = Instant::now() + ONLINE_WITHIN;
    loop {
        let found = served.metric("drivers_available").await?;
        if found >= wanted {
            return Ok(());
        }
        say(format!("{found} of {wanted} drivers online"));
        anyhow::ensure!(Instant::now() < deadline, "{found} of {wanted} drivers came online");
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

fn progress(shared: &Shared, requests: usize) {
    let figures = &shared.engine.figures;
    let minutes = shared.begins.elapsed().as_secs_f64() * shared.speed / 60.0;
    let accept = figures.accept_us.quantiles(2000, [0.5, 0.99]).unwrap_or_default();
    let wait = figures.wait_ms.quantiles(2000, [0.5]).unwrap_or_default();
    say(format!(
        "minute {minutes:>5.1}: {} of {requests} requested, {} accepted, {} completed, {} without \
         driver; {} sockets; wait p50 {:.1} s; accept p50 {:.1} p99 {:.1} ms; {} odd, {} \
         unanswered; load {}",
        figures.requested.get(),
        figures.accepted.get(),
        figures.completed.get(),
        figures.no_driver.get(),
        figures.sockets.get(),
        f64::from(wait[0]) / 1000.0,
        f64::from(accept[0]) / 1000.0,
        f64::from(accept[1]) / 1000.0,
        figures.odd_refusals.get(),
        figures.unanswered.get(),
        load_average(),
    ));
}

fn figures(engine: &Engine, ended: &Ended, requests: usize) -> Value {
    let of = |wanted: &[Outcome]| {
        ended.stories.iter().filter(|story| wanted.contains(&story.outcome)).count()
    };
    let seconds = |figure: fn(&Story) -> Option<ibora_domain::units::Millis>| -> Vec<f64> {
        ended
            .stories
            .iter()
            .filter_map(figure)
            .map(ibora_domain::units::Millis::as_secs_f64)
            .collect()
    };
    let accepts = engine.figures.accept_us.values();
    let accepts: Vec<f64> = accepts.into_iter().map(|us| f64::from(us) / 1000.0).collect();
    let finished = ended.stories.len() + usize::try_from(ended.sessions_lost).unwrap_or(0);
    let accept = summary(accepts);
    json!({
        "bench": "replay",
        "requests": requests,
        "completed": of(&[Outcome::Completed]),
        "no_driver": of(&[Outcome::NoDriver]),
        "canceled": of(&[Outcome::Canceled, Outcome::GaveUp]),
        "refused": of(&[Outcome::Refused]),
        "under_way": requests.saturating_sub(finished),
        "sessions_lost": ended.sessions_lost,
        "wait_s": summary(seconds(|story| story.wait)),
        "pickup_eta_s": summary(seconds(|story| story.pickup)),
        "accept_ms": { "p50": accept["p50"], "p99": accept["p99"] },
        "accepts_lost": engine.figures.accepts_lost.get(),
        "odd_refusals": engine.figures.odd_refusals.get(),
        "unanswered": engine.figures.unanswered.get(),
    })
}

fn summary(mut values: Vec<f64>) -> Value {
    values.sort_by(f64::total_cmp);
    let mean = values.iter().sum::<f64>() / number(values.len().max(1));
    let at = |percent: usize| {
        let rank = (values.len() * percent).div_ceil(100).max(1) - 1;
        rounded(values.get(rank).copied().unwrap_or_default(), 2)
    };
    json!({ "mean": rounded(mean, 2), "p50": at(50), "p90": at(90), "p99": at(99) })
}
