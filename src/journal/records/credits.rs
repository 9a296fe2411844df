//! Reading back a passenger's credit, what payments were answered of it, and what he is about to
//! put in.

use ibora_domain::credit::{CreditKind, CreditLot, CreditUse};
use ibora_domain::ids::{CreditId, PassengerId, PaymentId};
use ibora_domain::machines::PassengerRecords;
use ibora_domain::money::Centavos;
use time::OffsetDateTime;
use uuid::Uuid;

use super::super::moment;
use super::{KNOWN_FOR, Records};

/// A lot, its kind and what is used of it; an answer, and its number; or a top-up.
type Row = (String, Uuid, i64, i64, Option<Uuid>, OffsetDateTime);

impl Records {
    /// Adds to `known` all credit of a passenger, what is used up too, for a late word of it must
    /// not count again; what those payments were answered that may ask again, because they are not
    /// paid, or because a question may be on its way twice; and his open top-ups.
    pub(super) async fn credit_of(
        &self,
        id: PassengerId,
        known: &mut PassengerRecords,
    ) -> Result<(), sqlx::Error> {
        // In one statement: most passengers have none of it.
        let rows: Vec<Row> = sqlx::query_as(
            "SELECT kind, id, amount, used, payment_id, at FROM passenger_credits
             WHERE passenger_id = $1
             UNION ALL
             (SELECT 'use', payment_id, amount, number, NULL::uuid, at FROM credit_uses
              WHERE passenger_id = $1 AND at > now() - $2::interval
              UNION
              SELECT 'use', u.payment_id, u.amount, u.number, NULL, u.at
              FROM payment_intents p JOIN credit_uses u ON u.payment_id = p.id
              WHERE p.passenger_id = $1 AND p.status IN ('pending', 'expired', 'written_off'))
             UNION ALL
             SELECT 'open', id, amount, 0, NULL, opened_at FROM payment_intents
             WHERE passenger_id = $1 AND ride_id IS NULL AND status IN ('pending', 'expired')",
        )
        .bind(id.0)
        .bind(KNOWN_FOR)
        .fetch_all(self.read())
        .await?;
        for (what, row, amount, number, payment, at) in rows {
            let (amount, at) = (Centavos(amount), moment(at));
            match (what.as_str(), CreditKind::from_name(&what)) {
                (_, Some(kind)) => known.lots.push(CreditLot {
                    id: CreditId(row),
                    passenger: id,
                    kind,
                    amount,
                    used: Centavos(number),
                    payment: payment.map(PaymentId),
                    at,
                }),
                ("use", None) => known.uses.push(CreditUse {
                    payment: PaymentId(row),
                    number: u16::try_from(number).unwrap_or(u16::MAX),
                    passenger: id,
                    amount,
                    at,
                }),
                ("open", None) => known.top_ups.push((PaymentId(row), amount)),
                (kind, None) => {
                    return Err(sqlx::Error::Decode(format!("no kind of credit: {kind}").into()));
                }
            }
        }
        Ok(())
    }

    /// Whether there is such a passenger.
    ///
    /// # Errors
    /// Whatever the database reports.
    pub async fn is_passenger(&self, id: PassengerId) -> Result<bool, sqlx::Error> {
        sqlx::query_scalar("SELECT EXISTS (SELECT FROM users WHERE id = $1 AND role = 'passenger')")
            .bind(id.0)
            .fetch_one(self.read())
            .await
    }
}
