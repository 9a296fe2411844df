//! Dispatch policies: which car is asked to take which waiting ride.
//!
//! A policy is a pure function of what waits, who is near and the time. Production's dispatcher and
//! `ibora simulate` run the same ones, so what was measured is what runs. Times of driving are
//! asked of a [`Supply`], which the caller makes from its candidate index and its router.
//!
//! What always holds: nobody trusts a policy. Its [`Plan`] is checked ([`check`]) before anybody is
//! asked: a car twice, a car that is no candidate or a ride that does not wait is refused.

mod adaptive;
mod assign;
mod batch;
mod check;
mod matching;
mod nearest;
mod race;
#[cfg(test)]
mod tests;

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use thiserror::Error;

pub use assign::{Costs, FORBIDDEN, assign};
pub use check::{PlanFault, check};

use crate::ids::{DriverId, RideId};
use crate::place::Coordinates;
use crate::units::{Millis, UnixMillis};

/// A ride that waits for a driver.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Waiting {
    pub ride: RideId,
    /// When it was asked for.
    pub since: UnixMillis,
    pub pickup: Coordinates,
    /// How many drivers its wave may ask at once.
    pub offers: u16,
}

/// A car that could take a ride.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Car {
    pub driver: DriverId,
    /// Time to the pickup from now, what it needs to finish its present ride included.
    pub pickup_in: Millis,
    /// Time until it has finished its present ride; none for a free car.
    pub free_in: Option<Millis>,
    pub merits: Merits,
}

/// What speaks for a car beside its nearness. Bounded: see [`Merits::bonus`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Merits {
    /// Share of offers accepted, 0 to 1.
    pub acceptance: f32,
    /// Stars, 1 to 5.
    pub rating: f32,
    /// Time without a ride.
    pub idle: Millis,
    /// Cars around it for each ride that was asked for there lately: high where it is not missed.
    pub spare: f32,
}

/// What each merit counts at most, in milliseconds of pickup time.
const ACCEPTANCE_MS: f32 = 5000.0;
const RATING_MS: f32 = 5000.0;
const IDLE_MS: f32 = 60_000.0;
const SPARE_MS: f32 = 150_000.0;

/// From here on more of it does not count.
const IDLE_FULL_MS: f32 = 1_200_000.0;
const SPARE_FULL: f32 = 1.0;

impl Default for Merits {
    /// Of somebody of whom nothing is known: no bonus.
    fn default() -> Self {
        Self { acceptance: 0.0, rating: 1.0, idle: Millis(0), spare: 0.0 }
    }
}

impl Merits {
    /// By how much a car counts as nearer than it is. Acceptance and rating decide between equals;
    /// idle time shares out the work; cars come from where there are too many, so that the next
    /// passenger elsewhere still finds one.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 220,000")]
    #[expect(clippy::cast_precision_loss, reason = "idle time to a millisecond does not matter")]
    pub fn bonus(&self) -> Millis {
        // Where one of them is no number the sum is none, and as a whole number that is 0.
        let unit = |value: f32| value.clamp(0.0, 1.0);
        let sum = unit(self.acceptance) * ACCEPTANCE_MS
            + unit((self.rating - 1.0) / 4.0) * RATING_MS
            + unit(self.idle.0 as f32 / IDLE_FULL_MS) * IDLE_MS
            + unit(self.spare / SPARE_FULL) * SPARE_MS;
        Millis(sum as u64)
    }
}

/// Which cars a policy wants to hear of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reach {
    /// How many free cars at most, the nearest.
    pub free: usize,
    /// How many cars that finish a ride soon, at most.
    pub soon: usize,
}

/// The cars as a policy sees them: a candidate index and a router behind one door.
pub trait Supply {
    /// Cars near the pickup that could take the ride, free ones and those soon free. The same
    /// question gets the same answer until a plan was carried out.
    fn near(&self, ride: &Waiting, reach: Reach) -> Vec<Car>;

    /// Whether this car could take this ride, whatever a policy says.
    fn is_candidate(&self, ride: &Waiting, driver: DriverId) -> bool;
}

