//! The driver's machine: online or not, what he may be offered, and the one ride he is about to get.
//!
//! He is reserved in memory while an accept is on its way; the ride records the outcome. He stores
//! no "busy" of his own: a rebuilt machine is told his active ride and open offers.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;

use super::{
    Ask, DispatcherInput, Envelope, Known, Machine, Market, Output, Outputs, PastCommand,
    RideInput, Slot, answer, done,
};
use crate::category::Category;
use crate::facts::{Decision, Done, DriverRow, Entity, EventRow, Row, StreamId, StreamRow, Zone};
use crate::ids::{DriverId, OfferId, RideId, VehicleId};
use crate::refusal::Refusal;
use crate::ride::{DriverCard, DriverPosition, VehicleCard, rating};
use crate::units::{Millis, UnixMillis};

/// After this long without word of an accept's outcome, the ride is asked.
const OUTCOME_WITHIN: Millis = Millis::from_secs(3);

/// What a driver's machine reacts to.
#[derive(Debug)]
pub enum DriverInput<R> {
    Online {
        ask: Ask<R>,
        category: Option<Category>,
        vehicle: Option<VehicleId>,
    },
    Offline {
        ask: Ask<R>,
    },
    Accept {
        ask: Ask<R>,
        ride: RideId,
        offer: Option<OfferId>,
        at: Option<DriverPosition>,
    },
    /// The dispatcher wants to offer him a ride.
    Slot {
        slot: Slot,
        zone: Zone,
    },
    OfferClosed {
        ride: RideId,
    },
    Won {
        ride: RideId,
    },
    NotWon {
        ride: RideId,
    },
    Ended {
        ride: RideId,
    },
    SessionOpened,
    SessionClosed,
    /// A REST call of his: as good a sign of life as a session.
    Seen,
    /// His account changed: approval, name, vehicles.
    Profile(Box<DriverProfile>),
    Read {
        reply: R,
    },
    Alarm,
}

/// A driver's account, as far as dispatch cares.
#[derive(Debug, Clone, PartialEq)]
pub struct DriverProfile {
    pub name: String,
    pub rating: u16,
    pub approved: bool,
    /// As shown: `pending`, `approved`, ...
    pub approval: String,
    pub vehicles: Vec<(VehicleCard, Vec<Category>)>,
}

/// As what a driver is online.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OnlineAs {
    pub category: Category,
    pub vehicle: Option<VehicleId>,
}

/// What is known of a driver when his machine is built.
#[derive(Debug, Default)]
pub struct DriverRecords {
    /// `None`: no such driver.
    pub profile: Option<DriverProfile>,
    pub online: Option<OnlineAs>,
    pub version: u64,
    pub active: Option<RideId>,
    pub open_offers: Vec<Slot>,
    pub commands: Vec<PastCommand>,
}

/// Limits of a driver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DriverPolicy {
    pub offers_max: usize,
    /// Without session and REST call for this long, a driver is offline.
    pub presence: Millis,
    pub passivate_after: Millis,
}

/// The actor's inside.
pub struct DriverMachine {
    id: DriverId,
    policy: Arc<DriverPolicy>,
    profile: Option<DriverProfile>,
    online: Option<OnlineAs>,
    version: u64,
    slots: BTreeMap<RideId, Slot>,
    /// An accept on its way, and since when.
    reserved: Option<(RideId, UnixMillis)>,
    active: Option<RideId>,
    sessions: u32,
    last_seen: UnixMillis,
    known: Known,
}

#[derive(Serialize)]
struct DriverView<'a> {
    id: DriverId,
    status: &'static str,
    approval: &'a str,
    category: Option<Category>,
    vehicle: Option<&'a VehicleCard>,
    rating: f64,
}

