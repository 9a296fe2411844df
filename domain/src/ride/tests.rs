//! What a ride answers and becomes, by table.

use super::sample::{
    FARE, PIN, START, after, bid, card, driver, north_of_pickup, offer, offer_id, order, passenger,
    position, requested, ride_id, ride_in, way_to,
};
use super::*;
use crate::ids::UserId;
use crate::refusal::Refusal;
use crate::units::Millis;

const ALL: [Status; 8] = [
    Status::Searching,
    Status::Accepted,
    Status::Arriving,
    Status::Arrived,
    Status::Started,
    Status::Completed,
    Status::Canceled,
    Status::NoDriver,
];

/// A moment at which offers are open and no wait is long.
fn soon() -> UnixMillis {
    after(3000)
}

fn policy() -> RidePolicy {
    RidePolicy::default()
}

fn cancel_by(by: CancelAs, reason: CancelReason) -> Cancel {
    let note = None;
    Cancel { by, reason, note }
}

type Decided = Result<Option<RideEvent>, Refusal>;

fn shown(decided: &Decided) -> &'static str {
    match decided {
        Ok(Some(event)) => event.kind(),
        Ok(None) => "same",
        Err(refusal) => refusal.code(),
    }
}

/// What `command` comes to. Driver 1 is the ride's, driver 2 was offered it, driver 3 was not.
fn run(ride: &Ride, command: &str) -> Decided {
    let changed_mind = |by| {
        let cancel = cancel_by(by, CancelReason::ChangedMind);
        ride.cancel(cancel, soon(), &policy())
    };
    match command {
        "accept 1" => ride.accept(&bid(driver(1)), soon(), &policy()),
        "accept 2" => ride.accept(&bid(driver(2)), soon(), &policy()),
        "accept 3" => ride.accept(&bid(driver(3)), soon(), &policy()),
        "decline 1" => ride.decline(driver(1), None, None),
        "decline 2" => ride.decline(driver(2), None, None),
        "decline 3" => ride.decline(driver(3), None, None),
        "arrive" => ride.arrive(Some(north_of_pickup(100.0)), &policy()),
        "start" => ride.start(PIN, soon(), &policy()).map(|(event, _)| event),
        "complete" => ride.complete(None),
        "passenger cancels" => changed_mind(CancelAs::Passenger),
        "driver cancels" => changed_mind(CancelAs::Driver(driver(1))),
        "admin cancels" => changed_mind(CancelAs::Admin),
        other => unreachable!("no such command: {other}"),
    }
}

#[test]
fn every_command_in_every_status() {
    const NO: &str = "illegal_transition";
    const TAKEN: &str = "ride_already_assigned";
    const OVER: &str = "ride_closed";
    const UNASKED: &str = "offer_not_found";
    const END: &str = "canceled";
    const BACK: &str = "released";
    const SAME: &str = "same";
    const DECLINED: &str = "offer_declined";
    #[rustfmt::skip]
    let table: [(&str, [&str; 8]); 12] = [
        // searching, accepted, arriving, arrived, started, completed, canceled, no_driver
        ("accept 1", ["assigned", SAME, SAME, SAME, SAME, OVER, OVER, OVER]),
        ("accept 2", ["assigned", TAKEN, TAKEN, TAKEN, TAKEN, OVER, OVER, OVER]),
        ("accept 3", [UNASKED; 8]),
        ("decline 1", [DECLINED, NO, NO, NO, NO, NO, NO, SAME]),
        ("decline 2", [DECLINED, SAME, SAME, SAME, SAME, SAME, SAME, SAME]),
        ("decline 3", [UNASKED; 8]),
        ("arrive", [NO, "arrived", "arrived", SAME, NO, NO, NO, NO]),
        ("start", [NO, NO, NO, "started", SAME, NO, NO, NO]),
        ("complete", [NO, NO, NO, NO, "completed", SAME, NO, NO]),
        ("passenger cancels", [END, END, END, END, END, OVER, SAME, OVER]),
        ("driver cancels", [NO, BACK, BACK, BACK, END, OVER, SAME, OVER]),
        ("admin cancels", [END, END, END, END, END, OVER, SAME, OVER]),
    ];
    for (command, expected) in table {
        for (status, expected) in ALL.into_iter().zip(expected) {
            let ride = ride_in(status);
            let decided = run(&ride, command);
            assert_eq!(shown(&decided), expected, "{command} when {status:?}");
            if let Ok(Some(event)) = decided {
                becomes_what_it_should(&ride, &event);
            }
        }
    }
}

