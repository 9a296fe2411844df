//! Identifiers: one type per noun, so that a ride is never passed where a driver is meant.
//!
//! All are UUIDv7 made outside this package. A person has ONE id, as user, driver and passenger;
//! the conversions between those three say so.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Logical shards of the entity space. Fixed in the schema: changing it is an offline migration.
pub const SHARDS: u16 = 1024;

/// A logical shard, `0..SHARDS`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Shard(u16);

impl Shard {
    /// The shard of an entity: its id's last bits, which are random in a UUIDv7.
    #[must_use]
    pub fn of(id: Uuid) -> Self {
        let bytes = id.as_bytes();
        Self(u16::from_be_bytes([bytes[14], bytes[15]]) % SHARDS)
    }

    /// The number of this shard, as the database column holds it.
    #[must_use]
    pub fn number(self) -> u16 {
        self.0
    }

    /// Every shard.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..SHARDS).map(Self)
    }
}

macro_rules! id {
    ($(#[$doc:meta] $name:ident),* $(,)?) => {$(
        #[$doc]
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl $name {
            /// The shard that owns this entity.
            #[must_use]
            pub fn shard(self) -> Shard {
                Shard::of(self.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Uuid::parse_str(text).map(Self)
            }
        }
    )*};
}

id! {
    /// A person who can log in.
    UserId,
    /// A person as driver; the same number as their [`UserId`].
    DriverId,
    /// A person as passenger; the same number as their [`UserId`].
    PassengerId,
    /// A ride, from its request to its end.
    RideId,
    /// One offer of one ride to one driver.
    OfferId,
    /// A driver's vehicle.
    VehicleId,
    /// What a passenger is asked to pay for one thing, and whether it was paid.
    PaymentId,
    /// Money on its way to a driver.
    PayoutId,
    /// A quarrel about a ride's money.
    DisputeId,
}

impl From<DriverId> for UserId {
    fn from(id: DriverId) -> Self {
        Self(id.0)
    }
}

impl From<PassengerId> for UserId {
    fn from(id: PassengerId) -> Self {
        Self(id.0)
    }
}

impl From<UserId> for DriverId {
    fn from(id: UserId) -> Self {
        Self(id.0)
    }
}

impl From<UserId> for PassengerId {
    fn from(id: UserId) -> Self {
        Self(id.0)
    }
}
