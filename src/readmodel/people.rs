//! Questions about people: who is this, what may they drive, who changed what.
//!
//! Used by `accounts` for its decisions and by `api` for what people see of each other. Phone and
//! email are in [`UserView`], which only its owner and an admin may be shown.

use std::collections::HashMap;

use ibora_domain::category::Category;
use ibora_domain::ids::{DriverId, UserId, VehicleId};
use ibora_domain::person::{Approval, Email, PersonName, Phone, Plate, Role};
use ibora_domain::ride::rating;
use ibora_domain::token::{FamilyId, TokenHash};
use ibora_domain::units::UnixMillis;
use ibora_domain::vehicle::Vehicle;
use secrecy::SecretString;
use serde::{Serialize, Serializer};
use sqlx::FromRow;
use uuid::Uuid;

use super::{Page, ReadError};
use crate::db::Db;

/// A person, as they see themselves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UserView {
    pub id: UserId,
    pub role: Role,
    pub name: PersonName,
    pub email: Email,
    pub phone: Option<Phone>,
}

/// Whether a person may log in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UserStatus {
    Active,
    Suspended,
}

/// What a login is checked against.
#[derive(Debug)]
pub struct Credentials {
    pub user: UserId,
    pub role: Role,
    pub status: UserStatus,
    pub password_hash: Option<SecretString>,
}

/// A family of refresh tokens with its owner.
#[derive(Debug)]
pub struct Family {
    pub id: FamilyId,
    pub user: UserId,
    pub role: Role,
    pub status: UserStatus,
    pub current: TokenHash,
    pub previous: Option<TokenHash>,
    pub rotated_at: UnixMillis,
    pub expires_at: UnixMillis,
    pub revoked: bool,
}

/// A driver, as admins and the dispatch see them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DriverProfile {
    pub id: DriverId,
    pub name: PersonName,
    /// Hundredths of a star, 100..=500; shown in stars.
    #[serde(rename = "rating", serialize_with = "stars")]
    pub rating_hundredths: u16,
    pub approval: Approval,
    pub vehicles: Vec<Vehicle>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the serializer calls it so")]
fn stars<S: Serializer>(hundredths: &u16, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(rating(*hundredths))
}

/// Reads people through a database that this room never writes to.
#[derive(Debug, Clone)]
pub struct People {
    pub(super) db: Db,
}

impl People {
    /// Reads through `db`.
    #[must_use]
    pub const fn new(db: Db) -> Self {
        Self { db }
    }

    /// The person with this id.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn user(&self, id: UserId) -> Result<Option<UserView>, ReadError> {
        let row: Option<UserRecord> =
            sqlx::query_as("SELECT id, role, name, email, phone FROM users WHERE id = $1")
                .bind(id.0)
                .fetch_optional(&self.db)
                .await?;
        row.map(UserRecord::view).transpose()
    }

    /// What the login of `email` is checked against.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn credentials(&self, email: &Email) -> Result<Option<Credentials>, ReadError> {
        let row: Option<CredentialsRecord> =
            sqlx::query_as("SELECT id, role, status, password_hash FROM users WHERE email = $1")
                .bind(email.as_str())
                .fetch_optional(&self.db)
                .await?;
        row.map(credentials).transpose()
    }

    /// What the password of a person is checked against, once more.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn credentials_of(&self, user: UserId) -> Result<Option<Credentials>, ReadError> {
        let row: Option<CredentialsRecord> =
            sqlx::query_as("SELECT id, role, status, password_hash FROM users WHERE id = $1")
                .bind(user.0)
                .fetch_optional(&self.db)
                .await?;
        row.map(credentials).transpose()
    }

    /// The token family with this id.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn family(&self, id: FamilyId) -> Result<Option<Family>, ReadError> {
        let row: Option<FamilyRecord> = sqlx::query_as(
            "SELECT f.id, f.user_id, u.role, u.status, f.current_hash, f.previous_hash,
                    (extract(epoch FROM f.rotated_at) * 1000)::bigint AS rotated_at,
                    (extract(epoch FROM f.expires_at) * 1000)::bigint AS expires_at,
                    f.revoked_at IS NOT NULL AS revoked
             FROM token_families f JOIN users u ON u.id = f.user_id
             WHERE f.id = $1",
        )
        .bind(id.0)
        .fetch_optional(&self.db)
        .await?;
        row.map(FamilyRecord::family).transpose()
    }

    /// The driver with this id, with vehicles in the order they were added.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn driver(&self, id: DriverId) -> Result<Option<DriverProfile>, ReadError> {
        let row: Option<DriverRecord> = sqlx::query_as(
            "SELECT d.id, u.name, d.approval,
                    coalesce(r.hundredths, d.rating_hundredths) AS rating_hundredths
             FROM drivers d JOIN users u ON u.id = d.id
             LEFT JOIN person_ratings r ON r.user_id = d.id
             WHERE d.id = $1",
        )
        .bind(id.0)
        .fetch_optional(&self.db)
        .await?;
        Ok(self.with_vehicles(row.into_iter().collect()).await?.pop())
    }

    /// Drivers, the newest first, of one approval or of all.
    ///
    /// # Errors
    /// [`ReadError`]; `Cursor` for one that this list did not give.
    pub async fn drivers(
        &self,
        approval: Option<Approval>,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<Page<DriverProfile>, ReadError> {
        let limit = limit.clamp(1, 100);
        let before = match cursor {
            Some(text) => Uuid::try_parse(text).map_err(|_| ReadError::Cursor)?,
            None => Uuid::max(),
        };
        let rows: Vec<DriverRecord> = sqlx::query_as(
            "SELECT d.id, u.name, d.approval,
                    coalesce(r.hundredths, d.rating_hundredths) AS rating_hundredths
             FROM drivers d JOIN users u ON u.id = d.id
             LEFT JOIN person_ratings r ON r.user_id = d.id
             WHERE ($1::text IS NULL OR d.approval = $1) AND d.id < $2
             ORDER BY d.id DESC LIMIT $3",
        )
        .bind(approval.map(Approval::as_str))
        .bind(before)
        .bind(i64::from(limit) + 1)
        .fetch_all(&self.db)
        .await?;
        let drivers = self.with_vehicles(rows).await?;
        Ok(Page::cut(drivers, limit as usize, |driver| driver.id.to_string()))
    }

    /// How many vehicles a driver has.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn vehicle_count(&self, driver: DriverId) -> Result<u64, ReadError> {
        let count: i64 = sqlx::query_scalar("SELECT count(*) FROM vehicles WHERE driver_id = $1")
            .bind(driver.0)
            .fetch_one(&self.db)
            .await?;
        Ok(count.unsigned_abs())
    }

    async fn with_vehicles(
        &self,
        rows: Vec<DriverRecord>,
    ) -> Result<Vec<DriverProfile>, ReadError> {
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let ids: Vec<Uuid> = rows.iter().map(|row| row.id).collect();
        let vehicles: Vec<VehicleRecord> = sqlx::query_as(
            "SELECT id, driver_id, plate, make, model, color, year, categories
             FROM vehicles WHERE driver_id = ANY($1) ORDER BY id",
        )
        .bind(ids)
        .fetch_all(&self.db)
        .await?;
        let mut of_driver: HashMap<Uuid, Vec<Vehicle>> = HashMap::new();
        for row in vehicles {
            of_driver.entry(row.driver_id).or_default().push(row.vehicle()?);
        }
        rows.into_iter()
            .map(|row| {
                let vehicles = of_driver.remove(&row.id).unwrap_or_default();
                row.profile(vehicles)
            })
            .collect()
    }
}

