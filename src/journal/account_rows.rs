//! Rows of accounts: how people, drivers, vehicles, token families and audit entries are written,
//! and what somebody books for the platform by hand.
//!
//! For the journal alone, which runs them inside its own transaction, one statement a row. Rooms
//! build the rows and cannot write them. A conditional row whose condition no longer holds is an
//! error with the name of a constraint, like any row that the database itself refuses.

use std::borrow::Cow;

use ibora_domain::facts::{AuditRow, ResultRow};
use ibora_domain::ids::{DriverId, Shard, UserId};
use ibora_domain::ledger::FinancialEvent;
use ibora_domain::person::{Approval, Cpf, Email, PersonName, Phone, Role};
use ibora_domain::pix::{PixKey, PixKeyKind};
use ibora_domain::token::{FamilyId, TokenHash};
use ibora_domain::units::UnixMillis;
use ibora_domain::vehicle::Vehicle;
use secrecy::{ExposeSecret, SecretString};
use sqlx::PgConnection;
use sqlx::error::{DatabaseError, ErrorKind};
use thiserror::Error;
use uuid::Uuid;

use super::{audit_rows, money, timestamp};

/// One row to write. The order of rows is the order of writing: a user before its driver.
#[derive(Debug)]
pub enum AccountRow {
    UserCreated(UserRow),
    /// A pending driver; its user comes before it.
    DriverCreated {
        driver: DriverId,
    },
    /// Conditional: refused as `drivers_review` where the approval is no longer `from`.
    DriverReviewed(ReviewRow),
    VehicleAdded(VehicleRow),
    FamilyCreated(FamilyRow),
    /// Conditional: refused as `token_families_rotation` where the current token is another one
    /// by now, or the family is revoked. Of two rotations at once one is stored.
    FamilyRotated(RotationRow),
    /// Ends a family; one that has ended stays as it is.
    FamilyRevoked {
        family: FamilyId,
        at: UnixMillis,
    },
    Audit(AuditRow),
    /// Refused as `driver_pix_keys_pkey` where its driver has another key by now.
    PixKeySet(PixKeyRow),
    PayoutsSwitched(PayoutSwitchRow),
    /// Between accounts of the platform, from which no actor decides anything. Refused as
    /// `financial_events_key` where its key is booked.
    Booked(FinancialEvent),
    /// The stored answer to a command that no actor decides. Refused as `command_results_pkey`
    /// where its key has one already.
    Answered(AnswerRow),
}

/// The answer to a command, kept with what the command did.
#[derive(Debug)]
pub struct AnswerRow {
    pub result: ResultRow,
    pub at: UnixMillis,
}

/// A person.
#[derive(Debug)]
pub struct UserRow {
    pub id: UserId,
    pub role: Role,
    pub name: PersonName,
    pub email: Email,
    pub phone: Option<Phone>,
    pub cpf: Option<Cpf>,
    /// PHC string; `None` for a simulated person, who cannot log in.
    pub password_hash: Option<SecretString>,
    pub at: UnixMillis,
}

/// An admin's decision on a driver.
#[derive(Debug)]
pub struct ReviewRow {
    pub driver: DriverId,
    pub from: Approval,
    pub to: Approval,
    pub reason: Option<String>,
    pub by: Option<UserId>,
    pub at: UnixMillis,
}

/// A vehicle of a driver.
#[derive(Debug)]
pub struct VehicleRow {
    pub driver: DriverId,
    pub vehicle: Vehicle,
    pub at: UnixMillis,
}

/// A new token family.
#[derive(Debug)]
pub struct FamilyRow {
    pub id: FamilyId,
    pub user: UserId,
    pub hash: TokenHash,
    pub expires_at: UnixMillis,
    pub at: UnixMillis,
}

/// The next token of a family.
#[derive(Debug)]
pub struct RotationRow {
    pub family: FamilyId,
    pub expected_current_hash: TokenHash,
    pub next_hash: TokenHash,
    pub expires_at: UnixMillis,
    pub at: UnixMillis,
}

/// A Pix key of a driver.
#[derive(Debug)]
pub struct PixKeyRow {
    pub driver: DriverId,
    /// One more than that of the key before it.
    pub version: i32,
    pub kind: PixKeyKind,
    pub key: PixKey,
    pub set_at: UnixMillis,
    pub usable_from: UnixMillis,
}

