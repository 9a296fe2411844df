//! A ride, its people and their places, for the tests of rides and machines.

use uuid::Uuid;

use super::{
    Bid, DriverCard, DriverPosition, Offer, Order, PassengerCard, PaymentMethod, Pin, Ride,
    RideEvent, Status, VehicleCard,
};
use crate::category::Category;
use crate::fare::{Breakdown, Fare};
use crate::ids::{DriverId, OfferId, PassengerId, RideId, VehicleId};
use crate::money::Centavos;
use crate::place::Coordinates;
use crate::policy::RidePolicy;
use crate::units::{Metres, Millis, Seconds, UnixMillis};

/// When the sample ride was requested.
pub(crate) const START: UnixMillis = UnixMillis(1_760_000_000_000);

/// The sample ride's price.
pub(crate) const FARE: Centavos = Centavos(1450);

/// The sample passenger's PIN.
pub(crate) const PIN: &str = "0427";

pub(crate) fn after(ms: u64) -> UnixMillis {
    START + Millis(ms)
}

pub(crate) fn driver(number: u32) -> DriverId {
    DriverId(Uuid::from_u128(0x0d00_0000 + u128::from(number)))
}

pub(crate) fn passenger(number: u32) -> PassengerId {
    PassengerId(Uuid::from_u128(0x0a00_0000 + u128::from(number)))
}

pub(crate) fn ride_id(number: u32) -> RideId {
    RideId(Uuid::from_u128(0x0b00_0000 + u128::from(number)))
}

pub(crate) fn offer_id(number: u32) -> OfferId {
    OfferId(Uuid::from_u128(0x0c00_0000 + u128::from(number)))
}

/// A place so many metres north of the pickup.
pub(crate) fn north_of_pickup(metres: f64) -> Coordinates {
    Coordinates::new(-23.5503 + metres / 111_195.0, -46.6339).expect("in range")
}

pub(crate) fn position(metres: f64, accuracy: u32, ms: u64) -> DriverPosition {
    DriverPosition { place: north_of_pickup(metres), at: after(ms), accuracy: Metres(accuracy) }
}

pub(crate) fn order(of: PassengerId) -> Order {
    Order {
        passenger: PassengerCard { id: of, name: "Ana Passageira".to_owned(), rating: 487 },
        category: Category::Economy,
        pickup: north_of_pickup(0.0),
        dropoff: Coordinates::new(-23.5614, -46.6559).expect("in range"),
        stops: vec![],
        payment_method: PaymentMethod::Pix,
        notes: Some("portão azul".to_owned()),
        fare: Fare {
            estimated: FARE,
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

pub(crate) fn card(id: DriverId) -> DriverCard {
    DriverCard {
        id,
        name: "Davi Motorista".to_owned(),
        rating: 492,
        vehicle: Some(VehicleCard {
            id: VehicleId(id.0),
            plate: "ABC1D23".to_owned(),
            make: "Fiat".to_owned(),
            model: "Argo".to_owned(),
            color: "prata".to_owned(),
        }),
    }
}

pub(crate) fn bid(id: DriverId) -> Bid {
    Bid { driver: card(id), offer: None, at: None, after: None, unable: None, call: 1 }
}

/// The offer of wave `wave` to driver `number`; its id has the same number.
pub(crate) fn offer(number: u32, wave: u16, expires_at: UnixMillis) -> Offer {
    Offer {
        id: offer_id(number),
        driver: driver(number),
        wave,
        expires_at,
        distance: Metres(700),
        eta: Seconds(120),
    }
}

/// A ride just requested.
pub(crate) fn requested() -> Ride {
    Ride::requested(ride_id(1), order(passenger(1)), START)
}

/// The events that bring a requested ride to `status`: offers to drivers 1 and 2 at the start,
/// driver 1 wins after 2 s, arrives after 60 s, starts after 90 s; the end comes after 200 s.
pub(crate) fn way_to(status: Status) -> Vec<(RideEvent, UnixMillis)> {
    let end = START + RidePolicy::default().offer_ttl;
    let offers = RideEvent::OffersMade {
        wave: 1,
        offers: vec![offer(1, 1, end), offer(2, 1, end)],
        next_wave_at: after(4000),
    };
    let driver = Box::new(card(driver(1)));
    let assigned = RideEvent::Assigned { driver, offer: offer_id(1), chain: None };
    let whole_way = [
        (offers, START),
        (assigned, after(2000)),
        (RideEvent::Arriving, after(30_000)),
        (RideEvent::Arrived, after(60_000)),
        (RideEvent::Started, after(90_000)),
    ];
    let completed = RideEvent::Completed { fare: FARE, reason: None };
    let canceled = RideEvent::Canceled {
        by: super::Party::Passenger,
        reason: super::CancelReason::ChangedMind,
        note: Some("mudei".to_owned()),
        fee: Centavos(500),
    };
    let (steps, last) = match status {
        Status::Searching => (1, None),
        Status::Accepted => (2, None),
        Status::Arriving => (3, None),
        Status::Arrived => (4, None),
        Status::Started => (5, None),
        Status::Completed => (5, Some(completed)),
        Status::Canceled => (2, Some(canceled)),
        Status::NoDriver => (1, Some(RideEvent::NoDriver)),
    };
    let mut way: Vec<_> = whole_way.into_iter().take(steps).collect();
    way.extend(last.map(|event| (event, after(200_000))));
    way
}

/// The sample ride in `status`.
pub(crate) fn ride_in(status: Status) -> Ride {
    let mut ride = requested();
    for (event, at) in way_to(status) {
        ride.apply(&event, at);
    }
    ride
}
