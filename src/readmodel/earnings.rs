//! What a driver has earned, by day and by week of São Paulo.
//!
//! An event counts by what it does to all that he has with the platform together (to be collected,
//! held, available, less what he owes), so that what only moves between them counts nothing; what
//! was paid out to him counts nothing either. Of rides in cash he has the fare in his hand: it is
//! counted from the rides, their commission from the books.

use std::collections::BTreeMap;

use ibora_domain::ids::DriverId;
use ibora_domain::money::{Centavos, reais};
use serde::{Serialize, Serializer};
use sqlx::FromRow;
use time::Date;

use super::ReadError;
use super::ledger::Ledger;
use super::wallet::Span;

/// What was earned in a day or week.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Earned {
    /// Rides completed.
    pub rides: i64,
    /// His share of fares that are paid through the platform.
    #[serde(serialize_with = "reais")]
    pub fares: Centavos,
    /// Fares that he was given in cash.
    #[serde(serialize_with = "reais")]
    pub cash: Centavos,
    /// What the platform takes of those.
    #[serde(serialize_with = "reais")]
    pub commission: Centavos,
    /// His share of fees for rides that were called off.
    #[serde(serialize_with = "reais")]
    pub fees: Centavos,
    #[serde(serialize_with = "reais")]
    pub tips: Centavos,
    /// Refunds, disputes, and what nobody will pay any more.
    #[serde(serialize_with = "reais")]
    pub adjustments: Centavos,
    /// All of it together.
    #[serde(serialize_with = "reais")]
    pub earned: Centavos,
}

impl Earned {
    fn add(&mut self, other: &Self) {
        let sum = |a: Centavos, b: Centavos| Centavos(a.0.saturating_add(b.0));
        self.rides += other.rides;
        self.fares = sum(self.fares, other.fares);
        self.cash = sum(self.cash, other.cash);
        self.commission = sum(self.commission, other.commission);
        self.fees = sum(self.fees, other.fees);
        self.tips = sum(self.tips, other.tips);
        self.adjustments = sum(self.adjustments, other.adjustments);
        self.earned = sum(self.earned, other.earned);
    }
}

/// A day, or a week by its Monday.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Period {
    #[serde(serialize_with = "date")]
    pub from: Date,
    #[serde(flatten)]
    pub earned: Earned,
}

/// Days and weeks of a driver, in the shape of the public contract. What has nothing in it is left
/// out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Earnings {
    pub currency: &'static str,
    pub time_zone: &'static str,
    pub days: Vec<Period>,
    pub weeks: Vec<Period>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the serializer calls it so")]
fn date<S: Serializer>(date: &Date, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(date)
}

#[derive(FromRow)]
struct DayRecord {
    day: Date,
    rides: i64,
    fares: i64,
    cash: i64,
    commission: i64,
    fees: i64,
    tips: i64,
    adjustments: i64,
}

impl DayRecord {
    fn earned(&self) -> Earned {
        let parts = [self.fares, self.cash, self.fees, self.tips, self.adjustments];
        let whole: i64 = parts.iter().sum::<i64>() - self.commission;
        Earned {
            rides: self.rides,
            fares: Centavos(self.fares),
            cash: Centavos(self.cash),
            commission: Centavos(self.commission),
            fees: Centavos(self.fees),
            tips: Centavos(self.tips),
            adjustments: Centavos(self.adjustments),
            earned: Centavos(whole),
        }
    }
}

const BY_DAY: &str = "
    WITH booked AS (
        SELECT f.kind, (f.recorded_at AT TIME ZONE 'America/Sao_Paulo')::date AS day,
               -sum(p.amount) AS amount
        FROM ledger_postings p JOIN financial_events f ON f.id = p.event_id
        WHERE p.owner = $1 AND p.code IN (1110, 2000, 2005, 2010)
          AND p.recorded_at >= to_timestamp(0) + $2 * interval '1 millisecond'
          AND p.recorded_at < to_timestamp(0) + $3 * interval '1 millisecond'
          AND f.kind NOT LIKE 'payout%'
        GROUP BY f.id, f.kind, f.recorded_at HAVING sum(p.amount) <> 0
    ), driven AS (
        SELECT (e.at AT TIME ZONE 'America/Sao_Paulo')::date AS day, count(*) AS rides,
               coalesce(sum((r.state::json ->> 'final_fare')::bigint) FILTER
                   (WHERE r.state::json -> 'order' ->> 'payment_method' = 'cash'), 0) AS cash
        FROM rides r JOIN events e ON e.entity_id = r.id AND e.kind = 'completed'
        WHERE r.driver_id = $1 AND r.status = 'completed'
          AND e.at >= to_timestamp(0) + $2 * interval '1 millisecond'
          AND e.at < to_timestamp(0) + $3 * interval '1 millisecond'
        GROUP BY 1
    ), sums AS (
        SELECT day,
               sum(amount) FILTER (WHERE kind = 'ride_fare') AS fares,
               -sum(amount) FILTER (WHERE kind = 'cash_commission') AS commission,
               sum(amount) FILTER (WHERE kind LIKE 'cancel_fee%') AS fees,
               sum(amount) FILTER (WHERE kind LIKE 'tip%') AS tips,
               sum(amount) FILTER (WHERE kind NOT LIKE 'cancel_fee%' AND kind NOT LIKE 'tip%'
                   AND kind NOT IN ('ride_fare', 'cash_commission'))
                   AS adjustments
        FROM booked GROUP BY day
    )
    SELECT coalesce(s.day, d.day) AS day, coalesce(d.rides, 0)::bigint AS rides,
           coalesce(s.fares, 0)::bigint AS fares, coalesce(d.cash, 0)::bigint AS cash,
           coalesce(s.commission, 0)::bigint AS commission, coalesce(s.fees, 0)::bigint AS fees,
           coalesce(s.tips, 0)::bigint AS tips, coalesce(s.adjustments, 0)::bigint AS adjustments
    FROM sums s FULL JOIN driven d ON d.day = s.day ORDER BY 1";

impl Ledger {
    /// What a driver has earned in a span, by day and by week, the newest first.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn earnings(&self, driver: DriverId, span: Span) -> Result<Earnings, ReadError> {
        let rows: Vec<DayRecord> = sqlx::query_as(BY_DAY)
            .bind(driver.0)
            .bind(span.from.0)
            .bind(span.to.0)
            .fetch_all(&self.db)
            .await?;
        let mut weeks: BTreeMap<Date, Earned> = BTreeMap::new();
        for row in &rows {
            let monday = row.day.weekday().number_days_from_monday();
            let monday = row.day.saturating_sub(time::Duration::days(i64::from(monday)));
            weeks.entry(monday).or_default().add(&row.earned());
        }
        let days = rows.iter().rev().map(|row| Period { from: row.day, earned: row.earned() });
        let weeks = weeks.into_iter().rev().map(|(from, earned)| Period { from, earned });
        Ok(Earnings {
            currency: "BRL",
            time_zone: "America/Sao_Paulo",
            days: days.collect(),
            weeks: weeks.collect(),
        })
    }
}