/// A turn of the switch that stops payouts.
#[derive(Debug)]
pub struct PayoutSwitchRow {
    pub stopped: bool,
    pub reason: String,
    pub by: Option<UserId>,
    pub at: UnixMillis,
}

impl AccountRow {
    /// Writes this row by one statement in the caller's transaction.
    ///
    /// # Errors
    /// What the database reports; a lost condition is a database error with a constraint's name.
    pub(crate) async fn write(&self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        match self {
            Self::UserCreated(row) => row.write(connection).await,
            Self::DriverCreated { driver } => create_driver(connection, *driver).await,
            Self::DriverReviewed(row) => row.write(connection).await,
            Self::VehicleAdded(row) => row.write(connection).await,
            Self::FamilyCreated(row) => row.write(connection).await,
            Self::FamilyRotated(row) => row.write(connection).await,
            Self::FamilyRevoked { family, at } => revoke_family(connection, *family, *at).await,
            Self::Audit(row) => audit_rows::write(connection, &[row]).await,
            Self::PixKeySet(row) => row.write(connection).await,
            Self::PayoutsSwitched(row) => row.write(connection).await,
            Self::Booked(event) => {
                money::write(connection, event, shard(event.subject().id())).await
            }
            Self::Answered(row) => row.write(connection).await,
        }
    }
}