/// What a policy decides about.
pub struct View<'a> {
    pub now: UnixMillis,
    /// Oldest first.
    pub waiting: &'a [Waiting],
    pub supply: &'a dyn Supply,
}

/// Drivers to ask for one ride, at once, best first. The first to accept gets it.
#[derive(Debug, Clone, PartialEq)]
pub struct Offer {
    pub ride: RideId,
    pub cars: Vec<Car>,
}

/// When a policy wants to be called next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Again {
    /// As soon as these offers are made: it has more to say.
    AtOnce,
    /// As soon as a ride or a car comes in, and no later than this.
    OnChange(Millis),
    /// After this time and not before: it gathers.
    After(Millis),
}

/// What a policy wants done.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    pub offers: Vec<Offer>,
    pub again: Again,
}

/// A way to dispatch. Deterministic: the same view yields the same plan.
pub trait Policy {
    /// Its name in configuration, tables and JSON.
    fn kind(&self) -> PolicyKind;

    /// What to offer now.
    fn decide(&self, view: &View<'_>) -> Plan;

    /// The longest pickup of a ride that has waited so long: also of the cars that are asked where
    /// one that was named refuses.
    fn pickup_max(&self, waited: Millis) -> Millis;
}

/// The policies there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PolicyKind {
    /// Every second, the oldest ride first, its nearest free car.
    Nearest,
    /// The five nearest are asked at once and the first tap wins.
    Race,
    /// The least total pickup time of all that wait, every few seconds.
    Batch,
    /// Ranked by pickup time, cars that are soon free included, with a window that adapts.
    Default,
}

impl PolicyKind {
    pub const ALL: [Self; 4] = [Self::Nearest, Self::Race, Self::Batch, Self::Default];

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Nearest => "nearest",
            Self::Race => "race",
            Self::Batch => "batch",
            Self::Default => "default",
        }
    }

    /// Whether it counts on cars that will end a ride soon.
    #[must_use]
    pub fn looks_ahead(self) -> bool {
        match self {
            Self::Nearest | Self::Race | Self::Batch => false,
            Self::Default => true,
        }
    }

    /// The policy of this name, with these numbers.
    #[must_use]
    pub fn build(self, rules: Rules) -> Arc<dyn Policy + Send + Sync> {
        match self {
            Self::Nearest => Arc::new(nearest::Nearest { rules }),
            Self::Race => Arc::new(race::Race { rules }),
            Self::Batch => Arc::new(batch::Batch { rules }),
            Self::Default => Arc::new(adaptive::Adaptive { rules }),
        }
    }
}

/// There is no policy of this name.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("no policy `{name}`; there are nearest, race, batch and default")]
pub struct UnknownPolicy {
    pub name: String,
}

impl FromStr for PolicyKind {
    type Err = UnknownPolicy;

    fn from_str(name: &str) -> Result<Self, UnknownPolicy> {
        let found = Self::ALL.into_iter().find(|kind| kind.as_str() == name);
        found.ok_or_else(|| UnknownPolicy { name: name.to_owned() })
    }
}

impl fmt::Display for PolicyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The numbers of the policies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// No car is asked that would take longer to the pickup.
    pub pickup_max: Millis,
    /// How many `race` asks at once.
    pub race: u16,
    /// How long `batch` gathers.
    pub window: Millis,
    /// How long a passenger waits for a car to be found.
    pub patience: Millis,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            pickup_max: Millis::from_secs(900),
            race: 5,
            window: Millis::from_secs(2),
            patience: Millis::from_secs(300),
        }
    }
}

/// How far the order of pickup times may differ from the order of straight lines: so many of the
/// nearest are compared by the time they drive.
const NEAR: usize = 12;

/// The beat of the policies that look every second.
const SECOND: Millis = Millis::from_secs(1);

/// Candidates within the longest pickup, best first; at least a wave of them, where there are.
fn ranked(view: &View<'_>, ride: &Waiting, reach: Reach, pickup_max: Millis) -> Vec<Car> {
    let free = reach.free.max(usize::from(ride.offers));
    let mut cars = view.supply.near(ride, Reach { free, ..reach });
    cars.retain(|car| car.pickup_in <= pickup_max);
    cars.sort_by_key(|car| (car.pickup_in, car.driver));
    cars
}
