//! The rides of a driver's machine: the one he has, the one after it, the one he is about to get,
//! and what he does where the word of one of them was lost.

use super::input::NotWon;
use super::{
    Decision, DriverMachine, Entity, Held, Mutant, Reserved, RideId, RideInput, Turn, WaveId, is,
};
use crate::units::Millis;

/// After this long without word of an accept's outcome, the ride is asked.
pub(super) const OUTCOME_WITHIN: Millis = Millis::from_secs(3);

/// How often a ride is asked whether it is still his: the word of its end may have been lost.
pub(super) const RIDE_ASKED_EVERY: Millis = Millis::from_secs(60);

impl DriverMachine {
    pub(super) fn won<R>(&mut self, turn: &mut Turn<'_, R>, ride: RideId, held: Held) {
        self.free_slot(ride);
        self.reserved.take_if(|reserved| reserved.ride == ride);
        self.active_heard = turn.now;
        match held {
            Held::Now { dropoff } => self.has_now(turn, ride, dropoff),
            Held::Next { after } => self.has_next(turn, ride, after),
        }
        if !self.may_be_offered() {
            self.refuse_offers(turn);
        }
        self.present(turn);
    }

    fn has_now<R>(
        &mut self,
        turn: &mut Turn<'_, R>,
        ride: RideId,
        dropoff: Option<crate::place::Coordinates>,
    ) {
        self.next.take_if(|next| *next == ride);
        self.dropoff = dropoff;
        let earlier = self.active.replace(ride);
        if let Some(earlier) = earlier.filter(|earlier| *earlier != ride) {
            // Only one is his. Which, shows when the other answers: its end is on the way, or
            // this word came late.
            self.ask_ride(turn, earlier);
        }
    }

    fn has_next<R>(&mut self, turn: &mut Turn<'_, R>, ride: RideId, after: RideId) {
        match self.active {
            // The other has ended, as he knows; this one will hear of it too.
            None => self.active = Some(ride),
            Some(active) if active == ride => {}
            Some(active) if active == after => {
                let other = self.next.replace(ride).filter(|other| *other != ride);
                if let Some(other) = other {
                    self.ask_ride(turn, other);
                }
            }
            // Built while it was being won, he has got another ride since.
            Some(_) => self.refuse_offer(turn, ride, WaveId::UNKNOWN),
        }
    }

    /// An accept came back, or the ride he thought his is not. His offer may still be open, and a
    /// later accept on its way.
    pub(super) fn not_won<R>(&mut self, turn: &mut Turn<'_, R>, ride: RideId, no: NotWon) {
        let given_for = self.slots.get(&ride).map(|slot| slot.of);
        if no.closed.is_some_and(|closed| given_for.is_none_or(|wave| wave <= closed)) {
            self.free_slot(ride);
        }
        let kept = is(Mutant::ReservationKept);
        self.reserved.take_if(|known| known.ride == ride && known.last <= no.call && !kept);
        self.release(turn, ride);
    }

    pub(super) fn ended<R>(&mut self, turn: &mut Turn<'_, R>, ride: RideId) {
        self.free_slot(ride);
        self.reserved.take_if(|reserved| reserved.ride == ride);
        self.release(turn, ride);
    }

    fn release<R>(&mut self, turn: &mut Turn<'_, R>, ride: RideId) {
        self.next.take_if(|next| *next == ride);
        if self.active.take_if(|active| *active == ride).is_some() {
            self.dropoff = None;
            self.active = self.next.take();
            self.active_heard = turn.now;
            // His time to be seen again starts when the ride ends.
            self.last_seen = turn.now;
            self.free_since = turn.now;
        }
        self.present(turn);
    }

    /// Asks his rides whether they still are his.
    pub(super) fn ask_rides<R>(&mut self, turn: &mut Turn<'_, R>) {
        for ride in self.active.into_iter().chain(self.next) {
            self.ask_ride(turn, ride);
        }
    }

    /// The number of the call.
    fn ask_ride<R>(&mut self, turn: &mut Turn<'_, R>, ride: RideId) -> u64 {
        let call = self.next_call();
        turn.tell_ride(ride, RideInput::WhoseIsIt { driver: self.id, call });
        call
    }

    pub(super) const fn next_call(&mut self) -> u64 {
        self.calls += 1;
        self.calls
    }

    pub(super) fn alarm<R>(&mut self, turn: &mut Turn<'_, R>) {
        let now = turn.now;
        let late = self.reserved.as_ref().filter(|known| now >= known.since + OUTCOME_WITHIN);
        if let Some(ride) = late.map(|known| known.ride) {
            // The answer to this question stands for those that did not come.
            let last = self.ask_ride(turn, ride);
            self.reserved = Some(Reserved { ride, since: now, last });
        }
        if self.active.is_some() && now >= self.active_heard + RIDE_ASKED_EVERY {
            self.active_heard = now;
            self.ask_rides(turn);
        }
        if self.is_absent() && now >= self.last_seen + self.policy.presence {
            let mut decision = Decision::new(Entity::Driver(self.id), now);
            self.leave(turn, "lost", &mut decision);
            turn.persist(decision);
        }
        self.present(turn);
    }
}
