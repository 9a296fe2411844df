//! The ride: what it is, and how each event changes it.
//!
//! A command may refuse and changes nothing (`decide`); [`Ride::apply`] cannot fail, so a replay
//! cannot fail. Only the ride's own actor holds one that may change.

mod decide;
mod event;
mod paying;
mod rating;
#[cfg(test)]
pub(crate) mod sample;
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
use crate::payment::PaymentStatus;
use crate::place::Coordinates;
use crate::policy::RidePolicy;
use crate::units::{Metres, Seconds, UnixMillis};

pub use decide::{Bid, Cancel, CancelAs};
pub use event::RideEvent;
pub use rating::{NoStars, Rater, Rating, Ratings, Stars};
pub(crate) use view::{RIDE_JSON, json_text};
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
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct PassengerCard {
    pub id: PassengerId,
    pub name: String,
    /// Mean rating in hundredths, 500 is the best.
    pub rating: u16,
}

/// The vehicle as a passenger sees it.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct VehicleCard {
    pub id: VehicleId,
    pub plate: String,
    pub make: String,
    pub model: String,
    pub color: String,
}

/// The driver as a passenger sees them.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct DriverCard {
    pub id: DriverId,
    pub name: String,
    pub rating: u16,
    pub vehicle: Option<VehicleCard>,
}

/// `Debug` of what describes a person or a vehicle: the id, and nothing a log must not hold.
macro_rules! debug_shows_only {
    ($($name:ident: $id:expr),* $(,)?) => {$(
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let id: fn(&Self) -> String = $id;
                write!(f, "{}({})", stringify!($name), id(self))
            }
        }
    )*};
}

debug_shows_only! {
    PassengerCard: |card| card.id.to_string(),
    VehicleCard: |card| card.id.to_string(),
    DriverCard: |card| card.id.to_string(),
    Order: |order| format!("{:?}", order.category),
}

/// What a passenger orders. Fixed for the ride's life.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
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
    /// He had credit when he ordered it: what he owes is first asked of that.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub prepaid: bool,
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
    /// The offers that may still be accepted.
    pub open: BTreeSet<OfferId>,
}

/// What comes before a ride whose driver is still on another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chain {
    /// The ride that he is on.
    pub after: RideId,
    /// When he should have ended it.
    pub due: UnixMillis,
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
    /// Its driver first ends another: until then the ride is chained, and only `accepted`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chain: Option<Chain>,
    pub requested_at: UnixMillis,
    pub accepted_at: Option<UnixMillis>,
    pub arrived_at: Option<UnixMillis>,
    pub started_at: Option<UnixMillis>,
    pub completed_at: Option<UnixMillis>,
    pub pin_tries: u8,
    pub pin_locked_until: Option<UnixMillis>,
    pub final_fare: Option<Centavos>,
    pub cancellation: Option<Cancellation>,
    #[serde(default, skip_serializing_if = "Ratings::is_empty")]
    pub ratings: Ratings,
    /// The newest offer to each driver ever asked. Rebuilt from the wave rows.
    #[serde(skip)]
    offers: BTreeMap<DriverId, Offer>,
    /// Where the driver was last. Not durable.
    #[serde(skip)]
    driver_at: Option<DriverPosition>,
    /// Where its payment stands, and at which version of it. Not of this ride's records.
    #[serde(skip)]
    payment: Option<(PaymentStatus, u64)>,
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
            open: BTreeSet::new(),
        };
        Self {
            id,
            order,
            status: Status::Searching,
            version: 1,
            search,
            driver: None,
            chain: None,
            requested_at: at,
            accepted_at: None,
            arrived_at: None,
            started_at: None,
            completed_at: None,
            pin_tries: 0,
            pin_locked_until: None,
            final_fare: None,
            cancellation: None,
            ratings: Ratings::default(),
            offers: BTreeMap::new(),
            driver_at: None,
            payment: None,
        }
    }

    /// Puts back the offers of earlier waves, as read from their rows in any order. Which of them
    /// are open, the ride itself knows.
    pub fn restore_offers(&mut self, offers: impl IntoIterator<Item = Offer>) {
        for offer in offers {
            let known = self.offers.get(&offer.driver);
            if known.is_none_or(|known| known.expires_at <= offer.expires_at) {
                self.offers.insert(offer.driver, offer);
            }
        }
    }

    /// The offers that may still be accepted.
    pub fn open_offers(&self) -> impl Iterator<Item = &Offer> {
        self.offers.values().filter(|offer| self.is_open(offer))
    }

    /// The open offer to `driver`.
    #[must_use]
    pub fn open_offer_to(&self, driver: DriverId) -> Option<&Offer> {
        self.offers.get(&driver).filter(|offer| self.is_open(offer))
    }

    fn is_open(&self, offer: &Offer) -> bool {
        self.search.open.contains(&offer.id)
    }

    /// When `driver` was offered this ride.
    #[must_use]
    pub fn offered_at(&self, driver: DriverId, policy: &RidePolicy) -> Option<UnixMillis> {
        let offer = self.offers.get(&driver)?;
        Some(offer.expires_at - policy.offer_ttl)
    }

    /// Whether `driver` was ever offered this ride.
    #[must_use]
    pub fn was_offered_to(&self, driver: DriverId) -> bool {
        self.offers.contains_key(&driver)
    }

    /// Whether a wave may ask `driver`: he neither gave the ride back nor declined it, and he is
    /// not being asked already.
    #[must_use]
    pub fn may_ask(&self, driver: DriverId) -> bool {
        !self.search.excluded.contains(&driver) && self.open_offer_to(driver).is_none()
    }

    /// Whom wave `wave` leaves out: those it may not ask and, once waves no longer grow, those
    /// whom this search has asked before.
    #[must_use]
    pub fn not_to_ask(&self, wave: u16, policy: &RidePolicy) -> Vec<DriverId> {
        let only_new = policy.asks_only_new(wave);
        let asked = self.offers.values().filter(|offer| {
            let in_this_search = offer.expires_at - policy.offer_ttl >= self.search.since;
            self.is_open(offer) || (only_new && in_this_search)
        });
        let excluded = self.search.excluded.iter().copied();
        excluded.chain(asked.map(|offer| offer.driver)).collect()
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