impl DriverMachine {
    /// Builds the machine of driver `id` from what the records say. Presence starts anew at `now`:
    /// time in which the engine was down counts against nobody.
    #[must_use]
    pub fn new(
        id: DriverId,
        policy: Arc<DriverPolicy>,
        records: DriverRecords,
        now: UnixMillis,
    ) -> Self {
        let slots = records.open_offers.into_iter().map(|slot| (slot.ride, slot)).collect();
        Self {
            id,
            policy,
            profile: records.profile,
            online: records.online,
            version: records.version,
            slots,
            reserved: None,
            active: records.active,
            sessions: 0,
            last_seen: now,
            known: records.commands.into_iter().collect(),
        }
    }

    /// What a freshly built machine wants done before its first input.
    pub fn wake<R>(&self, out: &mut Outputs<R>) {
        out.push(Output::Market(self.id, self.market()));
        out.push(Output::Alarm(self.deadline()));
    }

    fn market(&self) -> Market {
        match self.online {
            Some(_) if self.active.is_some() || self.reserved.is_some() => Market::Busy,
            Some(online) => Market::Available(online.category),
            None if self.active.is_some() => Market::Busy,
            None => Market::Offline,
        }
    }

    fn deadline(&self) -> Option<UnixMillis> {
        let outcome = self.reserved.map(|(_, since)| since + OUTCOME_WITHIN);
        let absent = self.online.is_some() && self.sessions == 0 && self.active.is_none();
        let presence = absent.then(|| self.last_seen + self.policy.presence);
        [outcome, presence].into_iter().flatten().min()
    }

    fn set_online<R>(
        &mut self,
        now: UnixMillis,
        ask: Ask<R>,
        (category, vehicle): (Option<Category>, Option<VehicleId>),
        out: &mut Outputs<R>,
    ) {
        let mut decision = Decision::new(Entity::Driver(self.id), now);
        let reply = match self.may_go_online(category, vehicle) {
            Err(refusal) => Err(refusal),
            Ok(online) => {
                if self.online != Some(online) {
                    self.online = Some(online);
                    self.record("online", now, &mut decision);
                }
                Ok(self.view())
            }
        };
        self.last_seen = now;
        answer(ask, reply, &mut self.known, &mut decision, out);
        self.hand_over(decision, out);
    }

    fn may_go_online(
        &self,
        category: Option<Category>,
        vehicle: Option<VehicleId>,
    ) -> Result<OnlineAs, Refusal> {
        let profile = self.profile.as_ref().ok_or(Refusal::NotFound)?;
        if !profile.approved {
            return Err(Refusal::DriverNotApproved);
        }
        let wanted = category.unwrap_or(Category::Economy);
        let suits = |(_, categories): &&(VehicleCard, Vec<Category>)| categories.contains(&wanted);
        let chosen = match vehicle {
            Some(id) => {
                let his = profile.vehicles.iter().find(|(card, _)| card.id == id);
                Some(his.filter(suits).ok_or(Refusal::VehicleNotSuitable)?)
            }
            None => profile.vehicles.iter().find(suits),
        };
        Ok(OnlineAs { category: wanted, vehicle: chosen.map(|(card, _)| card.id) })
    }

    fn set_offline<R>(&mut self, now: UnixMillis, ask: Ask<R>, out: &mut Outputs<R>) {
        if self.profile.is_none() {
            out.push(Output::Reply(ask.reply, Err(Refusal::NotFound)));
            return;
        }
        let mut decision = Decision::new(Entity::Driver(self.id), now);
        if self.online.take().is_some() {
            self.record("offline", now, &mut decision);
        }
        let view = self.view();
        answer(ask, Ok(view), &mut self.known, &mut decision, out);
        self.hand_over(decision, out);
    }

    /// Records what he now is, and tells his devices.
    fn record(&mut self, kind: &'static str, at: UnixMillis, decision: &mut Decision) {
        self.version += 1;
        let Done { version, body } = self.view();
        let event = EventRow { seq: version, kind, at, body: Arc::clone(&body) };
        decision.events.push(event);
        decision.rows.push(Row::Driver(DriverRow {
            id: self.id,
            online: self.online.is_some(),
            category: self.online.map(|online| online.category),
            vehicle: self.online.and_then(|online| online.vehicle),
            version,
        }));
        decision.streams.push(StreamRow {
            stream: StreamId::Driver(self.id),
            op: "driver.updated",
            key: self.id.0,
            version,
            expires_at: None,
            urgent: false,
            body: format!("{{\"driver\":{body}}}").into(),
        });
    }

