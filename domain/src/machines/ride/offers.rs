//! The search: waves of offers, and how an offer closes without a winner.

use serde::Serialize;

use super::{
    Candidate, Coordinates, Decision, DriverId, DriverInput, Millis, Note, Offer, OfferId,
    RideEvent, RideId, RideMachine, Turn, UnixMillis,
};
use crate::category::Category;
use crate::facts::{Row, StreamId, StreamRow, WaveOffer, WaveRow, Zone};
use crate::machines::dispatcher::SLOTS_WITHIN;
use crate::machines::{DispatcherInput, Seek, Slot, WaveId};
use crate::money::{Centavos, reais};
use crate::mutants::{Mutant, is};
use crate::policy::RidePolicy;
use crate::ride::{Ride, Status};
use crate::units::{Metres, Seconds, rfc3339};

/// How long a ride waits for a wave before it asks for it again.
const ASK_AGAIN_AFTER: Millis = Millis::from_secs(2);

impl<R> RideMachine<R> {
    fn searching(&self) -> Option<&Ride> {
        let ride = self.ride.as_ref()?;
        (ride.status == Status::Searching).then_some(ride)
    }

    /// Asks the dispatcher for the next wave, and again later should the question be lost: a
    /// dispatcher keeps nothing on disk.
    pub(super) fn start_wave(&mut self, turn: &mut Turn<'_, R>) {
        let Some(ride) = self.searching() else { return };
        let WaveId { search, wave } = next_wave(ride);
        let seek = Seek {
            ride: ride.id,
            search,
            wave,
            pickup: ride.order.pickup,
            category: ride.order.category,
            radius: self.policy.wave_radius(wave),
            count: self.policy.wave_size(wave),
            since: ride.search.since,
            excluded: ride.not_to_ask(wave, &self.policy),
            slots_until: self.slots_for(),
        };
        let zone = match is(Mutant::ZoneIgnored) {
            true => Zone(0),
            false => self.policy.zones.of(ride.order.pickup),
        };
        turn.tell_dispatcher(zone, DispatcherInput::Seek(Box::new(seek)));
        let ask_again = turn.now + ASK_AGAIN_AFTER;
        let end = ride.search_deadline(&self.policy);
        turn.alarm(Some(end.map_or(ask_again, |end| end.min(ask_again))));
        self.sought = Some(WaveId { search, wave });
    }

    /// How long a driver keeps a slot that he was asked for: to the last moment at which the offer
    /// may be accepted, however late the wave is complete, for its word may come later than that.
    fn slots_for(&self) -> Millis {
        let RidePolicy { offer_ttl, accept_grace, .. } = &*self.policy;
        Millis(SLOTS_WITHIN.0 + offer_ttl.0 + accept_grace.0)
    }

    /// Makes the offers of a wave. A wave that comes too late only gives its slots back.
    pub(super) fn offers_found(
        &mut self,
        turn: &mut Turn<'_, R>,
        id: WaveId,
        candidates: Vec<Candidate>,
    ) {
        let due = self.searching().is_some_and(|ride| next_wave(ride) == id);
        let expires_at = turn.now + self.policy.offer_ttl;
        let mut offers = Vec::with_capacity(candidates.len());
        for candidate in candidates {
            let ride = self.ride.as_ref();
            if due && ride.is_some_and(|ride| ride.may_ask(candidate.driver)) {
                offers.push(offer(candidate, id.wave, expires_at));
            } else if ride.is_none_or(|ride| ride.open_offer_to(candidate.driver).is_none()) {
                let closed = DriverInput::OfferClosed { ride: self.id, of: id };
                turn.tell_driver(candidate.driver, closed);
            }
        }
        if due {
            self.make_offers(turn, id, &offers);
        }
    }

    fn make_offers(&mut self, turn: &mut Turn<'_, R>, id: WaveId, offers: &[Offer]) {
        // Nobody in reach: look farther at once, while there is a farther.
        let at_once = offers.is_empty() && self.policy.grows_after(id.wave);
        let pause = if at_once { Millis(0) } else { self.policy.next_wave_after(id.wave) };
        let event = RideEvent::OffersMade {
            wave: id.wave,
            offers: offers.to_vec(),
            next_wave_at: turn.now + pause,
        };
        let mut decision = self.decision(turn);
        self.record(turn, &event, &mut decision);
        if !offers.is_empty() {
            self.tell_offers(turn, &mut decision, id, offers);
        }
        self.finish(turn, decision);
        if at_once {
            self.start_wave(turn);
        }
    }

