//! Chained rides: one that was accepted by a driver who is still on another. The database makes it
//! its driver's active ride in the commit that ends the other; here it is recorded and told.
//!
//! Words between the two rides may be lost. The later one asks again, and knows by its deadline
//! when to look for another driver.

use super::{DriverId, Millis, RideEvent, RideId, RideInput, RideMachine, Turn};
use crate::machines::Held;
use crate::mutants::{Mutant, is};
use crate::ride::{Ride, Status};

/// How often a chained ride asks the one before it whether it has ended.
pub(super) const ASKED_EVERY: Millis = Millis::from_secs(30);

/// What its driver's machine must know of a ride that is his.
pub(super) fn held(ride: &Ride) -> Held {
    match ride.chain {
        Some(chain) => Held::Next { after: chain.after },
        // On the way to a stop nobody knows when he will be free.
        None if ride.status == Status::Started && ride.order.stops.is_empty() => {
            Held::Now { dropoff: Some(ride.order.dropoff) }
        }
        None => Held::Now { dropoff: None },
    }
}

impl<R> RideMachine<R> {
    /// Records what the records of the other ride say already.
    pub(super) fn catch_up(&mut self, turn: &mut Turn<'_, R>) {
        if std::mem::take(&mut self.preceding_ended) {
            self.unchain(turn);
        }
    }

    /// The ride `next` wants to hear when this one has ended.
    pub(super) fn precedes(&mut self, turn: &mut Turn<'_, R>, next: RideId) {
        self.next = Some(next);
        if self.ride.as_ref().is_none_or(|ride| !ride.status.has_driver()) {
            self.tell_next(turn);
        }
    }

    /// Tells the ride after this one, if there is one, that its driver comes.
    pub(super) fn tell_next(&mut self, turn: &mut Turn<'_, R>) {
        if let Some(next) = self.next.take() {
            turn.tell_ride(next, RideInput::PrecedingEnded { ride: self.id });
        }
    }

    /// Asks the ride before this one to say when it has ended.
    pub(super) fn ask_preceding(&self, turn: &mut Turn<'_, R>) {
        if let Some(chain) = self.ride.as_ref().and_then(|ride| ride.chain) {
            turn.tell_ride(chain.after, RideInput::Precedes { next: self.id });
        }
    }

    pub(super) fn preceding_ended(&mut self, turn: &mut Turn<'_, R>, ride: RideId) {
        let chain = self.ride.as_ref().and_then(|ride| ride.chain);
        if chain.is_some_and(|chain| chain.after == ride) && !is(Mutant::NeverUnchained) {
            self.unchain(turn);
        }
    }

    fn unchain(&mut self, turn: &mut Turn<'_, R>) {
        let chained = |ride: &&Ride| ride.status == Status::Accepted && ride.chain.is_some();
        let ride = self.ride.as_ref().filter(chained);
        let Some(driver) = ride.and_then(Ride::driver_id) else { return };
        let mut decision = self.decision(turn);
        self.record(turn, &RideEvent::Unchained, &mut decision);
        self.finish(turn, decision);
        self.whose(turn, driver, 0);
    }

    /// A chained ride is looked at: is the one before it over, or too late?
    pub(super) fn watch_chain(&mut self, turn: &mut Turn<'_, R>) {
        let Some(ride) = self.ride.as_ref().filter(|ride| ride.chain.is_some()) else { return };
        match ride.late_release(turn.now, &self.policy) {
            Some(release) => self.release_from_chain(turn, &release),
            None => {
                let next = ride.deadline(&self.policy);
                self.ask_preceding(turn);
                let again = turn.now + ASKED_EVERY;
                turn.alarm(Some(next.map_or(again, |next| next.min(again))));
            }
        }
    }

    /// The driver of this chained ride has got another one: it looks for another driver.
    pub(super) fn cannot_come(&mut self, turn: &mut Turn<'_, R>, driver: DriverId) {
        let release = self.ride.as_ref().and_then(|ride| ride.release_from_chain(driver));
        if let Some(release) = release {
            self.release_from_chain(turn, &release);
        }
    }

    fn release_from_chain(&mut self, turn: &mut Turn<'_, R>, release: &RideEvent) {
        let mut decision = self.decision(turn);
        self.record(turn, release, &mut decision);
        self.finish(turn, decision);
        self.start_wave(turn);
    }
}
