//! Words that come late or not at all, and what a machine alone makes of it.

use std::marker::PhantomData;
use std::sync::Arc;

use super::disk::Disk;
use crate::category::Category;
use crate::facts::Zone;
use crate::machines::{
    Ask, DispatcherInput, DriverInput, DriverMachine, DriverPolicy, Driving, Envelope, Held,
    Machine, NotWon, Output, Outputs, RideInput, RideMachine, RideRecords, Slot, WaveId,
};
use crate::policy::RidePolicy;
use crate::ride::sample::{self, after, driver, ride_id};
use crate::ride::{Chain, Status};
use crate::units::{Millis, UnixMillis};

#[test]
fn a_chained_ride_that_is_built_again_asks_at_once_whether_its_driver_comes() {
    let mut ride = sample::ride_in(Status::Accepted);
    ride.chain = Some(Chain { after: ride_id(2), due: after(100_000) });
    let records = RideRecords { ride: Some(ride), ..RideRecords::default() };
    let policy = Arc::new(RidePolicy::default());
    let mut machine: RideMachine<u64> = RideMachine::new(ride_id(1), policy, records);
    let now = after(9000);
    assert!(machine.deadline().is_some_and(|first| first <= now), "the word may have been lost");
    let mut out = vec![];
    machine.step(now, RideInput::Alarm, &mut out);
    let asks = |output: &Output<u64>| match output {
        Output::Send(Envelope::Ride(of, RideInput::Precedes { .. })) => *of == ride_id(2),
        _ => false,
    };
    assert!(out.iter().any(asks), "{out:?}");
}

/// A driver, alone with his inputs.
struct Alone(Driving<u64>);

impl Alone {
    fn new() -> Self {
        let limits = DriverPolicy {
            offers_max: 3,
            presence: Millis::from_secs(45),
            passivate_after: Millis::from_secs(300),
        };
        let records = Disk::default().driver_records(driver(1), &RidePolicy::default());
        let machine = DriverMachine::new(driver(1), Arc::new(limits), records, after(0));
        Self(Driving(machine, PhantomData))
    }

    fn step(&mut self, at: u64, input: DriverInput<u64>) -> Outputs<u64> {
        let mut out = vec![];
        self.0.step(after(at), input, &mut out);
        out
    }

    /// Whether he gives a slot.
    fn gives(&mut self, at: u64, slot: Slot) -> bool {
        let out = self.step(at, DriverInput::Slot { slot, zone: Zone(0) });
        out.iter().any(|output| match output {
            Output::Send(Envelope::Dispatcher(_, DispatcherInput::SlotAnswer { granted, .. })) => {
                *granted
            }
            _ => false,
        })
    }
}

fn wave_id(wave: u16) -> WaveId {
    WaveId { search: 0, wave }
}

fn slot(wave: u16, until: UnixMillis) -> Slot {
    Slot { ride: ride_id(1), of: wave_id(wave), until }
}

#[test]
fn the_end_of_an_offer_that_he_refused_frees_no_later_slot() {
    let mut he = Alone::new();
    assert!(he.gives(0, slot(1, after(20_000))));
    he.step(10, DriverInput::Offered { slot: slot(1, after(20_000)) });
    let won = || DriverInput::Won { ride: ride_id(2), held: Held::Now { dropoff: None } };
    let mut out = he.step(20, won());
    out.extend(he.step(25, won()));
    let refuses = |output: &&Output<u64>| {
        matches!(output, Output::Send(Envelope::Ride(_, RideInput::OfferUnwanted { .. })))
    };
    assert_eq!(out.iter().filter(refuses).count(), 1, "so one word of its end comes");
    he.step(30, DriverInput::Ended { ride: ride_id(2) });
    assert!(!he.gives(40, slot(2, after(21_000))), "the end of the first is on its way");
    he.step(50, DriverInput::OfferClosed { ride: ride_id(1), of: wave_id(1) });
    assert!(he.gives(60, slot(3, after(22_000))));
}

#[test]
fn a_slot_that_comes_back_late_leaves_the_one_of_a_later_wave() {
    let mut he = Alone::new();
    let back = |wave| DriverInput::OfferClosed { ride: ride_id(1), of: wave_id(wave) };
    assert!(he.gives(0, slot(1, after(20_000))));
    assert!(he.gives(10, slot(2, after(21_000))), "the same ride has one slot");
    he.step(20, back(1));
    assert_eq!(he.0.0.slots_taken(after(30)), 1, "that of the later wave");
    he.step(40, back(2));
    assert_eq!(he.0.0.slots_taken(after(50)), 0);
}

