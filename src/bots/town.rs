//! What bots of one run share: roads, PINs told aloud, and who listens to how rides end.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ibora_domain::place::Coordinates;
use ibora_domain::ride::Status;
use ibora_domain::units::{Millis, UnixMillis};
use parking_lot::Mutex;
use serde::Deserialize;
use serde_json::value::RawValue;
use uuid::Uuid;

use super::contract::moment;
use crate::geo::Router;

/// From where to where somebody wants to go.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Trip {
    pub pickup: Coordinates,
    pub dropoff: Coordinates,
}

/// What all bots of a run share.
pub struct Town {
    pub router: Arc<dyn Router>,
    /// Where drivers without a ride go, the more often the more often it is in here. Empty: they
    /// stay where they are.
    pub haunts: Vec<Coordinates>,
    /// Hears how each ride ended.
    pub on_end: Box<dyn Fn(&Story) + Send + Sync>,
    pub pins: Pins,
    changes: AtomicU64,
}

/// How a ride went, as its passenger saw it.
#[derive(Debug, Clone)]
pub struct Story {
    pub ride: Uuid,
    pub trip: Trip,
    pub outcome: Outcome,
    /// As shown, in reais.
    pub fare: String,
    /// From request to acceptance, and from there to the driver's arrival. Domain time.
    pub wait: Option<Millis>,
    pub pickup: Option<Millis>,
}

/// How a ride ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Completed,
    /// By the passenger.
    GaveUp,
    /// By anybody else.
    Canceled,
    NoDriver,
    /// It was never made.
    Refused,
}

impl Town {
    #[must_use]
    pub fn new(
        router: Arc<dyn Router>,
        haunts: Vec<Coordinates>,
        on_end: Box<dyn Fn(&Story) + Send + Sync>,
    ) -> Self {
        Self { router, haunts, on_end, pins: Pins::default(), changes: AtomicU64::new(0) }
    }

    /// A number for a change that is seen from outside: higher than all before.
    pub(super) fn change(&self) -> u64 {
        self.changes.fetch_add(1, Ordering::AcqRel) + 1
    }

    /// The number of the newest change.
    #[must_use]
    pub fn changes(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }
}

/// PINs as passengers tell them at the kerb. Never shown by `Debug`.
#[derive(Default)]
pub struct Pins {
    told: Mutex<HashMap<Uuid, Box<str>>>,
}

impl Pins {
    /// The passenger is ready to tell it.
    pub fn tell(&self, ride: Uuid, pin: &str) {
        self.told.lock().insert(ride, pin.into());
    }

    /// What the passenger says; `None` where they are not there.
    #[must_use]
    pub fn ask(&self, ride: Uuid) -> Option<Box<str>> {
        self.told.lock().get(&ride).cloned()
    }

    /// The ride is over.
    pub fn forget(&self, ride: Uuid) {
        self.told.lock().remove(&ride);
    }
}

/// The parts of a ride's JSON that bots go by.
#[derive(Clone, Deserialize)]
pub(super) struct Ride {
    pub(super) id: Uuid,
    pub(super) status: Status,
    /// Its driver first ends another.
    pub(super) chained: bool,
    pub(super) pickup: Coordinates,
    pub(super) dropoff: Coordinates,
    pub(super) pin: Option<Box<str>>,
    pub(super) fare: Fare,
    requested_at: Box<str>,
    accepted_at: Option<Box<str>>,
    arrived_at: Option<Box<str>>,
}

#[derive(Clone, Deserialize)]
pub(super) struct Fare {
    pub(super) estimated: Box<str>,
    pub(super) r#final: Option<Box<str>>,
}

impl Ride {
    /// Reads `d` of an answer about a ride.
    pub(super) fn read(body: &RawValue) -> Option<Self> {
        serde_json::from_str(body.get()).ok()
    }

    /// Reads `d` of `ride.updated`, and the `ride` of a snapshot.
    pub(super) fn within(body: &RawValue) -> Option<Self> {
        #[derive(Deserialize)]
        struct Within {
            ride: Option<Ride>,
        }
        serde_json::from_str::<Within>(body.get()).ok()?.ride
    }

    /// Reads the `next_ride` of a driver's snapshot.
    pub(super) fn next_within(snapshot: &RawValue) -> Option<Self> {
        #[derive(Deserialize)]
        struct Within {
            next_ride: Option<Ride>,
        }
        serde_json::from_str::<Within>(snapshot.get()).ok()?.next_ride
    }

    /// From request to acceptance.
    pub(super) fn wait(&self) -> Option<Millis> {
        Some(at(self.accepted_at.as_deref())?.since(moment(&self.requested_at)?))
    }

    /// From acceptance to arrival.
    pub(super) fn pickup_time(&self) -> Option<Millis> {
        Some(at(self.arrived_at.as_deref())?.since(at(self.accepted_at.as_deref())?))
    }
}

fn at(text: Option<&str>) -> Option<UnixMillis> {
    moment(text?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ride_is_read_from_an_answer_and_from_an_update() {
        let ride = r#"{"id":"0193a1c0-0000-7000-8000-000000000001","status":"arrived",
            "chained":false,
            "pickup":{"lat":-22.9,"lng":-43.2},"dropoff":{"lat":-22.95,"lng":-43.18},
            "pin":"0042","fare":{"estimated":"12.30","final":null,"currency":"BRL"},
            "requested_at":"2026-11-22T01:00:00.000Z","accepted_at":"2026-11-22T01:00:07.500Z",
            "arrived_at":"2026-11-22T01:03:00.000Z","started_at":null}"#;
        let update = format!(r#"{{"ride":{ride}}}"#);
        let update = RawValue::from_string(update).expect("JSON");
        let read = Ride::within(&update).expect("a ride");
        assert_eq!(read.status, Status::Arrived);
        assert_eq!(read.wait(), Some(Millis(7500)));
        assert_eq!(read.pickup_time(), Some(Millis(172_500)));
        let answer = RawValue::from_string(ride.to_owned()).expect("JSON");
        assert_eq!(Ride::read(&answer).expect("a ride").id, read.id);
        let none = RawValue::from_string(r#"{"driver":{},"ride":null}"#.into()).expect("JSON");
        assert!(Ride::within(&none).is_none());
    }

    #[test]
    fn a_pin_is_told_until_the_ride_is_over() {
        let (pins, ride) = (Pins::default(), Uuid::from_u128(1));
        assert_eq!(pins.ask(ride), None);
        pins.tell(ride, "0042");
        assert_eq!(pins.ask(ride).as_deref(), Some("0042"));
        pins.forget(ride);
        assert_eq!(pins.ask(ride), None);
    }
}
