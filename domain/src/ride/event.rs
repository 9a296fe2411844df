//! What can happen to a ride, and the total function that makes it so.

use serde::{Deserialize, Serialize};

use super::{
    CancelReason, Cancellation, DriverCard, Offer, OfferState, Order, Party, Ride, Status,
};
use crate::ids::{DriverId, OfferId};
use crate::money::Centavos;
use crate::units::UnixMillis;

/// A fact of a ride. Stored as JSON under its `kind`; a kind never changes its meaning.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum RideEvent {
    Requested {
        order: Box<Order>,
    },
    /// A wave of offers; an empty one says that nobody was in reach.
    OffersMade {
        wave: u16,
        offers: Vec<Offer>,
        next_wave_at: UnixMillis,
    },
    OfferDeclined {
        driver: DriverId,
        offer: OfferId,
        reason: Option<String>,
    },
    OffersExpired {
        drivers: Vec<DriverId>,
    },
    Assigned {
        driver: Box<DriverCard>,
        offer: OfferId,
    },
    /// The driver gave the ride back before the start; the search begins anew.
    Released {
        driver: DriverId,
        reason: CancelReason,
        note: Option<String>,
    },
    Arriving,
    Arrived,
    PinRefused {
        locked_until: Option<UnixMillis>,
    },
    Started,
    Completed {
        fare: Centavos,
        reason: Option<String>,
    },
    Canceled {
        by: Party,
        reason: CancelReason,
        note: Option<String>,
        fee: Centavos,
    },
    NoDriver,
}

impl RideEvent {
    /// The name under which this event is stored and shown.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Requested { .. } => "requested",
            Self::OffersMade { .. } => "offers_made",
            Self::OfferDeclined { .. } => "offer_declined",
            Self::OffersExpired { .. } => "offers_expired",
            Self::Assigned { .. } => "assigned",
            Self::Released { .. } => "released",
            Self::Arriving => "arriving",
            Self::Arrived => "arrived",
            Self::PinRefused { .. } => "pin_refused",
            Self::Started => "started",
            Self::Completed { .. } => "completed",
            Self::Canceled { .. } => "canceled",
            Self::NoDriver => "no_driver",
        }
    }

    /// Whether people who follow the ride are told of it.
    #[must_use]
    pub const fn is_news(&self) -> bool {
        match self {
            Self::OffersMade { .. } | Self::OfferDeclined { .. } | Self::OffersExpired { .. } => {
                false
            }
            Self::Requested { .. }
            | Self::Assigned { .. }
            | Self::Released { .. }
            | Self::Arriving
            | Self::Arrived
            | Self::PinRefused { .. }
            | Self::Started
            | Self::Completed { .. }
            | Self::Canceled { .. }
            | Self::NoDriver => true,
        }
    }
}

impl Ride {
    /// Makes the ride what it is after `event`, which happened at `at`. Total: cannot refuse.
    pub fn apply(&mut self, event: &RideEvent, at: UnixMillis) {
        self.version += 1;
        match event {
            // Opens a ride (`Ride::requested`), never changes one.
            RideEvent::Requested { .. } => self.version -= 1,
            RideEvent::OffersMade { wave, offers, next_wave_at } => {
                self.search.wave = *wave;
                self.search.next_wave_at = *next_wave_at;
                for offer in offers {
                    let state = OfferState { offer: offer.clone(), open: true };
                    self.offers.insert(offer.driver, state);
                }
            }
            RideEvent::OfferDeclined { driver, .. } => {
                self.close_offer(*driver);
                self.search.excluded.insert(*driver);
            }
            RideEvent::OffersExpired { drivers } => {
                for driver in drivers {
                    self.close_offer(*driver);
                }
            }
            RideEvent::Assigned { driver, .. } => {
                self.status = Status::Accepted;
                self.driver = Some((**driver).clone());
                self.accepted_at = Some(at);
                self.close_all_offers();
            }
            RideEvent::Released { driver, .. } => self.search_again(*driver, at),
            RideEvent::Arriving => self.status = Status::Arriving,
            RideEvent::Arrived => {
                self.status = Status::Arrived;
                self.arrived_at = Some(at);
            }
            RideEvent::PinRefused { locked_until } => {
                self.pin_tries = if locked_until.is_some() { 0 } else { self.pin_tries + 1 };
                self.pin_locked_until = *locked_until;
            }
            RideEvent::Started => {
                self.status = Status::Started;
                self.started_at = Some(at);
            }
            RideEvent::Completed { fare, .. } => {
                self.status = Status::Completed;
                self.completed_at = Some(at);
                self.final_fare = Some(*fare);
            }
            RideEvent::Canceled { by, reason, note, fee } => {
                self.status = Status::Canceled;
                self.cancellation = Some(Cancellation {
                    by: *by,
                    reason: *reason,
                    note: note.clone(),
                    fee: *fee,
                    at,
                });
                self.close_all_offers();
            }
            RideEvent::NoDriver => {
                self.status = Status::NoDriver;
                self.close_all_offers();
            }
        }
    }

    fn close_offer(&mut self, driver: DriverId) {
        if let Some(state) = self.offers.get_mut(&driver) {
            state.open = false;
        }
    }

    fn close_all_offers(&mut self) {
        for state in self.offers.values_mut() {
            state.open = false;
        }
    }

    fn search_again(&mut self, without: DriverId, at: UnixMillis) {
        self.status = Status::Searching;
        self.driver = None;
        self.driver_at = None;
        self.accepted_at = None;
        self.arrived_at = None;
        self.search.since = at;
        self.search.wave = 0;
        self.search.next_wave_at = at;
        self.search.reassignments += 1;
        self.search.excluded.insert(without);
    }
}
