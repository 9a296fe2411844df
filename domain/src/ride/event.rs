//! What can happen to a ride, and the total function that makes it so.

use serde::{Deserialize, Serialize};

use super::{
    CancelReason, Cancellation, Chain, DriverCard, Offer, Order, Party, Rater, Rating, Ride, Status,
};
use crate::ids::{DriverId, OfferId, UserId};
use crate::money::Centavos;
use crate::mutants::{Mutant, is};
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
    /// The driver can no longer take it: he got another ride, or went offline. He may be asked
    /// again.
    OfferWithdrawn {
        driver: DriverId,
        offer: OfferId,
    },
    OffersExpired {
        drivers: Vec<DriverId>,
    },
    Assigned {
        driver: Box<DriverCard>,
        offer: OfferId,
        /// The ride that he is still on, if he is.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        chain: Option<Chain>,
    },
    /// Its driver has ended the ride that came before: now he comes.
    Unchained,
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
    /// After the end, one of its people rated the other, whose id is `of`.
    Rated {
        by: Rater,
        of: UserId,
        #[serde(flatten)]
        rating: Rating,
    },
}

impl RideEvent {
    /// The name under which this event is stored and shown.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Requested { .. } => "requested",
            Self::OffersMade { .. } => "offers_made",
            Self::OfferDeclined { .. } => "offer_declined",
            Self::OfferWithdrawn { .. } => "offer_withdrawn",
            Self::OffersExpired { .. } => "offers_expired",
            Self::Assigned { .. } => "assigned",
            Self::Unchained => "unchained",
            Self::Released { .. } => "released",
            Self::Arriving => "arriving",
            Self::Arrived => "arrived",
            Self::PinRefused { .. } => "pin_refused",
            Self::Started => "started",
            Self::Completed { .. } => "completed",
            Self::Canceled { .. } => "canceled",
            Self::NoDriver => "no_driver",
            Self::Rated { .. } => "rated",
        }
    }

    /// Whether people who follow the ride are told of it.
    #[must_use]
    pub const fn is_news(&self) -> bool {
        match self {
            Self::OffersMade { .. }
            | Self::OfferDeclined { .. }
            | Self::OfferWithdrawn { .. }
            | Self::OffersExpired { .. } => false,
            Self::Requested { .. }
            | Self::Assigned { .. }
            | Self::Unchained
            | Self::Released { .. }
            | Self::Arriving
            | Self::Arrived
            | Self::PinRefused { .. }
            | Self::Started
            | Self::Completed { .. }
            | Self::Canceled { .. }
            | Self::NoDriver
            | Self::Rated { .. } => true,
        }
    }
}

impl Ride {
    /// Makes the ride what it is after `event`, which happened at `at`. Total: cannot refuse.
    pub fn apply(&mut self, event: &RideEvent, at: UnixMillis) {
        match event {
            // Opens a ride (`Ride::requested`), never changes one.
            RideEvent::Requested { .. } => return,
            RideEvent::OffersMade { wave, offers, next_wave_at } => {
                self.search.wave = *wave;
                self.search.next_wave_at = *next_wave_at;
                for offer in offers {
                    self.make_offer(offer);
                }
            }
            RideEvent::OfferDeclined { driver, .. } => {
                self.close_offer(*driver);
                self.search.excluded.insert(*driver);
            }
            RideEvent::OfferWithdrawn { .. } if is(Mutant::OfferKept) => {}
            RideEvent::OfferWithdrawn { driver, .. } => self.close_offer(*driver),
            RideEvent::OffersExpired { drivers } => {
                for driver in drivers {
                    self.close_offer(*driver);
                }
            }
            RideEvent::Assigned { driver, chain, .. } => {
                self.move_to(Status::Accepted, at);
                self.driver = Some((**driver).clone());
                self.chain = *chain;
            }
            RideEvent::Unchained => self.chain = None,
            RideEvent::Released { driver, .. } => self.search_again(*driver, at),
            RideEvent::Arriving => self.move_to(Status::Arriving, at),
            RideEvent::Arrived => self.move_to(Status::Arrived, at),
            RideEvent::PinRefused { locked_until } => self.count_pin_try(*locked_until),
            RideEvent::Started => self.move_to(Status::Started, at),
            RideEvent::Completed { fare, .. } => {
                self.move_to(Status::Completed, at);
                self.final_fare = Some(*fare);
            }
            RideEvent::Canceled { by, reason, note, fee } => {
                self.move_to(Status::Canceled, at);
                self.cancellation = Some(Cancellation {
                    by: *by,
                    reason: *reason,
                    note: note.clone(),
                    fee: *fee,
                    at,
                });
            }
            RideEvent::NoDriver => self.move_to(Status::NoDriver, at),
            RideEvent::Rated { by, rating, .. } => self.ratings.give(*by, rating.clone()),
        }
        self.version += 1;
    }

    /// Takes a status other than searching, and notes when. An offer never outlives the search.
    fn move_to(&mut self, status: Status, at: UnixMillis) {
        self.status = status;
        if !is(Mutant::OfferOutlivesRide) {
            self.search.open.clear();
        }
        match status {
            Status::Accepted => self.accepted_at = Some(at),
            Status::Arrived => self.arrived_at = Some(at),
            Status::Started => self.started_at = Some(at),
            Status::Completed => self.completed_at = Some(at),
            Status::Searching | Status::Arriving | Status::Canceled | Status::NoDriver => {}
        }
    }

    fn make_offer(&mut self, offer: &Offer) {
        self.close_offer(offer.driver);
        self.search.open.insert(offer.id);
        self.offers.insert(offer.driver, offer.clone());
    }

    fn close_offer(&mut self, driver: DriverId) {
        if let Some(offer) = self.offers.get(&driver) {
            self.search.open.remove(&offer.id);
        }
    }

    fn count_pin_try(&mut self, locked_until: Option<UnixMillis>) {
        self.pin_tries = match locked_until {
            Some(_) => 0,
            None => self.pin_tries.saturating_add(1),
        };
        self.pin_locked_until = locked_until;
    }

    fn search_again(&mut self, without: DriverId, at: UnixMillis) {
        self.status = Status::Searching;
        self.driver = None;
        self.chain = None;
        self.driver_at = None;
        self.accepted_at = None;
        self.arrived_at = None;
        // The next driver shall not pay for the tries of this one.
        self.pin_tries = 0;
        self.pin_locked_until = None;
        self.search.since = at;
        self.search.wave = 0;
        self.search.next_wave_at = at;
        self.search.reassignments = self.search.reassignments.saturating_add(1);
        self.search.excluded.insert(without);
    }
}
