//! The ride: what it is, and how each event changes it.
//!
//! A command may refuse and changes nothing (`decide`); [`Ride::apply`] cannot fail, so a replay
//! cannot fail. Only the ride's own actor holds one that may change.

mod decide;
mod event;
#[cfg(test)]
mod tests;
mod view;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::category::Category;
use crate::fare::Fare;
use crate::ids::{DriverId, OfferId, PassengerId, RideId, VehicleId};
use crate::money::Centavos;
use crate::place::Coordinates;
use crate::policy::RidePolicy;
use crate::units::{Metres, Seconds, UnixMillis};

pub use decide::{Cancel, CancelAs};
pub use event::RideEvent;
pub use view::{Reader, rating};

/// Where a ride stands. The names are public.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    Searching,
    Accepted,
    Arriving,
    Arrived,
    Started,
    Completed,
    Canceled,
    NoDriver,
}

impl Status {
    /// The public name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Searching => "searching",
            Self::Accepted => "accepted",
            Self::Arriving => "arriving",
            Self::Arrived => "arrived",
            Self::Started => "started",
            Self::Completed => "completed",
            Self::Canceled => "canceled",
            Self::NoDriver => "no_driver",
        }
    }

    /// Whether the ride has ended.
    #[must_use]
    pub const fn is_final(self) -> bool {
        match self {
            Self::Completed | Self::Canceled | Self::NoDriver => true,
            Self::Searching | Self::Accepted | Self::Arriving | Self::Arrived | Self::Started => {
                false
            }
        }
    }

    /// Whether a driver is bound to the ride.
    #[must_use]
    pub const fn has_driver(self) -> bool {
        match self {
            Self::Accepted | Self::Arriving | Self::Arrived | Self::Started => true,
            Self::Searching | Self::Completed | Self::Canceled | Self::NoDriver => false,
        }
    }
}

/// How the passenger pays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PaymentMethod {
    Pix,
    Cash,
}

/// The four digits that the passenger tells the driver at the pickup.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Pin(String);

impl Pin {
    /// A PIN from a number; only its last four digits count.
    #[must_use]
    pub fn new(number: u16) -> Self {
        Self(format!("{:04}", number % 10_000))
    }
}

impl fmt::Debug for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pin(***)")
    }
}

/// The passenger as a driver sees them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PassengerCard {
    pub id: PassengerId,
    pub name: String,
    /// Mean rating in hundredths, 500 is the best.
    pub rating: u16,
}

/// The vehicle as a passenger sees it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VehicleCard {
    pub id: VehicleId,
    pub plate: String,
    pub make: String,
    pub model: String,
    pub color: String,
}

/// The driver as a passenger sees them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DriverCard {
    pub id: DriverId,
    pub name: String,
    pub rating: u16,
    pub vehicle: Option<VehicleCard>,
}

/// What a passenger orders. Fixed for the ride's life.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Order {
    pub passenger: PassengerCard,
    pub category: Category,
    pub pickup: Coordinates,
    pub dropoff: Coordinates,
    pub stops: Vec<Coordinates>,
    pub payment_method: PaymentMethod,
    pub notes: Option<String>,
    pub fare: Fare,
    pub distance: Metres,
    pub duration: Seconds,
    pub pin: Pin,
}

/// An offer of the ride to one driver.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Offer {
    pub id: OfferId,
    pub driver: DriverId,
    pub wave: u16,
    pub expires_at: UnixMillis,
    pub distance: Metres,
    pub eta: Seconds,
}

/// How far an offer got. Kept in memory, and rebuilt from the wave rows.
#[derive(Debug, Clone, PartialEq)]
struct OfferState {
    offer: Offer,
    open: bool,
}

/// Who ended a ride early.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Party {
    Passenger,
    Driver,
    Admin,
    System,
}

impl Party {
    /// The public name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Passenger => "passenger",
            Self::Driver => "driver",
            Self::Admin => "admin",
            Self::System => "system",
        }
    }
}

/// Why a ride was ended early.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CancelReason {
    ChangedMind,
    DriverLate,
    DriverAsked,
    WrongPlace,
    NoShow,
    Vehicle,
    Safety,
    Other,
}

impl CancelReason {
    /// The public name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ChangedMind => "changed_mind",
            Self::DriverLate => "driver_late",
            Self::DriverAsked => "driver_asked",
            Self::WrongPlace => "wrong_place",
            Self::NoShow => "no_show",
            Self::Vehicle => "vehicle",
            Self::Safety => "safety",
            Self::Other => "other",
        }
    }
}

