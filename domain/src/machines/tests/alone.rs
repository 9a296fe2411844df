//! Single promises of one machine, alone with its inputs.

use std::sync::Arc;

use crate::dispatch::Merits;
use crate::facts::{CommandKey, StreamId, Zone};
use crate::ids::{DriverId, OfferId};
use crate::machines::{
    Ask, Candidate, DispatcherInput, DispatcherMachine, DriverCommand, DriverInput, Envelope,
    Machine, Output, Outputs, PassengerInput, PassengerMachine, PassengerRecords, RideInput,
    RideMachine, RideRecords, Riding, WaveId,
};
use crate::payment::PaymentPolicy;
use crate::policy::RidePolicy;
use crate::refusal::Refusal;
use crate::ride::sample::{self, after, driver, offer_id, passenger, ride_id};
use crate::ride::{Bid, Cancel, CancelAs, CancelReason, Rating, Stars, Status};
use crate::units::{Metres, Millis, Seconds, UnixMillis};

/// A ride that drivers 1 and 2 are offered, alone with its inputs.
struct Alone {
    machine: RideMachine<u64>,
    now: UnixMillis,
}

impl Alone {
    fn new() -> Self {
        let records =
            RideRecords { ride: Some(sample::ride_in(Status::Searching)), ..Default::default() };
        let policy = Arc::new(RidePolicy::default());
        let machine = RideMachine::new(ride_id(1), policy, records);
        let now = after(3000);
        Self { machine, now }
    }

    fn accept(&mut self, by: DriverId, offer: Option<OfferId>, key: (&str, i64)) -> Outputs<u64> {
        let bid = Box::new(Bid { offer, ..sample::bid(by) });
        self.step(RideInput::Accept { ask: asked(by, key), bid })
    }

    fn step(&mut self, input: RideInput<u64>) -> Outputs<u64> {
        let mut out = vec![];
        self.machine.step(self.now, input, &mut out);
        out
    }

    fn settle(&mut self, recording: bool) -> Outputs<u64> {
        let mut out = vec![];
        self.machine.settle(self.now, recording, &mut out);
        out
    }
}

fn asked(by: DriverId, (id, fingerprint): (&str, i64)) -> Ask<u64> {
    let key = CommandKey { principal: by.into(), id: Arc::from(id), fingerprint };
    Ask { by: by.into(), key: Some(key), if_version: None, origin: None, reply: 0 }
}

fn answers(out: &Outputs<u64>) -> Vec<&'static str> {
    out.iter()
        .filter_map(|output| match output {
            Output::Reply(_, Ok(_), _) => Some("yes"),
            Output::Reply(_, Err(refusal), _) => Some(refusal.code()),
            Output::Repeat(..) => Some("repeated"),
            _ => None,
        })
        .collect()
}

fn told_driver(out: &Outputs<u64>, id: DriverId) -> Vec<&'static str> {
    out.iter()
        .filter_map(|output| match output {
            Output::Send(Envelope::Driver(to, input)) if *to == id => Some(match input {
                DriverInput::Won { ride, .. } if *ride == ride_id(1) => "won",
                DriverInput::NotWon { .. } => "not won",
                DriverInput::OfferClosed { .. } => "closed",
                other => unreachable!("{other:?}"),
            }),
            _ => None,
        })
        .collect()
}

#[test]
fn the_same_accept_is_answered_the_same_at_every_moment() {
    let mut ride = Alone::new();
    assert_eq!(answers(&ride.accept(driver(1), None, ("a", 1))), ["yes"]);
    assert_eq!(answers(&ride.accept(driver(1), None, ("a", 1))), ["repeated"]);
    assert_eq!(answers(&ride.accept(driver(1), None, ("b", 1))), ["yes"], "a new id");
    assert_eq!(answers(&ride.accept(driver(1), None, ("a", 2))), ["idempotency_key_reused"]);

    // A refusal is on its way to disk only when the commit before it has ended; until then
    // whoever asks for it waits.
    assert!(answers(&ride.accept(driver(2), None, ("c", 1))).is_empty());
    assert!(answers(&ride.settle(true)).is_empty());
    assert!(answers(&ride.accept(driver(2), None, ("c", 1))).is_empty());
    let reused = ride.accept(driver(2), None, ("c", 2));
    assert_eq!(answers(&reused), ["idempotency_key_reused"]);
    let recorded = ride.settle(false);
    assert_eq!(answers(&recorded), ["ride_already_assigned"; 2]);
    assert_eq!(told_driver(&recorded, driver(2)), ["not won"; 2], "each accept comes back");
    let again = ride.accept(driver(2), None, ("c", 1));
    assert_eq!(answers(&again), ["ride_already_assigned"]);
    let anew = ride.accept(driver(2), None, ("d", 1));
    assert!(answers(&anew).is_empty());
    assert_eq!(answers(&ride.settle(false)), ["ride_already_assigned"]);
    assert_eq!(answers(&ride.accept(driver(3), None, ("e", 1))), ["offer_not_found"]);
}