    fn tell_offers(
        &self,
        turn: &mut Turn<'_, R>,
        decision: &mut Decision,
        id: WaveId,
        offers: &[Offer],
    ) {
        let Some(ride) = &self.ride else { return };
        for offer in offers {
            decision.streams.push(offer_made(ride, offer));
            let slot =
                Slot { ride: ride.id, of: id, until: self.policy.accepts_until(offer.expires_at) };
            turn.tell_driver(offer.driver, DriverInput::Offered { slot });
        }
        let line = |offer: &Offer| WaveOffer {
            id: offer.id,
            driver: offer.driver,
            distance: offer.distance,
            eta: offer.eta,
        };
        decision.rows.push(Row::Wave(WaveRow {
            ride: ride.id,
            wave: id.wave,
            search: id.search,
            offered_at: turn.now,
            expires_at: turn.now + self.policy.offer_ttl,
            offers: offers.iter().map(line).collect(),
        }));
        turn.note(Note::OffersMade { count: offers.len() });
    }

    /// A driver cannot take the offer of a wave any more. One that is not open only has a slot to
    /// free.
    pub(super) fn offer_unwanted(&mut self, turn: &mut Turn<'_, R>, driver: DriverId, of: WaveId) {
        let open = self.ride.as_ref().and_then(|ride| {
            let offer = ride.open_offer_to(driver)?;
            wave_of(ride, offer).may_be(of).then_some(offer.id)
        });
        let Some(offer) = open else {
            self.cannot_come(turn, driver);
            turn.tell_driver(driver, DriverInput::OfferClosed { ride: self.id, of });
            return;
        };
        let mut decision = self.decision(turn);
        let event = RideEvent::OfferWithdrawn { driver, offer };
        self.record(turn, &event, &mut decision);
        self.finish(turn, decision);
        self.hurry(turn);
    }

    /// A slot for a wave that is yet to be made may still be used by it, and lapses if it is not.
    pub(super) fn slot_unused(&mut self, turn: &mut Turn<'_, R>, driver: DriverId, of: WaveId) {
        let Some(ride) = &self.ride else { return };
        let made = ride.status != Status::Searching || of < next_wave(ride);
        if made && ride.open_offer_to(driver).is_none() {
            turn.tell_driver(driver, DriverInput::OfferClosed { ride: self.id, of });
        }
    }

    /// Up to which wave no offer is open to a driver, if none is. One that was asked for may bring
    /// him a new one.
    pub(super) fn closed_to(&self, driver: DriverId) -> Option<WaveId> {
        let Some(ride) = &self.ride else { return Some(WaveId::LAST) };
        let made = WaveId { wave: ride.search.wave, ..next_wave(ride) };
        ride.open_offer_to(driver).is_none().then_some(made)
    }

    /// Starts the next wave when nobody is left to answer this one.
    pub(super) fn hurry(&mut self, turn: &mut Turn<'_, R>) {
        if self.searching().is_some_and(|ride| ride.open_offers().next().is_none()) {
            self.start_wave(turn);
        }
    }

    /// Something is due: offers are over, the next wave starts, or the search is given up. Each of
    /// them moves the next alarm into the future.
    pub(super) fn alarm(&mut self, turn: &mut Turn<'_, R>) {
        self.watch_chain(turn);
        let Some(ride) = self.searching() else { return };
        let give_up = turn.now >= ride.search.since + self.policy.search;
        let drivers = ride.overdue_offers(turn.now, &self.policy);
        let expired = !drivers.is_empty();
        let mut decision = self.decision(turn);
        if expired {
            let event = RideEvent::OffersExpired { drivers };
            self.record(turn, &event, &mut decision);
        }
        if give_up {
            self.record(turn, &RideEvent::NoDriver, &mut decision);
        }
        self.finish(turn, decision);
        let Some(ride) = self.searching() else { return };
        let unanswered = self.sought == Some(next_wave(ride));
        let nobody_left = expired && ride.open_offers().next().is_none();
        if ride.search.next_wave_at <= turn.now || unanswered || nobody_left {
            self.start_wave(turn);
        } else {
            turn.alarm(ride.deadline(&self.policy));
        }
    }