    fn hand_over<R>(&self, decision: Decision, out: &mut Outputs<R>) {
        if !decision.is_empty() {
            out.push(Output::Persist(Box::new(decision)));
        }
        self.wake(out);
    }

    fn accept<R>(
        &mut self,
        now: UnixMillis,
        ask: Ask<R>,
        (ride, offer, at): (RideId, Option<OfferId>, Option<DriverPosition>),
        out: &mut Outputs<R>,
    ) {
        let busy_with = self.active.or(self.reserved.map(|(ride, _)| ride));
        let refusal = if self.profile.is_none() {
            Some(Refusal::NotFound)
        } else if busy_with.is_some_and(|other| other != ride) {
            Some(Refusal::DriverBusy)
        } else if self.online.is_none() && busy_with.is_none() {
            Some(Refusal::OfferExpired)
        } else {
            None
        };
        if let Some(refusal) = refusal {
            let mut decision = Decision::new(Entity::Driver(self.id), now);
            answer(ask, Err(refusal), &mut self.known, &mut decision, out);
            self.hand_over(decision, out);
            return;
        }
        if self.active.is_none() {
            self.reserved = Some((ride, now));
        }
        let driver = Box::new(self.card());
        let input = RideInput::Accept { ask, driver, offer, at };
        out.push(Output::Send(Envelope::Ride(ride, input)));
        self.wake(out);
    }

    fn card(&self) -> DriverCard {
        let profile = self.profile.as_ref();
        let chosen = self.online.and_then(|online| online.vehicle);
        let vehicle = profile
            .and_then(|profile| profile.vehicles.iter().find(|(card, _)| Some(card.id) == chosen))
            .map(|(card, _)| card.clone());
        DriverCard {
            id: self.id,
            name: profile.map(|profile| profile.name.clone()).unwrap_or_default(),
            rating: profile.map_or(0, |profile| profile.rating),
            vehicle,
        }
    }

    fn view(&self) -> Done {
        let profile = self.profile.as_ref();
        let chosen = self.online.and_then(|online| online.vehicle);
        let view = DriverView {
            id: self.id,
            status: if self.online.is_some() { "online" } else { "offline" },
            approval: profile.map_or("pending", |profile| &profile.approval),
            category: self.online.map(|online| online.category),
            vehicle: profile
                .and_then(|p| p.vehicles.iter().find(|(card, _)| Some(card.id) == chosen))
                .map(|(card, _)| card),
            rating: rating(profile.map_or(0, |profile| profile.rating)),
        };
        done(self.version, serde_json::to_string(&view).unwrap_or_default())
    }

    /// Keeps a slot for a ride, if he may be offered one.
    fn slot<R>(&mut self, now: UnixMillis, slot: Slot, zone: Zone, out: &mut Outputs<R>) {
        self.slots.retain(|_, open| open.until >= now);
        let granted = self.online.is_some()
            && self.active.is_none()
            && self.reserved.is_none()
            && self.slots.len() < self.policy.offers_max
            && !self.slots.contains_key(&slot.ride);
        if granted {
            self.slots.insert(slot.ride, slot);
        }
        let Slot { ride, wave, until: _ } = slot;
        let answer = DispatcherInput::SlotAnswer { ride, wave, driver: self.id, granted };
        out.push(Output::Send(Envelope::Dispatcher(zone, answer)));
    }

    fn won<R>(&mut self, ride: RideId, out: &mut Outputs<R>) {
        self.slots.remove(&ride);
        self.active = Some(ride);
        self.reserved = None;
        self.wake(out);
    }

