//! Replay: a ride rebuilt from its journal, event by event, and compared with what is stored.
//!
//! For `cli` and the audit. Reads only. One ride is told step by step: who was asked, what was
//! decided and why. A whole database is streamed, one ride in memory at a time.

mod story;

use futures_util::TryStreamExt;
use ibora_domain::ids::RideId;
use ibora_domain::ride::{Ride, RideEvent};
use ibora_domain::units::UnixMillis;
use sqlx::PgPool;
use time::OffsetDateTime;
use uuid::Uuid;

use super::patient;

pub use story::{Replay, Told, replay};

/// How a ride differs from what its events make of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Difference {
    /// It has a row and no event.
    NoEvents,
    /// An event cannot be read, or does not come next.
    Broken { seq: i64 },
    /// A field of the stored state.
    State { field: String },
    /// The status, the version or the driver that the database indexes.
    Column { name: &'static str },
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NoEvents => f.write_str("it has no events"),
            Self::Broken { seq } => write!(f, "event {seq} is not one that can come there"),
            Self::State { field } => write!(f, "`{field}` of the stored state is another"),
            Self::Column { name } => write!(f, "the column `{name}` is another"),
        }
    }
}

/// The stored row of a ride.
struct Stored {
    status: String,
    version: i64,
    driver: Option<Uuid>,
    state: String,
}

/// A ride as its events make it.
struct Fold {
    id: RideId,
    ride: Option<Ride>,
    broken: Option<i64>,
}

impl Fold {
    const fn new(id: RideId) -> Self {
        Self { id, ride: None, broken: None }
    }

    /// Applies the next event, and gives it back read.
    fn event(&mut self, seq: i64, at: UnixMillis, body: &str) -> Option<RideEvent> {
        let version = self.ride.as_ref().map_or(0, |ride| ride.version);
        let next = u64::try_from(seq).is_ok_and(|seq| seq == version + 1);
        let event = serde_json::from_str::<RideEvent>(body).ok().filter(|_| next);
        match (&mut self.ride, &event) {
            (Some(_), Some(RideEvent::Requested { .. })) | (_, None) => {
                self.broken.get_or_insert(seq);
            }
            (Some(ride), Some(event)) => ride.apply(event, at),
            (ride, Some(RideEvent::Requested { order })) => {
                *ride = Some(Ride::requested(self.id, (**order).clone(), at));
            }
            (None, Some(_)) => drop(self.broken.get_or_insert(seq)),
        }
        event
    }

    /// Where the stored ride is another; `None`: nowhere.
    fn differs_from(&self, stored: &Stored) -> Option<Difference> {
        if let Some(seq) = self.broken {
            return Some(Difference::Broken { seq });
        }
        let Some(ride) = &self.ride else { return Some(Difference::NoEvents) };
        let columns = [
            ("status", stored.status == ride.status.as_str()),
            ("version", u64::try_from(stored.version) == Ok(ride.version)),
            ("driver_id", stored.driver == ride.driver_id().map(|driver| driver.0)),
        ];
        if let Some((name, _)) = columns.into_iter().find(|(_, same)| !same) {
            return Some(Difference::Column { name });
        }
        let folded = serde_json::to_value(ride).unwrap_or_default();
        let stored: serde_json::Value = serde_json::from_str(&stored.state).unwrap_or_default();
        if folded == stored {
            return None;
        }
        let fields = folded.as_object().into_iter().flatten();
        let other = fields.into_iter().find(|(name, value)| stored.get(name) != Some(value));
        let field = other.map_or_else(|| "state".to_owned(), |(name, _)| name.clone());
        Some(Difference::State { field })
    }
}

/// What a whole database came to.
#[derive(Debug, Default)]
pub struct Verified {
    pub rides: u64,
    pub events: u64,
    pub different: u64,
    /// A few of those that differ.
    pub examples: Vec<(RideId, Difference)>,
}

/// Examples that are named.
const EXAMPLES: usize = 20;
/// Rides between two words of progress.
const TOLD_EVERY: u64 = 10_000;

type Line =
    (Uuid, String, i64, Option<Uuid>, String, Option<i64>, Option<OffsetDateTime>, Option<String>);

/// Replays every ride and compares it with what is stored. `progress` is told how many are done.
///
/// # Errors
/// Whatever the database reports.
pub async fn verify(pool: &PgPool, mut progress: impl FnMut(u64)) -> Result<Verified, sqlx::Error> {
    let mut connection = patient(pool).await?;
    let mut lines = sqlx::query_as::<_, Line>(
        "SELECT r.id, r.status, r.version, r.driver_id, r.state, e.seq, e.at, e.body
         FROM rides r LEFT JOIN events e ON e.entity_id = r.id ORDER BY r.id, e.seq",
    )
    .fetch(&mut connection);
    let mut verified = Verified::default();
    let mut current: Option<(Fold, Stored)> = None;
    while let Some((id, status, version, driver, state, seq, at, body)) = lines.try_next().await? {
        if current.as_ref().is_none_or(|(fold, _)| fold.id.0 != id) {
            if let Some(done) = current.take() {
                verified.take(&done);
                if verified.rides % TOLD_EVERY == 0 {
                    progress(verified.rides);
                }
            }
            current = Some((Fold::new(RideId(id)), Stored { status, version, driver, state }));
        }
        if let (Some((fold, _)), Some(seq), Some(at), Some(body)) = (&mut current, seq, at, body) {
            fold.event(seq, moment(at), &body);
            verified.events += 1;
        }
    }
    if let Some(done) = current {
        verified.take(&done);
    }
    Ok(verified)
}

impl Verified {
    fn take(&mut self, (fold, stored): &(Fold, Stored)) {
        self.rides += 1;
        if let Some(difference) = fold.differs_from(stored) {
            self.different += 1;
            if self.examples.len() < EXAMPLES {
                self.examples.push((fold.id, difference));
            }
        }
    }
}

fn moment(at: OffsetDateTime) -> UnixMillis {
    UnixMillis(i64::try_from(at.unix_timestamp_nanos() / 1_000_000).unwrap_or(0))
}
