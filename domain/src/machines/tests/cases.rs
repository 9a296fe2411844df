//! Single promises that take several machines.

use super::bots::{Command, Said};
use super::disk::Disk;
use super::world::{Pace, World};
use crate::category::Category;
use crate::dispatch::Merits;
use crate::facts::{Entity, StreamId, Zone};
use crate::ids::{DriverId, RideId};
use crate::machines::{Candidate, Envelope, Market, RideInput};
use crate::policy::RidePolicy;
use crate::refusal::Refusal;
use crate::ride::Status;
use crate::ride::sample::{after, offer_id, passenger};
use crate::units::{Metres, Millis, Seconds};

/// A world without chance in its clock, and rides just requested by so many passengers.
fn world_of(drivers: u32, passengers: u32, policy: RidePolicy) -> World {
    let mut world = World::new(u64::from(drivers), drivers, policy);
    world.pace = Pace::Still;
    for number in 1..=passengers {
        world.send(Command::Request(passenger(number)), Some("first"));
    }
    world
}

fn run_until(world: &mut World, what: &str, reached: impl Fn(&World) -> bool) {
    for _ in 0..20_000 {
        if reached(world) {
            return;
        }
        assert!(world.tick(), "at rest without: {what}");
    }
    unreachable!("never: {what}");
}

/// Everything that can be done without time passing.
fn do_all(world: &mut World) {
    let begin = world.now;
    while world.step() {}
    assert_eq!(world.now, begin);
}

fn ask_and_wait(world: &mut World, command: Command, id: Option<&str>) -> Result<(), Refusal> {
    let reply = world.send(command, id);
    run_until(world, "an answer", |world| world.told(reply).is_some());
    world.told(reply).expect("is told")
}

fn withdrawn(disk: &Disk, of: DriverId) -> Vec<String> {
    let rows = disk.streams.get(&StreamId::Driver(of)).into_iter().flatten();
    let rows = rows.filter(|row| row.op == "offer.withdrawn");
    rows.map(|row| {
        let body: serde_json::Value = serde_json::from_str(&row.body).expect("is JSON");
        body["reason"].as_str().expect("a reason").to_owned()
    })
    .collect()
}

fn candidate(driver: DriverId) -> Candidate {
    let (distance, eta, merits) = (Metres(1), Seconds(1), Merits::default());
    Candidate { driver, offer: offer_id(0), distance, eta, free_in: None, merits }
}

fn everybody_in_one_wave() -> RidePolicy {
    RidePolicy { wave_sizes: vec![3], ..RidePolicy::default() }
}

#[test]
fn a_winners_other_offers_close_and_their_rides_look_on() {
    let mut world = world_of(1, 3, everybody_in_one_wave());
    run_until(&mut world, "three offers", |world| world.offers.len() == 3);
    let (him, ride, _) = world.offers[0];
    let (_, other, _) = world.offers[1];
    assert_eq!(ask_and_wait(&mut world, Command::Accept(him, ride, None), None), Ok(()));
    let closed = |world: &World| withdrawn(&world.disk, him).len() == 2;
    run_until(&mut world, "both closed", closed);
    do_all(&mut world);
    assert_eq!(withdrawn(&world.disk, him), ["driver_busy", "driver_busy"]);
    assert_eq!(world.driver(him).expect("lives").slots_kept(), 0);
    let refused = ask_and_wait(&mut world, Command::Accept(him, other, None), Some("late"));
    assert_eq!(refused, Err(Refusal::DriverBusy));
    let searching = world.disk.ride(other).expect("exists");
    assert_eq!(searching.status, Status::Searching);
    assert!(searching.may_ask(him), "he may be asked when he is free again");
}

#[test]
fn an_offline_driver_has_no_open_offer() {
    let mut world = world_of(1, 2, everybody_in_one_wave());
    run_until(&mut world, "two offers", |world| world.offers.len() == 2);
    let (him, ride, _) = world.offers[0];
    assert_eq!(ask_and_wait(&mut world, Command::Offline(him), None), Ok(()));
    let closed = |world: &World| withdrawn(&world.disk, him) == ["driver_busy", "driver_busy"];
    run_until(&mut world, "both closed", closed);
    let refused = ask_and_wait(&mut world, Command::Accept(him, ride, None), Some("late"));
    assert_eq!(refused, Err(Refusal::OfferExpired));
}

#[test]
fn an_offer_made_to_one_who_got_busy_meanwhile_is_closed() {
    let mut world = world_of(1, 1, RidePolicy::default());
    run_until(&mut world, "an offer", |world| world.offers.len() == 1);
    let (him, ride, _) = world.offers[0];
    assert_eq!(ask_and_wait(&mut world, Command::Accept(him, ride, None), None), Ok(()));
    do_all(&mut world);
    // A second ride got his slot before he won: its wave comes only now.
    world.send(Command::Request(passenger(2)), None);
    do_all(&mut world);
    let second = *world.disk.rides.keys().find(|id| **id != ride).expect("is there");
    let wave = world.disk.ride(second).expect("exists").search.wave + 1;
    let candidate = Candidate { offer: offer_id(900), ..candidate(him) };
    let candidates = vec![candidate];
    let offers = RideInput::Offers { search: 0, wave, candidates };
    world.post(Envelope::Ride(second, offers));
    let closed = |world: &World| withdrawn(&world.disk, him) == ["driver_busy"];
    run_until(&mut world, "it is closed", closed);
}

