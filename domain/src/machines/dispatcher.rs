//! The dispatcher's machine: finds drivers for a wave and gets a slot of each before the ride
//! offers itself. It keeps nothing on disk; a ride asks again when it hears nothing.
//!
//! Who is asked for a wave, and when, is the policy's decision over all waves that wait; what the
//! policy says is checked first. What always holds: a wave for which somebody was found is offered
//! to somebody, and handed to its ride, within [`HELD_MAX`] and the time that slots take.

use std::collections::HashMap;
use std::hash::BuildHasherDefault;
use std::sync::Arc;

use super::known::KeyHasher;
use super::{DriverInput, Machine, Note, Output, Outputs, RideInput, Slot, Turn, WaveId};
use crate::category::Category;
use crate::dispatch::{self, Again, Car, Merits, Offer, Policy, Reach, Supply, View, Waiting};
use crate::facts::Zone;
use crate::ids::{DriverId, OfferId, RideId};
use crate::place::Coordinates;
use crate::units::{Metres, Millis, Seconds, UnixMillis};

/// How long a wave waits for the drivers' slots.
pub(super) const SLOTS_WITHIN: Millis = Millis(1500);

/// How long a policy may hold a wave back. Then its ride gets its own nearest: in a sparse town the
/// far car is the only one, and a passenger waits for it rather than for the policy.
const HELD_MAX: Millis = Millis::from_secs(4);

/// What a dispatcher reacts to.
#[derive(Debug)]
pub enum DispatcherInput {
    Seek(Box<Seek>),
    /// The drivers near a pickup, best first, each with an offer id made for him.
    Found {
        ride: RideId,
        wave: u16,
        candidates: Vec<Candidate>,
    },
    SlotAnswer {
        ride: RideId,
        of: WaveId,
        driver: DriverId,
        granted: bool,
    },
    Alarm,
}

/// A wave that a ride asks for.
#[derive(Debug, Clone, PartialEq)]
pub struct Seek {
    pub ride: RideId,
    pub search: u8,
    pub wave: u16,
    pub pickup: Coordinates,
    pub category: Category,
    pub radius: Metres,
    pub count: u16,
    /// When its search began.
    pub since: UnixMillis,
    pub excluded: Vec<DriverId>,
    /// How long the drivers' slots are kept.
    pub slots_until: Millis,
}

impl Seek {
    fn id(&self) -> WaveId {
        WaveId { search: self.search, wave: self.wave }
    }
}

/// A driver who may be offered a ride.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Candidate {
    pub driver: DriverId,
    pub offer: OfferId,
    pub distance: Metres,
    /// Until he is at the pickup, the rest of his present ride included.
    pub eta: Seconds,
    /// Until he has ended his present ride; none where he is free.
    pub free_in: Option<Seconds>,
    pub merits: Merits,
}

/// The actor's inside.
pub struct DispatcherMachine<R> {
    zone: Zone,
    policy: Arc<dyn Policy + Send + Sync>,
    /// When the policy is called again; before that it gathers.
    gathers_until: Option<UnixMillis>,
    /// When the policy is called again though nothing has changed.
    looks_at: Option<UnixMillis>,
    waves: HashMap<RideId, Wave, BuildHasherDefault<KeyHasher>>,
    replies: std::marker::PhantomData<fn() -> R>,
}

/// A wave in the making.
struct Wave {
    seek: Seek,
    /// Found, best first, until the policy has decided.
    found: Option<Vec<Candidate>>,
    /// Asked and not yet answered, in order of rank.
    asked: Vec<Candidate>,
    /// Found and not yet asked, best last.
    reserve: Vec<Candidate>,
    granted: Vec<Candidate>,
    give_up_at: UnixMillis,
}

impl<R> DispatcherMachine<R> {
    /// The dispatcher of `zone`, which asks drivers as `policy` says.
    #[must_use]
    pub fn new(zone: Zone, policy: Arc<dyn Policy + Send + Sync>) -> Self {
        let (waves, replies) = (HashMap::default(), std::marker::PhantomData);
        Self { zone, policy, gathers_until: None, looks_at: None, waves, replies }
    }

    fn seek(&mut self, turn: &mut Turn<'_, R>, seek: Seek) {
        let same = |wave: &Wave| (wave.seek.search, wave.seek.wave) == (seek.search, seek.wave);
        if self.waves.get(&seek.ride).is_some_and(same) {
            return;
        }
        turn.out.push(Output::Find(seek.clone()));
        let wave = Wave {
            seek,
            found: None,
            asked: vec![],
            reserve: vec![],
            granted: vec![],
            give_up_at: turn.now + SLOTS_WITHIN,
        };
        if let Some(earlier) = self.waves.insert(wave.seek.ride, wave) {
            give_back(turn, &earlier);
        }
        self.arm(turn);
    }

