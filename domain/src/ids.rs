//! Identifiers: one type per noun, so that a ride is never passed where a driver is meant.
//!
//! All are UUIDv7 made outside this package. A person has ONE id, as user, driver and passenger;
//! the conversions between those three say so.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::pix::{EndToEndId, RefundId};

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
    /// Credit of a passenger that came in together.
    CreditId,
    /// What stands against a driver's share of a ride: a quarrel, a bank's claim, a refund.
    DisputeId,
}

/// What tells a wallet from its driver: where it stands in the random part of an id, the moment and
/// the version stay.
const WALLET_OF_DRIVER: u128 = 0x0000_0000_0000_0000_17D3_A94C_58E2_6B01;

impl DriverId {
    /// The owner of the platform, whose wallet is as a driver's. Nobody drives under it: people
    /// have ids with a moment in them.
    pub const OWNER: Self = Self(Uuid::from_u128(2 << 16));

    /// The id under which the records of his wallet are kept: he has records of his own.
    #[must_use]
    pub const fn wallet(self) -> Uuid {
        Uuid::from_u128(self.0.as_u128() ^ WALLET_OF_DRIVER)
    }

    /// Whose wallet this is.
    #[must_use]
    pub const fn of_wallet(id: Uuid) -> Self {
        Self(Uuid::from_u128(id.as_u128() ^ WALLET_OF_DRIVER))
    }
}

/// What tells the payment of a ride from the ride: where it stands in the random part of an id, the
/// moment and the version stay.
const PAYMENT_OF_RIDE: u128 = 0x0000_0000_0000_0000_2B5C_91E7_46D3_0A8F;

/// As that, of the tip of a ride.
const TIP_OF_RIDE: u128 = 0x0000_0000_0000_0000_0E94_37D8_B16A_5C23;

/// FNV-1a over 128 bits as an id of its own kind: for names that others gave, and few of them.
fn hashed(parts: &[&[u8]]) -> Uuid {
    let bytes = parts.iter().flat_map(|part| part.iter());
    let hash = bytes.fold(0x6c62_272e_07bb_0142_62b8_2175_6295_c58d, |hash: u128, byte| {
        (hash ^ u128::from(*byte)).wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b)
    });
    uuid::Builder::from_custom_bytes(hash.to_be_bytes()).into_uuid()
}

impl DisputeId {
    /// Of what a driver bears of a refund, by the id that this has at the provider.
    #[must_use]
    pub fn of_refund(refund: &RefundId) -> Self {
        Self(hashed(&[b"refund:", refund.as_str().as_bytes()]))
    }

    /// Of a bank's claim, by its name there.
    #[must_use]
    pub fn of_claim(claim: &str) -> Self {
        Self(hashed(&[b"claim:", claim.as_bytes()]))
    }
}

impl CreditId {
    /// Of what was put in by a payment.
    #[must_use]
    pub fn of_top_up(payment: PaymentId) -> Self {
        Self(hashed(&[b"top_up:", payment.0.as_bytes()]))
    }

    /// Of what had paid for a payment, by the answer to its question of this number.
    #[must_use]
    pub fn of_return(payment: PaymentId, number: u16) -> Self {
        Self(hashed(&[b"return:", payment.0.as_bytes(), &number.to_be_bytes()]))
    }
}

impl PaymentId {
    /// What a passenger puts in by the command of this id: asked again, it is the same one.
    #[must_use]
    pub fn of_top_up(by: UserId, command: &str) -> Self {
        Self(hashed(&[b"top_up:", by.0.as_bytes(), command.as_bytes()]))
    }

    /// The tip of a ride.
    #[must_use]
    pub const fn of_tip(ride: RideId) -> Self {
        Self(Uuid::from_u128(ride.0.as_u128() ^ TIP_OF_RIDE))
    }

    /// The payment of a ride: each has one, whoever thinks of it first.
    #[must_use]
    pub const fn of_ride(ride: RideId) -> Self {
        Self(Uuid::from_u128(ride.0.as_u128() ^ PAYMENT_OF_RIDE))
    }

    /// The ride whose payment this would be.
    #[must_use]
    pub const fn ride(self) -> RideId {
        RideId(Uuid::from_u128(self.0.as_u128() ^ PAYMENT_OF_RIDE))
    }

    /// Of a Pix that nobody asked for, by its number from end to end.
    #[must_use]
    pub fn of_stray(pix: &EndToEndId) -> Self {
        Self(hashed(&[pix.as_str().as_bytes()]))
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ride_and_its_payment_name_each_other_and_are_not_the_same() {
        let ride = RideId(Uuid::from_u128(0x0193_6a4e_7c10_7abc_8def_0123_4567_89ab));
        let payment = PaymentId::of_ride(ride);
        assert_eq!(payment.ride(), ride);
        assert_ne!(payment.0, ride.0);
        assert_eq!(payment.0.get_version_num(), 7, "a public id is a UUIDv7");
        assert_eq!(payment.0.get_variant(), ride.0.get_variant());
        let tip = PaymentId::of_tip(ride);
        assert!(tip != payment && tip.0 != ride.0);
        assert_eq!((tip.0.get_version_num(), tip.0.get_variant()), (7, ride.0.get_variant()));
    }

    #[test]
    fn a_stray_pix_always_has_the_same_payment() {
        let pix = |text| PaymentId::of_stray(&EndToEndId::parse(text).expect("a number"));
        assert_eq!(pix("E1803615022211340s08793XPJ"), pix("E1803615022211340s08793XPJ"));
        assert_ne!(pix("E1803615022211340s08793XPJ"), pix("E1803615022211340s08793XPK"));
    }
}
