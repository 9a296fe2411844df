//! One run: requests come in, a policy says who drives, cars drive. Virtual time, one thread.
//!
//! Every car that is offered a ride accepts at once; of several that are asked at once, chance
//! picks the one whose tap comes first. Cars wait where they drop off.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use ibora_domain::dispatch::{self, Again, Plan, PlanFault, Policy, View, Waiting};
use ibora_domain::ids::RideId;
use ibora_domain::units::{Millis, UnixMillis};
use uuid::Uuid;

use super::chance::Chance;
use super::fleet::Fleet;
use super::measure::{Measure, Ride, Run};
use super::streets::{Spot, Streets};

/// A request at its time, on the streets.
#[derive(Clone, Copy)]
pub(super) struct Request {
    pub(super) at_ms: u32,
    pub(super) pickup: Spot,
    pub(super) dropoff: Spot,
}

/// What a run is about.
pub(super) struct Scene<'a> {
    pub(super) streets: &'a Streets,
    /// In order of time.
    pub(super) requests: &'a [Request],
    pub(super) cars: &'a [Spot],
    pub(super) rules: Times,
    pub(super) seed: u64,
}

/// The times of a comparison.
#[derive(Debug, Clone, Copy)]
pub struct Times {
    /// A passenger gives up after this long without a car.
    pub patience: Millis,
    /// No car is sent further than this.
    pub pickup_max: Millis,
    /// Requests before this are served and not counted.
    pub warm_up: Millis,
}

/// Plays the scene to its end.
///
/// # Errors
/// [`PlanFault`] of the first plan that cannot be carried out.
pub(super) fn play(scene: &Scene<'_>, policy: &dyn Policy) -> Result<Run, PlanFault> {
    let mut city = City {
        scene,
        fleet: Fleet::new(scene.streets, scene.cars, scene.requests),
        waiting: Vec::new(),
        ends: BinaryHeap::new(),
        next: 0,
        changed: false,
        taps: Chance::new(scene.seed, 3),
        measure: Measure::new(scene),
    };
    city.run(policy)?;
    Ok(city.measure.finish(&mut city.fleet))
}

struct City<'a> {
    scene: &'a Scene<'a>,
    fleet: Fleet<'a>,
    /// Oldest first.
    waiting: Vec<Waiting>,
    /// When which car is soon free, or free.
    ends: BinaryHeap<Reverse<(u32, u32)>>,
    next: usize,
    /// Something came in since the policy was last called.
    changed: bool,
    taps: Chance,
    measure: Measure<'a>,
}

impl City<'_> {
    fn run(&mut self, policy: &dyn Policy) -> Result<(), PlanFault> {
        let mut due = (0_u32, true);
        while self.next < self.scene.requests.len() || !self.waiting.is_empty() {
            let (after, gathers) = due;
            let now = if gathers { after } else { self.next_change().min(after) };
            self.catch_up(now);
            if !gathers && !self.changed && now < after {
                continue;
            }
            self.changed = false;
            due = match self.ask(policy, now)? {
                Again::AtOnce => (now, true),
                Again::After(time) => (now.saturating_add(short(time).max(1)), true),
                Again::OnChange(time) => (now.saturating_add(short(time).max(1)), false),
            };
        }
        Ok(())
    }

    fn next_change(&self) -> u32 {
        let request = self.scene.requests.get(self.next).map(|request| request.at_ms);
        let end = self.ends.peek().map(|Reverse((at, _))| *at);
        request.into_iter().chain(end).min().unwrap_or(u32::MAX)
    }

    /// Lets everything happen that happens up to `now`.
    fn catch_up(&mut self, now: u32) {
        while let Some(Reverse((at, car))) = self.ends.peek().copied().filter(|end| end.0.0 <= now)
        {
            self.ends.pop();
            let next = self.fleet.end(car, at);
            self.ends.extend(next.map(|at| Reverse((at, car))));
            self.changed = true;
        }
        while let Some(request) = self.scene.requests.get(self.next).filter(|r| r.at_ms <= now) {
            let ride = RideId(Uuid::from_u128(self.next as u128));
            let since = UnixMillis(i64::from(request.at_ms));
            let pickup = request.pickup.at;
            self.changed = true;
            self.next += 1;
            if self.scene.streets.ms(&request.pickup, &request.dropoff).is_none() {
                continue; // No way leads there: nobody can drive it, whatever the policy.
            }
            self.fleet.balance.ask(pickup, request.at_ms);
            self.waiting.push(Waiting { ride, since, pickup, offers: 1 });
        }
        let patience = self.scene.rules.patience;
        let now = UnixMillis(i64::from(now));
        self.waiting.retain(|ride| now.since(ride.since) <= patience);
        self.measure.tick(now.0, self.waiting.len(), self.fleet.free());
    }

    fn ask(&mut self, policy: &dyn Policy, now: u32) -> Result<Again, PlanFault> {
        self.fleet.now = now;
        self.fleet.balance.forget(now);
        let view =
            View { now: UnixMillis(i64::from(now)), waiting: &self.waiting, supply: &self.fleet };
        let plan = policy.decide(&view);
        dispatch::check(&plan, &view)?;
        let again = plan.again;
        let served = self.carry_out(plan, now);
        // A policy that goes on at once without anything having changed would go on for ever.
        let idle = served == 0 && again == Again::AtOnce;
        Ok(if idle { Again::After(Millis::from_secs(1)) } else { again })
    }

    /// Returns how many rides got a car.
    fn carry_out(&mut self, plan: Plan, now: u32) -> usize {
        let mut served = std::collections::BTreeSet::new();
        for offer in plan.offers {
            let count = u32::try_from(offer.cars.len()).unwrap_or(u32::MAX);
            // One car needs no chance: policies that ask one at a time draw none.
            let tapped = if count == 1 { 0 } else { self.taps.below(count) };
            let Some(car) = offer.cars.get(tapped as usize) else { continue };
            let number = index(offer.ride);
            let request = &self.scene.requests[number];
            let Some(drive) = self.fleet.send(car.driver, request, now) else { continue };
            served.insert(offer.ride);
            self.ends.extend(drive.next.map(|at| Reverse((at, drive.car))));
            self.measure.ride(&Ride { request, assigned_ms: now, drive });
        }
        self.waiting.retain(|ride| !served.contains(&ride.ride));
        served.len()
    }
}

/// The number of a request, which is all that its ride's id holds.
pub(super) fn index(ride: RideId) -> usize {
    usize::try_from(ride.0.as_u128()).unwrap_or(usize::MAX)
}

fn short(time: Millis) -> u32 {
    u32::try_from(time.0).unwrap_or(u32::MAX)
}
