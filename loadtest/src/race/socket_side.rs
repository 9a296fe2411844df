//! The engine in a race over sockets: `ibora serve` is a process of its own, each driver a session.
//!
//! Requests and cancellations go over the passengers' sessions, outside of what is measured. A
//! driver reads only when it is his turn: what the engine tells him otherwise waits in his socket.

use std::net::SocketAddr;

use anyhow::Context;
use futures_util::StreamExt;
use ibora::bots::Person;
use ibora_domain::place::Coordinates;
use ibora_domain::refusal::Refusal;
use parking_lot::Mutex as Plain;
use serde_json::{Value, json};
use tokio::sync::Mutex;
use uuid::Uuid;

use super::audit::ACCEPTED;
use super::engine_side::FAR;
use super::volley::Racer;
use crate::client::{Client, Entity};
use crate::people;
use crate::served::{self, Seeded, Settings};

/// Sessions that are opened at the same time.
const CONNECTING: usize = 32;
/// More than a bench lasts, in milliseconds.
const NEVER: &str = "86400000";

/// The engine with its lanes.
pub(super) struct SocketSide {
    lanes: Vec<Lane>,
}

struct Lane {
    pickup: Coordinates,
    passenger: Mutex<Client>,
    drivers: Vec<Driver>,
    /// The ride that is raced for.
    ride: Plain<Option<Uuid>>,
}

struct Driver {
    id: Uuid,
    session: Mutex<Client>,
}

/// One wave for all drivers, and nothing that ends by itself.
pub(super) fn settings(drivers: usize) -> Settings {
    let wave = format!("[{drivers}]");
    served::settings([
        ("seed.enabled", "true"),
        ("dispatch.waves", wave.as_str()),
        ("dispatch.radii_m", "[1000]"),
        // A winner who is not free in time is asked a little later.
        ("dispatch.head_start_ms", "500"),
        ("dispatch.wave_ms", "500"),
        ("dispatch.offer_ttl_ms", NEVER),
        ("dispatch.search_ms", NEVER),
        ("dispatch.position_stale_ms", NEVER),
        ("presence.timeout_ms", NEVER),
        ("actors.command_deadline_ms", "60000"),
        // Drivers are silent between two races.
        ("session.idle_ms", "3600000"),
        ("session.active_ms", "3600000"),
        // A passenger cancels ride after ride.
        ("rides.cancel_fee", "0.00"),
    ])
}

impl SocketSide {
    pub(super) const NAME: &'static str = "engine over sockets";

    /// Connects everybody and puts the drivers online, `per_lane` at each place.
    pub(super) async fn open(
        address: SocketAddr,
        people: Seeded,
        per_lane: usize,
    ) -> anyhow::Result<Self> {
        let mut lanes = Vec::new();
        let lots = people.drivers.chunks(per_lane).zip(&people.passengers);
        for (number, (drivers, passenger)) in lots.enumerate() {
            let pickup = people::place(number, FAR)?;
            let (passenger, _) = Client::open(address, passenger, (Uuid::now_v7(), None)).await?;
            let mut connecting = futures_util::stream::iter(drivers)
                .map(|driver| Driver::open(address, driver, pickup))
                .buffer_unordered(CONNECTING);
            let mut connected = Vec::with_capacity(drivers.len());
            while let Some(driver) = connecting.next().await {
                connected.push(driver?);
            }
            let (passenger, ride) = (Mutex::new(passenger), Plain::new(None));
            lanes.push(Lane { pickup, passenger, drivers: connected, ride });
        }
        Ok(Self { lanes })
    }
}

impl Driver {
    async fn open(address: SocketAddr, driver: &Person, at: Coordinates) -> anyhow::Result<Self> {
        let (mut session, _) = Client::open(address, driver, (Uuid::now_v7(), None)).await?;
        let online = json!({"category": "economy", "location": at});
        session.done(("driver.online", Some(driver.id)), &online).await?;
        Ok(Self { id: driver.id, session: Mutex::new(session) })
    }
}

impl Racer for SocketSide {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    /// Over a session the id of a command is a UUIDv7.
    fn command(&self) -> String {
        Uuid::now_v7().to_string()
    }

    async fn set_up(&self, lane: usize) -> anyhow::Result<Uuid> {
        let Lane { pickup, passenger, drivers, ride } = &self.lanes[lane];
        let dropoff = Coordinates::new(pickup.lat() + 0.03, pickup.lng())?;
        let request = json!({"pickup": pickup, "dropoff": dropoff, "category": "economy",
            "payment_method": "pix"});
        let asked = passenger.lock().await.done(("ride.request", None), &request).await?;
        let Entity { id } = serde_json::from_str(asked.get())?;
        for driver in drivers {
            driver.session.lock().await.told("offer.made", id).await?;
        }
        *ride.lock() = Some(id);
        Ok(id)
    }

    async fn accept(
        &self,
        lane: usize,
        racer: usize,
        (ride, command): (Uuid, &str),
    ) -> anyhow::Result<&'static str> {
        let mut session = self.lanes[lane].drivers[racer].session.lock().await;
        let accept = ("ride.accept", Some(ride));
        match session.ask(command.parse()?, accept, &Value::Object(Default::default())).await? {
            Ok(_) => Ok(ACCEPTED),
            Err(code) => {
                let refusal = Refusal::from_code(&code);
                Ok(refusal.with_context(|| format!("an accept is refused with {code}"))?.code())
            }
        }
    }

    fn driver(&self, lane: usize, racer: usize) -> Uuid {
        self.lanes[lane].drivers[racer].id
    }

    async fn clear(&self, ride: Uuid) -> anyhow::Result<()> {
        let lane = self.lanes.iter().find(|lane| *lane.ride.lock() == Some(ride));
        let lane = lane.context("a ride of no lane")?;
        let cancel = json!({"reason": "other"});
        lane.passenger.lock().await.done(("ride.cancel", Some(ride)), &cancel).await?;
        Ok(())
    }
}
