//! Thousands of interleavings, and what must hold after each of them.

use super::bots::{Command, Said};
use super::world::{Faults, Pace, World};
use crate::ids::RideId;
use crate::policy::RidePolicy;
use crate::refusal::Refusal;
use crate::ride::{Ride, RideEvent, Status, sample};
use crate::units::{Metres, Millis};

/// As many lives as `IBORA_TEST_SEEDS` says, or so many that a test run stays short.
fn seeds(usual: u64) -> std::ops::Range<u64> {
    let wanted = std::env::var("IBORA_TEST_SEEDS").ok();
    let wanted = wanted.and_then(|number| number.parse().ok());
    0..wanted.unwrap_or(usual)
}

/// Bots act, things go wrong, and then everything comes to rest.
fn life(seed: u64, faults: Faults) -> World {
    // Where drivers are few, they go from one ride to the next.
    let drivers = if seed.is_multiple_of(2) { 6 } else { 2 };
    let mut world = World::new(seed, drivers, RidePolicy::default());
    world.faults = faults;
    for number in 1..=3 {
        world.send(Command::Request(sample::passenger(number)), Some("first"));
    }
    for _ in 0..200 {
        if world.chance.one_in(3) {
            world.act(3);
        }
        world.tick();
    }
    come_to_rest(&mut world, faults.crash == 0 && faults.lost_commit == 0);
    world
}

/// No more faults: passengers end what is open, everything that is owed is said, and all is free.
fn come_to_rest(world: &mut World, nothing_was_lost: bool) {
    world.faults = Faults::default();
    for _ in 0..8 {
        let open = world.disk.rides.values();
        let open: Vec<_> = open.filter(|row| !row.status.is_final()).collect();
        let open: Vec<_> = open.iter().map(|row| (row.passenger, row.id)).collect();
        for (passenger, ride) in open {
            world.send(Command::PassengerCancel(passenger, ride), None);
        }
        world.run_until(world.now + Millis::from_secs(5));
    }
    if nothing_was_lost {
        for driver in world.drivers() {
            assert_eq!(driver.slots_kept(), 0, "a slot leaked");
            assert_eq!(driver.bound_to(), [None; 3], "a driver leaked");
        }
        assert_eq!(world.refused, [], "a last line was needed");
    }
    world.run_until(world.now + Millis::from_secs(3600));
    check(world);
}

fn check(world: &World) {
    for (number, asked) in &world.asked {
        assert!(asked.said.is_some(), "no answer to {number}: {asked:?}");
    }
    for driver in world.drivers() {
        assert_eq!(driver.slots_taken(world.now), 0, "a slot leaked for good");
        assert_eq!(driver.bound_to(), [None; 3], "a driver leaked for good");
    }
    for passenger in world.passengers() {
        assert_eq!(passenger.bound_to(), None, "a passenger leaked");
    }
    for id in world.disk.rides.keys() {
        events_make_the_row(world, *id);
        nobody_else_was_told_yes(world, *id);
    }
    super::offers::check(world);
}

/// Folding the events gives the row, and nobody was assigned a ride that was taken.
fn events_make_the_row(world: &World, id: RideId) {
    let mut folded: Option<Ride> = None;
    for (event, at) in world.disk.history(id) {
        match (&mut folded, event) {
            (None, RideEvent::Requested { order }) => {
                folded = Some(Ride::requested(id, (**order).clone(), *at));
            }
            (Some(ride), event) => {
                if let RideEvent::Assigned { driver, offer, .. } = event {
                    assert_eq!(ride.status, Status::Searching, "assigned twice");
                    let open = ride.open_offer_to(driver.id).map(|open| open.id);
                    assert_eq!(open, Some(*offer), "assigned without an open offer");
                }
                ride.apply(event, *at);
            }
            (None, event) => unreachable!("{event:?} comes first"),
        }
    }
    let folded = folded.expect("a ride has events");
    let row = &world.disk.rides[&id];
    let state: serde_json::Value = serde_json::from_str(&row.state).expect("is JSON");
    assert_eq!(serde_json::to_value(&folded).expect("is JSON"), state);
    assert_eq!((row.status, row.version), (folded.status, folded.version));
    assert_eq!(row.driver, folded.driver_id());
    assert!(row.status.is_final(), "still open: {row:?}");
}

