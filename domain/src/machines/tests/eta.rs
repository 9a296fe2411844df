//! When the driver will be there: how often that is asked, and what of it is told.

use std::sync::Arc;

use crate::machines::{Ahead, Machine, Output, RideInput, RideMachine, RideRecords};
use crate::place::Coordinates;
use crate::policy::RidePolicy;
use crate::ride::DriverPosition;
use crate::ride::Status;
use crate::ride::sample::{after, driver, north_of_pickup, order, passenger, ride_id, ride_in};
use crate::units::{Metres, Seconds};

/// A ride that driver 1 has.
struct Driven(RideMachine<u64>);

impl Driven {
    fn new(status: Status) -> Self {
        let records = RideRecords { ride: Some(ride_in(status)), ..Default::default() };
        Self(RideMachine::new(ride_id(1), Arc::new(RidePolicy::default()), records))
    }

    /// He is so many metres from the pickup, at this time: what is asked of the router.
    fn at(&mut self, metres: f64, ms: u64) -> Option<Ahead> {
        let place = north_of_pickup(metres);
        let position = DriverPosition { place, at: after(ms), accuracy: Metres(1000) };
        let mut out = vec![];
        let input = RideInput::Position { driver: driver(1), position };
        self.0.step(after(ms), input, &mut out);
        out.into_iter().find_map(|output| match output {
            Output::Route(ahead) => Some(ahead),
            _ => None,
        })
    }

    /// The router's word at this time: what the passenger is told.
    fn takes(&mut self, eta: u32, to: Coordinates, ms: u64) -> Option<String> {
        let mut out = vec![];
        self.0.step(after(ms), RideInput::Ahead { to, eta: Seconds(eta) }, &mut out);
        out.into_iter().find_map(|output| match output {
            Output::Push(shown) => {
                assert_eq!((shown.op, shown.to), ("ride.eta", passenger(1).into()));
                Some(shown.body.to_string())
            }
            Output::Persist(_) => unreachable!("it is not recorded"),
            _ => None,
        })
    }
}

#[test]
fn a_router_is_asked_now_and_then_however_many_positions_come() {
    let mut ride = Driven::new(Status::Accepted);
    let to = order(passenger(1)).pickup;
    assert_eq!(ride.at(3000.0, 3000), Some(Ahead { from: north_of_pickup(3000.0), to }));
    for ms in 3001..3500 {
        assert_eq!(ride.at(2999.0, ms), None);
    }
    assert_eq!(ride.at(2900.0, 7999), None);
    assert!(ride.at(2900.0, 8000).is_some());
}

#[test]
fn a_passenger_is_told_what_is_news() {
    let mut ride = Driven::new(Status::Accepted);
    let to = order(passenger(1)).pickup;
    let expected = format!(r#"{{"ride_id":"{}","eta_s":300}}"#, ride_id(1));
    let told = ride.takes(300, to, 3000).expect("the first");
    let body: serde_json::Value = serde_json::from_str(&told).expect("JSON");
    assert_eq!(body, serde_json::from_str::<serde_json::Value>(&expected).expect("JSON"));
    // A twentieth of 300 s is the margin; of 20 s it would be too little to speak of.
    let table = [
        (300, 8000, false),
        (286, 13_000, false),
        (314, 18_000, false),
        (285, 23_000, true),
        (20, 28_000, true),
        (16, 30_000, false),
        (15, 31_000, true),
        (15, 60_999, false),
        (15, 61_000, true),
    ];
    for (eta, ms, told) in table {
        assert_eq!(ride.takes(eta, to, ms).is_some(), told, "{eta} at {ms}");
    }
    assert_eq!(ride.takes(60, order(passenger(1)).dropoff, 62_000), None, "not his way now");
}

#[test]
fn he_is_on_his_way_to_the_pickup_and_then_to_the_drop_off() {
    let order = order(passenger(1));
    let table = [
        (Status::Searching, None),
        (Status::Accepted, Some(order.pickup)),
        (Status::Arriving, Some(order.pickup)),
        (Status::Arrived, None),
        (Status::Started, Some(order.dropoff)),
        (Status::Completed, None),
        (Status::Canceled, None),
        (Status::NoDriver, None),
    ];
    for (status, to) in table {
        let asked = Driven::new(status).at(3000.0, 300_000);
        assert_eq!(asked.map(|ahead| ahead.to), to, "{status:?}");
        let told = Driven::new(status).takes(60, to.unwrap_or(order.pickup), 300_000);
        assert_eq!(told.is_some(), to.is_some(), "{status:?}");
    }
}
