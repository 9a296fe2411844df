//! Reading back people: what a driver's or passenger's actor must know, and their snapshots.

use ibora_domain::category::Category;
use ibora_domain::ids::{DriverId, PassengerId, RideId, UserId, VehicleId};
use ibora_domain::machines::{
    DriverProfile, DriverRecords, MeanRating, OnlineAs, PassengerRecords, Slot, WaveId,
};
use ibora_domain::units::UnixMillis;
use time::OffsetDateTime;
use uuid::Uuid;

use super::super::{moment, timestamp};
use super::payees::stand;
use super::{PERSONS_MAX, Records, VehicleRow, vehicle_of};

/// What others see of a person.
#[derive(Debug, Clone)]
pub struct Person {
    pub name: String,
    pub rating: MeanRating,
}

/// Hundredths of a star of a passenger who was never rated.
pub(super) const UNRATED: i16 = 500;

/// A mean as its columns hold it.
pub(super) fn mean(hundredths: i16, of: i32) -> MeanRating {
    MeanRating { hundredths: hundredths.unsigned_abs(), of: of.unsigned_abs() }
}

impl Records {
    /// What is known of a driver. `now` is domain time: older offers are over.
    ///
    /// # Errors
    /// Whatever the database reports.
    pub async fn driver(
        &self,
        id: DriverId,
        now: UnixMillis,
    ) -> Result<DriverRecords, sqlx::Error> {
        if let Some(preloaded) = self.take_preloaded(id) {
            return Ok(preloaded);
        }
        let Some(profile) = self.driver_profile(id).await? else {
            return Ok(DriverRecords::default());
        };
        let state: Option<(bool, Option<String>, Option<Uuid>, i64)> = sqlx::query_as(
            "SELECT online, category, vehicle_id, version FROM driver_states WHERE id = $1",
        )
        .bind(id.0)
        .fetch_optional(self.read())
        .await?;
        let (online, category, vehicle, version) = state.unwrap_or_default();
        let category = category.and_then(|name| name.parse::<Category>().ok());
        let active: Option<Uuid> =
            sqlx::query_scalar("SELECT id FROM rides WHERE active_driver_id = $1")
                .bind(id.0)
                .fetch_optional(self.read())
                .await?;
        let open_offers = self
            .open_offers(id, now)
            .await?
            .into_iter()
            .map(|(ride, until, _)| Slot { ride, of: WaveId::UNKNOWN, until })
            .collect();
        Ok(DriverRecords {
            profile: Some(profile),
            online: category
                .filter(|_| online)
                .map(|category| OnlineAs { category, vehicle: vehicle.map(VehicleId) }),
            version: u64::try_from(version).unwrap_or(0),
            active: active.map(RideId),
            next: self.chained_ride(id).await?,
            open_offers,
            commands: self.past_commands(id.0, &[id.0]).await?,
            elsewhere: self.used_elsewhere(id).await?,
        })
    }

    /// A driver's account as dispatch sees it; `None`: no such driver.
    ///
    /// # Errors
    /// Whatever the database reports.
    pub async fn driver_profile(&self, id: DriverId) -> Result<Option<DriverProfile>, sqlx::Error> {
        type Account = (String, i16, i32, String, Option<String>, Option<OffsetDateTime>);
        let account: Option<Account> = sqlx::query_as(
            "SELECT u.name, coalesce(r.hundredths, d.rating_hundredths), coalesce(r.ratings, 0),
                    d.approval, k.kind, k.usable_from
             FROM drivers d JOIN users u ON u.id = d.id
             LEFT JOIN person_ratings r ON r.user_id = d.id
             LEFT JOIN LATERAL (SELECT kind, usable_from FROM driver_pix_keys
                 WHERE driver_id = d.id ORDER BY version DESC LIMIT 1) k ON true
             WHERE d.id = $1",
        )
        .bind(id.0)
        .fetch_optional(self.read())
        .await?;
        let Some((name, hundredths, of, approval, kind, usable_from)) = account else {
            return Ok(None);
        };
        let vehicles: Vec<VehicleRow> = sqlx::query_as(
            "SELECT id, plate, make, model, color, categories FROM vehicles
             WHERE driver_id = $1 ORDER BY id",
        )
        .bind(id.0)
        .fetch_all(self.read())
        .await?;
        Ok(Some(DriverProfile {
            name,
            rating: mean(hundredths, of),
            approved: approval == "approved",
            approval,
            vehicles: vehicles.into_iter().map(vehicle_of).collect(),
            pix_key: stand(kind, usable_from),
        }))
    }

