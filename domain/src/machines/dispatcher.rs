//! The dispatcher's machine: finds drivers for a wave and gets a slot of each before the ride
//! offers itself. It keeps nothing on disk; a ride asks again when it hears nothing.

use std::collections::HashMap;
use std::hash::BuildHasherDefault;

use super::{DriverInput, Envelope, KeyHasher, Machine, Output, Outputs, RideInput, Slot};
use crate::category::Category;
use crate::facts::Zone;
use crate::ids::{DriverId, OfferId, RideId};
use crate::place::Coordinates;
use crate::units::{Metres, Millis, Seconds, UnixMillis};

/// How long a wave waits for the drivers' slots.
const SLOTS_WITHIN: Millis = Millis(1500);

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
#[derive(Debug, Clone, PartialEq)]
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

    fn seek(&mut self, now: UnixMillis, seek: Seek, out: &mut Outputs<R>) {
        let same = |wave: &Wave| (wave.seek.search, wave.seek.wave) == (seek.search, seek.wave);
        if self.waves.get(&seek.ride).is_some_and(same) {
            return;
        }
        out.push(Output::Find(seek.clone()));
        let give_up_at = now + SLOTS_WITHIN;
        let wave = Wave { seek, asked: vec![], reserve: vec![], granted: vec![], give_up_at };
        if let Some(earlier) = self.waves.insert(wave.seek.ride, wave) {
            self.give_back(&earlier, out);
        }
        self.arm(out);
    }

    fn found(
        &mut self,
        now: UnixMillis,
        (ride, number): (RideId, u16),
        mut candidates: Vec<Candidate>,
        out: &mut Outputs<R>,
    ) {
        let Some(wave) = self.waves.get_mut(&ride).filter(|wave| wave.seek.wave == number) else {
            return;
        };
        candidates.reverse();
        wave.reserve = candidates;
        let count = usize::from(wave.seek.count);
        ask_next(self.zone, now, wave, count, out);
        self.close_if_complete(ride, out);
    }

    fn slot_answer(
        &mut self,
        now: UnixMillis,
        (ride, number): (RideId, u16),
        (driver, granted): (DriverId, bool),
        out: &mut Outputs<R>,
    ) {
        let position =
            self.waves.get_mut(&ride).filter(|wave| wave.seek.wave == number).and_then(|wave| {
                let at = wave.asked.iter().position(|asked| asked.driver == driver)?;
                Some((at, wave))
            });
        let Some((at, wave)) = position else {
            // Too late for its wave: the slot goes back.
            if granted {
                let free = DriverInput::OfferClosed { ride };
                out.push(Output::Send(Envelope::Driver(driver, free)));
            }
            return;
        };
        let candidate = wave.asked.remove(at);
        if granted {
            wave.granted.push(candidate);
        } else {
            ask_next(self.zone, now, wave, 1, out);
        }
        self.close_if_complete(ride, out);
    }

    fn close_if_complete(&mut self, ride: RideId, out: &mut Outputs<R>) {
        if self.waves.get(&ride).is_some_and(|wave| wave.asked.is_empty()) {
            self.close(ride, out);
            self.arm(out);
        }
    }

    /// Hands the wave to its ride, as far as it got.
    fn close(&mut self, ride: RideId, out: &mut Outputs<R>) {
        let Some(mut wave) = self.waves.remove(&ride) else {
            return;
        };
        wave.granted.sort_by_key(|candidate| (candidate.eta, candidate.distance));
        let offers = RideInput::Offers {
            search: wave.seek.search,
            wave: wave.seek.wave,
            candidates: wave.granted,
        };
        out.push(Output::Send(Envelope::Ride(ride, offers)));
    }

    fn give_back(&self, wave: &Wave, out: &mut Outputs<R>) {
        for candidate in wave.granted.iter().chain(&wave.asked) {
            let free = DriverInput::OfferClosed { ride: wave.seek.ride };
            out.push(Output::Send(Envelope::Driver(candidate.driver, free)));
        }
    }

    fn alarm(&mut self, now: UnixMillis, out: &mut Outputs<R>) {
        let late = self.waves.values().filter(|wave| wave.give_up_at <= now);
        let mut late: Vec<RideId> = late.map(|wave| wave.seek.ride).collect();
        late.sort_unstable();
        for ride in late {
            self.close(ride, out);
        }
        self.arm(out);
    }

    fn arm(&self, out: &mut Outputs<R>) {
        let next = self.waves.values().map(|wave| wave.give_up_at).min();
        out.push(Output::Alarm(next));
    }
}

fn ask_next<R>(zone: Zone, now: UnixMillis, wave: &mut Wave, count: usize, out: &mut Outputs<R>) {
    for _ in 0..count {
        let Some(candidate) = wave.reserve.pop() else {
            return;
        };
        let until = now + wave.seek.slots_until;
        let slot = Slot { ride: wave.seek.ride, wave: wave.seek.wave, until };
        let input = DriverInput::Slot { slot, zone };
        out.push(Output::Send(Envelope::Driver(candidate.driver, input)));
        wave.asked.push(candidate);
    }
}

impl<R> Machine for DispatcherMachine<R> {
    type Input = DispatcherInput;
    type Reply = R;

    fn step(&mut self, now: UnixMillis, input: DispatcherInput, out: &mut Outputs<R>) {
        match input {
            DispatcherInput::Seek(seek) => self.seek(now, *seek, out),
            DispatcherInput::Found { ride, wave, candidates } => {
                self.found(now, (ride, wave), candidates, out);
            }
            DispatcherInput::SlotAnswer { ride, wave, driver, granted } => {
                self.slot_answer(now, (ride, wave), (driver, granted), out);
            }
            DispatcherInput::Alarm => self.alarm(now, out),
        }
    }

    fn settle(&mut self, _now: UnixMillis, _recording: bool, _out: &mut Outputs<R>) {}

    fn passivate_after(&self) -> Millis {
        Millis::from_secs(300)
    }
}