#[test]
fn a_driver_who_gave_the_ride_back_is_told_again_what_he_was_told_before() {
    let (mut ride, his) = (Alone::new(), driver(1));
    let rating = || Rating { stars: Stars::try_from(5).expect("stars"), comment: None };
    let rate = |ride: &mut Alone, id| {
        answers(&ride.step(RideInput::Rate { ask: asked(his, (id, 1)), rating: rating() }))
    };
    let arrive = |ride: &mut Alone, id| {
        let command = DriverCommand::Arrive { location: None };
        answers(&ride.step(RideInput::Drive { ask: asked(his, (id, 2)), driver: his, command }))
    };
    assert_eq!(answers(&ride.accept(his, None, ("accept", 0))), ["yes"]);
    assert_eq!(rate(&mut ride, "rate"), ["illegal_transition"]);
    assert_eq!(arrive(&mut ride, "arrive"), ["yes"]);
    let cancel = Cancel { by: CancelAs::Driver(his), reason: CancelReason::Other, note: None };
    let cancel = RideInput::Cancel { ask: asked(his, ("cancel", 3)), cancel };
    assert_eq!(answers(&ride.step(cancel)), ["yes"]);

    assert_eq!(rate(&mut ride, "rate"), ["illegal_transition"]);
    assert_eq!(arrive(&mut ride, "arrive"), ["repeated"]);
    assert_eq!(rate(&mut ride, "arrive"), ["idempotency_key_reused"]);
    assert_eq!(rate(&mut ride, "new"), ["not_found"], "it is not his any more");
}

#[test]
fn a_driver_s_machine_hears_what_became_of_his_accept_before_he_does() {
    let mut ride = Alone::new();
    let mut told = vec![ride.accept(driver(1), None, ("won", 1))];
    told.push(ride.accept(driver(1), None, ("won", 1)));
    told.push(ride.accept(driver(1), None, ("won again", 1)));
    ride.accept(driver(2), None, ("lost", 1));
    told.push(ride.settle(false));
    told.push(ride.accept(driver(2), None, ("lost", 1)));
    told.push(ride.accept(driver(3), None, ("never asked", 1)));
    let his = |output: &Output<u64>| match output {
        Output::Send(Envelope::Driver(_, input)) => {
            matches!(input, DriverInput::Won { .. } | DriverInput::NotWon { .. })
        }
        _ => false,
    };
    let answer = |output: &Output<u64>| matches!(output, Output::Reply(..) | Output::Repeat(..));
    for out in told {
        let (word, said) = (out.iter().position(his), out.iter().position(answer));
        assert!(word.is_some() && said.is_some() && word < said, "{out:?}");
    }
}

#[test]
fn a_winner_is_not_freed_by_an_earlier_accept_of_his() {
    let mut ride = Alone::new();
    let mut out = ride.accept(driver(1), Some(offer_id(99)), ("wrong offer", 1));
    out.extend(ride.accept(driver(1), Some(offer_id(1)), ("right offer", 1)));
    out.extend(ride.settle(false));
    assert_eq!(answers(&out), ["offer_expired", "yes"]);
    assert_eq!(told_driver(&out, driver(1)), ["not won", "won"]);
    assert_eq!(told_driver(&out, driver(2)), ["closed"]);
}

fn streams_written(out: &Outputs<u64>, id: DriverId) -> Vec<&'static str> {
    let rows = out.iter().filter_map(|output| match output {
        Output::Persist(decision) => Some(&decision.streams),
        _ => None,
    });
    let his = rows.flatten().filter(|row| row.stream == StreamId::Driver(id));
    his.map(|row| row.op).collect()
}

#[test]
fn a_loser_hears_of_it_once() {
    for accepts_in_time in [true, false] {
        let mut ride = Alone::new();
        let mut out = ride.accept(driver(1), None, ("first", 1));
        if accepts_in_time {
            out.extend(ride.accept(driver(2), None, ("second", 1)));
        }
        out.extend(ride.settle(false));
        let told = streams_written(&out, driver(2));
        assert_eq!(told.len(), usize::from(!accepts_in_time), "{told:?}");
        assert_eq!(answers(&out).len(), 1 + usize::from(accepts_in_time));
    }
}

#[test]
fn late_word_of_an_earlier_ride_does_not_hide_the_present_one() {
    let (earlier, present) = (ride_id(1), ride_id(2));
    let machine = PassengerMachine::new(
        passenger(1),
        &PaymentPolicy::default(),
        PassengerRecords { active: Some(present), ..PassengerRecords::default() },
        Millis(1),
    );
    let mut riding = Riding::<u64>(machine, std::marker::PhantomData);
    let late = [
        PassengerInput::Opened { ride: earlier, key: None },
        PassengerInput::Ended { ride: earlier, owes: None },
    ];
    for input in late {
        riding.step(after(0), input, &mut vec![]);
        assert_eq!(riding.0.bound_to(), Some(present));
    }
}