fn becomes_what_it_should(before: &Ride, event: &RideEvent) {
    let mut ride = before.clone();
    ride.apply(event, soon());
    let expected = match event.kind() {
        "offer_declined" | "offer_withdrawn" | "offers_expired" | "released" => Status::Searching,
        "assigned" => Status::Accepted,
        "arrived" => Status::Arrived,
        "started" => Status::Started,
        "completed" => Status::Completed,
        "canceled" => Status::Canceled,
        other => unreachable!("no command makes {other}"),
    };
    assert_eq!(ride.status, expected);
    assert_eq!(ride.version, before.version + 1);
    let bound = ride.driver_id().is_some();
    assert!(bound || !ride.status.has_driver(), "a driver while driven");
    let open = ride.open_offers().count();
    assert!(open == 0 || ride.status == Status::Searching, "offers end");
}

#[test]
fn a_wrong_first_event_changes_nothing() {
    let mut ride = ride_in(Status::Accepted);
    let order = Box::new(order(passenger(9)));
    ride.apply(&RideEvent::Requested { order }, soon());
    assert_eq!(ride, ride_in(Status::Accepted));
}

#[test]
fn an_accept_counts_to_the_last_millisecond_of_its_grace() {
    let ride = ride_in(Status::Searching);
    let last = START + policy().offer_ttl + policy().accept_grace;
    let accept = |now| ride.accept(&bid(driver(1)), now, &policy());
    assert_eq!(shown(&accept(last)), "assigned");
    assert_eq!(accept(last + Millis(1)), Err(Refusal::OfferExpired));
    assert!(ride.overdue_offers(last, &policy()).is_empty());
    let over = ride.overdue_offers(last + Millis(1), &policy());
    assert_eq!(over, [driver(1), driver(2)]);
}

#[test]
fn refusals_of_an_accept_come_in_their_order() {
    let late = after(60_000);
    let refused = |status, who, unable| {
        let bid = Bid { offer: Some(offer_id(99)), unable, ..bid(driver(who)) };
        ride_in(status).accept(&bid, late, &policy())
    };
    let busy = Some(Refusal::DriverBusy);
    assert_eq!(refused(Status::Accepted, 3, busy), Err(Refusal::OfferNotFound));
    assert_eq!(refused(Status::NoDriver, 2, busy), Err(Refusal::RideClosed));
    assert_eq!(refused(Status::Accepted, 2, busy), Err(Refusal::RideAlreadyAssigned));
    assert_eq!(refused(Status::Searching, 2, busy), Err(Refusal::DriverBusy));
    assert_eq!(refused(Status::Searching, 2, None), Err(Refusal::OfferExpired));
    assert_eq!(refused(Status::Accepted, 1, busy), Ok(None), "his already");
}

#[test]
fn only_the_open_offer_can_be_accepted_or_declined() {
    let mut ride = ride_in(Status::Searching);
    let naming = |id| Bid { offer: Some(offer_id(id)), ..bid(driver(1)) };
    let accept = |ride: &Ride, id| ride.accept(&naming(id), soon(), &policy());
    assert_eq!(accept(&ride, 2), Err(Refusal::OfferExpired), "another's");
    assert_eq!(shown(&accept(&ride, 1)), "assigned");
    let another = ride.decline(driver(1), Some(offer_id(2)), None);
    assert_eq!(another, Err(Refusal::OfferExpired));

    let declined = ride.decline(driver(1), Some(offer_id(1)), None);
    ride.apply(&declined.expect("open").expect("new"), soon());
    assert_eq!(accept(&ride, 1), Err(Refusal::OfferExpired), "declined");
    assert!(!ride.may_ask(driver(1)));
    assert_eq!(ride.decline(driver(1), None, None), Ok(None));

    let withdrawn = RideEvent::OfferWithdrawn { driver: driver(2), offer: offer_id(2) };
    ride.apply(&withdrawn, soon());
    assert!(ride.may_ask(driver(2)), "he may be free again");
    assert_eq!(ride.open_offers().count(), 0);
}

