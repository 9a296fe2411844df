//! Reading back payments: one whole, where that of a ride stands, and what a passenger owes.

use ibora_domain::ids::{PassengerId, PaymentId};
use ibora_domain::machines::PaymentRecords;
use ibora_domain::payment::{Payment, PaymentStatus};
use ibora_domain::pix::EndToEndId;
use ibora_domain::ride::Ride;
use ibora_domain::units::{Millis, UnixMillis};
use uuid::Uuid;

use super::super::{ReadError, timestamp};
use super::{Records, broken};

/// What stays unbooked for longer is for people: the comparison with the provider's balance shows
/// it.
const UNSTATED_FOR: Millis = Millis::from_secs(3 * 86_400);

impl Records {
    /// What is known of a payment.
    ///
    /// # Errors
    /// Whatever the database reports; a row that cannot be understood is an error too.
    pub async fn payment(&self, id: PaymentId) -> Result<PaymentRecords, sqlx::Error> {
        let state: Option<String> =
            sqlx::query_scalar("SELECT state FROM payment_intents WHERE id = $1")
                .bind(id.0)
                .fetch_optional(self.read())
                .await?;
        let Some(state) = state else { return Ok(PaymentRecords::default()) };
        let payment: Payment = serde_json::from_str(&state).map_err(broken)?;
        // What admins were answered is found by its key when it would be recorded again.
        let people: Vec<_> = payment.passenger().map(|passenger| passenger.0).into_iter().collect();
        let owner = payment.top_up.map_or(id.0, |top_up| top_up.passenger.0);
        let commands = self.past_commands(owner, &people).await?;
        Ok(PaymentRecords { payment: Some(payment), commands })
    }

    /// The payment that a Pix was taken in for.
    ///
    /// # Errors
    /// Whatever the database reports.
    pub async fn payment_of_pix(&self, pix: &EndToEndId) -> Result<Option<PaymentId>, sqlx::Error> {
        let id: Option<Uuid> =
            sqlx::query_scalar("SELECT payment_id FROM pix_received WHERE end_to_end = $1")
                .bind(pix.as_str())
                .fetch_optional(self.read())
                .await?;
        Ok(id.map(PaymentId))
    }

    /// Where the payment of a ride stands, and at which version; none where it has none.
    pub(super) async fn payment_of(
        &self,
        ride: &Ride,
    ) -> Result<Option<(PaymentStatus, u64)>, sqlx::Error> {
        if ride.payment_status().is_none() {
            return Ok(None);
        }
        let row: Option<(String, i64)> =
            sqlx::query_as("SELECT status, version FROM payment_intents WHERE id = $1")
                .bind(PaymentId::of_ride(ride.id).0)
                .fetch_optional(self.read())
                .await?;
        let Some((status, version)) = row else { return Ok(None) };
        let status = serde_json::from_value(status.into()).map_err(broken)?;
        Ok(Some((status, u64::try_from(version).unwrap_or(0))))
    }

    /// What a passenger has to pay. What he meant to give on top is not among it.
    ///
    /// # Errors
    /// Whatever the database reports.
    pub async fn owed_by(&self, passenger: PassengerId) -> Result<Vec<PaymentId>, sqlx::Error> {
        let ids: Vec<Uuid> = sqlx::query_scalar(
            "SELECT id FROM payment_intents
             WHERE passenger_id = $1 AND status IN ('pending', 'expired', 'written_off')
               AND state::json -> 'debt' ->> 'due' <> 'tip' ORDER BY opened_at",
        )
        .bind(passenger.0)
        .fetch_all(self.read())
        .await?;
        Ok(ids.into_iter().map(PaymentId).collect())
    }

    /// A few of the payments that have been owed since then or for longer, the oldest first.
    ///
    /// # Errors
    /// Whatever the database reports.
    pub async fn owed_since(&self, moment: UnixMillis) -> Result<Vec<PaymentId>, ReadError> {
        let ids: Vec<Uuid> = sqlx::query_scalar(
            "SELECT id FROM payment_intents
             WHERE status IN ('pending', 'expired') AND opened_at <= $1
               AND state::json -> 'debt' ->> 'due' <> 'tip' ORDER BY opened_at LIMIT 100",
        )
        .bind(timestamp(moment))
        .fetch_all(self.read())
        .await?;
        Ok(ids.into_iter().map(PaymentId).collect())
    }

    /// A few of the Pix that came in lately, but not after this moment, and of which it is not
    /// booked what the provider took; each with its payment, the oldest first.
    ///
    /// # Errors
    /// Whatever the database reports.
    pub async fn unstated(
        &self,
        before: UnixMillis,
    ) -> Result<Vec<(PaymentId, EndToEndId)>, ReadError> {
        let rows: Vec<(Uuid, String)> = sqlx::query_as(
            "SELECT r.payment_id, r.end_to_end FROM pix_received r
             WHERE r.received_at <= $1 AND r.received_at > $2 AND NOT EXISTS (
                 SELECT FROM financial_events f WHERE f.key = 'pixconf:' || r.end_to_end)
             ORDER BY r.received_at LIMIT 100",
        )
        .bind(timestamp(before))
        .bind(timestamp(before - UNSTATED_FOR))
        .fetch_all(self.read())
        .await?;
        let row = |(payment, pix): (Uuid, String)| {
            Some((PaymentId(payment), EndToEndId::parse(&pix).ok()?))
        };
        Ok(rows.into_iter().filter_map(row).collect())
    }
}
