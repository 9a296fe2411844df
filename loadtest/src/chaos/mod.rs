//! Chaos: drivers race and passengers change their minds, while everything that can happen to
//! engines, database and roads happens. At the end everybody asks everything again.
//!
//! Two engines share a database behind a proxy that breaks connections; people reach the engines
//! over two more, on one of which each frame has a chance to be the last of its connection. The
//! seed decides the order of the faults and what people draw; when each thing happens is also for
//! the machine to decide, so that a run is like another of its seed, not the same.

mod audit;
mod cutter;
mod database;
mod engines;
mod faults;
mod memory;
mod people;
mod phone;
mod run;
mod truth;
mod view;
mod wire;

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Args;
use ibora::bots::Person;
use ibora_domain::place::Coordinates;
use ibora_loadtest::proxy::postgres::Losses;
use ibora_loadtest::proxy::{FaultProxy, Upstream};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::report::{load_average, say};
use crate::served::{self, Seeded, Settings};
use cutter::Road;
use database::Postgres;
use engines::Engines;
use faults::{Faults, Kind, Tally};
use phone::{Holder, Phone};
use run::{Phase, Run};
use truth::Truth;
use view::View;

#[derive(Args, Clone)]
pub(crate) struct Options {
    /// How long things happen; the audit comes after it
    #[arg(long, default_value_t = 5.0)]
    minutes: f64,
    #[arg(long, default_value_t = 1)]
    seed: u64,
    #[arg(long, default_value_t = 24)]
    drivers: usize,
    #[arg(long, default_value_t = 16)]
    passengers: usize,
    /// Of a hundred frames in the tunnel, so many are the last of their connection
    #[arg(long, default_value_t = 30)]
    cut_percent: u32,
    /// Only these kinds of faults, to look for the one that matters
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = Kind::ALL)]
    faults: Vec<Kind>,
}

/// Of a thousand frames on the plain road, so many are the last of their connection.
const PLAIN_CUTS: u32 = 5;
/// Everybody has a session again, and shows the truth, so long after the last fault at the latest.
const COMES_TO_REST_WITHIN: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Complaints of engines that are shown.
const SHOWN: usize = 5;
const SIGNING_KEY: &str = "a key that only this bench uses, 32 bytes";

/// Runs the bench.
pub(crate) async fn run(options: Options) -> anyhow::Result<Value> {
    say(format!("load average before: {}", load_average()));
    let dir = served::new_dir()?;
    // The database's own user must get in.
    let database = Postgres::start(&dir, served::free_address()?.port()).await?;
    let losses = Losses::new();
    let upstream = Upstream::Tcp(database.address());
    let proxy = FaultProxy::start_with(upstream, losses.judges())?;
    let settings = settings(&database, proxy.address());
    say("settings of the engines:");
    served::say_settings(&settings);
    let engines = Engines::start(&dir, &settings).await?;
    let (drivers, passengers) = (options.drivers.max(2), options.passengers.max(1));
    let mut people = engines.served(0).seed(drivers + 1, passengers).await?;
    let probe = people.drivers.pop().context("nobody was made")?;
    let roads = Roads::build(&engines, &options)?;
    let pool = database.pool().await?;
    let place = Coordinates::new(-23.5503, -46.6339)?;
    let run = Rc::new(Run::new(Truth::new(pool.clone()), roads.addresses, place));
    let parts = ((database, pool.clone()), (proxy, losses));
    let chosen = (probe, options.faults.clone(), options.seed);
    let mut faults = Faults::new(&run, engines, parts.0, parts.1, chosen);
    let crowd = Crowd::gather(&run, &people, options.seed);
    say(format!("{drivers} drivers race for the rides of {passengers} passengers"));
    let length = Duration::from_secs_f64(options.minutes.max(0.0) * 60.0);
    faults.go_on(length).await?;
    let verdict = settle(&run, &mut faults, (&roads, crowd), &people).await?;
    let complaints = Engines::complaints(&dir);
    for complaint in complaints.iter().take(SHOWN) {
        say(format!("AN ENGINE SAID: {complaint}"));
    }
    line(&run, &faults, (&roads, &options), (verdict, complaints.len())).await
}

/// What the end of a run showed.
struct Verdict {
    compared: usize,
    /// Promises that the database breaks.
    broken: u64,
    lost_acks: u64,
}

/// The roads to both engines: a plain one, and one through a tunnel.
struct Roads {
    plain: Arc<Road>,
    tunnel: Arc<Road>,
    addresses: [[SocketAddr; 2]; 2],
    _proxies: Vec<FaultProxy>,
}

impl Roads {
    fn build(engines: &Engines, options: &Options) -> anyhow::Result<Self> {
        let (plain, tunnel) = (Arc::new(Road::default()), Arc::new(Road::default()));
        plain.set(PLAIN_CUTS);
        tunnel.set(options.cut_percent * 10);
        let mut proxies = Vec::new();
        let mut road = |to: usize, road: &Arc<Road>| {
            let seed = options.seed ^ u64::try_from(proxies.len())?;
            let upstream = Upstream::Tcp(engines.served(to).address);
            let proxy = FaultProxy::start_with(upstream, road.judges(seed))?;
            let address = proxy.address();
            proxies.push(proxy);
            anyhow::Ok(address)
        };
        let addresses =
            [[road(0, &plain)?, road(0, &tunnel)?], [road(1, &plain)?, road(1, &tunnel)?]];
        Ok(Self { plain, tunnel, addresses, _proxies: proxies })
    }