#[test]
fn money_of_early_ends() {
    use CancelReason::{ChangedMind, NoShow};
    let him = CancelAs::Driver(driver(1));
    let fee = policy().cancel_fee;
    let none = Centavos::ZERO;
    #[rustfmt::skip]
    let table = [
        // status, by, reason, ms after the request, fee or refusal
        (Status::Searching, CancelAs::Passenger, ChangedMind, 3000, Ok(none)),
        (Status::Accepted, CancelAs::Passenger, ChangedMind, 2000, Ok(fee)),
        (Status::Arriving, CancelAs::Passenger, ChangedMind, 40_000, Ok(fee)),
        (Status::Arrived, CancelAs::Passenger, ChangedMind, 70_000, Ok(fee)),
        (Status::Started, CancelAs::Passenger, ChangedMind, 99_000, Ok(FARE)),
        (Status::Started, him, ChangedMind, 99_000, Ok(none)),
        (Status::Started, CancelAs::Admin, ChangedMind, 99_000, Ok(none)),
        (Status::Arrived, CancelAs::Admin, NoShow, 999_000, Ok(none)),
        (Status::Arrived, him, NoShow, 359_999, Err(Refusal::IllegalTransition)),
        (Status::Arrived, him, NoShow, 360_000, Ok(policy().no_show_fee)),
    ];
    for (status, by, reason, ms, expected) in table {
        let decided = ride_in(status).cancel(cancel_by(by, reason), after(ms), &policy());
        let fee = match decided {
            Ok(Some(RideEvent::Canceled { fee, .. })) => Ok(fee),
            Ok(other) => unreachable!("{status:?} {by:?}: {other:?}"),
            Err(refusal) => Err(refusal),
        };
        assert_eq!(fee, expected, "{status:?} {by:?} {reason:?} {ms}");
    }
}

#[test]
fn a_fee_has_its_grace_and_is_never_above_the_fare() {
    let fee = |policy: &RidePolicy, ms| {
        let cancel = cancel_by(CancelAs::Passenger, CancelReason::ChangedMind);
        match ride_in(Status::Accepted).cancel(cancel, after(ms), policy) {
            Ok(Some(RideEvent::Canceled { fee, .. })) => fee,
            other => unreachable!("{other:?}"),
        }
    };
    let graceful = RidePolicy { cancel_grace: Millis(10_000), ..policy() };
    assert_eq!(fee(&graceful, 11_999), Centavos::ZERO);
    assert_eq!(fee(&graceful, 12_000), Centavos(500));
    let greedy = RidePolicy { cancel_fee: Centavos(99_999), ..policy() };
    assert_eq!(fee(&greedy, 12_000), FARE);
}

#[test]
fn a_ride_is_given_back_three_times_and_then_ends() {
    let mut ride = ride_in(Status::Arrived);
    let him = || CancelAs::Driver(driver(1));
    for search in 1..=3 {
        let (event, _) = ride.start("9999", soon(), &policy()).expect("a wrong PIN is an event");
        ride.apply(&event.expect("counted"), soon());
        let released = ride
            .cancel(cancel_by(him(), CancelReason::Vehicle), soon(), &policy())
            .expect("may give it back")
            .expect("is new");
        ride.apply(&released, soon());
        assert_eq!(ride.status, Status::Searching);
        assert_eq!((ride.search.reassignments, ride.search.wave), (search, 0));
        assert_eq!(ride.search.next_wave_at, soon(), "the search starts at once");
        assert_eq!((ride.driver_id(), ride.accepted_at), (None, None));
        assert_eq!(ride.pin_tries, 0, "the next driver has tries of his own");
        assert!(!ride.may_ask(driver(1)), "nor is he asked again");
        let asks_again = ride.accept(&bid(driver(1)), soon(), &policy());
        assert_eq!(asks_again, Err(Refusal::OfferExpired));
        let driver = Box::new(card(driver(1)));
        let offer = offer_id(1);
        ride.apply(&RideEvent::Assigned { driver, offer, chain: None }, soon());
        ride.apply(&RideEvent::Arrived, soon());
    }
    let fourth = ride.cancel(cancel_by(him(), CancelReason::Vehicle), soon(), &policy());
    assert_eq!(shown(&fourth), "canceled");
}

