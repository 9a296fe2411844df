//! Questions about rides: lists, the active one, and the timeline that says why this driver won.
//!
//! Used by `api` and `realtime`. A ride is shown from its current row, rendered for its reader;
//! where a driver is right now is known to the ride's actor alone.

use ibora_domain::ids::{RideId, UserId};
use ibora_domain::person::Role;
use ibora_domain::ride::{Reader, Ride, RideEvent, Status};
use ibora_domain::units::UnixMillis;
use serde_json::value::RawValue;
use sqlx::{AssertSqlSafe, FromRow};
use uuid::Uuid;

use super::timeline::{AttemptLine, OfferLine, Records, Step, Viewer, assemble};
use super::{Page, ReadError};
use crate::db::Db;

/// Rides that are listed.
#[derive(Debug, Clone, Copy, Default)]
pub struct RideFilter {
    pub status: Option<Status>,
    pub passenger: Option<UserId>,
    pub driver: Option<UserId>,
}

/// Reads rides through a database that this room never writes to.
#[derive(Debug, Clone)]
pub struct Rides {
    db: Db,
}

/// Each ends in the same words; the beginning decides by which index.
macro_rules! list {
    ($whose:literal) => {
        concat!(
            "SELECT id, state FROM rides WHERE ",
            $whose,
            " AND ($2::uuid IS NULL OR driver_id = $2) AND ($3::text IS NULL OR status = $3)
              AND id < $4 ORDER BY id DESC LIMIT $5"
        )
    };
}

const OF_PASSENGER: &str = list!("passenger_id = $1");
const OF_DRIVER: &str = list!("driver_id = $1");
const OF_ALL: &str = list!("$1::uuid IS NULL");

#[derive(FromRow)]
struct EventRecord {
    at: i64,
    body: String,
}

#[derive(FromRow)]
struct OfferRecord {
    search: i16,
    wave: i32,
    offer_id: Uuid,
    driver_id: Uuid,
    offered_at: i64,
    distance_m: i32,
    eta_s: i32,
}

#[derive(FromRow)]
struct AttemptRecord {
    rank: i64,
    driver_id: Uuid,
    outcome: String,
    at: i64,
    latency_ms: i64,
}

impl Rides {
    /// Reads through `db`.
    #[must_use]
    pub const fn new(db: Db) -> Self {
        Self { db }
    }

    /// The database, for the other files of this room that ask by this door.
    pub(super) const fn db(&self) -> &Db {
        &self.db
    }