/// Whoever was assigned the ride was not told otherwise; whoever was told yes was assigned it.
fn nobody_else_was_told_yes(world: &World, id: RideId) {
    for (event, _) in world.disk.history(id) {
        let RideEvent::Assigned { driver, .. } = event else {
            continue;
        };
        let his = world.asked.values().filter(|asked| {
            matches!(asked.command, Command::Accept(by, ride, _) if (by, ride) == (driver.id, id))
        });
        let refused = |said: &Option<Said>| matches!(said, Some(Said::Answer(Err(_))));
        let mut open = his.filter(|asked| !refused(&asked.said));
        assert!(open.next().is_some(), "only refused, and yet assigned");
    }
}

#[test]
fn any_order_of_messages_and_commits_keeps_every_promise() {
    let (mut won, mut busy, mut ended, mut chained) = (0, 0, 0, 0);
    for seed in seeds(250) {
        let world = life(seed, Faults::default());
        let events = world.disk.rides.keys().flat_map(|ride| world.disk.history(*ride));
        chained += events.filter(|(event, _)| *event == RideEvent::Unchained).count();
        for asked in world.asked.values() {
            match (&asked.command, &asked.said) {
                (Command::Accept(..), Some(Said::Answer(Ok(_)))) => won += 1,
                (_, Some(Said::Answer(Err(Refusal::DriverBusy)))) => busy += 1,
                (Command::Complete(..), Some(Said::Answer(Ok(_)))) => ended += 1,
                _ => {}
            }
            assert_ne!(asked.said, Some(Said::Died), "nothing died: {asked:?}");
        }
    }
    assert!(won > 300 && busy > 50 && ended > 50, "{won} {busy} {ended}: too quiet");
    assert!(chained > 3, "{chained} drivers went from one ride to the next: too quiet");
}

#[test]
fn crashes_and_lost_commits_at_any_step_break_no_promise() {
    let faults = Faults { crash: 60, lost_commit: 25, lost_search: 10 };
    let mut won = 0;
    for seed in seeds(250) {
        let world = life(seed, faults);
        let yes = |asked: &&super::bots::Asked| {
            matches!(asked.command, Command::Accept(..))
                && matches!(asked.said, Some(Said::Answer(Ok(_))))
        };
        won += world.asked.values().filter(yes).count();
    }
    assert!(won > 100, "{won} won: too quiet");
}

#[test]
fn a_hundred_drivers_accept_and_exactly_one_is_told_yes() {
    for seed in 0..12 {
        let policy = RidePolicy {
            wave_sizes: vec![100],
            wave_radii: vec![Metres(9000)],
            ..RidePolicy::default()
        };
        let mut world = World::new(seed, 100, policy);
        world.pace = Pace::Still;
        world.send(Command::Request(sample::passenger(1)), Some("first"));
        while world.offers.len() < 100 {
            assert!(world.tick(), "every driver is offered the ride");
        }
        let mut answers = vec![];
        for (number, (driver, ride, offer)) in
            std::mem::take(&mut world.offers).into_iter().enumerate()
        {
            let id = format!("tap {number}");
            let command = Command::Accept(driver, ride, Some(offer));
            answers.push(world.send(command, Some(&id)));
            for _ in 0..world.chance.below(4) {
                world.tick();
            }
        }
        world.run_until(world.now + Millis::from_secs(3));
        let told: Vec<_> = answers.iter().map(|reply| world.told(*reply)).collect();
        let count = |wanted| told.iter().filter(|answer| **answer == Some(wanted)).count();
        assert_eq!(count(Ok(())), 1, "seed {seed}");
        assert_eq!(count(Err(Refusal::RideAlreadyAssigned)), 99, "seed {seed}");
        let rows = world.disk.attempts.values().flatten();
        let ranks: usize = rows.map(|row| row.attempts.len()).sum();
        assert_eq!(ranks, 100, "every attempt is kept");
        come_to_rest(&mut world, true);
    }
}