/// How a ride was ended early.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Cancellation {
    pub by: Party,
    pub reason: CancelReason,
    pub note: Option<String>,
    pub fee: Centavos,
    pub at: UnixMillis,
}

/// The search for a driver: since when, how far, and whom not to ask again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Search {
    pub since: UnixMillis,
    /// The wave last sent; 0 before the first.
    pub wave: u16,
    pub next_wave_at: UnixMillis,
    pub reassignments: u8,
    /// Drivers who gave this ride back or declined it.
    pub excluded: BTreeSet<DriverId>,
}

/// A ride. What is serialized is the current row; offers live in rows of their own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ride {
    pub id: RideId,
    pub order: Order,
    pub status: Status,
    /// How many events made it what it is.
    pub version: u64,
    pub search: Search,
    pub driver: Option<DriverCard>,
    pub requested_at: UnixMillis,
    pub accepted_at: Option<UnixMillis>,
    pub arrived_at: Option<UnixMillis>,
    pub started_at: Option<UnixMillis>,
    pub completed_at: Option<UnixMillis>,
    pub pin_tries: u8,
    pub pin_locked_until: Option<UnixMillis>,
    pub final_fare: Option<Centavos>,
    pub cancellation: Option<Cancellation>,
    #[serde(skip)]
    offers: BTreeMap<DriverId, OfferState>,
    /// Where the driver was last, and whether that counted towards an arrival. Not durable.
    #[serde(skip)]
    driver_at: Option<DriverPosition>,
}

/// A driver's newest position on a ride.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DriverPosition {
    pub place: Coordinates,
    pub at: UnixMillis,
    pub accuracy: Metres,
}

impl Ride {
    /// The ride that `RideEvent::Requested` opens. Its version is 1.
    #[must_use]
    pub fn requested(id: RideId, order: Order, at: UnixMillis) -> Self {
        let search = Search {
            since: at,
            wave: 0,
            next_wave_at: at,
            reassignments: 0,
            excluded: BTreeSet::new(),
        };
        Self {
            id,
            order,
            status: Status::Searching,
            version: 1,
            search,
            driver: None,
            requested_at: at,
            accepted_at: None,
            arrived_at: None,
            started_at: None,
            completed_at: None,
            pin_tries: 0,
            pin_locked_until: None,
            final_fare: None,
            cancellation: None,
            offers: BTreeMap::new(),
            driver_at: None,
        }
    }

    /// Puts back the offers of earlier waves, as read from their rows. Those of a ride that is no
    /// longer searching, or of a driver it excludes, are closed.
    pub fn restore_offers(&mut self, offers: impl IntoIterator<Item = Offer>) {
        for offer in offers {
            let open = self.status == Status::Searching
                && !self.search.excluded.contains(&offer.driver)
                && offer.expires_at >= self.search.since;
            self.offers.insert(offer.driver, OfferState { offer, open });
        }
    }

    /// The drivers whose offers are open, with them.
    pub fn open_offers(&self) -> impl Iterator<Item = &Offer> {
        self.offers.values().filter(|state| state.open).map(|state| &state.offer)
    }

    /// When `driver` was offered this ride.
    #[must_use]
    pub fn offered_at(&self, driver: DriverId, policy: &RidePolicy) -> Option<UnixMillis> {
        self.offers.get(&driver).map(|state| state.offer.expires_at - policy.offer_ttl)
    }

    /// Whether `driver` was ever offered this ride, as far as this memory reaches.
    #[must_use]
    pub fn was_offered_to(&self, driver: DriverId) -> bool {
        self.offers.contains_key(&driver)
    }

    /// Whom the search leaves out: the excluded, and those whose offer is still open.
    #[must_use]
    pub fn not_to_ask(&self) -> Vec<DriverId> {
        let open = self.open_offers().map(|offer| offer.driver);
        self.search.excluded.iter().copied().chain(open).collect()
    }

    /// The driver's newest position, if one came since the ride was loaded.
    #[must_use]
    pub fn driver_position(&self) -> Option<DriverPosition> {
        self.driver_at
    }

    /// The driver bound to this ride.
    #[must_use]
    pub fn driver_id(&self) -> Option<DriverId> {
        self.driver.as_ref().map(|driver| driver.id)
    }

    /// Whether `driver` is the one bound to this ride.
    #[must_use]
    pub fn is_driven_by(&self, driver: DriverId) -> bool {
        self.driver_id() == Some(driver)
    }
}
