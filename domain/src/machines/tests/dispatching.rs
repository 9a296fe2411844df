//! The dispatcher's machine and its policy: who is asked, when, and what becomes of nonsense.

use std::sync::Arc;

use crate::category::Category;
use crate::dispatch::{
    Again, Merits, Offer, Plan, Policy, PolicyKind, Reach, Rules, View, Waiting,
};
use crate::facts::Zone;
use crate::ids::{DriverId, RideId};
use crate::machines::{
    Candidate, DispatcherInput, DispatcherMachine, DriverInput, Envelope, Machine, Note, Output,
    Outputs, RideInput, Seek, WaveId,
};
use crate::ride::sample::{self, after, driver, offer_id, ride_id};
use crate::units::{Metres, Millis, Seconds, UnixMillis};

/// A dispatcher alone with its inputs.
struct Alone {
    machine: DispatcherMachine<u64>,
    now: UnixMillis,
}

impl Alone {
    fn new(policy: Arc<dyn Policy + Send + Sync>) -> Self {
        Self { machine: DispatcherMachine::new(Zone(0), policy), now: after(0) }
    }

    fn step(&mut self, input: DispatcherInput) -> Outputs<u64> {
        let mut out = vec![];
        self.machine.step(self.now, input, &mut out);
        out
    }

    fn seek(&mut self, ride: u32, count: u16) {
        let order = sample::order(sample::passenger(1));
        let seek = Seek {
            ride: ride_id(ride),
            search: 0,
            wave: 1,
            pickup: order.pickup,
            category: Category::Economy,
            radius: Metres(1500),
            count,
            since: self.now,
            excluded: vec![],
            slots_until: Millis::from_secs(15),
        };
        self.step(DispatcherInput::Seek(Box::new(seek)));
    }

    /// These drivers, so many seconds away, were found for the first wave of a ride.
    fn found(&mut self, ride: u32, drivers: &[(u32, u32)]) -> Outputs<u64> {
        let candidate = |(number, seconds): &(u32, u32)| Candidate {
            driver: driver(*number),
            offer: offer_id(*number),
            distance: Metres(*seconds),
            eta: Seconds(*seconds),
            free_in: None,
            merits: Merits::default(),
        };
        let candidates = drivers.iter().map(candidate).collect();
        self.step(DispatcherInput::Found { ride: ride_id(ride), wave: 1, candidates })
    }
}

/// Whom it asked for a slot, and for which ride.
fn asked(out: &Outputs<u64>) -> Vec<(RideId, DriverId)> {
    let slot = |output: &Output<u64>| match output {
        Output::Send(Envelope::Driver(to, DriverInput::Slot { slot, .. })) => {
            Some((slot.ride, *to))
        }
        _ => None,
    };
    out.iter().filter_map(slot).collect()
}

/// The rides that were handed a wave, with how many drivers.
fn handed(out: &Outputs<u64>) -> Vec<(RideId, usize)> {
    let wave = |output: &Output<u64>| match output {
        Output::Send(Envelope::Ride(ride, RideInput::Offers { candidates, .. })) => {
            Some((*ride, candidates.len()))
        }
        _ => None,
    };
    out.iter().filter_map(wave).collect()
}

fn alarm(out: &Outputs<u64>) -> Option<UnixMillis> {
    let last = out.iter().rev().find_map(|output| match output {
        Output::Alarm(at) => Some(*at),
        _ => None,
    });
    last.flatten()
}

fn default() -> Arc<dyn Policy + Send + Sync> {
    PolicyKind::Default.build(Rules::default())
}

#[test]
fn a_ride_alone_has_its_wave_at_once_and_nobody_found_is_told_at_once() {
    let mut dispatcher = Alone::new(default());
    dispatcher.seek(1, 2);
    let out = dispatcher.found(1, &[(1, 60), (2, 70), (3, 80)]);
    assert_eq!(asked(&out), [(ride_id(1), driver(1)), (ride_id(1), driver(2))]);
    dispatcher.seek(2, 1);
    assert_eq!(handed(&dispatcher.found(2, &[])), [(ride_id(2), 0)]);
}

