//! How soon a position is seen: one driver on a ride reports, their passenger is told.
//!
//! It is the whole way: socket, JSON, checks, index, the ride's actor, and the passenger's socket.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use ibora::bots::{Engine, Event, Fix, Person, Session};
use ibora_domain::place::Coordinates;
use serde::Deserialize;
use serde_json::json;
use tokio::sync::mpsc;
use uuid::Uuid;

use crate::report::Latencies;
use crate::served::Served;

const WITHIN: Duration = Duration::from_secs(20);
/// Between two looks.
const EVERY: Duration = Duration::from_millis(20);
/// Far from everybody else.
const HOME: (f64, f64) = (-22.5, -45.5);

/// A driver on a ride, and the passenger.
pub(super) struct Probe {
    driver: Session,
    passenger: Option<Session>,
    places: u32,
}

#[derive(Deserialize)]
struct Shown {
    location: Coordinates,
}

impl Probe {
    /// Puts the two on a ride.
    pub(super) async fn new(
        served: &Served,
        driver: Person,
        passenger: Person,
    ) -> anyhow::Result<Self> {
        let engine: Arc<Engine> = Arc::new(Engine::new(served.address, 1, false));
        let mut driver = Session::connect(Arc::clone(&engine), driver, 1).await?;
        let mut passenger = Session::connect(engine, passenger, 2).await?;
        let at = |offset: f64| json!({"lat": HOME.0 + offset, "lng": HOME.1});
        let online = json!({"category": "economy", "location": at(0.0)});
        driver.command("driver.online", driver.me(), &online).await?;
        let request = json!({"pickup": at(0.001), "dropoff": at(0.05), "category": "economy",
            "payment_method": "pix"});
        passenger.command("ride.request", None, &request).await?;
        let ride = offered(&mut driver).await?;
        driver.command("ride.accept", Some(ride), &json!({})).await?;
        driver.set_active(true);
        passenger.set_active(true);
        Ok(Self { driver, passenger: Some(passenger), places: 0 })
    }

    /// From sending a position to the passenger's reading it.
    pub(super) async fn look(&mut self, lasting: Duration) -> anyhow::Result<Latencies> {
        let mut passenger = self.passenger.take().context("looked already")?;
        let (told, mut heard) = mpsc::unbounded_channel();
        // Keeps reading, as a phone does.
        let reader = tokio::spawn(async move {
            while let Ok(event) = passenger.next(Instant::now() + WITHIN).await {
                let Some(Event::Shown { op, body, .. }) = event else { continue };
                if let (true, Ok(shown)) =
                    (&*op == "driver.position", serde_json::from_str::<Shown>(body.get()))
                {
                    told.send((shown.location, Instant::now())).ok();
                }
            }
        });
        let mut latencies = Latencies::new();
        let until = Instant::now() + lasting;
        while Instant::now() < until {
            self.places = self.places % 9000 + 1;
            let place = Coordinates::new(HOME.0 - f64::from(self.places) * 1e-6, HOME.1)?;
            let at_ms = self.driver.clock().now().0;
            let fix = Fix { at_ms, place, accuracy_m: 8, speed_mps: 1.0, bearing_deg: 180.0 };
            let sent = Instant::now();
            self.driver.report(&[fix]).await?;
            loop {
                let shown = tokio::time::timeout(WITHIN, heard.recv()).await;
                let (seen, at) = shown.context("not seen")?.context("the passenger left")?;
                if (seen.lat() - place.lat()).abs() < 5e-7 {
                    latencies.record(at.duration_since(sent));
                    break;
                }
            }
            // Reads what came, and keeps the session alive.
            self.driver.next(Instant::now() + EVERY).await?;
        }
        reader.abort();
        Ok(latencies)
    }
}

/// The ride that the driver is offered.
async fn offered(driver: &mut Session) -> anyhow::Result<Uuid> {
    let until = Instant::now() + WITHIN;
    while let Some(event) = driver.next(until).await? {
        if let Event::Durable { op, key: Some(ride), .. } = event
            && &*op == "offer.made"
        {
            return Ok(ride);
        }
    }
    anyhow::bail!("the probe's driver got no offer")
}
