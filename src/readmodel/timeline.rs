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
    /// Of a rating; for admins only, as its comment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stars: Option<u8>,
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
        stars: None,
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
        RideEvent::OfferWithdrawn { driver: who, offer } => {
            driver = Some(who.0);
            step.offer_id = Some(offer.0);
        }
        RideEvent::OffersExpired { drivers } => {
            let told = |who: &ibora_domain::ids::DriverId| Told {
                step: step.clone(),
                driver: Some(who.0),
            };
            return drivers.iter().map(told).collect();
        }
        RideEvent::Assigned { driver: card, offer, chain } => {
            driver = Some(card.id.0);
            step.offer_id = Some(offer.0);
            step.outcome = chain.map(|_| "chained".to_owned());
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
        RideEvent::Rated { by, of: _, rating } => {
            step.by = Some(by.as_str());
            step.stars = Some(rating.stars.into());
            step.reason.clone_from(&rating.comment);
        }
        RideEvent::Requested { .. }
        | RideEvent::Unchained
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
        if let (Viewer::Person { .. }, Some(_)) = (viewer, step.stars) {
            // What is said of somebody is not told to him.
            return Step { stars: None, reason: None, ..step };
        }
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

#[cfg(test)]
mod tests {
    use ibora_domain::category::Category;
    use ibora_domain::fare::{Breakdown, Fare};
    use ibora_domain::ids::{DriverId, OfferId, PassengerId};
    use ibora_domain::money::Centavos;
    use ibora_domain::place::Coordinates;
    use ibora_domain::ride::{
        CancelReason, DriverCard, Offer, Order, PassengerCard, PaymentMethod, Pin,
    };
    use ibora_domain::units::{Metres, Seconds};

    use super::*;

    const FIRST: Uuid = Uuid::from_u128(1);
    const SECOND: Uuid = Uuid::from_u128(2);

    fn order() -> Box<Order> {
        let none = Centavos::ZERO;
        let breakdown = Breakdown { base: none, distance: none, time: none, adjustment: none };
        let place = Coordinates::new(0.0, 0.0).expect("a place");
        Box::new(Order {
            passenger: PassengerCard { id: PassengerId(FIRST), name: "Ana".into(), rating: 500 },
            category: Category::Economy,
            pickup: place,
            dropoff: place,
            stops: vec![],
            payment_method: PaymentMethod::Cash,
            notes: None,
            fare: Fare { estimated: none, breakdown },
            distance: Metres(0),
            duration: Seconds(0),
            pin: Pin::new(1),
            prepaid: false,
        })
    }

    fn assigned(driver: Uuid) -> RideEvent {
        let card =
            DriverCard { id: DriverId(driver), name: "D".into(), rating: 500, vehicle: None };
        RideEvent::Assigned { driver: Box::new(card), offer: OfferId(driver), chain: None }
    }

    fn wave(at: UnixMillis, drivers: &[Uuid]) -> RideEvent {
        let offer = |id: &Uuid| Offer {
            id: OfferId(*id),
            driver: DriverId(*id),
            wave: 1,
            expires_at: at,
            distance: Metres(1),
            eta: Seconds(1),
        };
        let offers = drivers.iter().map(offer).collect();
        RideEvent::OffersMade { wave: 1, offers, next_wave_at: at }
    }

    fn line(search: u16, driver: Uuid, at: i64) -> OfferLine {
        let at = UnixMillis(at);
        OfferLine { search, wave: 1, offer_id: driver, driver, at, distance_m: 10, eta_s: 5 }
    }

    fn tried(rank: u64, driver: Uuid, outcome: &str, at: i64) -> AttemptLine {
        let (outcome, at) = (outcome.to_owned(), UnixMillis(at));
        AttemptLine { rank, driver, outcome, at, latency_ms: 1 }
    }

    /// Offered to both; the first wins, gives the ride back at 40, the second gets it at 50.
    fn records() -> Records {
        let reason = CancelReason::Vehicle;
        let released = RideEvent::Released { driver: DriverId(FIRST), reason, note: None };
        let events = vec![
            (10, RideEvent::Requested { order: order() }),
            (10, wave(UnixMillis(30), &[FIRST, SECOND])),
            (20, assigned(FIRST)),
            (40, released),
            (40, wave(UnixMillis(60), &[SECOND])),
            (50, assigned(SECOND)),
        ];
        Records {
            events: events.into_iter().map(|(at, event)| (UnixMillis(at), event)).collect(),
            offers: vec![line(0, FIRST, 10), line(0, SECOND, 10), line(1, SECOND, 40)],
            attempts: vec![
                tried(1, FIRST, "accepted", 20),
                tried(2, SECOND, "ride_already_assigned", 20),
                tried(3, SECOND, "accepted", 50),
            ],
        }
    }

    fn told(viewer: Viewer) -> Vec<String> {
        let steps = assemble(RideId(Uuid::from_u128(9)), records(), viewer);
        let word = |step: &Step| {
            let driver = step.driver.as_deref().unwrap_or("-");
            let driver = driver.trim_start_matches(['0', '-']);
            format!("{} {} {driver}", step.at.0, step.kind)
        };
        steps.iter().map(|step| word(step).trim_end().to_owned()).collect()
    }

    #[test]
    fn each_search_is_followed_by_its_offers_and_each_win_preceded_by_its_attempt() {
        let expected = [
            "10 requested",
            "10 offers_made",
            "10 offer 1",
            "10 offer 2",
            "20 attempt 1",
            "20 assigned 1",
            "20 attempt 2",
            "40 released 1",
            "40 offers_made",
            "40 offer 2",
            "50 attempt 2",
            "50 assigned 2",
        ];
        assert_eq!(told(Viewer::Admin), expected.map(str::to_owned));
    }

    #[test]
    fn who_follows_the_second_driver_knows_the_first_by_a_number() {
        let told = told(Viewer::Person { knows: Some(SECOND) });
        assert_eq!(told[2], "10 offer driver 1");
        assert_eq!(told[7], "40 released driver 1");
        assert_eq!(told[11], "50 assigned 2");
    }
}