    /// Nothing happens on them any more.
    fn mend(&self) {
        self.plain.set(0);
        self.tunnel.set(0);
    }
}

fn settings(database: &Postgres, proxy: SocketAddr) -> Settings {
    served::settings([
        ("database.url", &Postgres::url("ibora_app", proxy.port())),
        ("database.migrate_url", &Postgres::url("ibora_owner", database.address().port())),
        ("auth.signing_key", SIGNING_KEY),
        ("limits.enabled", "false"),
        ("log.level", "warn"),
        ("seed.enabled", "true"),
        // Races, and soon the next.
        ("dispatch.waves", "[6]"),
        ("dispatch.head_start_ms", "500"),
        ("dispatch.wave_ms", "1000"),
        ("dispatch.offer_ttl_ms", "6000"),
        ("dispatch.search_ms", "30000"),
        ("presence.timeout_ms", "15000"),
        // A passenger cancels ride after ride.
        ("rides.cancel_fee", "0.00"),
        // What is idle is read again from the records.
        ("actors.ride_passivate_ms", "2000"),
        ("actors.driver_passivate_ms", "5000"),
    ])
}

/// People at their phones until this is dropped.
struct Crowd {
    _living: JoinSet<()>,
    views: Vec<(Person, bool, Rc<RefCell<View>>)>,
}

impl Crowd {
    /// Everybody; every other one is in the tunnel.
    fn gather(run: &Rc<Run>, people: &Seeded, seed: u64) -> Self {
        let (mut living, mut views) = (JoinSet::new(), Vec::new());
        let drivers = people.drivers.iter().map(|person| (person, true));
        let passengers = people.passengers.iter().map(|person| (person, false));
        for (number, (person, is_driver)) in (1..).zip(drivers.chain(passengers)) {
            let (person, in_tunnel) = (person.clone(), number % 2 == 0);
            let seed = seed ^ (number << 16);
            let holder = Holder { person: person.clone(), is_driver, in_tunnel, seed };
            let phone = Phone::new(run, holder);
            views.push((person, is_driver, phone.view()));
            match is_driver {
                true => living.spawn_local(people::drive(phone)),
                false => living.spawn_local(people::travel(phone)),
            };
        }
        Self { _living: living, views }
    }

    /// Waits until everybody shows the truth. Who does not is told of.
    async fn comes_to_rest(&self, run: &Run) {
        let deadline = Instant::now() + COMES_TO_REST_WITHIN;
        for (person, is_driver, view) in &self.views {
            loop {
                let truth = run.truth.of(person.id, *is_driver).await;
                let believed = |as_of| truth::believed(&view.borrow(), as_of);
                match truth {
                    Ok((truth, as_of)) if truth == believed(as_of) => break,
                    truth if Instant::now() >= deadline => {
                        let view = view.borrow().clone();
                        let detail = || format!("{}: {truth:?}, shown {view:?}", person.id);
                        run.found("never_the_truth", detail);
                        break;
                    }
                    _ => tokio::time::sleep(LOOK_EVERY).await,
                }
            }
        }
    }
}

/// Nothing happens any more: everybody comes to rest, is killed once more, and asks again.
async fn settle(
    run: &Rc<Run>,
    faults: &mut Faults,
    (roads, crowd): (&Roads, Crowd),
    people: &Seeded,
) -> anyhow::Result<Verdict> {
    roads.mend();
    run.phase.set(Phase::Finishing);
    for stuck in audit::rides_end(&faults.pool).await? {
        run.found("stuck", || format!("{stuck:?}"));
    }
    run.phase.set(Phase::Quiet);
    crowd.comes_to_rest(run).await;
    drop(crowd);
    say("everybody is at rest; the engine is killed once more, and asked for everything again");
    faults.engines.kill_and_spawn()?;
    faults.engines.ready(run).await?;
    let base = faults.engines.served(faults.engines.at_work).url("");
    let (drivers, passengers) = (&*people.drivers, &*people.passengers);
    let compared = audit::ask_again(run, &base).await?;
    audit::cancel_all(&base, passengers, &faults.pool).await?;
    audit::everybody_is_free(run, &base, (drivers, passengers)).await?;
    let broken = audit::broken_promises(&faults.pool).await?;
    let (lost, twice) = audit::lost_steps(run, &faults.pool).await?;
    Ok(Verdict { compared, broken: broken + twice, lost_acks: lost + run.memory.contradictions() })
}

async fn line(
    run: &Run,
    faults: &Faults,
    (roads, options): (&Roads, &Options),
    (verdict, complaints): (Verdict, usize),
) -> anyhow::Result<Value> {
    let rides: i64 =
        sqlx::query_scalar("SELECT count(*) FROM rides").fetch_one(&faults.pool).await?;
    let Tally { mut done, ready_again } = faults.tally();
    done.insert("client_cut", roads.plain.cuts() + roads.tunnel.cuts());
    done.extend(run.counts());
    let findings = run.findings();
    let violations = findings.values().sum::<u64>() + verdict.broken + u64::try_from(complaints)?;
    let converged = run.truth.figures();
    Ok(json!({
        "bench": "chaos",
        "minutes": options.minutes,
        "seed": options.seed,
        "faults": done,
        "rides": rides,
        "commands": run.memory.ids().len(),
        "answers_compared": verdict.compared,
        "violations": violations,
        "lost_acks": verdict.lost_acks,
        "findings": findings,
        "cut_percent": options.cut_percent,
        "converge_ms": converged["calm"],
        "converge_in_faults_ms": converged["in_faults"],
        "ready_again_ms": ready_again,
        "load_average": load_average(),
    }))
}
