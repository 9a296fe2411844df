//! Reading back: what an actor must know again after it was dropped, and what was answered.
//!
//! Read only after the fence is raised, and for an actor that died only after its last appends are
//! settled; then what is read here is the truth.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use ibora_domain::category::Category;
use ibora_domain::facts::{Answer, CommandKey, Done, Entity};
use ibora_domain::ids::{DriverId, OfferId, PassengerId, PaymentId, RideId, UserId, VehicleId};
use ibora_domain::journal::due_at_start;
use ibora_domain::machines::{PastCommand, RideRecords};
use ibora_domain::refusal::Refusal;
use ibora_domain::ride::{Offer, Ride, Status, VehicleCard};
use ibora_domain::units::{Metres, Seconds, UnixMillis};
use parking_lot::Mutex;
use prometheus::IntCounter;
use serde::Deserialize;
use time::OffsetDateTime;
use uuid::Uuid;

use super::moment;
use crate::db::Db;
use crate::obs::Metrics;
pub use payees::PayoutStop;
use people::Person;
use preload::Preloaded;

mod credits;
mod payees;
mod payments;
mod people;
mod preload;
mod streams;
mod used;
mod wallets;

/// How long an answered command is known.
const KNOWN_FOR: &str = "24 hours";

/// People of whom name and rating are kept in memory.
const PERSONS_MAX: usize = 100_000;

/// A row that cannot be read as what it should be is a broken record, not a missing one.
fn broken(error: serde_json::Error) -> sqlx::Error {
    sqlx::Error::Decode(Box::new(error))
}

/// The records of this engine.
pub struct Records {
    db: Db,
    /// For what a start reads.
    patient: Db,
    /// Rides in flight at the start, read by one statement, until each is first asked for.
    warm: Mutex<HashMap<RideId, WarmRide>>,
    /// Those who asked for rides lately.
    persons: Mutex<HashMap<UserId, Person>>,
    preloaded: Mutex<Preloaded>,
    /// Statements that read.
    reads: IntCounter,
}

/// A ride's rows, as read.
struct WarmRide {
    state: String,
    /// Whether its driver is still on another, by the index.
    chained: bool,
    waves: Vec<(i32, OffsetDateTime, String)>,
    attempts: Vec<String>,
    /// What its driver was answered; `None`: not read.
    commands: Option<Vec<PastCommand>>,
}

impl WarmRide {
    /// Without a driver, nothing was answered to him.
    fn new(state: String, chained: bool) -> Self {
        Self { state, chained, waves: Vec::new(), attempts: Vec::new(), commands: Some(Vec::new()) }
    }
}

/// An attempt as its row holds it.
#[derive(Deserialize)]
struct AttemptLine {
    driver: Uuid,
    outcome: String,
    command: Option<String>,
    fingerprint: Option<i64>,
}

/// A ride, who asked for it, who drives it, and to whose present ride it is chained.
type FlyingRow = (Uuid, Uuid, Option<Uuid>, Option<Uuid>, String);

/// What was in flight when the engine started.
#[derive(Debug, Default)]
pub struct InFlight {
    pub rides: usize,
    /// Who drives which of them.
    pub driven: HashMap<DriverId, RideId>,
    /// Which of them drivers do next.
    pub next: HashMap<DriverId, RideId>,
    /// Who asked for which of them.
    pub asked: HashMap<PassengerId, RideId>,
    /// Durable deadlines, as they were set.
    pub timers: BTreeMap<Entity, UnixMillis>,
    pub online_drivers: Vec<DriverId>,
}

type VehicleRow = (Uuid, String, String, String, String, Vec<String>);

fn vehicle_of(
    (id, plate, make, model, color, categories): VehicleRow,
) -> (VehicleCard, Vec<Category>) {
    let card = VehicleCard { id: VehicleId(id), plate, make, model, color };
    (card, categories.iter().filter_map(|name| name.parse().ok()).collect())
}

#[derive(Deserialize)]
struct OfferLine {
    id: OfferId,
    driver: DriverId,
    distance_m: u32,
    eta_s: u32,
}