    /// Offers to a driver that are open by the records, newest first, as he was told of them.
    ///
    /// # Errors
    /// Whatever the database reports.
    pub async fn open_offers(
        &self,
        driver: DriverId,
        now: UnixMillis,
    ) -> Result<Vec<(RideId, UnixMillis, String)>, sqlx::Error> {
        // A hundred events reach back far beyond the life of an offer.
        let rows: Vec<(Uuid, OffsetDateTime, String)> = sqlx::query_as(
            "SELECT e.key, e.expires_at, e.body FROM (
                 SELECT * FROM stream_events WHERE user_id = $1 ORDER BY seq DESC LIMIT 100) e
             JOIN rides r ON r.id = e.key AND r.status = 'searching'
             WHERE e.op = 'offer.made' AND e.expires_at > $2
               AND (r.state::jsonb -> 'search' -> 'open') ? (e.body::json ->> 'offer_id')
             ORDER BY e.seq DESC",
        )
        .bind(driver.0)
        .bind(timestamp(now))
        .fetch_all(self.read())
        .await?;
        Ok(rows.into_iter().map(|(ride, at, body)| (RideId(ride), moment(at), body)).collect())
    }

    /// A person's name and mean rating; `None`: no such person.
    ///
    /// # Errors
    /// Whatever the database reports.
    pub async fn person(&self, user: UserId) -> Result<Option<Person>, sqlx::Error> {
        if let Some(person) = self.persons.lock().get(&user) {
            return Ok(Some(person.clone()));
        }
        self.person_anew(user).await
    }

    /// As [`Records::person`], for one who was just rated: what is kept of him is old.
    ///
    /// # Errors
    /// Whatever the database reports.
    pub async fn person_anew(&self, user: UserId) -> Result<Option<Person>, sqlx::Error> {
        self.persons.lock().remove(&user);
        let row: Option<(String, i16, i32)> = sqlx::query_as(
            "SELECT u.name, coalesce(r.hundredths, d.rating_hundredths, $2), coalesce(r.ratings, 0)
             FROM users u LEFT JOIN drivers d ON d.id = u.id
             LEFT JOIN person_ratings r ON r.user_id = u.id WHERE u.id = $1",
        )
        .bind(user.0)
        .bind(UNRATED)
        .fetch_optional(self.read())
        .await?;
        Ok(row.map(|(name, hundredths, of)| {
            let person = Person { name, rating: mean(hundredths, of) };
            self.keep_person(user, person.clone());
            person
        }))
    }

    /// Keeps what was read of a person, unless it is older than what is kept: reads overtake each
    /// other.
    pub(super) fn keep_person(&self, user: UserId, person: Person) {
        let mut persons = self.persons.lock();
        if persons.len() >= PERSONS_MAX {
            persons.clear();
        }
        let newer = persons.get(&user).is_some_and(|kept| kept.rating.of > person.rating.of);
        if !newer {
            persons.insert(user, person);
        }
    }

    /// The one ride that this person has not ended, as its driver or as its passenger.
    ///
    /// # Errors
    /// Whatever the database reports.
    pub async fn active_ride(
        &self,
        user: UserId,
        as_driver: bool,
    ) -> Result<Option<RideId>, sqlx::Error> {
        let query = match as_driver {
            true => "SELECT id FROM rides WHERE active_driver_id = $1",
            false => "SELECT id FROM rides WHERE active_passenger_id = $1",
        };
        let id: Option<Uuid> =
            sqlx::query_scalar(query).bind(user.0).fetch_optional(self.read()).await?;
        Ok(id.map(RideId))
    }

    /// What is known of a passenger. `charges`: what he owes can be paid; what nobody can pay keeps
    /// nobody from riding.
    ///
    /// # Errors
    /// Whatever the database reports.
    pub async fn passenger(
        &self,
        id: PassengerId,
        charges: bool,
    ) -> Result<PassengerRecords, sqlx::Error> {
        let active: Option<Uuid> =
            sqlx::query_scalar("SELECT id FROM rides WHERE active_passenger_id = $1")
                .bind(id.0)
                .fetch_optional(self.read())
                .await?;
        let mut known = PassengerRecords {
            active: active.map(RideId),
            commands: self.past_commands(id.0, &[id.0]).await?,
            owed: if charges { self.owed_by(id).await? } else { Vec::new() },
            ..PassengerRecords::default()
        };
        self.credit_of(id, &mut known).await?;
        Ok(known)
    }
}
