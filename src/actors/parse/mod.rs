//! Parsing: from JSON that somebody sent to commands and positions whose values are all valid.
//!
//! REST and sessions call the same functions, so that one can never take what the other refuses.
//! What is wrong with the fields is told all at once; nothing here knows who is asking.

mod form;
mod json;
mod money;

use ibora_domain::category::Category;
use ibora_domain::field::FieldError;
use ibora_domain::ids::{OfferId, RideId, VehicleId};
use ibora_domain::place::{Coordinates, whole};
use ibora_domain::ride::{PaymentMethod, Stars};
use ibora_domain::units::{Metres, UnixMillis};
use serde_json::Value;
use uuid::Uuid;

use super::{Command, Point, RideRequest, Trip};

pub use form::{
    Form, Read, flag, integer, list, moment, name, number, place, raw_text, text, uuid,
};
pub use json::{JsonFault, json};
pub use money::{
    amount, dispute, evidence, give_credit, payment_intent, payment_refund, payment_waiver, ruling,
    tip, top_up,
};

/// Objects and lists inside each other.
pub const DEPTH_MAX: usize = 16;
/// Stops on the way.
pub const STOPS_MAX: usize = 5;
/// Characters of a passenger's notes, of a cancellation's note, of a reason and of a comment.
pub const NOTE_CHARS_MAX: usize = 500;
/// Positions reported at once.
pub const POINTS_MAX: usize = 100;
/// Digits of a PIN.
const PIN_DIGITS: usize = 4;
/// The largest number that stands for milliseconds: the year 9999.
const UNIX_MS_MAX: i64 = 253_402_300_799_999;

/// What a passenger wants to know the price of.
#[derive(Debug, Clone, PartialEq)]
pub struct Estimate {
    pub trip: Trip,
    /// `None`: every category.
    pub category: Option<Category>,
}

/// Reads the command `op` about `key` from its body `d`; `null` is an empty body.
///
/// The ops of a session but for `ride.estimate`, which asks and changes nothing: [`estimate`].
///
/// # Errors
/// Every fault of the fields; that of an unknown op is called `op`, of a missing ride `key`.
pub fn command(op: &str, key: Option<Uuid>, d: &Value) -> Read<Command> {
    match op {
        "driver.online" => online(d),
        "driver.offline" => Form::of(d).close(Some(Command::Offline)),
        "ride.request" => request(d),
        "ride.accept" | "ride.decline" | "ride.arrive" | "ride.start" | "ride.complete"
        | "ride.cancel" | "ride.rate" => of_ride(op, key, d),
        _ => Err(vec![FieldError::new("op", "unknown_value", "there is no such op")]),
    }
}

/// Reads the command of `PUT /me/availability`.
///
/// # Errors
/// Every fault of the fields.
pub fn availability(d: &Value) -> Read<Command> {
    let mut form = Form::of(d);
    let online = form.required("status", |value| match value.as_str() {
        Some("online") => Ok(true),
        Some("offline") => Ok(false),
        _ => Err(vec![FieldError::whole("unknown_value", "online or offline")]),
    });
    let category = form.optional("category", name::<Category>);
    let vehicle_id = form.optional("vehicle_id", uuid).map(VehicleId);
    let location = match online {
        Some(true) => form.required("location", place),
        Some(false) | None => form.optional("location", place),
    };
    form.close(online.map(|online| match online {
        true => Command::Online { category, vehicle_id, location },
        false => Command::Offline,
    }))
}

fn online(d: &Value) -> Read<Command> {
    let mut form = Form::of(d);
    let category = form.optional("category", name::<Category>);
    let vehicle_id = form.optional("vehicle_id", uuid).map(VehicleId);
    let location = form.required("location", place);
    form.close(Some(Command::Online { category, vehicle_id, location }))
}

fn of_ride(op: &str, key: Option<Uuid>, d: &Value) -> Read<Command> {
    let mut form = Form::of(d);
    if key.is_none() {
        form.fault(FieldError::new("key", "required", "the id of the ride"));
    }
    let ride = RideId(key.unwrap_or_default());
    let made = match op {
        "ride.accept" => Some(Command::Accept { ride, offer_id: offer_id(&mut form) }),
        "ride.decline" => {
            let offer_id = offer_id(&mut form);
            let reason = form.optional("reason", text(1..=NOTE_CHARS_MAX));
            Some(Command::Decline { ride, offer_id, reason })
        }
        "ride.arrive" => Some(Command::Arrive { ride, location: form.optional("location", place) }),
        "ride.start" => form.required("pin", pin).map(|pin| Command::Start { ride, pin }),
        "ride.complete" => {
            let location = form.optional("location", place);
            let reason = form.optional("reason", text(1..=NOTE_CHARS_MAX));
            Some(Command::Complete { ride, location, reason })
        }
        "ride.rate" => {
            let stars = form.required("stars", stars);
            let comment = form.optional("comment", text(0..=NOTE_CHARS_MAX));
            // One who says nothing has no comment.
            let comment = comment.filter(|comment| !comment.is_empty());
            stars.map(|stars| Command::Rate { ride, stars, comment })
        }
        _ => {
            let reason = form.required("reason", name);
            let note = form.optional("note", text(0..=NOTE_CHARS_MAX));
            reason.map(|reason| Command::Cancel { ride, reason, note })
        }
    };
    form.close(made)
}

fn offer_id(form: &mut Form<'_>) -> Option<OfferId> {
    form.optional("offer_id", uuid).map(OfferId)
}

fn stars(value: &Value) -> Read<Stars> {
    let number = integer(1..=5)(value)?;
    let stars = u8::try_from(number).ok().and_then(|number| Stars::try_from(number).ok());
    stars.ok_or_else(|| vec![FieldError::whole("out_of_range", "1 to 5 stars")])
}

