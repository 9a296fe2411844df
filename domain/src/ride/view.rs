//! A ride as its readers see it: the PIN for the passenger only, phones never.

use serde::Serialize;

use super::{Cancellation, DriverCard, PassengerCard, PaymentMethod, Rater, Rating, Ride, Status};
use crate::category::Category;
use crate::fare::BreakdownView;
use crate::ids::{DriverId, PassengerId, PaymentId, RideId, VehicleId};
use crate::money::{Centavos, reais, reais_option};
use crate::payment::PaymentStatus;
use crate::place::Coordinates;
use crate::units::{UnixMillis, rfc3339, rfc3339_option};

/// For whom a ride is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reader {
    Passenger,
    Driver,
    /// A driver who was offered the ride and does not have it: who drives it is not his business.
    Offered,
    Admin,
}

impl Reader {
    /// As whom this reader rates.
    const fn rater(self) -> Option<Rater> {
        match self {
            Self::Passenger => Some(Rater::Passenger),
            Self::Driver => Some(Rater::Driver),
            Self::Offered | Self::Admin => None,
        }
    }
}

#[derive(Serialize)]
struct RideView<'a> {
    id: RideId,
    status: Status,
    /// Whether its driver first ends another ride.
    chained: bool,
    category: Category,
    passenger: PassengerView<'a>,
    driver: Option<DriverView<'a>>,
    pickup: Coordinates,
    dropoff: Coordinates,
    stops: &'a [Coordinates],
    fare: FareView,
    payment_method: PaymentMethod,
    payment: Option<PaymentView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pin: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    notes: Option<&'a str>,
    version: u64,
    #[serde(serialize_with = "rfc3339")]
    requested_at: UnixMillis,
    #[serde(serialize_with = "rfc3339_option")]
    accepted_at: Option<UnixMillis>,
    #[serde(serialize_with = "rfc3339_option")]
    arrived_at: Option<UnixMillis>,
    #[serde(serialize_with = "rfc3339_option")]
    started_at: Option<UnixMillis>,
    #[serde(serialize_with = "rfc3339_option")]
    completed_at: Option<UnixMillis>,
    #[serde(serialize_with = "rfc3339_option")]
    canceled_at: Option<UnixMillis>,
    cancellation: Option<CancellationView<'a>>,
    /// What its reader said of the other; what the other said is not told.
    #[serde(skip_serializing_if = "Option::is_none")]
    rating: Option<&'a Rating>,
}

/// What is to be paid by Pix for it; the rest is the payment's own.
#[derive(Serialize)]
struct PaymentView {
    status: PaymentStatus,
    payment_id: PaymentId,
}

#[derive(Serialize)]
struct PassengerView<'a> {
    id: PassengerId,
    name: &'a str,
    rating: f64,
}

#[derive(Serialize)]
struct DriverView<'a> {
    id: DriverId,
    name: &'a str,
    rating: f64,
    vehicle: Option<VehicleView<'a>>,
    location: Option<Coordinates>,
}

#[derive(Serialize)]
struct VehicleView<'a> {
    id: VehicleId,
    plate: &'a str,
    make: &'a str,
    model: &'a str,
    color: &'a str,
}

#[derive(Serialize)]
struct FareView {
    #[serde(serialize_with = "reais")]
    estimated: Centavos,
    #[serde(rename = "final", serialize_with = "reais_option")]
    final_fare: Option<Centavos>,
    currency: &'static str,
    breakdown: BreakdownView,
}

#[derive(Serialize)]
struct CancellationView<'a> {
    by: &'static str,
    reason: &'static str,
    note: Option<&'a str>,
    #[serde(serialize_with = "reais")]
    fee: Centavos,
    #[serde(serialize_with = "rfc3339")]
    at: UnixMillis,
}

/// Bytes that a ride as JSON usually takes, so that its text need not grow while it is written.
pub(crate) const RIDE_JSON: usize = 1536;

/// Anything as JSON text, written into room for `expected` bytes.
pub(crate) fn json_text(value: &impl Serialize, expected: usize) -> String {
    let mut text = Vec::with_capacity(expected);
    match serde_json::to_writer(&mut text, value) {
        Ok(()) => String::from_utf8(text).unwrap_or_default(),
        Err(_) => String::new(),
    }
}

/// A rating in hundredths as shown, 0.00 to 5.00.
#[must_use]
pub fn rating(hundredths: u16) -> f64 {
    f64::from(hundredths) / 100.0
}

impl Ride {
    /// The ride as JSON text for `reader`: what REST, `res` and `evt` all carry.
    #[must_use]
    pub fn json_for(&self, reader: Reader) -> String {
        json_text(&self.view(reader), RIDE_JSON)
    }

    fn view(&self, reader: Reader) -> RideView<'_> {
        let stranger = reader == Reader::Offered;
        let driver = self.driver.as_ref().filter(|_| !stranger);
        let ended_early = self.cancellation.as_ref();
        RideView {
            id: self.id,
            status: self.status,
            chained: self.status == Status::Accepted && self.chain.is_some() && !stranger,
            category: self.order.category,
            passenger: passenger(&self.order.passenger),
            driver: driver.map(|card| self.driver_view(card)),
            pickup: self.order.pickup,
            dropoff: self.order.dropoff,
            stops: &self.order.stops,
            fare: FareView {
                estimated: self.order.fare.estimated,
                final_fare: self.final_fare,
                currency: "BRL",
                breakdown: self.order.fare.breakdown.into(),
            },
            payment_method: self.order.payment_method,
            payment: self.payment_view().filter(|_| !stranger),
            pin: (reader == Reader::Passenger).then_some(&*self.order.pin.0),
            notes: self.order.notes.as_deref().filter(|_| !stranger),
            version: self.version,
            requested_at: self.requested_at,
            accepted_at: self.accepted_at,
            arrived_at: self.arrived_at,
            started_at: self.started_at,
            completed_at: self.completed_at,
            canceled_at: ended_early.map(|cancellation| cancellation.at),
            cancellation: ended_early.filter(|_| !stranger).map(cancellation),
            rating: reader.rater().and_then(|by| self.ratings.by(by)),
        }
    }

    fn payment_view(&self) -> Option<PaymentView> {
        let status = self.payment_status()?;
        Some(PaymentView { status, payment_id: PaymentId::of_ride(self.id) })
    }

    fn driver_view<'a>(&'a self, card: &'a DriverCard) -> DriverView<'a> {
        let vehicle = card.vehicle.as_ref().map(|vehicle| VehicleView {
            id: vehicle.id,
            plate: &vehicle.plate,
            make: &vehicle.make,
            model: &vehicle.model,
            color: &vehicle.color,
        });
        // Shown while the driver is bound to the ride, never after its end.
        let shown = self.status.has_driver();
        DriverView {
            id: card.id,
            name: &card.name,
            rating: rating(card.rating),
            vehicle,
            location: self.driver_at.filter(|_| shown).map(|position| position.place),
        }
    }
}

fn passenger(card: &PassengerCard) -> PassengerView<'_> {
    PassengerView { id: card.id, name: &card.name, rating: rating(card.rating) }
}

fn cancellation(cancellation: &Cancellation) -> CancellationView<'_> {
    CancellationView {
        by: cancellation.by.as_str(),
        reason: cancellation.reason.as_str(),
        note: cancellation.note.as_deref(),
        fee: cancellation.fee,
        at: cancellation.at,
    }
}