    fn wave(&mut self, ride: RideId, number: u16) -> Option<&mut Wave> {
        self.waves.get_mut(&ride).filter(|wave| wave.seek.wave == number)
    }

    fn found(
        &mut self,
        turn: &mut Turn<'_, R>,
        ride: RideId,
        number: u16,
        mut candidates: Vec<Candidate>,
    ) {
        let ahead = self.policy.kind().looks_ahead();
        let Some(wave) = self.wave(ride, number) else {
            return;
        };
        // What was looked for may be an earlier search's wave of the same number.
        candidates.retain(|found| {
            !wave.seek.excluded.contains(&found.driver) && (ahead || found.free_in.is_none())
        });
        if candidates.is_empty() {
            // The ride will look farther; no policy finds anybody here.
            self.close(turn, ride);
        } else {
            wave.found = Some(candidates);
            wave.give_up_at = turn.now + HELD_MAX;
            self.decide(turn);
        }
        self.arm(turn);
    }

    /// Lets the policy decide about all waves that were found and not yet offered.
    fn decide(&mut self, turn: &mut Turn<'_, R>) {
        while self.gathers_until.is_none_or(|until| until <= turn.now) {
            let mut waiting: Vec<Waiting> = self.waves.values().filter_map(Wave::waiting).collect();
            waiting.sort_by_key(|ride| (ride.since, ride.ride));
            let view = View { now: turn.now, waiting: &waiting, supply: &Found(&self.waves) };
            let plan = self.policy.decide(&view);
            if dispatch::check(&plan, &view).is_err() {
                turn.note(Note::PlanRefused);
                // Every ride then gets its own nearest, as if there were no policy.
                waiting.iter().for_each(|ride| self.ask(turn, ride.ride, &[]));
                return;
            }
            for Offer { ride, cars } in plan.offers {
                self.ask(turn, ride, &cars);
            }
            (self.gathers_until, self.looks_at) = match plan.again {
                Again::AtOnce => continue,
                Again::After(length) => (Some(turn.now + length), None),
                Again::OnChange(limit) => (None, Some(turn.now + limit.max(Millis(1)))),
            };
            return;
        }
    }

    /// Asks these drivers for their slots, then, where one refuses, the others that were found.
    fn ask(&mut self, turn: &mut Turn<'_, R>, ride: RideId, cars: &[Car]) {
        let zone = self.zone;
        let Some(wave) = self.waves.get_mut(&ride) else { return };
        let mut found = wave.found.take().unwrap_or_default();
        if !cars.is_empty() {
            let limit = self.policy.pickup_max(turn.now.since(wave.seek.since));
            found.retain(|candidate| {
                let named = cars.iter().any(|car| car.driver == candidate.driver);
                named || Millis::from_secs(candidate.eta.0.into()) <= limit
            });
        }
        let rank = |candidate: &Candidate| {
            cars.iter().position(|car| car.driver == candidate.driver).unwrap_or(cars.len())
        };
        wave.reserve = found;
        // A stable sort: who was not named keeps the order of road times.
        wave.reserve.sort_by_key(rank);
        wave.reserve.reverse();
        wave.give_up_at = turn.now + SLOTS_WITHIN;
        let count = if cars.is_empty() { usize::from(wave.seek.count) } else { cars.len() };
        ask_next(turn, zone, wave, count);
        self.close_if_complete(turn, ride);
    }

    fn slot_answer(&mut self, turn: &mut Turn<'_, R>, ride: RideId, of: WaveId, slot: Answered) {
        let zone = self.zone;
        let is_his = |candidate: &Candidate| candidate.driver == slot.driver;
        let wave = self.wave(ride, of.wave).filter(|wave| wave.seek.id() == of);
        let asked = wave.and_then(|wave| Some((wave.asked.iter().position(is_his)?, wave)));
        if let Some((at, wave)) = asked {
            let candidate = wave.asked.remove(at);
            if slot.granted {
                wave.granted.push(candidate);
            } else {
                ask_next(turn, zone, wave, 1);
            }
            self.close_if_complete(turn, ride);
        } else if slot.granted && !self.counts_on(ride, slot.driver) {
            // Too late for its wave, and no later one counts on it: the slot goes back.
            turn.tell_ride(ride, RideInput::SlotUnused { driver: slot.driver, of });
        }
    }

    /// Whether the ride's wave in the making has, or waits for, a slot of `driver`.
    fn counts_on(&self, ride: RideId, driver: DriverId) -> bool {
        self.waves.get(&ride).is_some_and(|wave| {
            let mut concerned = wave.asked.iter().chain(&wave.granted);
            concerned.any(|candidate| candidate.driver == driver)
        })
    }

    fn close_if_complete(&mut self, turn: &mut Turn<'_, R>, ride: RideId) {
        let complete = |wave: &Wave| wave.found.is_none() && wave.asked.is_empty();
        if self.waves.get(&ride).is_some_and(complete) {
            self.close(turn, ride);
            self.arm(turn);
        }
    }

