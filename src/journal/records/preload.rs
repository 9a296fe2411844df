//! Reading back many people at once after a start: whoever was here lately will be back at once,
//! all of them together.
//!
//! It runs beside the work. A driver whose actor was built meanwhile is read as ever; what was
//! preloaded of him is then old, and is dropped.

use std::collections::{HashMap, HashSet};

use ibora_domain::category::Category;
use ibora_domain::ids::{DriverId, RideId, UserId, VehicleId};
use ibora_domain::machines::{DriverProfile, DriverRecords, OnlineAs, PastCommand, Slot, WaveId};
use ibora_domain::ride::VehicleCard;
use ibora_domain::units::UnixMillis;
use time::OffsetDateTime;
use uuid::Uuid;

use super::super::{moment, timestamp};
use super::payees::stand;
use super::people::{Person, UNRATED, mean};
use super::{InFlight, KNOWN_FOR, Records, VehicleRow, past_command, vehicle_of};

/// People who are read, those first who were here last.
const PEOPLE_MAX: i64 = 100_000;

/// What was preloaded of drivers.
pub(super) enum Preloaded {
    /// It is being read; these drivers were read by themselves meanwhile.
    Reading(HashSet<DriverId>),
    Done(HashMap<DriverId, DriverRecords>),
}

type PersonRow = (
    Uuid,
    String,
    i16,
    i32,
    Option<String>,
    Option<bool>,
    Option<String>,
    Option<Uuid>,
    Option<i64>,
    Option<String>,
    Option<OffsetDateTime>,
);

impl Records {
    /// The people whose apps were heard of within a day.
    pub(in super::super) async fn people_seen(&self) -> Result<Vec<Uuid>, sqlx::Error> {
        sqlx::query_scalar(
            "SELECT user_id FROM streams WHERE seen_at > now() - interval '1 day'
             ORDER BY seen_at DESC LIMIT $1",
        )
        .bind(PEOPLE_MAX)
        .fetch_all(self.read_all())
        .await
    }

    /// Reads names, ratings and drivers of `people`, in a few statements for all. `now` is domain
    /// time.
    pub(in super::super) async fn preload(
        &self,
        people: &[Uuid],
        InFlight { driven, next, .. }: &InFlight,
        now: UnixMillis,
    ) -> Result<(), sqlx::Error> {
        let (rows, vehicles, offers, commands, used) = tokio::try_join!(
            self.persons(people),
            self.vehicles_of(people),
            self.open_slots(now),
            self.commands_of_drivers(people),
            self.ids_of_drivers(people),
        )?;
        let (mut vehicles, mut offers) = (group(vehicles), group(offers));
        let (mut commands, mut used) = (group(commands), group(used));
        let mut drivers = HashMap::new();
        for row in rows {
            let person = Person { name: row.1.clone(), rating: mean(row.2, row.3) };
            self.keep_person(UserId(row.0), person);
            let id = DriverId(row.0);
            let vehicles = vehicles.remove(&row.0).unwrap_or_default();
            if let Some(mut driver) = driver_of(row, vehicles) {
                driver.active = driven.get(&id).copied();
                driver.next = next.get(&id).copied();
                driver.open_offers = offers.remove(&id.0).unwrap_or_default();
                driver.commands = commands.remove(&id.0).unwrap_or_default();
                driver.elsewhere = used.remove(&id.0).unwrap_or_default();
                drivers.insert(id, driver);
            }
        }
        let mut preloaded = self.preloaded.lock();
        if let Preloaded::Reading(meanwhile) = &*preloaded {
            drivers.retain(|id, _| !meanwhile.contains(id));
        }
        *preloaded = Preloaded::Done(drivers);
        Ok(())
    }

    /// What was preloaded of a driver, once. From now on he is read by himself.
    pub(super) fn take_preloaded(&self, id: DriverId) -> Option<DriverRecords> {
        match &mut *self.preloaded.lock() {
            Preloaded::Reading(meanwhile) => {
                meanwhile.insert(id);
                None
            }
            Preloaded::Done(drivers) => drivers.remove(&id),
        }
    }

