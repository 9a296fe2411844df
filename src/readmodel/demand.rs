//! Demand as it was: what `ibora simulate` is fed with to ask "what if" of one's own rides.
//!
//! For `cli`. Reads only, row by row. What must hold: nothing in it leads to a person. It has no
//! ids, times are whole minutes and places are rounded to about a hundred metres.

use futures_util::{Stream, StreamExt};
use ibora_domain::place::Coordinates;
use serde::Deserialize;
use sqlx::PgPool;
use time::OffsetDateTime;

use super::ReadError;

/// Digits behind the point of a degree.
const DIGITS: usize = 3;

/// A ride that was asked for, whatever became of it.
#[derive(Debug, PartialEq, Eq)]
pub struct Asked {
    /// The minute.
    pub at: OffsetDateTime,
    /// Latitude and longitude of pickup, then of drop-off.
    pub ends: [String; 4],
}

#[derive(Deserialize)]
struct State {
    order: Ends,
}

#[derive(Deserialize)]
struct Ends {
    pickup: Coordinates,
    dropoff: Coordinates,
}

/// What was asked for from one moment until before another, in order of time.
pub fn demand(
    pool: &PgPool,
    (from, to): (OffsetDateTime, OffsetDateTime),
) -> impl Stream<Item = Result<Asked, ReadError>> + '_ {
    sqlx::query_as::<_, (OffsetDateTime, String)>(
        "SELECT date_trunc('minute', requested_at), state FROM rides
         WHERE requested_at >= $1 AND requested_at < $2 ORDER BY 1",
    )
    .bind(from)
    .bind(to)
    .fetch(pool)
    .map(|row| {
        let (at, state) = row?;
        let State { order } =
            serde_json::from_str(&state).map_err(|_| ReadError::Corrupt { what: "ride" })?;
        let degrees =
            [order.pickup.lat(), order.pickup.lng(), order.dropoff.lat(), order.dropoff.lng()];
        Ok(Asked { at, ends: degrees.map(|degrees| format!("{degrees:.DIGITS$}")) })
    })
}