    /// Hands the wave to its ride, as far as it got.
    fn close(&mut self, turn: &mut Turn<'_, R>, ride: RideId) {
        let Some(mut wave) = self.waves.remove(&ride) else {
            return;
        };
        wave.granted.sort_by_key(|candidate| (candidate.eta, candidate.distance));
        let offers = RideInput::Offers {
            search: wave.seek.search,
            wave: wave.seek.wave,
            candidates: wave.granted,
        };
        turn.tell_ride(ride, offers);
    }

    fn alarm(&mut self, turn: &mut Turn<'_, R>) {
        self.decide(turn);
        let late = self.waves.values().filter(|wave| wave.give_up_at <= turn.now);
        let mut late: Vec<RideId> = late.map(|wave| wave.seek.ride).collect();
        late.sort_unstable();
        for ride in late {
            if self.waves.get(&ride).is_some_and(|wave| wave.found.is_some()) {
                self.ask(turn, ride, &[]);
            } else {
                self.close(turn, ride);
            }
        }
        self.arm(turn);
    }

    fn arm(&self, turn: &mut Turn<'_, R>) {
        let waits = self.waves.values().any(|wave| wave.found.is_some());
        let gathered = self.gathers_until.or(self.looks_at).filter(|_| waits);
        let next = self.waves.values().map(|wave| wave.give_up_at).chain(gathered).min();
        turn.alarm(next);
    }
}

impl Wave {
    /// What the policy is told of it, while it is to be decided.
    fn waiting(&self) -> Option<Waiting> {
        self.found.as_ref()?;
        let Seek { ride, pickup, count, since, .. } = self.seek;
        Some(Waiting { ride, since, pickup, offers: count })
    }
}

/// What was found for the waves, as a policy sees it.
struct Found<'a>(&'a HashMap<RideId, Wave, BuildHasherDefault<KeyHasher>>);

impl Found<'_> {
    fn of(&self, ride: RideId) -> &[Candidate] {
        self.0.get(&ride).and_then(|wave| wave.found.as_deref()).unwrap_or_default()
    }
}

impl Supply for Found<'_> {
    fn near(&self, ride: &Waiting, reach: Reach) -> Vec<Car> {
        let car = |candidate: &Candidate| Car {
            driver: candidate.driver,
            pickup_in: Millis::from_secs(candidate.eta.0.into()),
            free_in: candidate.free_in.map(|free_in| Millis::from_secs(free_in.0.into())),
            merits: candidate.merits,
        };
        let found = self.of(ride.ride).iter();
        let (soon, free): (Vec<_>, Vec<_>) = found.partition(|found| found.free_in.is_some());
        let free = free.into_iter().take(reach.free);
        free.chain(soon.into_iter().take(reach.soon)).map(car).collect()
    }

    fn is_candidate(&self, ride: &Waiting, driver: DriverId) -> bool {
        self.of(ride.ride).iter().any(|candidate| candidate.driver == driver)
    }
}

/// A driver's word on a slot.
#[derive(Clone, Copy)]
struct Answered {
    driver: DriverId,
    granted: bool,
}

/// Those who have not answered yet will be too late.
fn give_back<R>(turn: &mut Turn<'_, R>, wave: &Wave) {
    let (ride, of) = (wave.seek.ride, wave.seek.id());
    for candidate in &wave.granted {
        turn.tell_ride(ride, RideInput::SlotUnused { driver: candidate.driver, of });
    }
}

fn ask_next<R>(turn: &mut Turn<'_, R>, zone: Zone, wave: &mut Wave, count: usize) {
    let slot =
        Slot { ride: wave.seek.ride, of: wave.seek.id(), until: turn.now + wave.seek.slots_until };
    for _ in 0..count {
        let Some(candidate) = wave.reserve.pop() else {
            return;
        };
        turn.tell_driver(candidate.driver, DriverInput::Slot { slot, zone });
        wave.asked.push(candidate);
    }
}

impl<R> Machine for DispatcherMachine<R> {
    type Input = DispatcherInput;
    type Reply = R;

    fn step(&mut self, now: UnixMillis, input: DispatcherInput, out: &mut Outputs<R>) {
        let turn = &mut Turn::new(now, out);
        match input {
            DispatcherInput::Seek(seek) => self.seek(turn, *seek),
            DispatcherInput::Found { ride, wave, candidates } => {
                self.found(turn, ride, wave, candidates);
            }
            DispatcherInput::SlotAnswer { ride, of, driver, granted } => {
                self.slot_answer(turn, ride, of, Answered { driver, granted });
            }
            DispatcherInput::Alarm => self.alarm(turn),
        }
    }

    fn settle(&mut self, _now: UnixMillis, _recording: bool, _out: &mut Outputs<R>) {}

    fn passivate_after(&self) -> Millis {
        Millis::from_secs(300)
    }
}
