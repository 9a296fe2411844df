//! The watch's own book of rides: every committed event, folded.

use ibora_domain::dispatch::PolicyKind;
use ibora_domain::facts::{Decision, Entity, Row};
use ibora_domain::ids::RideId;
use ibora_domain::invariants::{RIDE_1, RIDE_2, RIDE_3, RIDE_4, RIDE_5, RIDE_6, RIDE_7};
use ibora_domain::ride::{Ride, RideEvent, Status};
use ibora_domain::units::{Millis, UnixMillis};

use super::{Watch, ZONE};
use crate::people;
use crate::world::World;

/// A chained ride hears within this time that the one before it has ended; clocks may disagree.
const CHAIN_HEARD_WITHIN: Millis = Millis::from_secs(180);

impl Watch {
    /// A ride's decision is on disk.
    pub(super) fn ride_decided(&mut self, decision: &Decision) {
        let Entity::Ride(id) = decision.entity else { return };
        let name = || people::name(id.0);
        for row in &decision.events {
            let Ok(event) = serde_json::from_str::<RideEvent>(&row.body) else {
                self.holds(RIDE_4, false, || format!("an event of {} is no event", name()));
                return;
            };
            let version = self.rides.get(&id).map_or(0, |ride| ride.version);
            self.holds(RIDE_4, row.seq == version + 1, || {
                format!("{} has {version} events, then number {}", name(), row.seq)
            });
            self.happened(id, &event, row.at);
        }
        if !decision.events.is_empty() {
            self.row_is_the_fold(id, decision);
            self.one_active_ride(id);
        }
        self.losers_did_not_win(id, decision);
    }

    fn happened(&mut self, id: RideId, event: &RideEvent, at: UnixMillis) {
        let before = self.rides.get(&id).map(|ride| ride.status);
        let allowed = may_follow(before, event);
        self.holds(RIDE_5, allowed, || {
            format!("{} was {before:?}, then {}", people::name(id.0), event.kind())
        });
        if let RideEvent::Requested { order } = event {
            let intent = order.notes.clone().unwrap_or_default();
            let passenger = order.passenger.id;
            let other = self.intents.insert((passenger, intent), id);
            self.holds(RIDE_3, other.is_none(), || {
                format!("{} and {other:?} are one wish", people::name(id.0))
            });
            self.rides.insert(id, Ride::requested(id, (**order).clone(), at));
            return;
        }
        if let RideEvent::Assigned { driver, offer, .. } = event {
            let ride = self.rides.get(&id);
            let earlier = ride.and_then(Ride::driver_id);
            let open = ride.and_then(|ride| ride.open_offer_to(driver.id)).map(|open| open.id);
            let who = people::name(driver.id.0);
            self.holds(RIDE_1, earlier.is_none(), || {
                format!("{} is assigned to {who}, and was {earlier:?}'s", people::name(id.0))
            });
            self.holds(RIDE_6, open == Some(*offer), || {
                format!("{} is assigned to {who} without an open offer", people::name(id.0))
            });
            self.assigned.insert((driver.id, id));
        }
        if let RideEvent::Released { .. } = event {
            self.released_in_time(id, at);
        }
        if let Some(ride) = self.rides.get_mut(&id) {
            ride.apply(event, at);
        }
        self.offers_as_told(id, event);
    }

    /// A chained ride is not given to another long after its turn has come.
    fn released_in_time(&mut self, id: RideId, at: UnixMillis) {
        let chain = self.rides.get(&id).and_then(|ride| ride.chain);
        let before = chain.and_then(|chain| self.rides.get(&chain.after));
        let canceled = before.and_then(|ride| ride.cancellation.as_ref()).map(|end| end.at);
        let ended = before.and_then(|ride| ride.completed_at).or(canceled);
        let waited = ended.map_or(Millis(0), |ended| at.since(ended));
        self.holds(RIDE_7, waited <= CHAIN_HEARD_WITHIN, || {
            format!("{} was chained for {waited:?} to a ride that had ended", people::name(id.0))
        });
    }

    /// The ride's open offers are those that were made and not ended.
    fn offers_as_told(&mut self, id: RideId, event: &RideEvent) {
        let told = self.offers.entry(id).or_default();
        match event {
            RideEvent::OffersMade { offers, .. } => {
                told.extend(offers.iter().map(|offer| (offer.driver, offer.id)));
            }
            RideEvent::OfferDeclined { driver, .. } | RideEvent::OfferWithdrawn { driver, .. } => {
                told.remove(driver);
            }
            RideEvent::OffersExpired { drivers } => told.retain(|of, _| !drivers.contains(of)),
            RideEvent::Assigned { .. } | RideEvent::Canceled { .. } | RideEvent::NoDriver => {
                told.clear();
            }
            RideEvent::Requested { .. }
            | RideEvent::Unchained
            | RideEvent::Released { .. }
            | RideEvent::Arriving
            | RideEvent::Arrived
            | RideEvent::PinRefused { .. }
            | RideEvent::Started
            | RideEvent::Completed { .. }
            | RideEvent::Rated { .. } => {}
        }
        let Some(ride) = self.rides.get(&id) else { return };
        let same = ride.search.open == told.values().copied().collect();
        self.holds(RIDE_6, same, || {
            format!("the open offers of {} are not those that were told", people::name(id.0))
        });
    }

