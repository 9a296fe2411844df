//! One run: a city lives, things go wrong, then nothing does any more, and all must come to rest.

use std::collections::BTreeMap;

use ibora_domain::machines::DriverMachine;

use crate::engine::{Body, Engine};
use crate::faults::{Fault, Profile};
use crate::people;
use crate::queue::{Micros, SECOND};
use crate::watch::{LIVENESS, Violation, unrest_of_money};
use crate::world::{Trace, World};

/// Within this long after the last fault everything is at rest. Most is long before: a refund that
/// the provider has denied again and again is tried again after up to an hour.
const REST_WITHIN: Micros = 4500 * SECOND;
/// How often it is looked whether it is.
const LOOK_EVERY: Micros = 20 * SECOND;

/// What became of a run.
#[derive(Debug, Default)]
pub struct Outcome {
    pub violation: Option<Violation>,
    pub rides: u64,
    pub steps: u64,
    pub checks: u64,
    pub virtual_time: Micros,
    pub faults: BTreeMap<&'static str, u64>,
    pub trace: String,
}

/// Runs the city of `seed` with the faults of `plan`.
#[must_use]
pub fn run(seed: u64, profile: Profile, plan: &[Fault], trace: Trace) -> Outcome {
    let mut world = World::new(seed, profile, plan.to_vec(), trace);
    world.run_until(profile.active);
    world.close();
    let over = plan.iter().map(|fault| fault.at + fault.lasts).max().unwrap_or(0);
    let over = over.max(profile.active);
    world.run_until(over);
    world.calm();
    let mut looked = over;
    while world.watch.broken.is_none() {
        let Some(unrest) = unrest(&world) else { break };
        if looked >= over + REST_WITHIN {
            let now = world.now;
            world.watch.check(now, LIVENESS, (false, unrest));
            break;
        }
        looked += LOOK_EVERY;
        world.run_until(looked);
        world.watch_court(over);
    }
    Outcome {
        violation: world.watch.broken.take(),
        rides: world.watch.rides() as u64,
        steps: world.steps,
        checks: world.watch.checks,
        virtual_time: world.now,
        faults: std::mem::take(&mut world.watch.faults),
        trace: std::mem::take(&mut world.trace).text(),
    }
}

/// What is not at rest.
fn unrest(world: &World) -> Option<String> {
    let now = world.steady();
    let mut acting = world.nodes.iter().filter(|node| node.acts(now));
    let Some(engine) = acting.next().and_then(|node| node.engine.as_ref()) else {
        return Some("nobody is at work".to_owned());
    };
    if let Some(ride) = world.watch.open_rides().next() {
        return Some(format!("{} is {:?}", people::name(ride.id.0), ride.status));
    }
    if let Some((id, due)) = world.db.timers.iter().next() {
        return Some(format!("{} has a deadline at {due:?} and no end", people::name(*id)));
    }
    if let Some(pending) = world.pending.keys().next() {
        return Some(format!("answer {pending} is owed"));
    }
    if !engine.is_flushed() {
        return Some("a decision waits to be recorded".to_owned());
    }
    unrest_of_machines(world, engine)
        .or_else(|| unrest_of_apps(world))
        .or_else(|| unrest_of_money(world, engine))
}

fn unrest_of_machines(world: &World, engine: &Engine) -> Option<String> {
    let now = world.clock(engine.node);
    for (entity, actor) in engine.actors() {
        let name = people::name(entity.id());
        match &actor.body {
            Body::Driver(machine) => {
                let machine: &DriverMachine = &machine.0;
                if let Some(ride) = machine.bound_to().into_iter().flatten().next() {
                    return Some(format!("{name} is bound to {}", people::name(ride.0)));
                }
                if machine.slots_taken(now) > 0 {
                    return Some(format!("{name} keeps a slot"));
                }
            }
            Body::Passenger(machine) => {
                if let Some(ride) = machine.0.bound_to() {
                    return Some(format!("{name} is bound to {}", people::name(ride.0)));
                }
            }
            Body::Ride(_)
            | Body::Dispatcher(_)
            | Body::Payment(_)
            | Body::Wallet(_)
            | Body::PayoutLine(_) => {}
        }
    }
    None
}

fn unrest_of_apps(world: &World) -> Option<String> {
    for (number, app) in world.apps.iter().enumerate() {
        let name = app.name();
        if let Some(id) = app.doing.keys().next() {
            return Some(format!("{id} has no answer"));
        }
        // A driver has one session: his other phone is out of date, and knows it.
        if !world.is_up_to_date(number) {
            let shared = world.apps.iter().filter(|other| other.user == app.user).count() > 1;
            if app.is_driver() && shared {
                continue;
            }
            return Some(format!("{name} is not up to date"));
        }
        if let Some(seen) = app.ride.or(app.next) {
            return Some(format!("{name} believes in {}", people::name(seen.ride.0)));
        }
        if let Some(ride) = app.offers.keys().next() {
            return Some(format!("{name} shows an offer of {}", people::name(ride.0)));
        }
    }
    None
}
