//! Recovery: kill -9 of an engine with many rides in flight, and how soon the next one serves.
//!
//! The rides are made through the engine's own door by a child process, which is then killed; its
//! PostgreSQL lives on, as after a real crash. The engine that follows is `ibora serve` itself.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Args;
use futures_util::StreamExt;
use ibora::actors::{Caller, Command as Asked, RideRequest, Sent};
use ibora::app::App;
use ibora_domain::category::Category;
use ibora_domain::ids::RideId;
use ibora_domain::refusal::Refusal;
use ibora_domain::ride::PaymentMethod;
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

use crate::people::{go_online, make_drivers, make_passengers, place};
use crate::report::{load_average, rounded, say};
use crate::served::{self, Served, Settings};

/// Commands under way at once while filling.
const AT_ONCE: usize = 512;
/// Degrees between neighbours: farther than a wave looks.
const FAR: f64 = 0.01;
/// Of so many rides one stays searching, its offer open; the others have a driver.
const SEARCHING_EVERY: usize = 10;

#[derive(Args)]
pub(crate) struct Options {
    /// Rides in flight when the engine is killed
    #[arg(long, default_value_t = 100_000)]
    rides: usize,
}

#[derive(Args)]
pub(crate) struct FillOptions {
    #[arg(long)]
    dir: PathBuf,
    #[arg(long)]
    rides: usize,
}

/// What the filling process was told, and what opens the first door afterwards.
#[derive(Serialize, Deserialize)]
struct Filled {
    /// Acknowledged status by ride.
    acknowledged: HashMap<RideId, String>,
    /// A ride with an open offer, and its driver's token.
    open: RideId,
    token: String,
}

/// Settings of both engines: nothing falls due while the rides are made.
fn all_settings(dir: &Path) -> Settings {
    let never = "86400000";
    let mut all = served::common(dir);
    all.extend(served::settings([
        ("dispatch.waves", "[1]"),
        ("dispatch.radii_m", "[300]"),
        ("dispatch.search_ms", never),
        ("dispatch.offer_ttl_ms", never),
        // A wave whose drivers were too slow to answer is made again.
        ("dispatch.head_start_ms", "20000"),
        ("dispatch.wave_ms", "20000"),
        ("dispatch.position_stale_ms", never),
        ("presence.timeout_ms", never),
    ]));
    all
}

/// The child's part: fills an engine with rides, says so, and waits to be killed.
pub(crate) async fn fill(options: FillOptions) -> anyhow::Result<serde_json::Value> {
    let mut settings = all_settings(&options.dir);
    settings.push(("http.listen".to_owned(), "127.0.0.1:0".to_owned()));
    let app = App::start(&served::config(&settings)?).await?;
    let owner = app.store.database.owner_options().context("no owner of the database")?;
    let pool = sqlx::PgPool::connect_with(owner).await?;
    say(format!("making {} drivers and passengers", options.rides));
    let drivers = make_drivers(&pool, options.rides).await?;
    let passengers = make_passengers(&pool, options.rides).await?;
    let places: Vec<_> = (0..options.rides).map(|n| place(n, FAR)).collect::<Result<_, _>>()?;
    go_online(&app.dispatch, drivers.iter().copied().zip(places.iter().copied())).await?;
    say("filling the engine with rides");
    let mut acknowledged = HashMap::new();
    let mut open = None;
    let mut rides = futures_util::stream::iter(0..options.rides)
        .map(|n| {
            let (app, people) = (&app, (passengers[n], drivers[n]));
            let pickup = places[n];
            async move {
                let searching = n % SEARCHING_EVERY == 0;
                (searching, people.1, fly(app, people, pickup, searching).await)
            }
        })
        .buffer_unordered(AT_ONCE);
    while let Some((searching, driver, flying)) = rides.next().await {
        let (ride, status) = flying?;
        if searching {
            open = Some((ride, driver));
        }
        acknowledged.insert(ride, status);
        if acknowledged.len().is_multiple_of(10_000) {
            say(format!("{} rides in flight", acknowledged.len()));
        }
    }
    drop(rides);
    let (open, driver) = open.context("no ride has an open offer")?;
    let token = app.accounts.sign_access(driver.user, driver.role)?;
    let filled = serde_json::to_vec(&Filled { acknowledged, open, token })?;
    std::fs::write(options.dir.join("filled.json"), filled)?;
    println_filled()?;
    // Killed here.
    futures_util::future::pending().await
}

#[expect(clippy::print_stdout, reason = "the parent waits for this line")]
fn println_filled() -> anyhow::Result<()> {
    println!("filled");
    Ok(std::io::stdout().flush()?)
}

