//! The story of one ride: each event and attempt in the order in which it happened, and why.

use ibora_domain::ids::{DriverId, RideId};
use ibora_domain::ride::{Offer, Ride, RideEvent, Status};
use ibora_domain::units::UnixMillis;
use sqlx::PgPool;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{Difference, Fold, Stored, moment};

/// A step of a story.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    pub at: UnixMillis,
    /// The event's number; an attempt to accept has none.
    pub seq: Option<i64>,
    pub kind: String,
    /// Where the ride stood after it.
    pub status: Option<Status>,
    pub text: String,
}

/// A ride, replayed.
#[derive(Debug)]
pub struct Replay {
    pub steps: Vec<Told>,
    pub version: u64,
    /// `None`: the replayed state equals the stored one.
    pub difference: Option<Difference>,
}

/// An attempt to accept, as recorded.
struct Attempt {
    rank: i64,
    driver: Uuid,
    outcome: String,
    at: UnixMillis,
    latency_ms: i64,
}

/// Rebuilds a ride from its journal; `None`: there is no such ride.
///
/// # Errors
/// Whatever the database reports.
pub async fn replay(pool: &PgPool, id: RideId) -> Result<Option<Replay>, sqlx::Error> {
    let row: Option<(String, i64, Option<Uuid>, String)> =
        sqlx::query_as("SELECT status, version, driver_id, state FROM rides WHERE id = $1")
            .bind(id.0)
            .fetch_optional(pool)
            .await?;
    let Some((status, version, driver, state)) = row else { return Ok(None) };
    let stored = Stored { status, version, driver, state };
    let events: Vec<(i64, String, OffsetDateTime, String)> =
        sqlx::query_as("SELECT seq, kind, at, body FROM events WHERE entity_id = $1 ORDER BY seq")
            .bind(id.0)
            .fetch_all(pool)
            .await?;
    let mut attempts = attempts(pool, id).await?.into_iter().peekable();
    let mut fold = Fold::new(id);
    let mut steps = Vec::new();
    for (seq, kind, at, body) in events {
        let at = moment(at);
        let won = kind == "assigned";
        // Those who asked before this event, and of the same moment those that it answers.
        while let Some(attempt) = attempts.next_if(|a| a.at < at || (won && a.at == at)) {
            steps.push(attempt.told());
        }
        let before = fold.ride.clone();
        let event = fold.event(seq, at, &body);
        let text = match &event {
            Some(event) => why(event, before.as_ref(), fold.ride.as_ref()),
            None => "cannot be read, or does not come next".to_owned(),
        };
        let status = fold.ride.as_ref().map(|ride| ride.status);
        steps.push(Told { at, seq: Some(seq), kind, status, text });
    }
    steps.extend(attempts.map(Attempt::told));
    let version = fold.ride.as_ref().map_or(0, |ride| ride.version);
    Ok(Some(Replay { steps, version, difference: fold.differs_from(&stored) }))
}

async fn attempts(pool: &PgPool, id: RideId) -> Result<Vec<Attempt>, sqlx::Error> {
    let lines: Vec<(i64, Uuid, String, OffsetDateTime, i64)> = sqlx::query_as(
        "SELECT rank, driver_id, outcome, at, latency_ms FROM ride_accept_attempt_lines
         WHERE ride_id = $1 ORDER BY rank",
    )
    .bind(id.0)
    .fetch_all(pool)
    .await?;
    let attempt = |(rank, driver, outcome, at, latency_ms)| Attempt {
        rank,
        driver,
        outcome,
        at: moment(at),
        latency_ms,
    };
    Ok(lines.into_iter().map(attempt).collect())
}

impl Attempt {
    fn told(self) -> Told {
        let Self { rank, driver, outcome, at, latency_ms } = self;
        let text =
            format!("attempt {rank} by {driver}, {latency_ms} ms after his offer: {outcome}");
        Told { at, seq: None, kind: "attempt".to_owned(), status: None, text }
    }
}

/// What was decided, and what it rests on.
fn why(event: &RideEvent, before: Option<&Ride>, after: Option<&Ride>) -> String {
    let open = before.map_or(0, |ride| ride.open_offers().count());
    let search = after.map_or(0, |ride| u32::from(ride.search.reassignments)) + 1;
    match event {
        RideEvent::Requested { order } => {
            format!("asked for by {}, {}", order.passenger.id, order.category.as_str())
        }
        RideEvent::OffersMade { wave, offers, next_wave_at } if offers.is_empty() => {
            format!("search {search}, wave {wave}: nobody in reach, the next at {next_wave_at}")
        }
        RideEvent::OffersMade { wave, offers, next_wave_at } => {
            let asked: Vec<String> = offers.iter().map(asked).collect();
            let asked = asked.join(", ");
            format!("search {search}, wave {wave}: asked {asked}; the next at {next_wave_at}")
        }
        RideEvent::OfferDeclined { driver, .. } => {
            format!("{driver} declined, and is not asked again")
        }
        RideEvent::OfferWithdrawn { driver, .. } => {
            format!("{driver} got another ride or went offline, and may be asked again")
        }
        RideEvent::OffersExpired { drivers } => {
            format!("no answer in time from {}", names(drivers))
        }
        RideEvent::Assigned { driver, chain, .. } => {
            let others = open.saturating_sub(1);
            let first = format!("{} accepted first; {others} other offers closed", driver.id);
            match chain {
                Some(chain) => format!("{first}; he comes when ride {} has ended", chain.after),
                None => first,
            }
        }
        RideEvent::Unchained => "the driver has ended the ride before, and comes".to_owned(),
        RideEvent::Released { driver, reason, .. } => {
            let reason = reason.as_str();
            format!("{driver} gave it back ({reason}); search {search} begins without him")
        }
        RideEvent::Arriving => "the driver is near the pickup".to_owned(),
        RideEvent::Arrived => "the driver is at the pickup".to_owned(),
        RideEvent::PinRefused { locked_until: Some(until) } => {
            format!("a wrong PIN, one too many: locked until {until}")
        }
        RideEvent::PinRefused { locked_until: None } => "a wrong PIN".to_owned(),
        RideEvent::Started => "the PIN was right".to_owned(),
        RideEvent::Completed { fare, .. } => format!("the fare is {} centavos", fare.0),
        RideEvent::Canceled { by, reason, fee, .. } => {
            let (by, reason) = (by.as_str(), reason.as_str());
            format!("by {by} ({reason}), fee {} centavos; {open} offers closed", fee.0)
        }
        RideEvent::Rated { by, rating, .. } => {
            format!("{} gave {} of 5 stars", by.as_str(), u8::from(rating.stars))
        }
        RideEvent::NoDriver => format!("the search is over; {open} offers closed"),
    }
}

fn asked(offer: &Offer) -> String {
    format!("{} ({} m, {} s)", offer.driver, offer.distance.0, offer.eta.0)
}

fn names(drivers: &[DriverId]) -> String {
    let names: Vec<String> = drivers.iter().map(ToString::to_string).collect();
    names.join(", ")
}