    /// Whether the database answers.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn ping(&self) -> Result<(), ReadError> {
        sqlx::query("SELECT 1").execute(&self.db).await?;
        Ok(())
    }

    /// Rides, the newest first, as `reader` sees them. Whose they may be is the caller's to check.
    ///
    /// # Errors
    /// [`ReadError`]; `Cursor` for one that this list did not give.
    pub async fn list(
        &self,
        filter: RideFilter,
        reader: Reader,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<Page<Box<RawValue>>, ReadError> {
        let limit = limit.clamp(1, 100);
        let before = match cursor {
            Some(text) => Uuid::try_parse(text).map_err(|_| ReadError::Cursor)?,
            None => Uuid::max(),
        };
        let RideFilter { status, passenger, driver } = filter;
        let (query, whose, also_driver) = match (passenger, driver) {
            (Some(passenger), driver) => (OF_PASSENGER, Some(passenger), driver),
            (None, Some(driver)) => (OF_DRIVER, Some(driver), None),
            (None, None) => (OF_ALL, None, None),
        };
        let rows: Vec<(Uuid, String)> = sqlx::query_as(AssertSqlSafe(query))
            .bind(whose.map(|user| user.0))
            .bind(also_driver.map(|user| user.0))
            .bind(status.map(Status::as_str))
            .bind(before)
            .bind(i64::from(limit) + 1)
            .fetch_all(&self.db)
            .await?;
        let page = Page::cut(rows, limit as usize, |(id, _)| id.to_string());
        let shown = page.items.iter().map(|(_, state)| shown(state, reader));
        Ok(Page { items: shown.collect::<Result<_, _>>()?, next_cursor: page.next_cursor })
    }

    /// The active ride of a passenger or driver.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn active_of(&self, user: UserId, role: Role) -> Result<Option<RideId>, ReadError> {
        let query = match role {
            Role::Passenger => "SELECT id FROM rides WHERE active_passenger_id = $1",
            Role::Driver => "SELECT id FROM rides WHERE active_driver_id = $1",
            Role::Admin | Role::Partner => return Ok(None),
        };
        let id: Option<Uuid> =
            sqlx::query_scalar(query).bind(user.0).fetch_optional(&self.db).await?;
        Ok(id.map(RideId))
    }

    /// Every event, offer and attempt of a ride, oldest first, as its people or an admin may see
    /// them; `None` where there is no such ride, or it is not this person's.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn timeline(
        &self,
        ride: RideId,
        user: UserId,
        role: Role,
    ) -> Result<Option<Vec<Step>>, ReadError> {
        let people: Option<(Uuid, Option<Uuid>)> =
            sqlx::query_as("SELECT passenger_id, driver_id FROM rides WHERE id = $1")
                .bind(ride.0)
                .fetch_optional(&self.db)
                .await?;
        let Some((passenger, driver)) = people else { return Ok(None) };
        let viewer = match role {
            Role::Admin => Viewer::Admin,
            Role::Passenger if passenger == user.0 => Viewer::Person { knows: driver },
            Role::Driver if driver == Some(user.0) => Viewer::Person { knows: driver },
            Role::Passenger | Role::Driver | Role::Partner => return Ok(None),
        };
        let records = Records {
            events: self.events(ride).await?,
            offers: self.offers(ride).await?,
            attempts: self.attempts(ride).await?,
        };
        Ok(Some(assemble(ride, records, viewer)))
    }

    async fn events(&self, ride: RideId) -> Result<Vec<(UnixMillis, RideEvent)>, ReadError> {
        let rows: Vec<EventRecord> = sqlx::query_as(
            "SELECT (extract(epoch FROM at) * 1000)::bigint AS at, body FROM events
             WHERE entity_id = $1 ORDER BY seq",
        )
        .bind(ride.0)
        .fetch_all(&self.db)
        .await?;
        let event = |row: EventRecord| {
            let event = serde_json::from_str(&row.body).map_err(|_| corrupt("event"))?;
            Ok((UnixMillis(row.at), event))
        };
        rows.into_iter().map(event).collect()
    }

    async fn offers(&self, ride: RideId) -> Result<Vec<OfferLine>, ReadError> {
        let rows: Vec<OfferRecord> = sqlx::query_as(
            "SELECT search, wave, offer_id, driver_id, distance_m, eta_s,
                    (extract(epoch FROM offered_at) * 1000)::bigint AS offered_at
             FROM ride_offer_lines WHERE ride_id = $1 ORDER BY search, wave",
        )
        .bind(ride.0)
        .fetch_all(&self.db)
        .await?;
        let line = |row: OfferRecord| OfferLine {
            search: row.search.unsigned_abs(),
            wave: row.wave.unsigned_abs(),
            offer_id: row.offer_id,
            driver: row.driver_id,
            at: UnixMillis(row.offered_at),
            distance_m: row.distance_m.unsigned_abs(),
            eta_s: row.eta_s.unsigned_abs(),
        };
        Ok(rows.into_iter().map(line).collect())
    }

    async fn attempts(&self, ride: RideId) -> Result<Vec<AttemptLine>, ReadError> {
        let rows: Vec<AttemptRecord> = sqlx::query_as(
            "SELECT rank, driver_id, outcome, latency_ms,
                    (extract(epoch FROM at) * 1000)::bigint AS at
             FROM ride_accept_attempt_lines WHERE ride_id = $1 ORDER BY rank",
        )
        .bind(ride.0)
        .fetch_all(&self.db)
        .await?;
        let line = |row: AttemptRecord| AttemptLine {
            rank: row.rank.unsigned_abs(),
            driver: row.driver_id,
            outcome: row.outcome,
            at: UnixMillis(row.at),
            latency_ms: row.latency_ms.unsigned_abs(),
        };
        Ok(rows.into_iter().map(line).collect())
    }
}

const fn corrupt(what: &'static str) -> ReadError {
    ReadError::Corrupt { what }
}

fn shown(state: &str, reader: Reader) -> Result<Box<RawValue>, ReadError> {
    let ride: Ride = serde_json::from_str(state).map_err(|_| corrupt("ride"))?;
    RawValue::from_string(ride.json_for(reader)).map_err(|_| corrupt("ride"))
}
