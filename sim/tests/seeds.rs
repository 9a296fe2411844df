//! Promises of the simulator itself: a seed is one run, and the cities it runs keep theirs.

use ibora_sim::case::Case;
use ibora_sim::faults::{Profile, plan};
use ibora_sim::run::{Outcome, run};
use ibora_sim::world::Trace;

fn told(seed: u64, profile: Profile) -> Outcome {
    run(seed, profile, &plan(seed, &profile), Trace::on())
}

#[test]
fn the_same_seed_is_the_same_run_byte_for_byte() {
    for profile in Profile::ALL {
        for seed in 0..2 {
            let (first, second) = (told(seed, profile), told(seed, profile));
            assert!(first.trace.lines().count() > 1000, "{} {seed}: too quiet", profile.name);
            assert!(first.trace == second.trace, "{} {seed}: two stories", profile.name);
            assert_eq!(first.violation, None, "{} {seed}", profile.name);
        }
    }
    assert_ne!(told(1, Profile::ALL[0]).trace, told(2, Profile::ALL[0]).trace);
}

#[test]
fn a_story_told_or_not_is_the_same_run() {
    let profile = Profile::ALL[2];
    let case = Case::of(5, profile);
    let quiet = run(case.seed, profile, &case.faults, Trace::default());
    let loud = run(case.seed, profile, &case.faults, Trace::on());
    assert_eq!((quiet.steps, quiet.rides), (loud.steps, loud.rides));
    assert_eq!((quiet.checks, quiet.virtual_time), (loud.checks, loud.virtual_time));
}

#[test]
fn cities_keep_every_promise_while_much_goes_wrong() {
    let mut rides = 0;
    for profile in Profile::ALL {
        for seed in 100..102 {
            let outcome = told(seed, profile);
            assert_eq!(outcome.violation, None, "{} {seed}", profile.name);
            rides += outcome.rides;
        }
    }
    assert!(rides > 250, "{rides} rides: too quiet");
}