impl Records {
    pub(super) fn new(db: Db, metrics: &Metrics) -> Self {
        Self {
            patient: db.patient(),
            db,
            warm: Mutex::default(),
            persons: Mutex::default(),
            preloaded: Mutex::new(Preloaded::Reading(HashSet::new())),
            reads: metrics.db_reads.clone(),
        }
    }

    /// The database, for a statement that reads and is counted.
    fn read(&self) -> &Db {
        self.reads.inc();
        &self.db
    }

    /// The same, for a statement that reads everybody's rows.
    fn read_all(&self) -> &Db {
        self.reads.inc();
        &self.patient
    }

    /// Reads what is in flight, in a few statements for all.
    ///
    /// # Errors
    /// Whatever the database reports.
    pub async fn load_in_flight(&self) -> Result<InFlight, sqlx::Error> {
        let (rides, waves, attempts, commands, timers, holds, online) = tokio::try_join!(
            self.flying_rides(),
            self.flying_waves(),
            self.flying_attempts(),
            self.flying_commands(),
            self.timers(),
            self.next_releases(),
            self.online_drivers(),
        )?;
        let of = |driver: Option<Uuid>, id| Some((DriverId(driver?), RideId(id)));
        let driven = rides.iter().filter_map(|row| of(row.2, row.0)).collect();
        let next = rides.iter().filter_map(|row| of(row.3, row.0)).collect();
        let asked = rides.iter().map(|row| (PassengerId(row.1), RideId(row.0))).collect();
        let ride =
            |(id, _, _, next, state): FlyingRow| (RideId(id), WarmRide::new(state, next.is_some()));
        let mut warm: HashMap<RideId, WarmRide> = rides.into_iter().map(ride).collect();
        for (ride, wave, expires_at, offers) in waves {
            if let Some(ride) = warm.get_mut(&RideId(ride)) {
                ride.waves.push((wave, expires_at, offers));
            }
        }
        for (ride, attempts) in attempts {
            if let Some(ride) = warm.get_mut(&RideId(ride)) {
                ride.attempts.push(attempts);
            }
        }
        for (ride, principal, id, fingerprint, outcome) in commands {
            if let Some(ride) = warm.get_mut(&RideId(ride)) {
                let command = past_command((principal, id, fingerprint, outcome));
                ride.commands.get_or_insert_default().push(command);
            }
        }
        let rides = warm.len();
        *self.warm.lock() = warm;
        let timer = |(id, kind, due): (Uuid, String, OffsetDateTime)| {
            let entity = match kind.as_str() {
                "ride" => Entity::Ride(RideId(id)),
                "driver" => Entity::Driver(DriverId(id)),
                "passenger" => Entity::Passenger(PassengerId(id)),
                "payment" => Entity::Payment(PaymentId(id)),
                "wallet" => Entity::Wallet(DriverId::of_wallet(id)),
                _ => return None,
            };
            Some((entity, moment(due)))
        };
        Ok(InFlight {
            rides,
            driven,
            next,
            asked,
            timers: due_at_start(timers.into_iter().filter_map(timer), holds),
            online_drivers: online.into_iter().map(DriverId).collect(),
        })
    }

    async fn flying_rides(&self) -> Result<Vec<FlyingRow>, sqlx::Error> {
        sqlx::query_as(
            "SELECT id, active_passenger_id, active_driver_id, chained_driver_id, state FROM rides
             WHERE active_passenger_id IS NOT NULL",
        )
        .fetch_all(self.read_all())
        .await
    }

    async fn flying_waves(&self) -> Result<Vec<(Uuid, i32, OffsetDateTime, String)>, sqlx::Error> {
        sqlx::query_as(
            "SELECT o.ride_id, o.wave, o.expires_at, o.offers::text
             FROM ride_offers o JOIN rides r ON r.id = o.ride_id
             WHERE r.active_passenger_id IS NOT NULL ORDER BY o.ride_id, o.search, o.wave",
        )
        .fetch_all(self.read_all())
        .await
    }

