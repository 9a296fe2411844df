//! Questions about how drivers are paid: to which key, and whether at all.

use ibora_domain::ids::DriverId;
use ibora_domain::pix::{PixKey, PixKeyKind};
use ibora_domain::units::UnixMillis;

use super::people::known;
use super::{People, ReadError};

/// A driver's Pix key in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegisteredKey {
    pub version: i32,
    pub kind: PixKeyKind,
    pub key: PixKey,
    pub usable_from: UnixMillis,
}

impl People {
    /// The key that this driver is paid to, if he has one.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn pix_key(&self, driver: DriverId) -> Result<Option<RegisteredKey>, ReadError> {
        let row: Option<(i32, String, String, i64)> = sqlx::query_as(
            "SELECT version, kind, pix_key, (extract(epoch FROM usable_from) * 1000)::bigint
             FROM driver_pix_keys WHERE driver_id = $1 ORDER BY version DESC LIMIT 1",
        )
        .bind(driver.0)
        .fetch_optional(&self.db)
        .await?;
        row.map(|(version, kind, key, usable_from)| {
            Ok(RegisteredKey {
                version,
                kind: known(&kind, "kind of Pix key")?,
                key: PixKey::try_from(key).map_err(|_| ReadError::Corrupt { what: "Pix key" })?,
                usable_from: UnixMillis(usable_from),
            })
        })
        .transpose()
    }

    /// The last turn of the switch that stops payouts: whether it stopped them, why, and when.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn payout_switch(&self) -> Result<Option<(bool, String, UnixMillis)>, ReadError> {
        let row: Option<(bool, String, i64)> = sqlx::query_as(
            "SELECT stopped, reason, (extract(epoch FROM at) * 1000)::bigint
             FROM payout_switch ORDER BY id DESC LIMIT 1",
        )
        .fetch_optional(&self.db)
        .await?;
        Ok(row.map(|(stopped, reason, at)| (stopped, reason, UnixMillis(at))))
    }
}
