//! What a ride answers to a command: an event to record, nothing new, or a refusal.
//!
//! One function a command. None changes the ride; the caller applies the event it gets.

use super::{CancelReason, Chain, DriverCard, DriverPosition, Party, Ride, RideEvent, Status};
use crate::ids::{DriverId, OfferId, RideId};
use crate::money::Centavos;
use crate::mutants::{Mutant, is};
use crate::place::Coordinates;
use crate::policy::RidePolicy;
use crate::refusal::Refusal;
use crate::units::{Millis, UnixMillis};

/// A driver's wish to have the ride.
#[derive(Debug, Clone)]
pub struct Bid {
    pub driver: DriverCard,
    /// The offer he means; `None`: the one he has.
    pub offer: Option<OfferId>,
    /// Where he is.
    pub at: Option<DriverPosition>,
    /// The ride that he is on and will end first.
    pub after: Option<RideId>,
    /// Why he could not take the ride even if it were his to take, as his own machine says.
    pub unable: Option<Refusal>,
    /// Which call of his machine this is; what it hears of the outcome names it.
    pub call: u64,
}

impl Bid {
    /// The call that his machine waits for an answer to: it has reserved him.
    #[must_use]
    pub fn awaited(&self) -> Option<u64> {
        self.unable.is_none().then_some(self.call)
    }
}

/// In whose name a ride is ended early.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CancelAs {
    Passenger,
    Driver(DriverId),
    Admin,
}

/// An early end as asked for.
#[derive(Debug, Clone)]
pub struct Cancel {
    pub by: CancelAs,
    pub reason: CancelReason,
    pub note: Option<String>,
}

/// An event to record, or `None` where the state already is what was asked for.
type Decided = Result<Option<RideEvent>, Refusal>;

impl Ride {
    /// Whether the bidder gets this ride at `now`. `Ok(None)`: already theirs.
    ///
    /// # Errors
    /// The first that fits, in this order: never offered, ended, another's, the bidder unable,
    /// offer over.
    pub fn accept(&self, bid: &Bid, now: UnixMillis, policy: &RidePolicy) -> Decided {
        let driver = bid.driver.id;
        if self.is_driven_by(driver) {
            return match self.status.is_final() {
                true => Err(Refusal::RideClosed),
                false => Ok(None),
            };
        }
        let offer = self.offers.get(&driver).ok_or(Refusal::OfferNotFound)?;
        match self.status {
            Status::Searching => {}
            Status::Accepted if is(Mutant::TwoWinners) => {}
            Status::Accepted | Status::Arriving | Status::Arrived | Status::Started => {
                return Err(Refusal::RideAlreadyAssigned);
            }
            Status::Completed | Status::Canceled | Status::NoDriver => {
                return Err(Refusal::RideClosed);
            }
        }
        if let Some(refusal) = bid.unable {
            return Err(refusal);
        }
        let named_another = bid.offer.is_some_and(|id| id != offer.id);
        let over = !self.is_open(offer) || now > policy.accepts_until(offer.expires_at);
        if named_another || (over && !is(Mutant::TwoWinners) && !is(Mutant::LateAccept)) {
            return Err(Refusal::OfferExpired);
        }
        let due = now + policy.soon_within;
        let chain = bid.after.map(|after| Chain { after, due });
        let driver = Box::new(bid.driver.clone());
        Ok(Some(RideEvent::Assigned { driver, offer: offer.id, chain }))
    }

    /// Whether `driver` may turn the offer down. `Ok(None)`: it was no longer open to him.
    ///
    /// # Errors
    /// [`Refusal::OfferNotFound`], or [`Refusal::OfferExpired`] for another than the open one.
    pub fn decline(
        &self,
        driver: DriverId,
        offer: Option<OfferId>,
        reason: Option<String>,
    ) -> Decided {
        let his = self.offers.get(&driver).ok_or(Refusal::OfferNotFound)?;
        if offer.is_some_and(|id| id != his.id) {
            return Err(Refusal::OfferExpired);
        }
        if self.is_driven_by(driver) {
            return Err(Refusal::IllegalTransition);
        }
        if !self.is_open(his) {
            return Ok(None);
        }
        Ok(Some(RideEvent::OfferDeclined { driver, offer: his.id, reason }))
    }