fn pin(value: &Value) -> Read<String> {
    let pin = text(PIN_DIGITS..=PIN_DIGITS)(value)?;
    if pin.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(pin);
    }
    Err(vec![FieldError::whole("invalid_format", "four digits")])
}

fn request(d: &Value) -> Read<Command> {
    let mut form = Form::of(d);
    let quote_id = form.optional("quote_id", uuid);
    let trip = trip(&mut form);
    let category = form.required("category", name::<Category>);
    let payment_method = form.required("payment_method", name::<PaymentMethod>);
    let notes = form.optional("notes", text(0..=NOTE_CHARS_MAX));
    form.unsupported("scheduled_at", "rides are ordered for now, not for later");
    let made = trip.zip(category).zip(payment_method);
    form.close(made.map(|((Trip { pickup, stops, dropoff }, category), payment_method)| {
        Command::Request(RideRequest {
            quote_id,
            pickup,
            dropoff,
            stops,
            category,
            payment_method,
            notes,
        })
    }))
}

/// Reads the body of `POST /rides/estimate` and of the op `ride.estimate`.
///
/// # Errors
/// Every fault of the fields.
pub fn estimate(d: &Value) -> Read<Estimate> {
    let mut form = Form::of(d);
    let trip = trip(&mut form);
    let category = form.optional("category", name::<Category>);
    form.close(trip.map(|trip| Estimate { trip, category }))
}

fn trip(form: &mut Form<'_>) -> Option<Trip> {
    let pickup = form.required("pickup", place);
    let dropoff = form.required("dropoff", place);
    let stops = form.optional("stops", list(0..=STOPS_MAX, place)).unwrap_or_default();
    Some(Trip { pickup: pickup?, stops, dropoff: dropoff? })
}

/// Reads the body of `POST /me/locations`: positions, the newest last however they were sent.
///
/// # Errors
/// Every fault of the fields.
pub fn points(d: &Value) -> Read<Vec<Point>> {
    let mut form = Form::of(d);
    let points = form.required("points", list(1..=POINTS_MAX, point));
    form.close(points.map(newest_last))
}

/// Reads the `pts` of a `tel` frame, `[ms, lat, lng, acc_m, speed_mps, bearing_deg]` each; what
/// stands behind `lng` may be left out or `null`.
///
/// # Errors
/// Every fault, by the names that `/me/locations` has for these.
pub fn rows(pts: &Value) -> Read<Vec<Point>> {
    list(1..=POINTS_MAX, row)(pts).map(newest_last)
}

fn newest_last(mut points: Vec<Point>) -> Vec<Point> {
    points.sort_by_key(|point| point.at);
    points
}

fn point(value: &Value) -> Read<Point> {
    let mut form = Form::of(value);
    let at = form.required("at", moment);
    let lat = form.required("lat", number(-90.0..=90.0));
    let lng = form.required("lng", number(-180.0..=180.0));
    let accuracy = form.optional("accuracy_m", number(ACCURACY_M));
    form.optional("speed_mps", number(SPEED_MPS));
    form.optional("bearing_deg", number(BEARING_DEG));
    let place = lat.zip(lng).and_then(|(lat, lng)| Coordinates::new(lat, lng).ok());
    form.close(at.zip(place).map(|(at, place)| Point { at, place, accuracy: stated(accuracy) }))
}

/// What a phone may say of its accuracy, speed and bearing; -1 is a phone's word for "unknown".
const ACCURACY_M: std::ops::RangeInclusive<f64> = -1.0..=1_000_000.0;
const SPEED_MPS: std::ops::RangeInclusive<f64> = -1.0..=1000.0;
const BEARING_DEG: std::ops::RangeInclusive<f64> = -1.0..=360.0;

/// An accuracy that was not stated is the worst: such a point proves no arrival.
fn stated(accuracy: Option<f64>) -> Metres {
    accuracy
        .filter(|metres| *metres >= 0.0)
        .map_or(Metres(u32::MAX), |metres| Metres(whole(metres)))
}

fn row(value: &Value) -> Read<Point> {
    let cells = value.as_array().filter(|cells| (3..=6).contains(&cells.len()));
    let Some(cells) = cells else {
        return Err(vec![FieldError::whole("invalid_format", "a point has 3 to 6 numbers")]);
    };
    let null = Value::Null;
    let cell = |at: usize| cells.get(at).unwrap_or(&null);
    let mut faults = Vec::new();
    let at = read(&mut faults, "at", integer(0..=UNIX_MS_MAX)(cell(0)));
    let lat = read(&mut faults, "lat", number(-90.0..=90.0)(cell(1)));
    let lng = read(&mut faults, "lng", number(-180.0..=180.0)(cell(2)));
    let mut accuracy = None;
    let rest = [("accuracy_m", ACCURACY_M), ("speed_mps", SPEED_MPS), ("bearing_deg", BEARING_DEG)];
    for (position, (name, range)) in rest.into_iter().enumerate() {
        let value = cell(3 + position);
        if !value.is_null() {
            let number = read(&mut faults, name, number(range)(value));
            accuracy = if position == 0 { number } else { accuracy };
        }
    }
    let place = lat.zip(lng).and_then(|(lat, lng)| Coordinates::new(lat, lng).ok());
    match (at, place) {
        (Some(at), Some(place)) if faults.is_empty() => {
            Ok(Point { at: UnixMillis(at), place, accuracy: stated(accuracy) })
        }
        _ => Err(faults),
    }
}

fn read<T>(faults: &mut Vec<FieldError>, name: &str, value: Read<T>) -> Option<T> {
    value.map_err(|wrong| faults.extend(wrong.into_iter().map(|fault| fault.within(name)))).ok()
}

#[cfg(test)]
mod tests;
