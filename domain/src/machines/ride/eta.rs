//! When the driver will be there: asked now and then, told when it has changed, never recorded.

use super::{Coordinates, Ephemeral, Output, RideMachine, Turn, UnixMillis};
use crate::ride::{Ride, Status};
use crate::units::{Millis, Seconds};

/// Told again after this long though it has not changed: a device may have come since.
const TELL_AGAIN: Millis = Millis::from_secs(30);

/// Less than this is no change, nor is less than a twentieth of what was told.
const MARGIN: Seconds = Seconds(5);

/// A way that is still to be driven.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ahead {
    pub from: Coordinates,
    pub to: Coordinates,
}

/// What was asked and told of one driver's way.
#[derive(Debug, Default)]
pub(super) struct Eta {
    asked_at: Option<UnixMillis>,
    told: Option<Told>,
}

#[derive(Debug)]
struct Told {
    to: Coordinates,
    eta: Seconds,
    at: UnixMillis,
}

impl Told {
    fn still_says(&self, to: Coordinates, eta: Seconds, now: UnixMillis) -> bool {
        let margin = MARGIN.0.max(self.eta.0 / 20);
        self.to == to && self.eta.0.abs_diff(eta.0) < margin && now < self.at + TELL_AGAIN
    }
}

impl<R> RideMachine<R> {
    /// Asks how long the driver will take to where he is going, unless that was asked just now.
    pub(super) fn look_ahead(&mut self, turn: &mut Turn<'_, R>) {
        let Some(ride) = &self.ride else { return };
        let (Some(position), Some(to)) = (ride.driver_position(), goal(ride)) else { return };
        if self.eta.asked_at.is_some_and(|asked| turn.now < asked + self.policy.eta_every) {
            return;
        }
        self.eta.asked_at = Some(turn.now);
        turn.out.push(Output::Route(Ahead { from: position.place, to }));
    }

    /// He would take so long to `to`. Tells the passenger, if that is news.
    pub(super) fn ahead(&mut self, turn: &mut Turn<'_, R>, to: Coordinates, eta: Seconds) {
        let Some(ride) = self.ride.as_ref().filter(|ride| goal(ride) == Some(to)) else { return };
        if self.eta.told.as_ref().is_some_and(|told| told.still_says(to, eta, turn.now)) {
            return;
        }
        self.eta.told = Some(Told { to, eta, at: turn.now });
        turn.out.push(Output::Push(Ephemeral {
            to: ride.order.passenger.id.into(),
            op: "ride.eta",
            key: ride.id.0,
            body: serde_json::json!({"ride_id": ride.id, "eta_s": eta}).to_string().into(),
        }));
    }
}

/// Where the driver is going. Which of its stops a ride has passed is not known, so of one with
/// stops nothing is said once it has started.
fn goal(ride: &Ride) -> Option<Coordinates> {
    match ride.status {
        Status::Accepted | Status::Arriving => Some(ride.order.pickup),
        Status::Started => ride.order.stops.is_empty().then_some(ride.order.dropoff),
        Status::Searching
        | Status::Arrived
        | Status::Completed
        | Status::Canceled
        | Status::NoDriver => None,
    }
}