    /// Attempts that were refused under a command id: those answers must stay what they are.
    async fn flying_attempts(&self) -> Result<Vec<(Uuid, String)>, sqlx::Error> {
        sqlx::query_as(
            "SELECT a.ride_id, a.attempts::text
             FROM ride_accept_attempts a JOIN rides r ON r.id = a.ride_id
             WHERE r.active_passenger_id IS NOT NULL",
        )
        .fetch_all(self.read_all())
        .await
    }

    /// What drivers were answered on the rides that they have.
    async fn flying_commands(&self) -> Result<Vec<(Uuid, Uuid, String, i64, String)>, sqlx::Error> {
        sqlx::query_as(
            "SELECT r.id, c.principal, c.id, c.fingerprint, c.outcome
             FROM rides r JOIN command_results c
               ON c.principal = coalesce(r.active_driver_id, r.chained_driver_id)
              AND c.owner = r.id
             WHERE r.active_driver_id IS NOT NULL OR r.chained_driver_id IS NOT NULL",
        )
        .fetch_all(self.read_all())
        .await
    }

    async fn timers(&self) -> Result<Vec<(Uuid, String, OffsetDateTime)>, sqlx::Error> {
        sqlx::query_as("SELECT entity_id, entity_kind, due_at FROM timers")
            .fetch_all(self.read_all())
            .await
    }

    async fn online_drivers(&self) -> Result<Vec<Uuid>, sqlx::Error> {
        sqlx::query_scalar("SELECT id FROM driver_states WHERE online")
            .fetch_all(self.read_all())
            .await
    }

    /// What is known of a ride.
    ///
    /// A ride in flight at the start comes with what its driver was answered. What others were is
    /// found by its key when it would be recorded again, which is rare; only one who gave the ride
    /// back may hear a refusal that is not recorded, so such a ride is read in full.
    ///
    /// # Errors
    /// Whatever the database reports; a row that cannot be understood is an error too.
    pub async fn ride(&self, id: RideId) -> Result<RideRecords, sqlx::Error> {
        let warm = self.warm.lock().remove(&id);
        let WarmRide { state, chained, waves, attempts, commands } = match warm {
            Some(warm) => warm,
            None => match self.cold_ride(id).await? {
                Some(cold) => cold,
                None => return Ok(RideRecords::default()),
            },
        };
        let ride: Ride = serde_json::from_str(&state).map_err(broken)?;
        let offers = offers_of(waves)?;
        let mut known = refused_in(&attempts)?;
        if commands.is_none() || ride.search.reassignments > 0 {
            known.extend(self.past_commands(id.0, &people_of(&ride, &offers)).await?);
        } else {
            known.extend(commands.into_iter().flatten());
        }
        let next = match ride.driver_id().filter(|_| ride.status == Status::Started) {
            Some(driver) => self.chained_ride(driver).await?,
            None => None,
        };
        Ok(RideRecords {
            preceding_ended: ride.status == Status::Accepted && ride.chain.is_some() && !chained,
            next,
            payment: self.payment_of(&ride).await?,
            ride: Some(ride),
            offers,
            commands: known,
            ..RideRecords::default()
        })
    }

    /// The ride that this driver does after his present one.
    pub(super) async fn chained_ride(
        &self,
        driver: DriverId,
    ) -> Result<Option<RideId>, sqlx::Error> {
        let id: Option<Uuid> =
            sqlx::query_scalar("SELECT id FROM rides WHERE chained_driver_id = $1")
                .bind(driver.0)
                .fetch_optional(self.read())
                .await?;
        Ok(id.map(RideId))
    }

    async fn cold_ride(&self, id: RideId) -> Result<Option<WarmRide>, sqlx::Error> {
        let row: Option<(String, bool)> =
            sqlx::query_as("SELECT state, chained_driver_id IS NOT NULL FROM rides WHERE id = $1")
                .bind(id.0)
                .fetch_optional(self.read())
                .await?;
        let Some((state, chained)) = row else { return Ok(None) };
        let waves = sqlx::query_as(
            "SELECT wave, expires_at, offers::text FROM ride_offers WHERE ride_id = $1
             ORDER BY search, wave",
        )
        .bind(id.0)
        .fetch_all(self.read())
        .await?;
        let attempts = sqlx::query_scalar(
            "SELECT attempts::text FROM ride_accept_attempts WHERE ride_id = $1",
        )
        .bind(id.0)
        .fetch_all(self.read())
        .await?;
        Ok(Some(WarmRide { state, chained, waves, attempts, commands: None }))
    }