    /// Notes the offers that `event` is about to close, for their drivers to be told.
    pub(super) fn note_closed_offers(&mut self, event: &RideEvent) {
        let Some(ride) = &self.ride else { return };
        let closes = |offer: &Offer| match event {
            RideEvent::Assigned { driver, .. } if driver.id == offer.driver => None,
            RideEvent::Assigned { .. } => Some("taken"),
            RideEvent::Canceled { .. } => Some("canceled"),
            RideEvent::NoDriver => Some("expired"),
            RideEvent::OffersExpired { drivers } => {
                drivers.contains(&offer.driver).then_some("expired")
            }
            RideEvent::OfferWithdrawn { driver, .. } => {
                (*driver == offer.driver).then_some("driver_busy")
            }
            RideEvent::OfferDeclined { driver, .. } => {
                (*driver == offer.driver).then_some("declined")
            }
            RideEvent::Requested { .. }
            | RideEvent::Unchained
            | RideEvent::OffersMade { .. }
            | RideEvent::Released { .. }
            | RideEvent::Arriving
            | RideEvent::Arrived
            | RideEvent::PinRefused { .. }
            | RideEvent::Started
            | RideEvent::Completed { .. }
            | RideEvent::Rated { .. } => None,
        };
        let closed = ride.open_offers();
        let closed =
            closed.filter_map(|offer| Some((offer.clone(), wave_of(ride, offer), closes(offer)?)));
        self.withdrawn.extend(closed);
    }

    /// Tells drivers that their offers are closed; not those whose own accept or decline is told
    /// so now.
    pub(super) fn tell_withdrawn(&mut self, turn: &mut Turn<'_, R>) {
        let version = self.ride.as_ref().map_or(0, |ride| ride.version);
        let mut decision = self.decision(turn);
        for (offer, of, reason) in std::mem::take(&mut self.withdrawn) {
            // One whose accept is about to be answered hears all at once.
            if !self.is_about_to_hear(offer.driver) {
                let closed = DriverInput::OfferClosed { ride: self.id, of };
                turn.tell_driver(offer.driver, closed);
            }
            if reason == "declined" || self.is_told_by_answer(offer.driver, reason) {
                continue;
            }
            let body = Withdrawal { offer_id: offer.id, ride_id: self.id, reason };
            decision.streams.push(StreamRow {
                stream: StreamId::Driver(offer.driver),
                op: "offer.withdrawn",
                key: self.id.0,
                version,
                expires_at: None,
                urgent: false,
                body: serde_json::to_string(&body).unwrap_or_default().into(),
            });
        }
        turn.persist(decision);
    }
}

/// An offer as its driver reads it.
#[derive(Serialize)]
struct OfferBody {
    offer_id: OfferId,
    ride_id: RideId,
    category: Category,
    pickup: Coordinates,
    dropoff: Coordinates,
    #[serde(serialize_with = "reais")]
    fare: Centavos,
    currency: &'static str,
    pickup_distance_m: Metres,
    pickup_eta_s: Seconds,
    #[serde(serialize_with = "rfc3339")]
    expires_at: UnixMillis,
}

/// The end of an offer as its driver reads it.
#[derive(Serialize)]
struct Withdrawal {
    offer_id: OfferId,
    ride_id: RideId,
    reason: &'static str,
}

/// The wave of an offer that is open.
fn wave_of(ride: &Ride, offer: &Offer) -> WaveId {
    WaveId { search: ride.search.reassignments, wave: offer.wave }
}

/// The wave that comes after those made so far.
fn next_wave(ride: &Ride) -> WaveId {
    WaveId { search: ride.search.reassignments, wave: ride.search.wave.saturating_add(1) }
}

fn offer(candidate: Candidate, wave: u16, expires_at: UnixMillis) -> Offer {
    let Candidate { driver, offer, distance, eta, free_in: _, merits: _ } = candidate;
    Offer { id: offer, driver, wave, expires_at, distance, eta }
}

fn offer_made(ride: &Ride, offer: &Offer) -> StreamRow {
    let body = OfferBody {
        offer_id: offer.id,
        ride_id: ride.id,
        category: ride.order.category,
        pickup: ride.order.pickup,
        dropoff: ride.order.dropoff,
        fare: ride.order.fare.estimated,
        currency: "BRL",
        pickup_distance_m: offer.distance,
        pickup_eta_s: offer.eta,
        expires_at: offer.expires_at,
    };
    StreamRow {
        stream: StreamId::Driver(offer.driver),
        op: "offer.made",
        key: ride.id.0,
        version: ride.version,
        expires_at: Some(offer.expires_at),
        urgent: true,
        body: serde_json::to_string(&body).unwrap_or_default().into(),
    }
}