type CredentialsRecord = (Uuid, String, String, Option<String>);

fn credentials((id, role, status, hash): CredentialsRecord) -> Result<Credentials, ReadError> {
    Ok(Credentials {
        user: UserId(id),
        role: known(&role, "role")?,
        status: user_status(&status)?,
        password_hash: hash.map(SecretString::from),
    })
}

pub(super) fn known<T: std::str::FromStr>(text: &str, what: &'static str) -> Result<T, ReadError> {
    text.parse().map_err(|_| ReadError::Corrupt { what })
}

fn user_status(text: &str) -> Result<UserStatus, ReadError> {
    match text {
        "active" => Ok(UserStatus::Active),
        "suspended" => Ok(UserStatus::Suspended),
        _ => Err(ReadError::Corrupt { what: "status" }),
    }
}

fn token_hash(bytes: &[u8]) -> Result<TokenHash, ReadError> {
    bytes.try_into().map(TokenHash).map_err(|_| ReadError::Corrupt { what: "token hash" })
}

#[derive(FromRow)]
struct UserRecord {
    id: Uuid,
    role: String,
    name: String,
    email: String,
    phone: Option<String>,
}

impl UserRecord {
    fn view(self) -> Result<UserView, ReadError> {
        Ok(UserView {
            id: UserId(self.id),
            role: known(&self.role, "role")?,
            name: PersonName::from_stored(self.name),
            email: Email::from_stored(self.email),
            phone: self.phone.map(Phone::from_stored),
        })
    }
}

#[derive(FromRow)]
struct FamilyRecord {
    id: Uuid,
    user_id: Uuid,
    role: String,
    status: String,
    current_hash: Vec<u8>,
    previous_hash: Option<Vec<u8>>,
    rotated_at: i64,
    expires_at: i64,
    revoked: bool,
}

impl FamilyRecord {
    fn family(self) -> Result<Family, ReadError> {
        Ok(Family {
            id: FamilyId(self.id),
            user: UserId(self.user_id),
            role: known(&self.role, "role")?,
            status: user_status(&self.status)?,
            current: token_hash(&self.current_hash)?,
            previous: self.previous_hash.as_deref().map(token_hash).transpose()?,
            rotated_at: UnixMillis(self.rotated_at),
            expires_at: UnixMillis(self.expires_at),
            revoked: self.revoked,
        })
    }
}

#[derive(FromRow)]
struct DriverRecord {
    id: Uuid,
    name: String,
    rating_hundredths: i16,
    approval: String,
}

impl DriverRecord {
    fn profile(self, vehicles: Vec<Vehicle>) -> Result<DriverProfile, ReadError> {
        Ok(DriverProfile {
            id: DriverId(self.id),
            name: PersonName::from_stored(self.name),
            rating_hundredths: self.rating_hundredths.unsigned_abs(),
            approval: known(&self.approval, "approval")?,
            vehicles,
        })
    }
}

#[derive(FromRow)]
struct VehicleRecord {
    id: Uuid,
    driver_id: Uuid,
    plate: String,
    make: String,
    model: String,
    color: String,
    year: i16,
    categories: Vec<String>,
}

impl VehicleRecord {
    fn vehicle(self) -> Result<Vehicle, ReadError> {
        let categories: Result<Vec<Category>, _> =
            self.categories.iter().map(|name| known(name, "category")).collect();
        Ok(Vehicle {
            id: VehicleId(self.id),
            plate: Plate::from_stored(self.plate),
            make: self.make,
            model: self.model,
            color: self.color,
            year: self.year.unsigned_abs(),
            categories: categories?,
        })
    }
}
