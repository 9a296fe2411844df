//! Sessions: what many idle ones cost, and how soon all of them are back after a kill -9.
//!
//! Half of the clients are drivers, half passengers. They come and are idle; that is what memory
//! and CPU time are measured of. Then the drivers go online, and the engine is killed and started
//! again while rides are accepted over REST. Everybody comes back as the contract asks, with pauses
//! that double, and nobody waits for a turn. Once more it is killed while nothing else happens:
//! what the database is asked then is asked for those who come back.

mod accepts;
mod crowd;
mod reads;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use clap::Args;
use ibora::bots::Person;
use ibora_domain::place::Coordinates;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::client::Client;
use crate::people;
use crate::report::{self, Latencies, load_average, median, number, rounded, say};
use crate::served::{self, Served};
use accepts::{Accepts, STOCK, Stock};
use crowd::Crowd;
use reads::Statements;

#[derive(Args, Clone, Copy)]
pub(crate) struct Options {
    /// Clients with an idle session
    #[arg(long, default_value_t = 10_000)]
    count: usize,
    /// Seconds in which the idle engine's CPU time is measured
    #[arg(long, default_value_t = 20)]
    idle_s: u64,
    /// How often the engine is killed and started again while rides are accepted
    #[arg(long, default_value_t = 3)]
    restarts: usize,
}

/// Until the engine has done what a crowd left it to do.
const SETTLE: Duration = Duration::from_secs(5);
/// Degrees between two drivers.
const FAR: f64 = 0.01;
/// Statements that are told of, the most frequent.
const SHOWN: usize = 6;

/// What a restart showed.
struct Restart {
    back_s: f64,
    accepts: Option<Accepts>,
}

/// Runs the bench.
pub(crate) async fn run(options: Options) -> anyhow::Result<Value> {
    say(format!("load average before: {}", load_average()));
    served::check_descriptors(options.count + STOCK)?;
    let dir = served::new_dir()?;
    let mut settings = served::common(&dir);
    settings.extend(accepts::settings());
    // A crowd that waits for connections of the database is told of by the figures.
    settings.extend(served::settings([("log.level", "warn,sqlx=error")]));
    say("settings of the engine:");
    served::say_settings(&settings);
    let mut served = Served::start(settings).await?;
    let drivers = options.count / 2;
    let passengers = options.count - drivers;
    let mut people = served.seed(drivers + STOCK, passengers + STOCK).await?;
    let pairs = (people.passengers.split_off(passengers), people.drivers.split_off(drivers));
    let stock = Stock::new(&served, pairs)?;
    // What the first rides and sessions of all make the engine load stays with it.
    accepts_of(&stock, &served, "before anybody came").await?;
    if let Some(first) = people.drivers.first() {
        Client::open(served.address, first, (Uuid::now_v7(), None)).await?;
    }
    tokio::time::sleep(SETTLE).await;

    let before_kb = served.rss_kb()?;
    let crowd = Crowd::gather(served.address, placed(people.drivers, people.passengers)?);
    crowd.all_back().await?;
    tokio::time::sleep(SETTLE).await;
    let idle_kb = served.rss_kb()?.saturating_sub(before_kb);
    let kb_per_session = to_number(idle_kb) / number(options.count.max(1));
    let idle_cpu_percent = idle_cpu(&served, options).await;
    say(format!(
        "{} sessions: {kb_per_session:.1} kB each (the engine had {before_kb} kB before), CPU \
         {idle_cpu_percent:.2} % of a core while idle, load {}",
        options.count,
        load_average()
    ));
    crowd.go_online(drivers).await?;
    let online_kb = served.rss_kb()?.saturating_sub(before_kb);
    say(format!("{drivers} drivers online: {online_kb} kB more than before anybody came"));

    let with_crowd = accepts_of(&stock, &served, "with everybody there").await?;
    let mut restarts = Vec::with_capacity(options.restarts + 1);
    for _ in 0..options.restarts {
        restarts.push(restart(&mut served, &crowd, Some(&stock)).await?);
        tokio::time::sleep(SETTLE).await;
    }
    let statements = Statements::log(&served).await?;
    restarts.push(restart(&mut served, &crowd, None).await?);
    let reads = statements.that_read()?;
    say_most_frequent(&reads);
    drop((crowd, stock));
    served.end().await?;
    let mut line = line(options, &with_crowd, &restarts);
    let reads = number(reads.values().sum());
    line["kb_per_session"] = rounded(kb_per_session, 2).into();
    line["idle_cpu_percent"] = rounded(idle_cpu_percent, 2).into();
    line["db_reads_per_reconnect"] = rounded(reads / number(options.count.max(1)), 4).into();
    Ok(line)
}