    fn row_is_the_fold(&mut self, id: RideId, decision: &Decision) {
        let row = decision.rows.iter().find_map(|row| match row {
            Row::Ride(row) => Some(row),
            _ => None,
        });
        let Some((row, ride)) = row.zip(self.rides.get(&id)) else {
            self.holds(RIDE_4, false, || format!("{} has events and no row", people::name(id.0)));
            return;
        };
        let same = (row.status, row.version, row.driver)
            == (ride.status, ride.version, ride.driver_id())
            && row.chained == ride.chain.is_some()
            && serde_json::to_string(ride).is_ok_and(|state| *state == *row.state);
        let offers = ride.status == Status::Searching || ride.search.open.is_empty();
        let what = format!("{} {:?} {}", people::name(id.0), row.status, row.version);
        self.holds(RIDE_4, same, || format!("{what} is not what its events make of it"));
        self.holds(RIDE_6, offers, || format!("{what} has open offers"));
    }

    fn one_active_ride(&mut self, id: RideId) {
        let Some(ride) = self.rides.get(&id) else { return };
        let passenger = ride.order.passenger.id;
        let (driver, bound) = (ride.driver_id(), ride.status.has_driver());
        let chained = ride.chain.is_some();
        let active = !ride.status.is_final();
        self.active_drivers.retain(|_, other| *other != id);
        if active {
            let other = self.active_passengers.insert(passenger, id).filter(|other| *other != id);
            self.holds(RIDE_3, other.is_none(), || {
                format!("{} has {} and {other:?}", people::name(passenger.0), people::name(id.0))
            });
        } else if self.active_passengers.get(&passenger) == Some(&id) {
            self.active_passengers.remove(&passenger);
        }
        self.chained_drivers.retain(|_, other| *other != id);
        if let Some(driver) = driver.filter(|_| bound && chained) {
            let other = self.chained_drivers.insert(driver, id);
            self.holds(RIDE_7, other.is_none(), || {
                let (next, who) = (people::name(id.0), people::name(driver.0));
                format!("{next} and {other:?} are chained to one ride of {who}")
            });
        } else if let Some(driver) = driver.filter(|_| bound) {
            let other = self.active_drivers.insert(driver, id);
            self.holds(RIDE_2, other.is_none(), || {
                format!("{} has {} and {other:?}", people::name(driver.0), people::name(id.0))
            });
        }
    }

    /// Whoever is told that another has the ride does not have it himself.
    fn losers_did_not_win(&mut self, id: RideId, decision: &Decision) {
        for row in &decision.rows {
            let Row::Attempts(row) = row else { continue };
            for attempt in &row.attempts {
                let his = self.rides.get(&id).is_some_and(|ride| {
                    ride.is_driven_by(attempt.driver) && ride.status.has_driver()
                });
                let told_lost = attempt.outcome == "ride_already_assigned";
                let who = attempt.driver;
                self.holds(RIDE_1, !(told_lost && his), || {
                    format!("{} is told that he lost {}", people::name(who.0), people::name(id.0))
                });
            }
        }
    }
}

impl World {
    /// A first wave asks one driver, unless the policy where the ride begins is the race.
    pub(super) fn watch_zone(&mut self, decision: &Decision) {
        for row in &decision.rows {
            let Row::Wave(wave) = row else { continue };
            let Some(ride) = self.watch.ride(wave.ride).filter(|_| wave.wave == 1) else {
                continue;
            };
            let policy = self.temper.town.policy_at(ride.order.pickup);
            let asked = wave.offers.len();
            let holds = asked == 1 || policy == Some(PolicyKind::Race);
            let what = format!("{} asked {asked} under {policy:?}", people::name(wave.ride.0));
            self.watch.checks += 1;
            self.watch.check(self.now, ZONE, (holds, what));
        }
    }
}

/// Whether a ride that is `before` may have this happen to it.
fn may_follow(before: Option<Status>, event: &RideEvent) -> bool {
    let Some(before) = before else { return matches!(event, RideEvent::Requested { .. }) };
    match event {
        RideEvent::Requested { .. } => false,
        RideEvent::OffersMade { .. }
        | RideEvent::OfferDeclined { .. }
        | RideEvent::OfferWithdrawn { .. }
        | RideEvent::OffersExpired { .. }
        | RideEvent::Assigned { .. }
        | RideEvent::NoDriver => before == Status::Searching,
        RideEvent::Released { .. } => {
            matches!(before, Status::Accepted | Status::Arriving | Status::Arrived)
        }
        RideEvent::Unchained | RideEvent::Arriving => before == Status::Accepted,
        RideEvent::Arrived => matches!(before, Status::Accepted | Status::Arriving),
        RideEvent::PinRefused { .. } | RideEvent::Started => before == Status::Arrived,
        RideEvent::Completed { .. } => before == Status::Started,
        RideEvent::Canceled { .. } => !before.is_final(),
        RideEvent::Rated { .. } => before == Status::Completed,
    }
}