impl UserRow {
    async fn write(&self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        sqlx::query(
            "INSERT INTO users (id, shard, role, name, email, phone, cpf, password_hash, created_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        )
        .bind(self.id.0)
        .bind(shard(self.id.0))
        .bind(self.role.as_str())
        .bind(self.name.as_str())
        .bind(self.email.as_str())
        .bind(self.phone.as_ref().map(Phone::as_str))
        .bind(self.cpf.as_ref().map(Cpf::expose)) // Storage is what the number was given for.
        .bind(self.password_hash.as_ref().map(ExposeSecret::expose_secret))
        .bind(timestamp(self.at))
        .execute(connection)
        .await?;
        Ok(())
    }
}

async fn create_driver(connection: &mut PgConnection, driver: DriverId) -> Result<(), sqlx::Error> {
    sqlx::query("INSERT INTO drivers (id, shard, approval) VALUES ($1, $2, 'pending')")
        .bind(driver.0)
        .bind(shard(driver.0))
        .execute(connection)
        .await?;
    Ok(())
}

impl ReviewRow {
    async fn write(&self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        let done = sqlx::query(
            "UPDATE drivers
             SET approval = $3, approval_reason = $4, reviewed_by = $5, reviewed_at = $6
             WHERE id = $1 AND approval = $2",
        )
        .bind(self.driver.0)
        .bind(self.from.as_str())
        .bind(self.to.as_str())
        .bind(self.reason.as_deref())
        .bind(self.by.map(|by| by.0))
        .bind(timestamp(self.at))
        .execute(connection)
        .await?;
        held(done.rows_affected(), "drivers_review")
    }
}

impl VehicleRow {
    async fn write(&self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        let vehicle = &self.vehicle;
        let categories: Vec<&str> = vehicle.categories.iter().map(|name| name.as_str()).collect();
        sqlx::query(
            "INSERT INTO vehicles
                 (id, shard, driver_id, plate, make, model, color, year, categories, created_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        )
        .bind(vehicle.id.0)
        .bind(shard(vehicle.id.0))
        .bind(self.driver.0)
        .bind(vehicle.plate.as_str())
        .bind(&vehicle.make)
        .bind(&vehicle.model)
        .bind(&vehicle.color)
        .bind(vehicle.year.cast_signed())
        .bind(categories)
        .bind(timestamp(self.at))
        .execute(connection)
        .await?;
        Ok(())
    }
}

impl FamilyRow {
    async fn write(&self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        sqlx::query(
            "INSERT INTO token_families
                 (id, shard, user_id, current_hash, rotated_at, expires_at, created_at)
             VALUES ($1, $2, $3, $4, $5, $6, $5)",
        )
        .bind(self.id.0)
        .bind(shard(self.id.0))
        .bind(self.user.0)
        .bind(self.hash.0.as_slice())
        .bind(timestamp(self.at))
        .bind(timestamp(self.expires_at))
        .execute(connection)
        .await?;
        Ok(())
    }
}

impl RotationRow {
    async fn write(&self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        let done = sqlx::query(
            "UPDATE token_families
             SET current_hash = $3, previous_hash = $2, rotated_at = $4, expires_at = $5
             WHERE id = $1 AND current_hash = $2 AND revoked_at IS NULL",
        )
        .bind(self.family.0)
        .bind(self.expected_current_hash.0.as_slice())
        .bind(self.next_hash.0.as_slice())
        .bind(timestamp(self.at))
        .bind(timestamp(self.expires_at))
        .execute(connection)
        .await?;
        held(done.rows_affected(), "token_families_rotation")
    }
}

async fn revoke_family(
    connection: &mut PgConnection,
    family: FamilyId,
    at: UnixMillis,
) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE token_families SET revoked_at = $2 WHERE id = $1 AND revoked_at IS NULL")
        .bind(family.0)
        .bind(timestamp(at))
        .execute(connection)
        .await?;
    Ok(())
}

impl PixKeyRow {
    async fn write(&self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        sqlx::query(
            "INSERT INTO driver_pix_keys
                 (driver_id, version, shard, kind, pix_key, set_at, usable_from)
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
        )
        .bind(self.driver.0)
        .bind(self.version)
        .bind(shard(self.driver.0))
        .bind(self.kind.as_str())
        .bind(self.key.expose()) // It is stored so that he can be paid.
        .bind(timestamp(self.set_at))
        .bind(timestamp(self.usable_from))
        .execute(connection)
        .await?;
        Ok(())
    }
}

impl PayoutSwitchRow {
    async fn write(&self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        sqlx::query(
            "INSERT INTO payout_switch (stopped, reason, by_user, at) VALUES ($1, $2, $3, $4)",
        )
        .bind(self.stopped)
        .bind(&self.reason)
        .bind(self.by.map(|by| by.0))
        .bind(timestamp(self.at))
        .execute(connection)
        .await?;
        Ok(())
    }
}

impl AnswerRow {
    async fn write(&self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        let ResultRow { key, owner, answer } = &self.result;
        let done = answer.as_ref().ok();
        sqlx::query(
            "INSERT INTO command_results
                 (principal, id, owner, fingerprint, outcome, version, body, at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        )
        .bind(key.principal.0)
        .bind(&*key.id)
        .bind(owner)
        .bind(key.fingerprint)
        .bind(answer.as_ref().err().map_or("ok", |refusal| refusal.code()))
        .bind(done.map_or(0, |done| done.version.cast_signed()))
        .bind(done.map(|done| &*done.body))
        .bind(timestamp(self.at))
        .execute(connection)
        .await?;
        Ok(())
    }
}

/// The shard column of the entity `id`; 1024 shards fit a smallint.
fn shard(id: Uuid) -> i16 {
    Shard::of(id).number().cast_signed()
}

fn held(rows: u64, condition: &'static str) -> Result<(), sqlx::Error> {
    match rows {
        0 => Err(sqlx::Error::Database(Box::new(ConditionLost(condition)))),
        _ => Ok(()),
    }
}

/// A conditional update that found its condition gone, in the form of a violated constraint.
#[derive(Debug, Error)]
#[error("condition {0} no longer holds")]
struct ConditionLost(&'static str);

impl DatabaseError for ConditionLost {
    fn message(&self) -> &str {
        "condition no longer holds"
    }

    fn code(&self) -> Option<Cow<'_, str>> {
        Some(Cow::Borrowed("23514")) // check_violation
    }

    fn constraint(&self) -> Option<&str> {
        Some(self.0)
    }

    fn kind(&self) -> ErrorKind {
        ErrorKind::CheckViolation
    }

    fn as_error(&self) -> &(dyn std::error::Error + Send + Sync + 'static) {
        self
    }

    fn as_error_mut(&mut self) -> &mut (dyn std::error::Error + Send + Sync + 'static) {
        self
    }

    fn into_error(self: Box<Self>) -> Box<dyn std::error::Error + Send + Sync + 'static> {
        self
    }
}