#[test]
fn a_price_that_has_run_out_does_not_hide_the_request_that_is_under_way() {
    let policy = PaymentPolicy::default();
    let records = PassengerRecords::default();
    let machine = PassengerMachine::new(passenger(1), &policy, records, Millis(1));
    let mut riding = Riding::<u64>(machine, std::marker::PhantomData);
    let mut step = |input| {
        let mut out = vec![];
        riding.step(after(0), input, &mut out);
        answers(&out)
    };
    let key = |id| CommandKey { principal: passenger(1).into(), id: Arc::from(id), fingerprint: 7 };
    let ask = |id| Ask {
        by: passenger(1).into(),
        key: Some(key(id)),
        if_version: None,
        origin: None,
        reply: 0,
    };
    let unpriced = |id| PassengerInput::Unpriced { ask: ask(id), refusal: Refusal::QuoteExpired };
    assert_eq!(step(unpriced("late")), ["quote_expired"]);
    let order = Box::new(sample::order(passenger(1)));
    assert!(step(PassengerInput::Request { ask: ask("once"), ride: ride_id(1), order }).is_empty());
    assert_eq!(step(unpriced("once")), ["idempotency_in_progress"]);
    step(PassengerInput::Opened { ride: ride_id(1), key: Some(key("once")) });
    assert_eq!(step(unpriced("once")), ["repeated"]);
    assert_eq!(step(unpriced("late")), ["quote_expired"]);
}

#[test]
fn an_alarm_that_comes_early_or_twice_does_no_harm() {
    let mut ride = Alone::new();
    for _ in 0..3 {
        let out = ride.step(RideInput::Alarm);
        assert!(out.iter().all(|output| !matches!(output, Output::Persist(_))));
        let alarm = out.iter().rev().find_map(|output| match output {
            Output::Alarm(at) => Some(*at),
            _ => None,
        });
        assert!(alarm.flatten().is_some_and(|at| at > ride.now), "{alarm:?}");
    }
    ride.now = after(200_000);
    let over = ride.step(RideInput::Alarm);
    assert!(over.iter().any(|output| matches!(output, Output::Persist(_))));
    let over_again = ride.step(RideInput::Alarm);
    assert!(over_again.is_empty());
}

#[test]
fn slots_of_a_wave_that_comes_too_late_are_given_back() {
    let mut ride = Alone::new();
    let _ = ride.accept(driver(1), None, ("a", 1));
    let candidate = |number| Candidate {
        driver: driver(number),
        offer: offer_id(number),
        distance: Metres(1),
        eta: Seconds(1),
        free_in: None,
        merits: Merits::default(),
    };
    let candidates = vec![candidate(5), candidate(6)];
    let (search, wave) = (0, 2);
    let out = ride.step(RideInput::Offers { search, wave, candidates });
    for number in [5, 6] {
        assert_eq!(told_driver(&out, driver(number)), ["closed"]);
    }
    let mut dispatcher =
        DispatcherMachine::<u64>::new(Zone(0), RidePolicy::default().dispatch_policy(Zone(0)));
    let mut out = vec![];
    let late = DispatcherInput::SlotAnswer {
        ride: ride_id(1),
        of: WaveId { search: 0, wave: 3 },
        driver: driver(7),
        granted: true,
    };
    dispatcher.step(after(0), late, &mut out);
    let unused = out.into_iter().find_map(|output| match output {
        Output::Send(Envelope::Ride(_, input)) => Some(input),
        _ => None,
    });
    let out = ride.step(unused.expect("the ride is told, for it knows of all its offers"));
    assert_eq!(told_driver(&out, driver(7)), ["closed"]);
}

#[test]
fn a_wave_asked_for_early_is_asked_for_again() {
    let mut ride = Alone::new();
    ride.now = after(500);
    let seeks = |out: &Outputs<u64>| {
        let asked = out.iter().filter(|output| {
            matches!(
                output,
                Output::Send(Envelope::Dispatcher(_, DispatcherInput::Seek(seek))) if seek.wave == 2
            )
        });
        asked.count()
    };
    for number in [1, 2] {
        let by = driver(number);
        let ask = Ask { by: by.into(), key: None, if_version: None, origin: None, reply: 0 };
        let (offer, reason) = (None, None);
        let out = ride.step(RideInput::Decline { ask, driver: by, offer, reason });
        assert_eq!(seeks(&out), usize::from(number == 2), "when nobody is left");
    }
    ride.now = after(2500);
    let out = ride.step(RideInput::Alarm);
    assert_eq!(seeks(&out), 1, "long before the wave's own time");
}
