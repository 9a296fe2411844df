//! The people of a simulated city: who they are, and what they order.
//!
//! All is told by numbers, so that a trace is read without a table.

use ibora_domain::category::Category;
use ibora_domain::fare::{Breakdown, Fare};
use ibora_domain::ids::{
    DisputeId, DriverId, OfferId, PassengerId, PaymentId, PayoutId, RideId, UserId, VehicleId,
};
use ibora_domain::machines::{DriverProfile, MeanRating};
use ibora_domain::money::Centavos;
use ibora_domain::pix::{Payee, PixKey};
use ibora_domain::place::Coordinates;
use ibora_domain::ride::{Order, PassengerCard, PaymentMethod, Pin, VehicleCard};
use ibora_domain::units::{Metres, Seconds, UnixMillis};
use uuid::Uuid;

const DRIVER: u128 = 0xd << 100;
const PASSENGER: u128 = 0xa << 100;
const RIDE: u128 = 0xb << 100;
const OFFER: u128 = 0xc << 100;
const PAYOUT: u128 = 0xe << 100;
const DISPUTE: u128 = 0x9 << 100;

/// The PIN of every ride, and one that is wrong.
pub const PIN: &str = "0427";
pub const WRONG_PIN: &str = "9999";

/// Ids end in what chooses the shard, so consecutive numbers are on different lanes.
#[must_use]
pub const fn driver(number: u64) -> DriverId {
    DriverId(Uuid::from_u128(DRIVER + number as u128))
}

#[must_use]
pub const fn passenger(number: u64) -> PassengerId {
    PassengerId(Uuid::from_u128(PASSENGER + number as u128))
}

#[must_use]
pub const fn ride(number: u64) -> RideId {
    RideId(Uuid::from_u128(RIDE + number as u128))
}

#[must_use]
pub const fn offer(number: u64) -> OfferId {
    OfferId(Uuid::from_u128(OFFER + number as u128))
}

#[must_use]
pub const fn payout(number: u64) -> PayoutId {
    PayoutId(Uuid::from_u128(PAYOUT + number as u128))
}

#[must_use]
pub const fn dispute(number: u64) -> DisputeId {
    DisputeId(Uuid::from_u128(DISPUTE + number as u128))
}

/// A short name for a trace: `d3` and his wallet `w3`, `p1`, `r12` with its payment `m12` and its
/// tip `t12`, `o40`, the payout `y7`, the contested ride `q2`.
#[must_use]
pub fn name(id: Uuid) -> String {
    let number = |id: Uuid| id.as_u128() & ((1 << 64) - 1);
    let (kind, number) = match id.as_u128() >> 100 {
        // The number of a wallet or a payment is that of its driver or ride, with bits turned.
        0xd if number(id) >= MANY => ('w', number(DriverId::of_wallet(id).0)),
        0xb if number(id) >= MANY => match number(PaymentId(id).ride().0) {
            ride if ride < MANY => ('m', ride),
            _ => ('t', number(PaymentId::of_tip(RideId(id)).0)),
        },
        kind => (letter(kind), number(id)),
    };
    format!("{kind}{number}")
}

/// More than there are of anything.
const MANY: u128 = 1 << 40;

const fn letter(kind: u128) -> char {
    match kind {
        0xd => 'd',
        0xa => 'p',
        0xb => 'r',
        0xc => 'o',
        0xe => 'y',
        0x9 => 'q',
        _ => 'z',
    }
}

/// A place so many metres north of where rides begin, or of the first such place.
#[must_use]
pub fn north_of_pickup(metres: u32) -> Coordinates {
    let lat = -23.5503 + f64::from(metres) / 111_195.0;
    Coordinates::new(lat, -46.6339).unwrap_or_else(|_| unreachable!("within the city"))
}

/// Rides that begin here are paid in cash.
const CASH_AT: u32 = 50;

/// Whom a driver is paid to.
#[must_use]
pub fn payee(of: DriverId) -> Option<Payee> {
    let key = PixKey::parse(&format!("{}@example.com", name(of.0))).ok()?;
    Some(Payee { key, usable_from: UnixMillis(0), cpf: None })
}

/// What a passenger orders, so many metres north; `intent` tells apart the wishes behind orders.
#[must_use]
pub fn order(of: PassengerId, intent: &str, metres: u32) -> Order {
    // Who begins at the border of zones pays in cash.
    let payment_method = if metres == CASH_AT { PaymentMethod::Cash } else { PaymentMethod::Pix };
    Order {
        passenger: PassengerCard { id: of, name: name(of.0), rating: 487 },
        category: Category::Economy,
        pickup: north_of_pickup(metres),
        dropoff: north_of_pickup(3000),
        stops: vec![],
        payment_method,
        notes: Some(intent.to_owned()),
        fare: Fare {
            estimated: Centavos(1450),
            breakdown: Breakdown {
                base: Centavos(400),
                distance: Centavos(800),
                time: Centavos(250),
                adjustment: Centavos(0),
            },
        },
        distance: Metres(5000),
        duration: Seconds(600),
        pin: Pin::new(427),
        prepaid: false,
    }
}

/// A driver's account.
#[must_use]
pub fn profile(of: DriverId) -> DriverProfile {
    let vehicle = VehicleCard {
        id: VehicleId(of.0),
        plate: "ABC1D23".to_owned(),
        make: "Fiat".to_owned(),
        model: "Argo".to_owned(),
        color: "prata".to_owned(),
    };
    DriverProfile {
        name: name(of.0),
        rating: MeanRating { hundredths: 492, of: 1 },
        approved: true,
        approval: "approved".to_owned(),
        vehicles: vec![(vehicle, vec![Category::Economy])],
        pix_key: None,
    }
}

/// The vehicle of [`profile`].
#[must_use]
pub const fn vehicle(of: DriverId) -> VehicleId {
    VehicleId(of.0)
}

/// FNV-1a of what a command asks for.
#[must_use]
pub fn fingerprint(text: &str) -> i64 {
    let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    hash.cast_signed()
}

/// Whose id this is, as a person.
#[must_use]
pub fn is_driver(user: UserId) -> bool {
    user.0.as_u128() >> 100 == 0xd
}