    /// Frees what was kept for `ride`; a reservation for another one stays.
    fn free<R>(&mut self, now: UnixMillis, ride: RideId, out: &mut Outputs<R>) {
        self.slots.remove(&ride);
        if self.reserved.is_some_and(|(reserved, _)| reserved == ride) {
            self.reserved = None;
        }
        if self.active == Some(ride) {
            self.active = None;
            // His time to be seen again starts when the ride ends.
            self.last_seen = now;
        }
        self.wake(out);
    }

    fn alarm<R>(&mut self, now: UnixMillis, out: &mut Outputs<R>) {
        if let Some((ride, since)) = self.reserved
            && now >= since + OUTCOME_WITHIN
        {
            self.reserved = Some((ride, now));
            let question = RideInput::WhoseIsIt { driver: self.id };
            out.push(Output::Send(Envelope::Ride(ride, question)));
        }
        let absent = self.online.is_some() && self.sessions == 0 && self.active.is_none();
        let mut decision = Decision::new(Entity::Driver(self.id), now);
        if absent && now >= self.last_seen + self.policy.presence {
            self.online = None;
            self.record("lost", now, &mut decision);
        }
        self.hand_over(decision, out);
    }

    fn account_changed<R>(
        &mut self,
        now: UnixMillis,
        profile: DriverProfile,
        out: &mut Outputs<R>,
    ) {
        let banned = !profile.approved && self.online.is_some();
        self.profile = Some(profile);
        let mut decision = Decision::new(Entity::Driver(self.id), now);
        if banned {
            self.online = None;
        }
        self.record("account_changed", now, &mut decision);
        self.hand_over(decision, out);
    }
}

/// A driver's machine answers to `R`, of which it holds none.
pub struct Driving<R>(pub DriverMachine, pub std::marker::PhantomData<fn() -> R>);

impl<R> Machine for Driving<R> {
    type Input = DriverInput<R>;
    type Reply = R;

    fn step(&mut self, now: UnixMillis, input: DriverInput<R>, out: &mut Outputs<R>) {
        let machine = &mut self.0;
        match input {
            DriverInput::Online { ask, category, vehicle } => {
                if let Some(ask) = machine.known.replay(ask, out) {
                    machine.set_online(now, ask, (category, vehicle), out);
                }
            }
            DriverInput::Offline { ask } => {
                if let Some(ask) = machine.known.replay(ask, out) {
                    machine.set_offline(now, ask, out);
                }
            }
            DriverInput::Accept { ask, ride, offer, at } => {
                machine.last_seen = now;
                if let Some(ask) = machine.known.replay(ask, out) {
                    machine.accept(now, ask, (ride, offer, at), out);
                }
            }
            DriverInput::Slot { slot, zone } => machine.slot(now, slot, zone, out),
            DriverInput::Won { ride } => machine.won(ride, out),
            DriverInput::OfferClosed { ride }
            | DriverInput::NotWon { ride }
            | DriverInput::Ended { ride } => machine.free(now, ride, out),
            DriverInput::SessionOpened => {
                machine.sessions += 1;
                out.push(Output::Alarm(machine.deadline()));
            }
            DriverInput::SessionClosed => {
                machine.sessions = machine.sessions.saturating_sub(1);
                machine.last_seen = now;
                out.push(Output::Alarm(machine.deadline()));
            }
            DriverInput::Seen => {
                machine.last_seen = now;
                out.push(Output::Alarm(machine.deadline()));
            }
            DriverInput::Profile(profile) => machine.account_changed(now, *profile, out),
            DriverInput::Read { reply } => {
                let answer = match machine.profile {
                    Some(_) => Ok(machine.view()),
                    None => Err(Refusal::NotFound),
                };
                out.push(Output::Reply(reply, answer));
            }
            DriverInput::Alarm => machine.alarm(now, out),
        }
    }

    fn settle(&mut self, _now: UnixMillis, _recording: bool, _out: &mut Outputs<R>) {}

    fn passivate_after(&self) -> Millis {
        self.0.policy.passivate_after
    }
}
