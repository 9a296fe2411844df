//! Witnesses: people who ride on, all the time, while something happens to the engine.
//!
//! Each pair, a passenger and a driver far from everybody else, asks, is offered, accepts and
//! cancels at a fixed pace; what they tell is how long accepts took. A pause of the engine counts
//! as often as they would have accepted in it. Who loses the session comes back as any client.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use ibora::bots::Person;
use ibora_domain::place::Coordinates;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::backoff::Backoff;
use crate::client::{Client, Entity};
use crate::people;
use crate::report::Latencies;
use crate::served::Settings;

/// Passengers, and as many drivers.
pub(crate) const PAIRS: usize = 16;
/// A pair accepts a ride this often in the mean, if it can.
const EVERY: Duration = Duration::from_millis(100);
/// A ride that is not offered within this time is given up.
const OFFERED_WITHIN: Duration = Duration::from_secs(10);
/// Degrees between two pairs: farther than a wave looks.
pub(crate) const FAR: f64 = 0.2;
/// Where the first pair is; nobody else is near.
pub(crate) const FIRST: usize = 5_000;

/// Rides that go on until this is dropped.
pub(crate) struct Witnesses {
    shared: Arc<Shared>,
    _riding: JoinSet<()>,
}

struct Shared {
    address: SocketAddr,
    accepts: Mutex<Latencies>,
    /// The last thing that went wrong.
    trouble: Mutex<Option<anyhow::Error>>,
}

struct Pair {
    passenger: (Person, Uuid),
    driver: (Person, Uuid),
    place: Coordinates,
}

/// What witnesses need of an engine.
pub(crate) fn settings() -> Settings {
    crate::served::settings([
        ("seed.enabled", "true"),
        // A driver who is not free in time is asked a little later.
        ("dispatch.head_start_ms", "250"),
        ("dispatch.wave_ms", "250"),
        ("dispatch.position_stale_ms", "86400000"),
        // A passenger cancels ride after ride.
        ("rides.cancel_fee", "0.00"),
        ("session.cmd_per_s", "1000"),
        ("session.cmd_burst", "1000"),
    ])
}

impl Witnesses {
    /// Lets these people ride. The first [`PAIRS`] of each side are taken.
    pub(crate) fn start(
        address: SocketAddr,
        (passengers, drivers): (&[Person], &[Person]),
    ) -> anyhow::Result<Self> {
        let (accepts, trouble) = (Mutex::new(Latencies::new()), Mutex::new(None));
        let shared = Arc::new(Shared { address, accepts, trouble });
        let mut riding = JoinSet::new();
        for (number, (passenger, driver)) in passengers.iter().zip(drivers).take(PAIRS).enumerate()
        {
            let pair = Pair {
                passenger: (passenger.clone(), Uuid::now_v7()),
                driver: (driver.clone(), Uuid::now_v7()),
                place: people::place(FIRST + number, FAR)?,
            };
            riding.spawn(ride_on(Arc::clone(&shared), pair));
        }
        Ok(Self { shared, _riding: riding })
    }

    /// How long accepts took since this was last asked.
    pub(crate) fn take(&self) -> Latencies {
        std::mem::replace(&mut self.shared.accepts.lock(), Latencies::new())
    }

    /// How long they take in a window of this length.
    ///
    /// # Errors
    /// Where nobody accepted anything.
    pub(crate) async fn window(&self, length: Duration) -> anyhow::Result<Latencies> {
        self.take();
        tokio::time::sleep(length).await;
        let accepts = self.take();
        if accepts.count() == 0 {
            let trouble = self.shared.trouble.lock().take();
            return Err(trouble.unwrap_or_else(|| anyhow::anyhow!("they wait")))
                .context("nobody accepted a ride");
        }
        Ok(accepts)
    }
}

async fn ride_on(shared: Arc<Shared>, pair: Pair) {
    let mut backoff = Backoff::default();
    loop {
        let Err(error) = ride_while_connected(&shared, &pair, &mut backoff).await;
        *shared.trouble.lock() = Some(error);
        tokio::time::sleep(backoff.pause()).await;
    }
}

async fn ride_while_connected(
    shared: &Shared,
    pair: &Pair,
    backoff: &mut Backoff,
) -> anyhow::Result<Infallible> {
    let Pair { passenger: (passenger, on), driver: (driver, of_driver), place } = pair;
    let me = driver.id;
    let (mut driver, _) = Client::open(shared.address, driver, (*of_driver, None)).await?;
    let online = json!({"category": "economy", "location": place});
    // One who is still on a ride of before is refused; it is canceled next.
    driver.ask(Uuid::now_v7(), ("driver.online", Some(me)), &online).await?.ok();
    let (mut passenger, welcome) = Client::open(shared.address, passenger, (*on, None)).await?;
    let cancel = json!({"reason": "other"});
    if let Some(Entity { id }) = welcome.snapshot.ride {
        // Of before the connection was lost. It may have ended since.
        passenger.ask(Uuid::now_v7(), ("ride.cancel", Some(id)), &cancel).await?.ok();
    }
    backoff.reset();
    let dropoff = Coordinates::new(place.lat() + 0.03, place.lng())?;
    let request = json!({"pickup": place, "dropoff": dropoff, "category": "economy",
        "payment_method": "pix"});
    // Never in step: pairs at one fixed pace that a pause had brought into one moment would stay
    // there, and every accept after it would be one of sixteen at once.
    let pause = || EVERY.mul_f64(rand::random_range(0.0..2.0));
    let mut next = Instant::now() + pause();
    loop {
        tokio::time::sleep_until(next.into()).await;
        next = Instant::now().max(next + pause());
        let asked = passenger.done(("ride.request", None), &request).await?;
        let Entity { id } = serde_json::from_str(asked.get())?;
        let offered = driver.told("offer.made", id);
        tokio::time::timeout(OFFERED_WITHIN, offered).await.context("no offer")??;
        let began = Instant::now();
        driver.done(("ride.accept", Some(id)), &Value::Object(serde_json::Map::new())).await?;
        shared.accepts.lock().record_every(began.elapsed(), EVERY);
        passenger.done(("ride.cancel", Some(id)), &cancel).await?;
    }
}