#[test]
fn three_wrong_pins_lock_for_ten_minutes() {
    let mut ride = ride_in(Status::Arrived);
    let start = |ride: &Ride, pin, now| ride.start(pin, now, &policy());
    for _ in 0..3 {
        let (event, refusal) = start(&ride, "9999", soon()).expect("may try");
        assert_eq!(refusal, Some(Refusal::PinWrong));
        ride.apply(&event.expect("a try is recorded"), soon());
    }
    let lock_ends = soon() + policy().pin_lock;
    let just_before = UnixMillis(lock_ends.0 - 1);
    for pin in [PIN, "9999"] {
        assert_eq!(start(&ride, pin, just_before), Err(Refusal::PinLocked));
    }
    assert_eq!(start(&ride, PIN, lock_ends), Ok((Some(RideEvent::Started), None)));
    let (again, _) = start(&ride, "9999", lock_ends).expect("may try");
    let locked_until = None;
    assert_eq!(again, Some(RideEvent::PinRefused { locked_until }));
}

#[test]
fn positions_show_who_is_arriving_and_who_has_arrived() {
    let follow = |status, points: &[(f64, u32, u64)]| {
        let mut ride = ride_in(status);
        let mut shown = vec![];
        for (metres, accuracy, ms) in points {
            let event = ride.follow(position(*metres, *accuracy, *ms), &policy());
            if let Some(event) = event {
                ride.apply(&event, after(*ms));
                shown.push(event.kind());
            }
        }
        shown
    };
    let accepted = |points: &[_]| follow(Status::Accepted, points);
    let nothing: [&str; 0] = [];
    assert_eq!(accepted(&[(501.0, 5, 1), (502.0, 5, 2)]), nothing);
    assert_eq!(accepted(&[(499.0, 90, 1)]), ["arriving"]);
    let near = accepted(&[(400.0, 5, 1), (39.0, 50, 2), (39.5, 50, 3)]);
    assert_eq!(near, ["arriving", "arrived"]);
    let once_only = accepted(&[(39.0, 5, 1), (41.0, 5, 2), (39.0, 5, 3)]);
    assert_eq!(once_only, ["arriving"]);
    let bad_fix = accepted(&[(39.0, 51, 1), (39.0, 51, 2)]);
    assert_eq!(bad_fix, ["arriving"]);
    let sent_twice = accepted(&[(39.0, 5, 1), (39.0, 5, 1)]);
    assert_eq!(sent_twice, ["arriving"], "the same point is one point");
    let too_old = accepted(&[(39.0, 5, 5), (38.0, 5, 4)]);
    assert_eq!(too_old, ["arriving"]);
    for status in [Status::Arrived, Status::Started, Status::Completed] {
        assert_eq!(follow(status, &[(1.0, 5, 1), (2.0, 5, 2)]), nothing);
    }
}

#[test]
fn a_driver_says_he_is_there_only_where_he_is() {
    let mut ride = ride_in(Status::Accepted);
    let there = |ride: &Ride, place| ride.arrive(place, &policy());
    assert_eq!(shown(&there(&ride, None)), "arrived", "his word counts");
    let claimed = Some(north_of_pickup(151.0));
    assert_eq!(there(&ride, claimed), Err(Refusal::TooFar));
    ride.locate(position(151.0, 5, 1));
    assert_eq!(there(&ride, None), Err(Refusal::TooFar));
    let claimed = Some(north_of_pickup(149.0));
    assert_eq!(shown(&there(&ride, claimed)), "arrived");
}

#[test]
fn each_reader_sees_what_is_theirs() {
    let mut ride = ride_in(Status::Accepted);
    ride.locate(position(300.0, 5, 1));
    let seen = |ride: &Ride, reader| -> serde_json::Value {
        serde_json::from_str(&ride.json_for(reader)).expect("is JSON")
    };
    let readers = [
        (Reader::Passenger, Some(PIN), true),
        (Reader::Driver, None, true),
        (Reader::Admin, None, true),
        (Reader::Offered, None, false),
    ];
    for (reader, pin, knows_driver) in readers {
        let shown = seen(&ride, reader);
        assert_eq!(shown["pin"].as_str(), pin, "{reader:?}");
        assert_eq!(shown["driver"]["location"].is_object(), knows_driver);
        assert_eq!(shown["driver"]["name"].is_string(), knows_driver);
        assert_eq!(shown["notes"].is_string(), knows_driver);
        assert_eq!(shown["status"], "accepted");
        assert_eq!(shown["fare"]["estimated"], "14.50");
        assert_eq!(shown["accepted_at"], "2025-10-09T08:53:22.000Z");
    }
    for (event, at) in way_to(Status::Completed).into_iter().skip(2) {
        ride.apply(&event, at);
    }
    let ended = seen(&ride, Reader::Passenger);
    assert!(ended["driver"]["location"].is_null(), "not after the end");
    assert_eq!(ended["driver"]["name"], "Davi Motorista");
    assert_eq!(ended["fare"]["final"], "14.50");
    let canceled = seen(&ride_in(Status::Canceled), Reader::Driver);
    assert_eq!(canceled["cancellation"]["fee"], "5.00");
    assert_eq!(canceled["cancellation"]["by"], "passenger");
}