/// Accepts of a time in which nothing happens.
async fn accepts_of(stock: &Stock, served: &Served, when: &str) -> anyhow::Result<Accepts> {
    let stream = stock.stream(served).await?;
    tokio::time::sleep(SETTLE).await;
    let accepts = stream.end().await?;
    say_accepts(when, &accepts);
    Ok(accepts)
}

/// All people, each driver with a place, in no order that a client could tell.
fn placed(
    drivers: Vec<Person>,
    passengers: Vec<Person>,
) -> anyhow::Result<Vec<(Person, Option<Coordinates>)>> {
    let mut all = Vec::with_capacity(drivers.len() + passengers.len());
    for (number, driver) in drivers.into_iter().enumerate() {
        all.push((driver, Some(people::place(number, FAR)?)));
    }
    all.extend(passengers.into_iter().map(|passenger| (passenger, None)));
    all.sort_by_key(|(person, _)| person.id);
    Ok(all)
}

/// Share of a core that the engine uses while nobody does anything.
async fn idle_cpu(served: &Served, options: Options) -> f64 {
    let (began, before) = (Instant::now(), served.cpu());
    tokio::time::sleep(Duration::from_secs(options.idle_s)).await;
    let used = served.cpu().saturating_sub(before);
    100.0 * used.as_secs_f64() / began.elapsed().as_secs_f64().max(0.001)
}

/// Kills the engine, and waits until everybody is back; with a stock, accepts go on meanwhile.
async fn restart(
    served: &mut Served,
    crowd: &Crowd,
    stock: Option<&Stock>,
) -> anyhow::Result<Restart> {
    let stream = match stock {
        Some(stock) => Some(stock.stream(served).await?),
        None => None,
    };
    say("killed; starting the engine again");
    let began = Instant::now();
    served.kill_and_spawn()?;
    crowd.lost();
    served.ready().await?;
    let ready_s = began.elapsed().as_secs_f64();
    crowd.all_back().await?;
    let back_s = began.elapsed().as_secs_f64();
    say(format!(
        "ready after {ready_s:.2} s, all back after {back_s:.2} s, load {}",
        load_average()
    ));
    let accepts = match stream {
        Some(stream) => Some(stream.end().await?),
        None => None,
    };
    if let Some(accepts) = &accepts {
        say_accepts("meanwhile", accepts);
    }
    Ok(Restart { back_s, accepts })
}

fn say_accepts(when: &str, accepts: &Accepts) {
    let report::Percentiles { p50, p99 } = accepts.latencies.percentiles();
    say(format!("accepts {when}: {}, p50 {p50} p99 {p99} ms", accepts.count));
}

fn say_most_frequent(reads: &BTreeMap<String, usize>) {
    let mut reads: Vec<_> = reads.iter().collect();
    reads.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    for (statement, count) in reads.into_iter().take(SHOWN) {
        say(format!("  {count:>6} times {statement}"));
    }
}

fn line(options: Options, with_crowd: &Accepts, restarts: &[Restart]) -> Value {
    let (mut accepts, mut count) = (Latencies::new(), 0);
    for meanwhile in restarts.iter().filter_map(|restart| restart.accepts.as_ref()) {
        accepts.add(&meanwhile.latencies);
        count += meanwhile.count;
    }
    // Where nobody could accept there is nothing to tell.
    let accept_ms = Some(accepts.percentiles()).filter(|_| count > 0);
    let back_s = median(restarts.iter().map(|restart| restart.back_s));
    json!({
        "bench": "sessions",
        "count": options.count,
        "back_s": rounded(back_s, 2),
        "accept_ms": accept_ms,
        "accepts": count,
        "accept_before_ms": with_crowd.latencies.percentiles(),
        "load_average": load_average(),
    })
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
fn to_number(kb: u64) -> f64 {
    kb as f64
}