    async fn persons(&self, people: &[Uuid]) -> Result<Vec<PersonRow>, sqlx::Error> {
        sqlx::query_as(
            "SELECT u.id, u.name, coalesce(r.hundredths, d.rating_hundredths, $2),
                    coalesce(r.ratings, 0), d.approval, s.online, s.category, s.vehicle_id,
                    s.version, k.kind, k.usable_from
             FROM users u LEFT JOIN drivers d ON d.id = u.id
             LEFT JOIN driver_states s ON s.id = u.id
             LEFT JOIN person_ratings r ON r.user_id = u.id
             LEFT JOIN LATERAL (SELECT kind, usable_from FROM driver_pix_keys
                 WHERE driver_id = d.id ORDER BY version DESC LIMIT 1) k ON true
             WHERE u.id = ANY ($1)",
        )
        .bind(people)
        .bind(UNRATED)
        .fetch_all(self.read_all())
        .await
    }

    async fn vehicles_of(
        &self,
        people: &[Uuid],
    ) -> Result<Vec<(Uuid, (VehicleCard, Vec<Category>))>, sqlx::Error> {
        type Row = (Uuid, Uuid, String, String, String, String, Vec<String>);
        let rows: Vec<Row> = sqlx::query_as(
            "SELECT driver_id, id, plate, make, model, color, categories FROM vehicles
             WHERE driver_id = ANY ($1) ORDER BY id",
        )
        .bind(people)
        .fetch_all(self.read_all())
        .await?;
        let vehicle = |(driver, id, plate, make, model, color, categories): Row| {
            let row: VehicleRow = (id, plate, make, model, color, categories);
            (driver, vehicle_of(row))
        };
        Ok(rows.into_iter().map(vehicle).collect())
    }

    /// What drivers asked of themselves: online, offline.
    async fn commands_of_drivers(
        &self,
        people: &[Uuid],
    ) -> Result<Vec<(Uuid, PastCommand)>, sqlx::Error> {
        let rows: Vec<(Uuid, String, i64, String)> = sqlx::query_as(
            "SELECT principal, id, fingerprint, outcome FROM command_results
             WHERE principal = ANY ($1) AND owner = principal AND at > now() - $2::interval",
        )
        .bind(people)
        .bind(KNOWN_FOR)
        .fetch_all(self.read_all())
        .await?;
        Ok(rows.into_iter().map(|row| (row.0, past_command(row))).collect())
    }

    /// Slots of drivers for offers that are open, of all searches.
    async fn open_slots(&self, now: UnixMillis) -> Result<Vec<(Uuid, Slot)>, sqlx::Error> {
        let rows: Vec<(Uuid, Uuid, OffsetDateTime)> = sqlx::query_as(
            "SELECT o.driver_id, o.ride_id, o.expires_at
             FROM rides r JOIN ride_offer_lines o ON o.ride_id = r.id
             WHERE r.active_passenger_id IS NOT NULL AND r.status = 'searching'
               AND o.expires_at > $1
               AND (r.state::jsonb -> 'search' -> 'open') ? o.offer_id::text",
        )
        .bind(timestamp(now))
        .fetch_all(self.read_all())
        .await?;
        let slot = |(driver, ride, at)| {
            (driver, Slot { ride: RideId(ride), of: WaveId::UNKNOWN, until: moment(at) })
        };
        Ok(rows.into_iter().map(slot).collect())
    }
}

fn group<T>(rows: Vec<(Uuid, T)>) -> HashMap<Uuid, Vec<T>> {
    let mut groups: HashMap<Uuid, Vec<T>> = HashMap::new();
    for (key, row) in rows {
        groups.entry(key).or_default().push(row);
    }
    groups
}

/// A driver's account and state; `None`: a person who is none.
fn driver_of(row: PersonRow, vehicles: Vec<(VehicleCard, Vec<Category>)>) -> Option<DriverRecords> {
    let (_, name, hundredths, of, approval, online, category, vehicle, version, kind, from) = row;
    let approval = approval?;
    let category = category.and_then(|name| name.parse::<Category>().ok());
    let profile = DriverProfile {
        name,
        rating: mean(hundredths, of),
        approved: approval == "approved",
        approval,
        vehicles,
        pix_key: stand(kind, from),
    };
    Some(DriverRecords {
        profile: Some(profile),
        online: category
            .filter(|_| online == Some(true))
            .map(|category| OnlineAs { category, vehicle: vehicle.map(VehicleId) }),
        version: u64::try_from(version.unwrap_or(0)).unwrap_or(0),
        ..DriverRecords::default()
    })
}
