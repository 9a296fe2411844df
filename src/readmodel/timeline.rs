//! The timeline of a ride: its events, offers and attempts as one list, oldest first.
//!
//! An admin sees all of it. The ride's people see the same steps, but other drivers only by a
//! number: without id, without what tells their position, and without what they said.

use std::collections::HashMap;

use ibora_domain::ids::RideId;
use ibora_domain::ride::{Ride, RideEvent, Status};
use ibora_domain::units::{UnixMillis, rfc3339};
use serde::Serialize;
use uuid::Uuid;

/// One step, in the shape of the public contract.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Step {
    #[serde(serialize_with = "rfc3339")]
    pub at: UnixMillis,
    /// The kind of an event, `offer` or `attempt`.
    pub kind: &'static str,
    /// Where the ride stood after it; of events only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<Status>,
    /// An id, or `driver 1`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub driver: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offer_id: Option<Uuid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wave: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rank: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub distance_m: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub eta_s: Option<u32>,
}

/// Who reads a timeline.
#[derive(Debug, Clone, Copy)]
pub(super) enum Viewer {
    Admin,
    /// One of the ride's people, who knows the ride's own driver and no other.
    Person {
        knows: Option<Uuid>,
    },
}

/// What is recorded of a ride.
pub(super) struct Records {
    /// In the order in which they happened.
    pub(super) events: Vec<(UnixMillis, RideEvent)>,
    /// By search and wave.
    pub(super) offers: Vec<OfferLine>,
    /// By rank.
    pub(super) attempts: Vec<AttemptLine>,
}

pub(super) struct OfferLine {
    /// Counts the searches of a ride, from 0.
    pub(super) search: u16,
    pub(super) wave: u32,
    pub(super) offer_id: Uuid,
    pub(super) driver: Uuid,
    pub(super) at: UnixMillis,
    pub(super) distance_m: u32,
    pub(super) eta_s: u32,
}

pub(super) struct AttemptLine {
    pub(super) rank: u64,
    pub(super) driver: Uuid,
    pub(super) outcome: String,
    pub(super) at: UnixMillis,
    pub(super) latency_ms: u64,
}

/// A step before it is known who reads it.
struct Told {
    step: Step,
    driver: Option<Uuid>,
}

/// Puts the records of a ride into one list for `viewer`.
pub(super) fn assemble(ride: RideId, records: Records, viewer: Viewer) -> Vec<Step> {
    let Records { events, offers, attempts } = records;
    let mut told = Vec::new();
    let mut attempts = attempts.into_iter().peekable();
    let mut state: Option<Ride> = None;
    for (at, event) in events {
        // Those who asked before this event, and of the same moment those that it answers.
        let won = matches!(event, RideEvent::Assigned { .. });
        while let Some(next) = attempts.next_if(|a| a.at < at || (won && a.at == at)) {
            let winner = next.outcome == "accepted";
            told.push(attempt(next));
            if winner && won {
                break;
            }
        }
        match (&mut state, &event) {
            (Some(ride), event) => ride.apply(event, at),
            (state, RideEvent::Requested { order }) => {
                *state = Some(Ride::requested(ride, (**order).clone(), at));
            }
            (None, _) => {}
        }
        let search = state.as_ref().map_or(0, |ride| u16::from(ride.search.reassignments));
        told.extend(steps_of(at, &event, state.as_ref().map(|ride| ride.status)));
        if let RideEvent::OffersMade { wave, .. } = event {
            let of_wave = |line: &&OfferLine| line.search == search && line.wave == u32::from(wave);
            told.extend(offers.iter().filter(of_wave).map(offer));
        }
    }
    told.extend(attempts.map(attempt));
    show(told, viewer)
}

fn step(at: UnixMillis, kind: &'static str) -> Step {
    Step {
        at,
        kind,
        status: None,
        driver: None,
        offer_id: None,
        wave: None,
        rank: None,
        outcome: None,
        by: None,
        reason: None,
        latency_ms: None,
        distance_m: None,
        eta_s: None,
    }
}

fn offer(line: &OfferLine) -> Told {
    let step = Step {
        offer_id: Some(line.offer_id),
        wave: Some(line.wave),
        distance_m: Some(line.distance_m),
        eta_s: Some(line.eta_s),
        ..step(line.at, "offer")
    };
    Told { step, driver: Some(line.driver) }
}

fn attempt(line: AttemptLine) -> Told {
    let step = Step {
        rank: Some(line.rank),
        outcome: Some(line.outcome),
        latency_ms: Some(line.latency_ms),
        ..step(line.at, "attempt")
    };
    Told { step, driver: Some(line.driver) }
}

/// The steps of an event: one, but for offers that expired, one a driver.
fn steps_of(at: UnixMillis, event: &RideEvent, status: Option<Status>) -> Vec<Told> {
    let mut step = Step { status, ..step(at, event.kind()) };
    let mut driver = None;
    match event {
        RideEvent::OffersMade { wave, .. } => step.wave = Some(u32::from(*wave)),
        RideEvent::OfferDeclined { driver: who, offer, reason } => {
            driver = Some(who.0);
            step.offer_id = Some(offer.0);
            step.reason.clone_from(reason);
        }
        RideEvent::OffersExpired { drivers } => {
            let told = |who: &ibora_domain::ids::DriverId| Told {
                step: step.clone(),
                driver: Some(who.0),
            };
            return drivers.iter().map(told).collect();
        }
        RideEvent::Assigned { driver: card, offer } => {
            driver = Some(card.id.0);
            step.offer_id = Some(offer.0);
        }
        RideEvent::Released { driver: who, reason, note: _ } => {
            driver = Some(who.0);
            step.reason = Some(reason.as_str().to_owned());
        }
        RideEvent::PinRefused { locked_until } => {
            let outcome = if locked_until.is_some() { "pin_locked" } else { "pin_wrong" };
            step.outcome = Some(outcome.to_owned());
        }
        RideEvent::Completed { fare: _, reason } => step.reason.clone_from(reason),
        RideEvent::Canceled { by, reason, .. } => {
            step.by = Some(by.as_str());
            step.reason = Some(reason.as_str().to_owned());
        }
        RideEvent::Requested { .. }
        | RideEvent::Arriving
        | RideEvent::Arrived
        | RideEvent::Started
        | RideEvent::NoDriver => {}
    }
    vec![Told { step, driver }]
}

fn show(told: Vec<Told>, viewer: Viewer) -> Vec<Step> {
    let mut numbers: HashMap<Uuid, usize> = HashMap::new();
    let shown = |Told { mut step, driver }: Told| {
        let Some(driver) = driver else { return step };
        let known = match viewer {
            Viewer::Admin => true,
            Viewer::Person { knows } => knows == Some(driver),
        };
        if known {
            step.driver = Some(driver.to_string());
            return step;
        }
        let next = numbers.len() + 1;
        let number = *numbers.entry(driver).or_insert(next);
        Step {
            driver: Some(format!("driver {number}")),
            offer_id: None,
            reason: None,
            distance_m: None,
            eta_s: None,
            ..step
        }
    };
    told.into_iter().map(shown).collect()
}