    /// The stored answer to a command, with the digest of what was asked.
    ///
    /// # Errors
    /// Whatever the database reports.
    pub async fn answer(
        &self,
        principal: UserId,
        id: &str,
    ) -> Result<Option<(i64, Answer)>, sqlx::Error> {
        let row: Option<(i64, String, i64, Option<String>)> = sqlx::query_as(
            "SELECT c.fingerprint, c.outcome, c.version,
                    coalesce(c.body, substr(e.body, 9, length(e.body) - 9))
             FROM command_results c
             LEFT JOIN stream_events e ON e.user_id = c.principal AND e.seq = c.told_seq
             WHERE c.principal = $1 AND c.id = $2",
        )
        .bind(principal.0)
        .bind(id)
        .fetch_optional(self.read())
        .await?;
        Ok(row.map(|(fingerprint, outcome, version, body)| {
            let done = Done {
                version: u64::try_from(version).unwrap_or(0),
                body: body.unwrap_or_default().into(),
            };
            (fingerprint, Refusal::from_code(&outcome).map_or(Ok(done), Err))
        }))
    }

    /// What these people asked of `owner`. There is no index by owner: it would cost every commit.
    async fn past_commands(
        &self,
        owner: Uuid,
        people: &[Uuid],
    ) -> Result<Vec<PastCommand>, sqlx::Error> {
        let rows: Vec<(Uuid, String, i64, String)> = sqlx::query_as(
            "SELECT principal, id, fingerprint, outcome FROM command_results
             WHERE principal = ANY ($3) AND owner = $1 AND at > now() - $2::interval",
        )
        .bind(owner)
        .bind(KNOWN_FOR)
        .bind(people)
        .fetch_all(self.read())
        .await?;
        Ok(rows.into_iter().map(past_command).collect())
    }
}

/// The refused commands among attempts.
fn refused_in(attempts: &[String]) -> Result<Vec<PastCommand>, sqlx::Error> {
    let mut commands = Vec::new();
    for json in attempts {
        let lines: Vec<AttemptLine> = serde_json::from_str(json).map_err(broken)?;
        for line in lines {
            if let (Some(id), Some(fingerprint)) = (line.command, line.fingerprint) {
                commands.push(past_command((line.driver, id, fingerprint, line.outcome)));
            }
        }
    }
    Ok(commands)
}

fn past_command((principal, id, fingerprint, outcome): (Uuid, String, i64, String)) -> PastCommand {
    let key = CommandKey { principal: UserId(principal), id: Arc::from(id), fingerprint };
    PastCommand { key, refusal: Refusal::from_code(&outcome) }
}

/// Everyone who may have changed a ride, admins aside: their few commands are known by the key.
fn people_of(ride: &Ride, offers: &[Offer]) -> Vec<Uuid> {
    let drivers = offers.iter().map(|offer| offer.driver);
    let drivers = drivers.chain(ride.search.excluded.iter().copied()).chain(ride.driver_id());
    drivers.map(|driver| driver.0).chain([ride.order.passenger.id.0]).collect()
}

fn offers_of(waves: Vec<(i32, OffsetDateTime, String)>) -> Result<Vec<Offer>, sqlx::Error> {
    let mut offers = Vec::new();
    for (wave, expires_at, json) in waves {
        let lines: Vec<OfferLine> = serde_json::from_str(&json).map_err(broken)?;
        offers.extend(lines.into_iter().map(|line| Offer {
            id: line.id,
            driver: line.driver,
            wave: u16::try_from(wave).unwrap_or(u16::MAX),
            expires_at: moment(expires_at),
            distance: Metres(line.distance_m),
            eta: Seconds(line.eta_s),
        }));
    }
    Ok(offers)
}