    /// Whether the driver may say that he is at the pickup. `location` is his own claim; without
    /// one his last position counts, and without that his word.
    ///
    /// # Errors
    /// [`Refusal::TooFar`] beyond `arrive_said_within`, [`Refusal::IllegalTransition`].
    pub fn arrive(&self, location: Option<Coordinates>, policy: &RidePolicy) -> Decided {
        match self.status {
            Status::Accepted if self.chain.is_some() => return Err(Refusal::IllegalTransition),
            Status::Accepted | Status::Arriving => {}
            Status::Arrived => return Ok(None),
            Status::Searching
            | Status::Started
            | Status::Completed
            | Status::Canceled
            | Status::NoDriver => return Err(Refusal::IllegalTransition),
        }
        let place = location.or(self.driver_at.map(|position| position.place));
        match place {
            Some(place) if place.distance_to(self.order.pickup) > policy.arrive_said_within => {
                Err(Refusal::TooFar)
            }
            Some(_) | None => Ok(Some(RideEvent::Arrived)),
        }
    }

    /// Whether the ride starts with this PIN. A wrong one is an event too, with its refusal: both
    /// are recorded, so that the same command counts as one try only.
    ///
    /// # Errors
    /// [`Refusal::PinLocked`], [`Refusal::IllegalTransition`].
    pub fn start(
        &self,
        pin: &str,
        now: UnixMillis,
        policy: &RidePolicy,
    ) -> Result<(Option<RideEvent>, Option<Refusal>), Refusal> {
        match self.status {
            Status::Arrived => {}
            Status::Started => return Ok((None, None)),
            Status::Searching
            | Status::Accepted
            | Status::Arriving
            | Status::Completed
            | Status::Canceled
            | Status::NoDriver => return Err(Refusal::IllegalTransition),
        }
        if self.pin_locked_until.is_some_and(|until| now < until) {
            return Err(Refusal::PinLocked);
        }
        if pin == self.order.pin.0 {
            return Ok((Some(RideEvent::Started), None));
        }
        let locked = self.pin_tries + 1 >= policy.pin_tries_max;
        let locked_until = locked.then(|| now + policy.pin_lock);
        Ok((Some(RideEvent::PinRefused { locked_until }), Some(Refusal::PinWrong)))
    }

    /// Whether the driver may end the ride at its destination. The final fare is the quote.
    ///
    /// # Errors
    /// [`Refusal::IllegalTransition`].
    pub fn complete(&self, reason: Option<String>) -> Decided {
        match self.status {
            Status::Started => {
                Ok(Some(RideEvent::Completed { fare: self.order.fare.estimated, reason }))
            }
            Status::Completed => Ok(None),
            Status::Searching
            | Status::Accepted
            | Status::Arriving
            | Status::Arrived
            | Status::Canceled
            | Status::NoDriver => Err(Refusal::IllegalTransition),
        }
    }

    /// What an early end means: a cancellation with its fee, or, by a driver before the start, a
    /// release into a new search.
    ///
    /// # Errors
    /// [`Refusal::RideClosed`], [`Refusal::IllegalTransition`] for a no-show before its time.
    pub fn cancel(&self, cancel: Cancel, now: UnixMillis, policy: &RidePolicy) -> Decided {
        let Cancel { by, reason, note } = cancel;
        if self.status == Status::Canceled {
            return Ok(None);
        }
        if self.status.is_final() {
            return Err(Refusal::RideClosed);
        }
        let canceled = |by, fee| RideEvent::Canceled { by, reason, note: note.clone(), fee };
        let event = match by {
            CancelAs::Admin => canceled(Party::Admin, Centavos::ZERO),
            CancelAs::Passenger => canceled(Party::Passenger, self.passenger_fee(now, policy)),
            CancelAs::Driver(driver) => match self.status {
                Status::Arrived if reason == CancelReason::NoShow => {
                    let waited = self.arrived_at.map(|since| now.since(since));
                    if waited.is_none_or(|waited| waited < policy.no_show_after) {
                        return Err(Refusal::IllegalTransition);
                    }
                    canceled(Party::Driver, policy.no_show_fee)
                }
                Status::Accepted | Status::Arriving | Status::Arrived
                    if self.search.reassignments < policy.reassignments_max =>
                {
                    RideEvent::Released { driver, reason, note }
                }
                Status::Accepted | Status::Arriving | Status::Arrived | Status::Started => {
                    canceled(Party::Driver, Centavos::ZERO)
                }
                Status::Searching | Status::Completed | Status::Canceled | Status::NoDriver => {
                    return Err(Refusal::IllegalTransition);
                }
            },
        };
        Ok(Some(event))
    }

