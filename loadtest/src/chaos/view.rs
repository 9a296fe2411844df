//! What a client believes: its ride, its open offers, whether it is online. Made of a snapshot and
//! the events after it, as any app would; the answers to commands add only what no event tells.
//!
//! Pure: phones feed it, the truth is held against it.

use std::collections::BTreeMap;

use ibora_domain::ride::Status;
use serde::Deserialize;
use serde_json::value::RawValue;
use uuid::Uuid;

/// The beliefs of one client.
#[derive(Debug, Clone, Default)]
pub(super) struct View {
    pub(super) ride: Option<Seen>,
    pub(super) offers: BTreeMap<Uuid, Offer>,
    pub(super) online: bool,
    /// As long as this is the same, so is the connection.
    pub(super) connection: u64,
    is_driver: bool,
}

/// An open ride as its passenger or its driver sees it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Seen {
    pub(super) id: Uuid,
    pub(super) status: Status,
    pub(super) version: u64,
    /// Passengers only.
    pub(super) pin: Option<Box<str>>,
}

/// An offer to a driver.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Offer {
    pub(super) offer_id: Uuid,
    pub(super) ride_id: Uuid,
    pub(super) expires_at: Box<str>,
}

#[derive(Deserialize)]
struct Snapshot {
    ride: Option<Seen>,
    #[serde(default)]
    offers: Vec<Offer>,
    driver: Option<Driver>,
}

#[derive(Deserialize)]
struct Driver {
    status: Box<str>,
}

#[derive(Deserialize)]
struct OfRide {
    ride: Seen,
}

#[derive(Deserialize)]
struct OfDriver {
    driver: Driver,
}

#[derive(Deserialize)]
struct OfOffer {
    offer_id: Uuid,
}

impl View {
    pub(super) fn new(is_driver: bool) -> Self {
        Self { is_driver, ..Self::default() }
    }

    /// The truth as the engine tells it; what was believed is void.
    pub(super) fn adopt(&mut self, snapshot: &RawValue) -> serde_json::Result<()> {
        let Snapshot { ride, offers, driver } = serde_json::from_str(snapshot.get())?;
        self.ride = ride.filter(|ride| self.is_open(ride.status));
        self.offers = offers.into_iter().map(|offer| (offer.offer_id, offer)).collect();
        self.online = driver.is_some_and(|driver| &*driver.status == "online");
        Ok(())
    }

    /// An event, told in the order of the stream.
    pub(super) fn hear(&mut self, op: &str, body: &RawValue) -> serde_json::Result<()> {
        let body = body.get();
        match op {
            "ride.updated" => {
                let OfRide { ride } = serde_json::from_str(body)?;
                self.ride_is(ride);
            }
            "offer.made" => {
                let offer: Offer = serde_json::from_str(body)?;
                self.offers.insert(offer.offer_id, offer);
            }
            "offer.withdrawn" => {
                let OfOffer { offer_id } = serde_json::from_str(body)?;
                self.offers.remove(&offer_id);
            }
            "driver.updated" => {
                let OfDriver { driver } = serde_json::from_str(body)?;
                self.online = &*driver.status == "online";
            }
            _ => {}
        }
        Ok(())
    }

    /// The client's own answer to an offer was heard: no event says that it is over.
    pub(super) fn answered(&mut self, offer: Uuid) {
        self.offers.remove(&offer);
    }

    fn ride_is(&mut self, ride: Seen) {
        match &self.ride {
            // The snapshot was newer than the event before which it was told.
            Some(known) if known.id == ride.id && known.version > ride.version => {}
            Some(known) if known.id == ride.id && !self.is_open(ride.status) => self.ride = None,
            Some(_) | None if self.is_open(ride.status) => self.ride = Some(ride),
            Some(_) | None => {}
        }
    }

    fn is_open(&self, status: Status) -> bool {
        if self.is_driver { status.has_driver() } else { !status.is_final() }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn raw(value: &Value) -> Box<RawValue> {
        serde_json::value::to_raw_value(value).expect("JSON")
    }

    fn ride(id: u128, status: &str, version: u64) -> Value {
        json!({"id": Uuid::from_u128(id), "status": status, "version": version})
    }

    fn known(view: &View) -> Option<(u128, u64)> {
        view.ride.as_ref().map(|ride| (ride.id.as_u128(), ride.version))
    }

    #[test]
    fn events_after_a_snapshot_change_it_and_older_ones_do_not() {
        let mut view = View::new(false);
        let snapshot = json!({"passenger": {}, "ride": ride(1, "accepted", 3), "payment": null});
        view.adopt(&raw(&snapshot)).expect("a snapshot");
        let mut told = |id, status, version| {
            let body = raw(&json!({"ride": ride(id, status, version)}));
            view.hear("ride.updated", &body).expect("an event");
            known(&view)
        };
        assert_eq!(told(1, "searching", 1), Some((1, 3)));
        assert_eq!(told(1, "arrived", 4), Some((1, 4)));
        assert_eq!(told(1, "canceled", 5), None);
        assert_eq!(told(1, "canceled", 5), None, "again");
        assert_eq!(told(2, "searching", 1), Some((2, 1)));
    }

    #[test]
    fn a_driver_who_gave_a_ride_back_reads_that_it_is_searching() {
        let mut view = View::new(true);
        let told = |view: &mut View, status, version| {
            let body = raw(&json!({"ride": ride(1, status, version)}));
            view.hear("ride.updated", &body).expect("an event");
        };
        told(&mut view, "accepted", 2);
        assert_eq!(known(&view), Some((1, 2)));
        told(&mut view, "searching", 3);
        assert_eq!(known(&view), None);
    }

    #[test]
    fn offers_come_and_go() {
        let mut view = View::new(true);
        let offer = |id: u128| {
            json!({"offer_id": Uuid::from_u128(id), "ride_id": Uuid::nil(),
                "expires_at": "2026-11-22T01:00:00.000Z", "fare": "7.00"})
        };
        let snapshot = json!({"driver": {"status": "online"}, "offers": [offer(1)], "ride": null});
        view.adopt(&raw(&snapshot)).expect("a snapshot");
        assert!(view.online);
        for id in [2, 3] {
            view.hear("offer.made", &raw(&offer(id))).expect("an event");
        }
        view.hear("offer.withdrawn", &raw(&offer(1))).expect("an event");
        view.answered(Uuid::from_u128(3));
        assert_eq!(view.offers.keys().map(Uuid::as_u128).collect::<Vec<_>>(), [2]);
        view.hear("driver.updated", &raw(&json!({"driver": {"status": "offline"}}))).expect("ok");
        assert!(!view.online);
    }
}