/// Requests a ride and, unless it shall stay searching, has its driver accept it.
async fn fly(
    app: &App,
    (passenger, driver): (Caller, Caller),
    pickup: ibora_domain::place::Coordinates,
    searching: bool,
) -> anyhow::Result<(RideId, String)> {
    let request = Asked::Request(RideRequest {
        quote_id: None,
        pickup,
        dropoff: ibora_domain::place::Coordinates::new(pickup.lat() + 0.03, pickup.lng())?,
        stops: vec![],
        category: Category::Economy,
        payment_method: PaymentMethod::Pix,
        notes: None,
    });
    let ride = send(app, passenger, Uuid::now_v7().to_string(), request).await?;
    let ride = ride.map_err(|refusal| anyhow::anyhow!("request: {}", refusal.code()))?;
    let ride: serde_json::Value = serde_json::from_str(&ride)?;
    let ride: RideId = ride["id"].as_str().context("no id")?.parse()?;
    if searching {
        return Ok((ride, "searching".to_owned()));
    }
    let deadline = Instant::now() + Duration::from_secs(90);
    // Each refused attempt is recorded, and so delays the wave that it waits for.
    let mut pause = Duration::from_millis(20);
    tokio::time::sleep(pause).await;
    loop {
        let accept = Asked::Accept { ride, offer_id: None };
        // A new command each time: one that was refused stays refused.
        match send(app, driver, Uuid::now_v7().to_string(), accept).await? {
            Ok(_) => return Ok((ride, "accepted".to_owned())),
            // The wave is still being made.
            Err(Refusal::OfferNotFound) if Instant::now() < deadline => {
                pause *= 2;
                tokio::time::sleep(pause).await;
            }
            Err(refusal) => anyhow::bail!("accept: {}", refusal.code()),
        }
    }
}

async fn send(
    app: &App,
    caller: Caller,
    id: String,
    command: Asked,
) -> anyhow::Result<Result<std::sync::Arc<str>, Refusal>> {
    let sent = Sent { id: Some(id), if_version: None, command };
    Ok(app.dispatch.command(caller, sent).await.map(|done| done.body))
}

/// Measures.
pub(crate) async fn run(options: Options) -> anyhow::Result<serde_json::Value> {
    let dir = served::new_dir()?;
    let filling = dir.clone();
    // Not waited for where this process is asked to stop.
    let filled = tokio::task::spawn_blocking(move || fill_and_kill(&filling, options.rides));
    let filled = filled.await??;
    say("killed; starting the engine again");
    let started = Instant::now();
    let mut engine = Served::spawn(all_settings(&dir))?;
    engine.ready().await?;
    let ready = started.elapsed();
    let accept = engine
        .http()
        .post(engine.url(&format!("/v1/rides/{}/accept", filled.open)))
        .bearer_auth(&filled.token)
        .insert_header(("Idempotency-Key", Uuid::now_v7().to_string()))
        .send_json(&json!({}))
        .await
        .map_err(|error| anyhow::anyhow!("the first accept: {error}"))?;
    let accepted = started.elapsed();
    anyhow::ensure!(accept.status().is_success(), "the first accept: {}", accept.status());
    let lost = lost(&engine, &filled).await?;
    engine.end().await?;
    Ok(json!({
        "bench": "recovery", "rides": options.rides, "lost": lost,
        "ready_s": rounded(ready.as_secs_f64(), 3),
        "first_accept_s": rounded(accepted.as_secs_f64(), 3),
        "load_average": load_average(),
    }))
}

fn fill_and_kill(dir: &Path, rides: usize) -> anyhow::Result<Filled> {
    let mut child = Command::new(std::env::current_exe()?)
        .args(["fill", "--rides", &rides.to_string(), "--dir"])
        .arg(dir)
        .stdout(Stdio::piped())
        .spawn()?;
    let out = child.stdout.take().context("no output")?;
    let mut line = String::new();
    BufReader::new(out).read_line(&mut line)?;
    child.kill()?;
    child.wait()?;
    anyhow::ensure!(line.trim() == "filled", "the engine could not be filled");
    Ok(serde_json::from_slice(&std::fs::read(dir.join("filled.json"))?)?)
}

/// Acknowledged rides that the database does not have as acknowledged.
async fn lost(engine: &Served, filled: &Filled) -> anyhow::Result<usize> {
    let store = engine.store().await?;
    let rows: Vec<(Uuid, String)> =
        sqlx::query_as("SELECT id, status FROM rides").fetch_all(&store.pool).await?;
    store.pool.close().await;
    let found: HashMap<RideId, String> =
        rows.into_iter().map(|(id, status)| (RideId(id), status)).collect();
    let as_told = |(ride, status): (&RideId, &String)| {
        found.get(ride).is_some_and(|now| now == status || *ride == filled.open)
    };
    Ok(filled.acknowledged.iter().filter(|told| !as_told(*told)).count())
}