#[test]
fn a_declined_wave_is_followed_at_once_and_by_one_wave_only() {
    let mut world = world_of(1, 1, RidePolicy::default());
    run_until(&mut world, "an offer", |world| world.offers.len() == 1);
    let (him, ride, _) = world.offers[0];
    assert_eq!(ask_and_wait(&mut world, Command::Decline(him, ride), None), Ok(()));
    do_all(&mut world);
    let wave = |world: &World| world.disk.ride(ride).expect("exists").search.wave;
    assert_eq!(wave(&world), 4, "nobody is left in any radius: as far as it goes, at once");
    for _ in 0..3 {
        assert_eq!(ask_and_wait(&mut world, Command::Decline(him, ride), None), Ok(()));
        do_all(&mut world);
    }
    assert_eq!(wave(&world), 4, "declining twice starts nothing");
    let decline_and_accept = Command::Accept(him, ride, None);
    let refused = ask_and_wait(&mut world, decline_and_accept, Some("after all"));
    assert_eq!(refused, Err(Refusal::OfferExpired));
}

#[test]
fn a_search_without_drivers_is_given_up_in_time() {
    let mut world = world_of(0, 1, RidePolicy::default());
    run_until(&mut world, "its end", |world| {
        world.disk.rides.values().any(|row| row.status == Status::NoDriver)
    });
    assert_eq!(world.now, after(150_000));
    do_all(&mut world);
    assert_eq!(ask_and_wait(&mut world, Command::Request(passenger(1)), None), Ok(()));
}

#[test]
fn a_lost_dispatcher_is_asked_again() {
    let mut world = world_of(1, 1, RidePolicy::default());
    world.faults.lost_search = 1;
    let sought = |world: &World| world.disk.rides.len() == 1;
    run_until(&mut world, "the request", sought);
    do_all(&mut world);
    world.kill(Entity::Dispatcher(Zone(0)));
    world.faults.lost_search = 0;
    run_until(&mut world, "an offer", |world| world.offers.len() == 1);
    assert!(world.now <= after(2000), "{:?}", world.now);
}

#[test]
fn one_who_gave_the_ride_back_is_not_asked_again() {
    let mut world = world_of(2, 1, RidePolicy::default());
    run_until(&mut world, "an offer", |world| world.offers.len() == 1);
    let (him, ride, _) = world.offers.remove(0);
    assert_eq!(ask_and_wait(&mut world, Command::Accept(him, ride, None), None), Ok(()));
    let back = Command::DriverCancel(him, ride);
    assert_eq!(ask_and_wait(&mut world, back, Some("back")), Ok(()));
    assert_eq!(ask_and_wait(&mut world, back, Some("back")), Ok(()), "and again");
    assert_eq!(ask_and_wait(&mut world, back, None), Err(Refusal::NotFound));
    let told = world.disk.streams[&StreamId::Driver(him)].last().expect("his stream");
    assert!(told.op == "ride.updated" && told.body.contains(r#""status":"searching""#));
    run_until(&mut world, "an offer", |world| !world.offers.is_empty());
    let search = world.disk.ride(ride).expect("exists").search;
    assert_eq!((search.reassignments, search.wave), (1, 1), "waves count anew");
    assert_ne!(world.offers[0].0, him);
    // Even a dispatcher that still has his name from the search before does not bring him back.
    let candidate = Candidate { offer: offer_id(901), ..candidate(him) };
    let (search, wave, candidates) = (1, 2, vec![candidate]);
    let offers = RideInput::Offers { search, wave, candidates };
    world.post(Envelope::Ride(ride, offers));
    do_all(&mut world);
    assert!(world.offers.iter().all(|(driver, _, _)| *driver != him));
    assert!(matches!(world.market[&him], Market::Available(Category::Economy, _)));
}

#[test]
fn a_request_still_running_is_neither_refused_nor_made_twice() {
    let mut world = world_of(0, 0, RidePolicy::default());
    let first = world.send(Command::Request(passenger(1)), Some("once"));
    let again = world.send(Command::Request(passenger(1)), Some("once"));
    let other = world.send(Command::Request(passenger(1)), Some("another"));
    run_until(&mut world, "every answer", |world| {
        world.asked.values().all(|asked| asked.said.is_some())
    });
    assert_eq!(world.told(first), Some(Ok(())));
    let again = world.told(again);
    assert!(again == Some(Ok(())) || again == Some(Err(Refusal::IdempotencyInProgress)));
    assert_eq!(world.told(other), Some(Err(Refusal::ActiveRideExists)));
    do_all(&mut world);
    let later = world.send(Command::Request(passenger(1)), Some("once"));
    do_all(&mut world);
    let said = |reply: u64| world.asked[&reply].said.clone();
    assert_eq!(said(later), said(first), "the same body");
    assert_ne!(said(first), Some(Said::Died));
    assert_eq!(world.disk.rides.len(), 1);
}

#[test]
fn a_missed_end_is_found_out() {
    let mut world = world_of(1, 1, RidePolicy::default());
    run_until(&mut world, "an offer", |world| world.offers.len() == 1);
    let (him, ride, _) = world.offers.remove(0);
    assert_eq!(ask_and_wait(&mut world, Command::Accept(him, ride, None), None), Ok(()));
    do_all(&mut world);
    // The end is recorded, and the machine dies before it tells anybody.
    world.send(Command::PassengerCancel(passenger(1), ride), None);
    let over = |world: &World| world.disk.rides[&ride].status.is_final();
    run_until(&mut world, "the record", over);
    world.kill(Entity::Ride(ride));
    let bound =
        |world: &World, id: RideId| world.driver(him).expect("lives").bound_to()[0] == Some(id);
    assert!(bound(&world, ride), "he does not know");
    world.run_until(world.now + Millis::from_secs(61));
    assert!(!bound(&world, ride), "he asked");
    assert!(world.passengers().all(|one| one.bound_to().is_none()));
}
