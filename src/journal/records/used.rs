//! Reading back the ids of commands that drivers' machines passed on and others answered: each is
//! its command's alone (`docs/problems.md`, `idempotency_key_reused`).
//!
//! Answers are in `command_results`, but for refused accepts, which are in the rows of attempts of
//! their rides. There is no index by driver: it would cost every race.

use ibora_domain::ids::DriverId;
use ibora_domain::machines::UsedId;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{KNOWN_FOR, Records};

/// Ids of refused accepts that a start reads, those first whose rides are newest.
const REFUSED_MAX: i64 = 500_000;

/// Whose, its id, its fingerprint, and when it was answered, in ms.
type UsedRow = (Uuid, String, i64, i64);

impl Records {
    /// Ids under which others answered a driver, oldest first. Which rides offered themselves to
    /// him is read from his stream, which is kept for as long as ids are.
    pub(super) async fn used_elsewhere(&self, id: DriverId) -> Result<Vec<UsedId>, sqlx::Error> {
        let rows: Vec<UsedRow> = sqlx::query_as(
            "SELECT principal, id, fingerprint, (extract(epoch FROM at) * 1000)::bigint
             FROM command_results
             WHERE principal = $1 AND owner <> $1 AND at > now() - $2::interval
             UNION ALL
             SELECT $1, line ->> 'command', (line ->> 'fingerprint')::bigint,
                    (line ->> 'at')::bigint
             FROM (SELECT DISTINCT key FROM stream_events
                   WHERE user_id = $1 AND op = 'offer.made') e
             JOIN ride_accept_attempts a ON a.ride_id = e.key
             CROSS JOIN json_array_elements(a.attempts) AS line
             WHERE line ->> 'driver' = $1::text AND line ->> 'command' IS NOT NULL",
        )
        .bind(id.0)
        .bind(KNOWN_FOR)
        .fetch_all(self.read())
        .await?;
        Ok(oldest_first(rows).map(|(_, used)| used).collect())
    }

    /// The same of all drivers among `people`, and of whoever else was refused, oldest first.
    pub(super) async fn ids_of_drivers(
        &self,
        people: &[Uuid],
    ) -> Result<Vec<(Uuid, UsedId)>, sqlx::Error> {
        let rows: Vec<UsedRow> = sqlx::query_as(
            "SELECT c.principal, c.id, c.fingerprint, (extract(epoch FROM c.at) * 1000)::bigint
             FROM command_results c JOIN drivers d ON d.id = c.principal
             WHERE c.principal = ANY ($1) AND c.owner <> c.principal
               AND c.at > now() - $2::interval
             UNION ALL
             (SELECT (line ->> 'driver')::uuid, line ->> 'command',
                     (line ->> 'fingerprint')::bigint, (line ->> 'at')::bigint
              FROM (SELECT * FROM ride_accept_attempts WHERE ride_id > $3
                    ORDER BY ride_id DESC) a
              CROSS JOIN json_array_elements(a.attempts) AS line
              WHERE line ->> 'command' IS NOT NULL LIMIT $4)",
        )
        .bind(people)
        .bind(KNOWN_FOR)
        .bind(first_ride_since(OffsetDateTime::now_utc() - time::Duration::hours(25)))
        .bind(REFUSED_MAX)
        .fetch_all(self.read_all())
        .await?;
        Ok(oldest_first(rows).collect())
    }
}

/// Sorted here: the strings are no longer needed then, and the database has other work at a start.
fn oldest_first(rows: Vec<UsedRow>) -> impl Iterator<Item = (Uuid, UsedId)> {
    let used = rows.into_iter();
    let used =
        used.map(|(driver, id, fingerprint, at)| (at, driver, UsedId::new(&id, fingerprint)));
    let mut used: Vec<_> = used.collect();
    used.sort_unstable_by_key(|(at, ..)| *at);
    used.into_iter().map(|(_, driver, used)| (driver, used))
}

/// The least id of a ride that was asked for at `at` or later: ids are in the order of time.
fn first_ride_since(at: OffsetDateTime) -> Uuid {
    let ms = at.unix_timestamp_nanos() / 1_000_000;
    Uuid::from_u128(u128::try_from(ms).unwrap_or_default() << 80)
}