#[test]
fn a_ride_is_rebuilt_from_its_row_and_waves_alone() {
    for status in ALL {
        let ride = ride_in(status);
        let state = serde_json::to_string(&ride).expect("a row");
        let mut rebuilt: Ride = serde_json::from_str(&state).expect("reads back");
        let end = START + policy().offer_ttl;
        // An older offer of an earlier wave does not hide the newer one, whatever the order.
        let earlier = offer(7, 1, START);
        let earlier = Offer { driver: driver(1), ..earlier };
        rebuilt.restore_offers([offer(1, 1, end), earlier, offer(2, 1, end)]);
        assert_eq!(rebuilt, ride, "{status:?}");
    }
}

#[test]
fn late_waves_ask_only_those_who_are_new() {
    let ride = ride_in(Status::Searching);
    let expired = RideEvent::OffersExpired { drivers: vec![driver(1)] };
    let mut ride_later = ride.clone();
    ride_later.apply(&expired, after(16_001));
    let left_out = |ride: &Ride, wave| ride.not_to_ask(wave, &policy());
    assert_eq!(left_out(&ride, 2), [driver(1), driver(2)]);
    assert_eq!(left_out(&ride_later, 6), [driver(2)]);
    assert_eq!(left_out(&ride_later, 7), [driver(1), driver(2)]);
    assert!(left_out(&requested(), 9).is_empty());
}

#[test]
fn no_debug_text_shows_people_places_or_pins() {
    for status in ALL {
        let ride = ride_in(status);
        assert_eq!(ride.id, ride_id(1));
        let text = format!("{ride:?} {:?}", way_to(status));
        for secret in ["Ana", "Davi", "ABC1D23", PIN, "portão", "-46", "-23"] {
            assert!(!text.contains(secret), "{secret} in {text}");
        }
    }
}

fn rating(stars: u8) -> Rating {
    Rating { stars: Stars::try_from(stars).expect("1 to 5"), comment: None }
}

#[test]
fn a_completed_ride_is_rated_once_a_side_and_within_its_time() {
    let end = after(200_000);
    let late = end + policy().rating_within;
    for status in ALL {
        let expected = match status {
            Status::Completed => None,
            _ => Some(Refusal::IllegalTransition),
        };
        let ride = ride_in(status);
        for by in [Rater::Passenger, Rater::Driver] {
            assert_eq!(ride.rate(by, rating(5), late, &policy()).err(), expected, "{status:?}");
        }
    }
    let mut ride = ride_in(Status::Completed);
    let before = serde_json::to_string(&ride).expect("JSON");
    assert!(!before.contains("ratings"), "rows of rides that nobody rated stay what they were");
    let event = ride.rate(Rater::Passenger, rating(2), late, &policy()).expect("in time");
    let event = event.expect("an event");
    let of = UserId::from(driver(1));
    assert_eq!(event, RideEvent::Rated { by: Rater::Passenger, of, rating: rating(2) });
    let text = serde_json::to_string(&event).expect("JSON");
    assert_eq!(serde_json::from_str::<RideEvent>(&text).expect("reads back"), event);
    ride.apply(&event, late);
    let too_late = late + Millis(1);
    let rate = |by, stars| ride.rate(by, rating(stars), too_late, &policy());
    assert_eq!(rate(Rater::Passenger, 2), Ok(None), "said again");
    assert_eq!(rate(Rater::Passenger, 3), Err(Refusal::IllegalTransition));
    assert_eq!(rate(Rater::Driver, 3), Err(Refusal::RideClosed));
    assert!(ride.json_for(Reader::Passenger).contains(r#""rating":{"stars":2"#));
    assert!(!ride.json_for(Reader::Driver).contains(r#""rating":{"#), "not told what was said");
}

#[test]
fn there_are_one_to_five_stars() {
    let read = |number: u8| Stars::try_from(number).map(u8::from);
    assert_eq!([1, 5].map(read), [Ok(1), Ok(5)]);
    assert_eq!([0, 6, 255].map(read), [0, 6, 255].map(|number| Err(NoStars(number))));
}