    /// What the passenger owes for ending the ride now.
    fn passenger_fee(&self, now: UnixMillis, policy: &RidePolicy) -> Centavos {
        match self.status {
            // Nobody is on his way yet.
            Status::Accepted if self.chain.is_some() => Centavos::ZERO,
            Status::Accepted | Status::Arriving | Status::Arrived => {
                let bound = self.accepted_at.map(|since| now.since(since));
                if bound.is_some_and(|bound| bound < policy.cancel_grace) {
                    Centavos::ZERO
                } else {
                    // Never more than the ride itself would have cost.
                    policy.cancel_fee.min(self.order.fare.estimated)
                }
            }
            Status::Started => self.order.fare.estimated,
            Status::Searching | Status::Completed | Status::Canceled | Status::NoDriver => {
                Centavos::ZERO
            }
        }
    }

    /// Notes where the driver is.
    pub fn locate(&mut self, position: DriverPosition) {
        self.driver_at = Some(position);
    }

    /// Takes the driver's newest position and says what it shows: near the pickup, or there twice
    /// in a row with a good fix. One that is not newer than the last shows nothing.
    pub fn follow(&mut self, position: DriverPosition, policy: &RidePolicy) -> Option<RideEvent> {
        let before = self.driver_at;
        if before.is_some_and(|before| position == before || position.at < before.at) {
            return None;
        }
        self.locate(position);
        let counts = |position: DriverPosition| {
            position.accuracy <= policy.arrived_accuracy
                && position.place.distance_to(self.order.pickup) <= policy.arrived_within
        };
        match self.status {
            Status::Accepted if self.chain.is_some() => None,
            Status::Accepted | Status::Arriving
                if counts(position) && before.is_some_and(counts) =>
            {
                Some(RideEvent::Arrived)
            }
            Status::Accepted => (position.place.distance_to(self.order.pickup)
                <= policy.arriving_within)
                .then_some(RideEvent::Arriving),
            Status::Searching
            | Status::Arriving
            | Status::Arrived
            | Status::Started
            | Status::Completed
            | Status::Canceled
            | Status::NoDriver => None,
        }
    }

    /// Open offers that are over at `now`, the grace for an accept included.
    #[must_use]
    pub fn overdue_offers(&self, now: UnixMillis, policy: &RidePolicy) -> Vec<DriverId> {
        self.open_offers()
            .filter(|offer| now > policy.accepts_until(offer.expires_at))
            .map(|offer| offer.driver)
            .collect()
    }

    /// What becomes of a chained ride whose driver is too long on another: the search begins anew.
    #[must_use]
    pub fn late_release(&self, now: UnixMillis, policy: &RidePolicy) -> Option<RideEvent> {
        let late = now >= self.chain?.due + policy.chain_late;
        self.release_from_chain(self.driver_id()?).filter(|_| late)
    }

    /// What becomes of a ride that is chained to one of `driver`, who cannot come.
    #[must_use]
    pub fn release_from_chain(&self, driver: DriverId) -> Option<RideEvent> {
        let his = self.status == Status::Accepted && self.is_driven_by(driver);
        self.chain.filter(|_| his)?;
        Some(RideEvent::Released { driver, reason: CancelReason::DriverLate, note: None })
    }

    /// When this ride must be looked at again; `None` for one that has ended or waits for people.
    #[must_use]
    pub fn deadline(&self, policy: &RidePolicy) -> Option<UnixMillis> {
        if let (Status::Accepted, Some(chain)) = (self.status, self.chain) {
            return Some(chain.due + policy.chain_late);
        }
        let end = self.search_deadline(policy)?;
        Some(end.min(self.search.next_wave_at))
    }

    /// When the next open offer, or the search itself, is over.
    #[must_use]
    pub fn search_deadline(&self, policy: &RidePolicy) -> Option<UnixMillis> {
        match self.status {
            Status::Searching => {
                let give_up = self.search.since + policy.search;
                let first_over = self.open_offers().map(|offer| offer.expires_at).min();
                // One past the last moment at which an accept counts.
                let over = first_over.map(|at| policy.accepts_until(at) + Millis(1));
                Some(over.map_or(give_up, |over| over.min(give_up)))
            }
            Status::Accepted
            | Status::Arriving
            | Status::Arrived
            | Status::Started
            | Status::Completed
            | Status::Canceled
            | Status::NoDriver => None,
        }
    }
}
