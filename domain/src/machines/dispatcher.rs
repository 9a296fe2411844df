//! The dispatcher's machine: finds drivers for a wave and gets a slot of each before the ride
//! offers itself. It keeps nothing on disk; a ride asks again when it hears nothing.

use std::collections::HashMap;
use std::hash::BuildHasherDefault;

use super::known::KeyHasher;
use super::{DriverInput, Machine, Output, Outputs, RideInput, Slot, Turn};
use crate::category::Category;
use crate::facts::Zone;
use crate::ids::{DriverId, OfferId, RideId};
use crate::place::Coordinates;
use crate::units::{Metres, Millis, Seconds, UnixMillis};

/// How long a wave waits for the drivers' slots.
pub(super) const SLOTS_WITHIN: Millis = Millis(1500);

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
        wave: u16,
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
    pub excluded: Vec<DriverId>,
    /// How long the drivers' slots are kept.
    pub slots_until: Millis,
}

/// A driver who may be offered a ride.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Candidate {
    pub driver: DriverId,
    pub offer: OfferId,
    pub distance: Metres,
    pub eta: Seconds,
}

/// The actor's inside.
pub struct DispatcherMachine<R> {
    zone: Zone,
    waves: HashMap<RideId, Wave, BuildHasherDefault<KeyHasher>>,
    replies: std::marker::PhantomData<fn() -> R>,
}

/// A wave in the making.
struct Wave {
    seek: Seek,
    /// Asked and not yet answered, in order of rank.
    asked: Vec<Candidate>,
    /// Found and not yet asked, best last.
    reserve: Vec<Candidate>,
    granted: Vec<Candidate>,
    give_up_at: UnixMillis,
}

impl<R> DispatcherMachine<R> {
    /// The dispatcher of `zone`.
    #[must_use]
    pub fn new(zone: Zone) -> Self {
        Self { zone, waves: HashMap::default(), replies: std::marker::PhantomData }
    }

    fn seek(&mut self, turn: &mut Turn<'_, R>, seek: Seek) {
        let same = |wave: &Wave| (wave.seek.search, wave.seek.wave) == (seek.search, seek.wave);
        if self.waves.get(&seek.ride).is_some_and(same) {
            return;
        }
        turn.out.push(Output::Find(seek.clone()));
        let wave = Wave {
            seek,
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
        let zone = self.zone;
        let Some(wave) = self.wave(ride, number) else {
            return;
        };
        // What was looked for may be an earlier search's wave of the same number.
        candidates.retain(|found| !wave.seek.excluded.contains(&found.driver));
        candidates.reverse();
        wave.reserve = candidates;
        let count = usize::from(wave.seek.count);
        ask_next(turn, zone, wave, count);
        self.close_if_complete(turn, ride);
    }

    fn slot_answer(&mut self, turn: &mut Turn<'_, R>, ride: RideId, number: u16, slot: Answered) {
        let zone = self.zone;
        let is_his = |candidate: &Candidate| candidate.driver == slot.driver;
        let wave = self.wave(ride, number);
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
            turn.tell_driver(slot.driver, DriverInput::OfferClosed { ride });
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
        let complete = |wave: &Wave| wave.asked.is_empty();
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
        let late = self.waves.values().filter(|wave| wave.give_up_at <= turn.now);
        let mut late: Vec<RideId> = late.map(|wave| wave.seek.ride).collect();
        late.sort_unstable();
        for ride in late {
            self.close(turn, ride);
        }
        self.arm(turn);
    }

    fn arm(&self, turn: &mut Turn<'_, R>) {
        let next = self.waves.values().map(|wave| wave.give_up_at).min();
        turn.alarm(next);
    }
}

/// A driver's word on a slot.
#[derive(Clone, Copy)]
struct Answered {
    driver: DriverId,
    granted: bool,
}

fn give_back<R>(turn: &mut Turn<'_, R>, wave: &Wave) {
    let ride = wave.seek.ride;
    for candidate in wave.granted.iter().chain(&wave.asked) {
        turn.tell_driver(candidate.driver, DriverInput::OfferClosed { ride });
    }
}

fn ask_next<R>(turn: &mut Turn<'_, R>, zone: Zone, wave: &mut Wave, count: usize) {
    let slot = Slot {
        ride: wave.seek.ride,
        wave: wave.seek.wave,
        until: turn.now + wave.seek.slots_until,
    };
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
            DispatcherInput::SlotAnswer { ride, wave, driver, granted } => {
                self.slot_answer(turn, ride, wave, Answered { driver, granted });
            }
            DispatcherInput::Alarm => self.alarm(turn),
        }
    }

    fn settle(&mut self, _now: UnixMillis, _recording: bool, _out: &mut Outputs<R>) {}

    fn passivate_after(&self) -> Millis {
        Millis::from_secs(300)
    }
}
