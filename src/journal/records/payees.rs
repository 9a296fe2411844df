//! Reading back whom drivers are paid to, and whether anybody is paid at all.

use ibora_domain::ids::DriverId;
use ibora_domain::machines::PixKeyStand;
use ibora_domain::person::Cpf;
use ibora_domain::pix::{Payee, PixKey, PixKeyKind};
use ibora_domain::units::UnixMillis;
use time::OffsetDateTime;

use super::super::moment;
use super::Records;

/// Payouts are stopped: nothing is sent, and nothing new is taken on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PayoutStop {
    pub reason: String,
    pub at: UnixMillis,
}

impl Records {
    /// Whom this driver is paid to; `None`: he has registered no key.
    ///
    /// # Errors
    /// Whatever the database reports.
    pub async fn payee(&self, driver: DriverId) -> Result<Option<Payee>, sqlx::Error> {
        let row: Option<(String, OffsetDateTime, Option<String>)> = sqlx::query_as(
            "SELECT k.pix_key, k.usable_from, u.cpf
             FROM driver_pix_keys k JOIN users u ON u.id = k.driver_id
             WHERE k.driver_id = $1 ORDER BY k.version DESC LIMIT 1",
        )
        .bind(driver.0)
        .fetch_optional(self.read())
        .await?;
        let Some((key, usable_from, cpf)) = row else { return Ok(None) };
        let key = PixKey::try_from(key).map_err(|error| sqlx::Error::Decode(Box::new(error)))?;
        let cpf = cpf.and_then(|cpf| Cpf::parse(&cpf).ok());
        Ok(Some(Payee { key, usable_from: moment(usable_from), cpf }))
    }

    /// Why payouts are stopped; `None`: they are not.
    ///
    /// # Errors
    /// Whatever the database reports.
    pub async fn payouts_stopped(&self) -> Result<Option<PayoutStop>, sqlx::Error> {
        let row: Option<(bool, String, OffsetDateTime)> = sqlx::query_as(
            "SELECT stopped, reason, at FROM payout_switch ORDER BY id DESC LIMIT 1",
        )
        .fetch_optional(self.read())
        .await?;
        let stop = row.filter(|(stopped, ..)| *stopped);
        Ok(stop.map(|(_, reason, at)| PayoutStop { reason, at: moment(at) }))
    }
}

/// What a driver is shown of his key, from its columns.
pub(super) fn stand(
    kind: Option<String>,
    usable_from: Option<OffsetDateTime>,
) -> Option<PixKeyStand> {
    let kind = kind?.parse::<PixKeyKind>().ok()?;
    Some(PixKeyStand { kind, usable_from: moment(usable_from?) })
}