impl Alone {
    /// The numbers of the calls to rides that an input leads to.
    fn calls(&mut self, at: u64, input: DriverInput<u64>) -> Vec<u64> {
        let call = |output| match output {
            Output::Send(Envelope::Ride(_, RideInput::Accept { bid, .. })) => Some(bid.call),
            Output::Send(Envelope::Ride(_, RideInput::WhoseIsIt { call, .. })) => Some(call),
            _ => None,
        };
        self.step(at, input).into_iter().filter_map(call).collect()
    }
}

#[test]
fn the_answer_to_an_earlier_question_leaves_him_reserved_for_the_accept_that_came_after() {
    let mut he = Alone::new();
    let ask = || Ask { by: driver(1).into(), key: None, if_version: None, origin: None, reply: 0 };
    let tap = || DriverInput::Accept { ask: ask(), ride: ride_id(1), offer: None, at: None };
    let no = |call| DriverInput::NotWon { ride: ride_id(1), no: NotWon { call, closed: None } };
    let category = Some(Category::Economy);
    he.step(0, DriverInput::Online { ask: ask(), category, vehicle: None });
    let mut asked = he.calls(10, tap());
    asked.extend(he.calls(4000, DriverInput::Alarm));
    asked.extend(he.calls(8000, DriverInput::Alarm));
    asked.extend(he.calls(9000, tap()));
    assert_eq!(asked.len(), 4, "{asked:?}");
    assert!(asked.is_sorted_by(|earlier, later| earlier < later), "{asked:?}");
    for call in &asked[1..3] {
        he.step(9100, no(*call));
        assert_eq!(he.0.0.bound_to()[2], Some(ride_id(1)), "his second accept is on its way");
    }
    he.step(9200, no(asked[3]));
    assert_eq!(he.0.0.bound_to()[2], None);
}

#[test]
fn the_word_that_he_lost_frees_no_slot_that_he_gave_for_a_later_wave() {
    let mut he = Alone::new();
    let lost = |wave| DriverInput::NotWon {
        ride: ride_id(1),
        no: NotWon { call: 1, closed: Some(wave_id(wave)) },
    };
    assert!(he.gives(0, slot(2, after(21_000))));
    he.step(10, lost(1));
    assert_eq!(he.0.0.slots_taken(after(20)), 1, "he was asked for it while the ride answered");
    he.step(30, lost(2));
    assert_eq!(he.0.0.slots_taken(after(40)), 0);
}

/// To whom a ride says, of a slot for its `wave` that was not used, that it is free.
fn frees(machine: &mut RideMachine<u64>, number: u32, wave: u16) -> bool {
    let unused = RideInput::SlotUnused { driver: driver(number), of: wave_id(wave) };
    let mut out = vec![];
    machine.step(after(3000), unused, &mut out);
    let closes = |output: &Output<u64>| match output {
        Output::Send(Envelope::Driver(to, DriverInput::OfferClosed { of, .. })) => {
            (*to, *of) == (driver(number), wave_id(wave))
        }
        _ => false,
    };
    out.iter().any(closes)
}

#[test]
fn a_wave_that_was_sought_twice_gives_back_no_slot_of_an_offer_that_is_open() {
    let ride = Some(sample::ride_in(Status::Searching));
    let records = RideRecords { ride, ..RideRecords::default() };
    let policy = Arc::new(RidePolicy::default());
    let mut machine: RideMachine<u64> = RideMachine::new(ride_id(1), policy, records);
    assert!(!frees(&mut machine, 1, 1), "his offer of the first wave is open");
    assert!(frees(&mut machine, 3, 1), "the first wave was made without him");
    assert!(!frees(&mut machine, 3, 2), "the second is yet to be made, and may be with him");
}

#[test]
fn a_driver_who_gave_a_later_slot_gives_none_for_an_earlier_wave() {
    let mut he = Alone::new();
    assert!(he.gives(0, slot(2, after(21_000))));
    assert!(!he.gives(10, slot(1, after(20_000))), "its end would free the later one");
    he.step(20, DriverInput::Offered { slot: slot(1, after(20_000)) });
    he.step(30, DriverInput::OfferClosed { ride: ride_id(1), of: wave_id(1) });
    assert_eq!(he.0.0.slots_taken(after(40)), 1, "that of the later wave");
}