#[test]
fn rides_that_gather_get_the_least_total_and_none_is_held_for_long() {
    // Policy `batch` with a long window: the first ride is decided alone, the others together.
    let rules = Rules { window: Millis::from_secs(5), ..Rules::default() };
    let mut dispatcher = Alone::new(PolicyKind::Batch.build(rules));
    dispatcher.seek(1, 1);
    assert_eq!(asked(&dispatcher.found(1, &[(9, 10)])).len(), 1);
    dispatcher.seek(2, 1);
    dispatcher.seek(3, 1);
    assert_eq!(asked(&dispatcher.found(2, &[(1, 60), (2, 80)])), []);
    let out = dispatcher.found(3, &[(1, 50), (2, 200)]);
    assert_eq!(asked(&out), []);
    dispatcher.now = dispatcher.now + Millis::from_secs(5);
    let out = dispatcher.step(DispatcherInput::Alarm);
    assert_eq!(asked(&out), [(ride_id(2), driver(2)), (ride_id(3), driver(1))]);

    // A car too far for a young ride is held back, but no longer than a few seconds.
    let mut dispatcher = Alone::new(default());
    dispatcher.seek(1, 1);
    let mut out = dispatcher.found(1, &[(1, 890)]);
    let end = dispatcher.now + Millis::from_secs(4);
    while asked(&out).is_empty() {
        assert_eq!(handed(&out), []);
        let at = alarm(&out).expect("it has an alarm of its own");
        assert!(at > dispatcher.now && at <= end, "nobody is held for longer");
        dispatcher.now = at;
        out = dispatcher.step(DispatcherInput::Alarm);
    }
    assert_eq!((asked(&out), dispatcher.now), (vec![(ride_id(1), driver(1))], end));
}

/// Says the same driver for every ride.
struct Unsound;

impl Policy for Unsound {
    fn kind(&self) -> PolicyKind {
        PolicyKind::Race
    }

    fn decide(&self, view: &View<'_>) -> Plan {
        let offer = |ride: &Waiting| Offer {
            ride: ride.ride,
            cars: view.supply.near(ride, Reach { free: 1, soon: 0 }).repeat(2),
        };
        let offers = view.waiting.iter().map(offer).collect();
        Plan { offers, again: Again::After(Millis::from_secs(1)) }
    }

    fn pickup_max(&self, _waited: Millis) -> Millis {
        Millis(u64::MAX)
    }
}

#[test]
fn a_plan_that_cannot_be_carried_out_is_counted_and_each_ride_gets_its_nearest() {
    let mut dispatcher = Alone::new(Arc::new(Unsound));
    dispatcher.seek(1, 2);
    let out = dispatcher.found(1, &[(1, 60), (2, 70), (3, 80)]);
    assert!(out.iter().any(|output| matches!(output, Output::Note(Note::PlanRefused))));
    assert_eq!(asked(&out), [(ride_id(1), driver(1)), (ride_id(1), driver(2))]);
}

#[test]
fn a_refused_slot_goes_to_nobody_beyond_the_policys_limit() {
    let mut dispatcher = Alone::new(default());
    dispatcher.seek(1, 1);
    assert_eq!(asked(&dispatcher.found(1, &[(1, 60), (2, 100), (3, 890)])).len(), 1);
    let refuse = |driver| {
        let (ride, of, granted) = (ride_id(1), WaveId { search: 0, wave: 1 }, false);
        DispatcherInput::SlotAnswer { ride, of, driver, granted }
    };
    assert_eq!(asked(&dispatcher.step(refuse(driver(1)))), [(ride_id(1), driver(2))]);
    let out = dispatcher.step(refuse(driver(2)));
    assert_eq!((asked(&out), handed(&out)), (vec![], vec![(ride_id(1), 0)]));
}

#[test]
fn a_policy_that_waits_for_a_change_is_asked_again_in_time() {
    // A little too far for a ride that was just asked for, and near enough two seconds later.
    let mut dispatcher = Alone::new(default());
    dispatcher.seek(1, 1);
    let out = dispatcher.found(1, &[(1, 455)]);
    assert_eq!(asked(&out), []);
    dispatcher.now = alarm(&out).expect("it has an alarm of its own");
    assert_eq!(dispatcher.now, after(2000));
    let out = dispatcher.step(DispatcherInput::Alarm);
    assert_eq!(asked(&out), [(ride_id(1), driver(1))]);
}

#[test]
fn between_equally_near_drivers_merits_decide_and_they_are_bounded() {
    let merits = |idle_s| Merits { idle: Millis::from_secs(idle_s), ..Merits::default() };
    for (nearer_s, first) in [(60, 2), (55, 2), (1, 1)] {
        let mut dispatcher = Alone::new(default());
        dispatcher.seek(1, 1);
        let candidate = |number, seconds, idle_s| Candidate {
            driver: driver(number),
            offer: offer_id(number),
            distance: Metres(seconds),
            eta: Seconds(seconds),
            free_in: None,
            merits: merits(idle_s),
        };
        // However long he stood: a minute nearer is nearer.
        let candidates = vec![candidate(1, nearer_s, 0), candidate(2, 62, 100_000)];
        let found = DispatcherInput::Found { ride: ride_id(1), wave: 1, candidates };
        assert_eq!(asked(&dispatcher.step(found)), [(ride_id(1), driver(first))], "{nearer_s}");
    }
}
