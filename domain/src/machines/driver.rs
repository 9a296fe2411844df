//! The driver's machine: online or not, what he may be offered, and the rides that he has or is
//! about to get: one that he does and, from the start of that, one for afterwards.
//!
//! He is reserved in memory while an accept is on its way; the ride records the outcome. He stores
//! no "busy" of his own: a rebuilt machine is told his active ride and open offers.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::known::{Known, done};
use super::{
    Ask, DispatcherInput, Machine, Market, Output, Outputs, RideInput, Slot, Standing, Turn, WaveId,
};
use crate::category::Category;
use crate::facts::{
    Answer, Decision, Done, DriverRow, Entity, EventRow, Row, StreamId, StreamRow, Zone,
};
use crate::ids::{DriverId, OfferId, RideId, VehicleId};
use crate::mutants::{Mutant, is};
use crate::place::Coordinates;
use crate::refusal::Refusal;
use crate::ride::{Bid, DriverPosition};
use crate::units::{Millis, UnixMillis};

mod account;
mod ids;
mod input;
mod rides;
mod standing;

use rides::{OUTCOME_WITHIN, RIDE_ASKED_EVERY};

pub use account::{DriverProfile, MeanRating, OnlineAs, PixKeyStand};
pub use input::{DriverInput, DriverPolicy, DriverRecords, Held, NotWon};

/// The actor's inside.
pub struct DriverMachine {
    id: DriverId,
    policy: Arc<DriverPolicy>,
    profile: Option<DriverProfile>,
    online: Option<OnlineAs>,
    version: u64,
    slots: BTreeMap<RideId, Slot>,
    /// Those whose offers he could not take, until their rides say that they are closed.
    unwanted: BTreeSet<RideId>,
    reserved: Option<Reserved>,
    /// Of all accepts and questions that went to rides, by this machine or an earlier one of his.
    calls: u64,
    active: Option<RideId>,
    /// Where his active ride ends, once he is on his way there.
    dropoff: Option<Coordinates>,
    /// The chained ride that he does next.
    next: Option<RideId>,
    /// When his rides were last heard of.
    active_heard: UnixMillis,
    /// Since when he has had no ride, or been online.
    free_since: UnixMillis,
    answers: standing::Answers,
    sessions: u32,
    last_seen: UnixMillis,
    known: Known,
}

/// Accepts of one ride on their way to it, until it has answered the last of them, or a question
/// that was asked after that: they come in the order in which they were sent.
struct Reserved {
    ride: RideId,
    since: UnixMillis,
    last: u64,
}

/// A driver's tap on "accept".
struct Tap {
    ride: RideId,
    offer: Option<OfferId>,
    at: Option<DriverPosition>,
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
            unwanted: BTreeSet::new(),
            reserved: None,
            // Answers that an earlier machine waited for have lower numbers.
            calls: u64::try_from(now.0).unwrap_or_default(),
            // Where the records know of a chained ride alone, the other has ended.
            active: records.active.or(records.next),
            dropoff: None,
            next: records.next.filter(|_| records.active.is_some()),
            active_heard: now,
            free_since: now,
            answers: standing::Answers::default(),
            sessions: 0,
            last_seen: now,
            known: records
                .commands
                .into_iter()
                .collect::<Known>()
                .with_elsewhere(records.elsewhere),
        }
    }

    /// What a freshly built machine wants done before its first input.
    pub fn wake<R>(&mut self, out: &mut Outputs<R>) {
        let built_at = self.last_seen;
        let turn = &mut Turn::new(built_at, out);
        if self.online.is_none() || self.next.is_some() {
            self.refuse_offers(turn);
        }
        // Whether he is about to end it, and so may be offered another, the ride knows.
        self.ask_rides(turn);
        self.present(turn);
    }

    /// Shows the market what he is now, and sets the alarm.
    fn present<R>(&self, turn: &mut Turn<'_, R>) {
        turn.out.push(Output::Market(self.id, self.market()));
        turn.alarm(self.deadline());
    }

    fn market(&self) -> Market {
        match (self.online, self.dropoff) {
            (Some(_), _) if self.reserved.is_some() || !self.may_be_offered() => Market::Busy,
            (Some(online), Some(dropoff)) if self.active.is_some() => {
                Market::Finishing(online.category, dropoff, self.standing())
            }
            (Some(online), _) => Market::Available(online.category, self.standing()),
            (None, _) if self.active.is_some() => Market::Busy,
            (None, _) => Market::Offline,
        }
    }

    fn deadline(&self) -> Option<UnixMillis> {
        let outcome = self.reserved.as_ref();
        let outcome = outcome.map(|reserved| reserved.since + OUTCOME_WITHIN);
        let presence = self.is_absent().then(|| self.last_seen + self.policy.presence);
        let ride = self.active.map(|_| self.active_heard + RIDE_ASKED_EVERY);
        [outcome, presence, ride].into_iter().flatten().min()
    }

    /// Whether he is online and nothing but the clock says so.
    fn is_absent(&self) -> bool {
        self.online.is_some() && self.sessions == 0 && self.active.is_none()
    }

    /// Free, or on his way to a drop-off without a ride for afterwards.
    fn may_be_offered(&self) -> bool {
        self.online.is_some() && self.has_room()
    }

    fn has_room(&self) -> bool {
        let next = self.next.filter(|_| !is(Mutant::ChainedTwice));
        next.is_none() && (self.active.is_none() || self.dropoff.is_some())
    }

    /// Tells the rides that offer themselves to him that he cannot take them. Their slots are
    /// freed when they say so.
    fn refuse_offers<R>(&mut self, turn: &mut Turn<'_, R>) {
        for ride in self.slots.keys().copied().collect::<Vec<_>>() {
            if self.unwanted.insert(ride) {
                let of = self.slots.get(&ride).map_or(WaveId::UNKNOWN, |slot| slot.of);
                self.refuse_offer(turn, ride, of);
            }
        }
    }

    /// The offer of a wave may be told when he has given a slot for a later one: it stays taken for
    /// both.
    fn keep_slot(&mut self, slot: Slot) {
        let kept = self.slots.entry(slot.ride).or_insert(slot);
        kept.of = kept.of.max(slot.of);
        kept.until = kept.until.max(slot.until);
    }

    /// A slot is free, and whatever was said of it is settled.
    fn free_slot(&mut self, ride: RideId) {
        self.slots.remove(&ride);
        self.unwanted.remove(&ride);
    }

    /// The word may come after the ride has asked for a newer slot, which it leaves alone.
    fn offer_closed(&mut self, ride: RideId, of: WaveId) {
        if self.slots.get(&ride).is_none_or(|slot| slot.of.may_be(of)) {
            self.free_slot(ride);
        }
    }

    fn refuse_offer<R>(&self, turn: &mut Turn<'_, R>, ride: RideId, of: WaveId) {
        turn.tell_ride(ride, RideInput::OfferUnwanted { driver: self.id, of });
    }

    fn set_online<R>(
        &mut self,
        turn: &mut Turn<'_, R>,
        ask: Ask<R>,
        category: Option<Category>,
        vehicle: Option<VehicleId>,
    ) {
        let mut decision = Decision::new(Entity::Driver(self.id), turn.now);
        let allowed = account::may_go_online(self.profile.as_ref(), category, vehicle);
        let reply = match allowed {
            Err(refusal) => Err(refusal),
            Ok(_) if self.is_stale(&ask) => Err(Refusal::VersionConflict),
            Ok(online) => {
                if self.online != Some(online) {
                    self.free_since = turn.now;
                    self.online = Some(online);
                    self.record("online", &mut decision);
                }
                Ok(self.view())
            }
        };
        self.last_seen = turn.now;
        self.known.answer(turn, ask, reply, &mut decision);
        turn.persist(decision);
        self.present(turn);
    }

    fn set_offline<R>(&mut self, turn: &mut Turn<'_, R>, ask: Ask<R>) {
        if self.profile.is_none() {
            turn.reply(ask.reply, Err(Refusal::NotFound));
            return;
        }
        let mut decision = Decision::new(Entity::Driver(self.id), turn.now);
        let reply = if self.is_stale(&ask) {
            Err(Refusal::VersionConflict)
        } else {
            if self.online.is_some() {
                self.leave(turn, "offline", &mut decision);
            }
            Ok(self.view())
        };
        self.known.answer(turn, ask, reply, &mut decision);
        turn.persist(decision);
        self.present(turn);
    }

    fn is_stale<R>(&self, ask: &Ask<R>) -> bool {
        ask.if_version.is_some_and(|version| version != self.version)
    }

    /// Makes him offline: no offer stays open to him.
    fn leave<R>(&mut self, turn: &mut Turn<'_, R>, kind: &'static str, decision: &mut Decision) {
        self.online = None;
        self.record(kind, decision);
        self.refuse_offers(turn);
    }

    /// Records what he now is, and tells his devices.
    fn record(&mut self, kind: &'static str, decision: &mut Decision) {
        self.version += 1;
        let Done { version, body } = self.view();
        let event = EventRow { seq: version, kind, at: decision.at, body: Arc::clone(&body) };
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

    fn view(&self) -> Done {
        let body = account::json(self.id, self.profile.as_ref(), self.online);
        done(self.version, body)
    }

    /// As he is shown, if there is such a driver.
    fn seen(&self) -> Answer {
        self.profile.as_ref().map(|_| self.view()).ok_or(Refusal::NotFound)
    }

    fn stand(&self, view: &Done, now: UnixMillis) -> Done {
        let offered = self.slots.values().any(|slot| slot.until >= now);
        let body = format!(r#"{{"driver":{},"offered":{offered}}}"#, view.body);
        done(view.version, body)
    }

    /// Hands an accept to its ride, which decides, and reserves him if it may become his. The ride
    /// refuses for him too: there every attempt is recorded, and there a repeated one is known.
    fn accept<R>(&mut self, turn: &mut Turn<'_, R>, ask: Ask<R>, tap: &Tap) {
        if self.profile.is_none() {
            turn.reply(ask.reply, Err(Refusal::NotFound));
            return;
        }
        ask.key.iter().for_each(|key| self.known.goes_elsewhere(key));
        let reserved = self.reserved.as_ref().map(|reserved| reserved.ride);
        let his = [self.active, self.next, reserved].contains(&Some(tap.ride));
        let busy = !self.has_room() || reserved.is_some();
        let unable = match self.online {
            _ if his || is(Mutant::NotReserved) => None,
            _ if busy => Some(Refusal::DriverBusy),
            None => Some(Refusal::OfferExpired),
            Some(_) => None,
        };
        let call = self.next_call();
        let has = self.active == Some(tap.ride) || self.next == Some(tap.ride);
        if unable.is_none() && reserved.is_none() && !has {
            self.answers.wanted();
        }
        if unable.is_none() && !has {
            self.reserved = Some(Reserved { ride: tap.ride, since: turn.now, last: call });
        }
        let bid = Box::new(Bid {
            driver: account::card(self.id, self.profile.as_ref(), self.online),
            offer: tap.offer,
            at: tap.at,
            after: self.active.filter(|active| *active != tap.ride && self.has_room()),
            unable,
            call,
        });
        turn.tell_ride(tap.ride, RideInput::Accept { ask, bid });
        self.present(turn);
    }

    /// Keeps a slot for a ride, if he may be offered one. A ride that asks again, because its
    /// dispatcher was lost, has its slot already.
    fn slot<R>(&mut self, turn: &mut Turn<'_, R>, slot: Slot, zone: Zone) {
        self.slots.retain(|_, open| open.until >= turn.now);
        self.unwanted.retain(|ride| self.slots.contains_key(ride));
        let room = self.slots.len() < self.policy.offers_max
            || self.slots.contains_key(&slot.ride)
            || is(Mutant::SlotsUnbounded);
        // The word that an earlier offer of this ride is closed would free the new one's slot.
        let room = room && !self.unwanted.contains(&slot.ride);
        let late = self.slots.get(&slot.ride).is_some_and(|kept| kept.of > slot.of);
        let granted = self.may_be_offered() && self.reserved.is_none() && room && !late;
        if granted {
            self.keep_slot(slot);
        }
        let answer =
            DispatcherInput::SlotAnswer { ride: slot.ride, of: slot.of, driver: self.id, granted };
        turn.tell_dispatcher(zone, answer);
    }

    /// The offer is open. What he became since he gave the slot may speak against it.
    fn offered<R>(&mut self, turn: &mut Turn<'_, R>, slot: Slot) {
        if self.active == Some(slot.ride) || self.next == Some(slot.ride) {
            return;
        }
        self.keep_slot(slot);
        self.answers.offered();
        if !self.may_be_offered() {
            self.unwanted.insert(slot.ride);
            self.refuse_offer(turn, slot.ride, slot.of);
        }
    }

    fn account_changed<R>(&mut self, turn: &mut Turn<'_, R>, profile: DriverProfile) {
        let banned = !profile.approved && self.online.is_some();
        let earlier = self.profile.replace(profile).map(|earlier| earlier.rating);
        // It was read before he was last rated.
        if let (Some(profile), Some(earlier)) = (&mut self.profile, earlier)
            && profile.rating.of < earlier.of
        {
            profile.rating = earlier;
        }
        let mut decision = Decision::new(Entity::Driver(self.id), turn.now);
        if banned {
            self.leave(turn, "account_changed", &mut decision);
        } else {
            self.record("account_changed", &mut decision);
        }
        turn.persist(decision);
        self.present(turn);
    }

    /// His mean is this now, or was a while ago.
    fn rated<R>(&mut self, turn: &mut Turn<'_, R>, mean: MeanRating) {
        let Some(profile) = self.profile.as_mut().filter(|known| known.rating.of < mean.of) else {
            return;
        };
        let shown = std::mem::replace(&mut profile.rating, mean).hundredths;
        if shown != mean.hundredths {
            let mut decision = Decision::new(Entity::Driver(self.id), turn.now);
            self.record("account_changed", &mut decision);
            turn.persist(decision);
        }
    }

    /// Slots that are taken at `now`. For those who watch machines, as the next two.
    #[must_use]
    pub fn slots_taken(&self, now: UnixMillis) -> usize {
        let open = self.slots.values().filter(|slot| slot.until >= now);
        open.count()
    }

    /// Slots that were not given back, whether their time is over or not.
    #[must_use]
    pub fn slots_kept(&self) -> usize {
        self.slots.len()
    }

    /// The ride that he has, the one after it, and the one that he is about to get.
    #[must_use]
    pub fn bound_to(&self) -> [Option<RideId>; 3] {
        let reserved = self.reserved.as_ref().map(|reserved| reserved.ride);
        [self.active, self.next, reserved]
    }
}

/// A driver's machine answers to `R`, of which it holds none.
pub struct Driving<R>(pub DriverMachine, pub std::marker::PhantomData<fn() -> R>);

impl<R> Machine for Driving<R> {
    type Input = DriverInput<R>;
    type Reply = R;

    fn step(&mut self, now: UnixMillis, input: DriverInput<R>, out: &mut Outputs<R>) {
        let machine = &mut self.0;
        let turn = &mut Turn::new(now, out);
        match input {
            DriverInput::Online { ask, category, vehicle } => {
                if let Some(ask) = machine.known.replay(turn, ask) {
                    machine.set_online(turn, ask, category, vehicle);
                }
            }
            DriverInput::Offline { ask } => {
                if let Some(ask) = machine.known.replay(turn, ask) {
                    machine.set_offline(turn, ask);
                }
            }
            DriverInput::Accept { ask, ride, offer, at } => {
                machine.last_seen = now;
                if let Some(ask) = machine.known.replay(turn, ask) {
                    machine.accept(turn, ask, &Tap { ride, offer, at });
                }
            }
            DriverInput::PassOn { key, command } => machine.pass_on(turn, &key, *command),
            DriverInput::Claim { key, reply } => machine.claim(turn, &key, reply),
            DriverInput::Unused { key } => machine.known.forget(&key),
            DriverInput::Slot { slot, zone } => machine.slot(turn, slot, zone),
            DriverInput::Offered { slot } => machine.offered(turn, slot),
            DriverInput::OfferClosed { ride, of } => machine.offer_closed(ride, of),
            DriverInput::Won { ride, held } => machine.won(turn, ride, held),
            DriverInput::NotWon { ride, no } => machine.not_won(turn, ride, no),
            DriverInput::Ended { ride } => machine.ended(turn, ride),
            DriverInput::SessionOpened => {
                machine.sessions = machine.sessions.saturating_add(1);
                turn.alarm(machine.deadline());
            }
            DriverInput::SessionClosed => {
                machine.sessions = machine.sessions.saturating_sub(1);
                machine.last_seen = now;
                turn.alarm(machine.deadline());
            }
            DriverInput::Seen => {
                machine.last_seen = now;
                turn.alarm(machine.deadline());
            }
            DriverInput::Profile(profile) => machine.account_changed(turn, *profile),
            DriverInput::Rated(mean) => machine.rated(turn, mean),
            DriverInput::Stand { reply } => {
                let answer = machine.seen().map(|view| machine.stand(&view, now));
                turn.reply(reply, answer);
            }
            DriverInput::Read { reply } => turn.reply(reply, machine.seen()),
            DriverInput::Alarm => machine.alarm(turn),
        }
    }

    fn settle(&mut self, _now: UnixMillis, _recording: bool, _out: &mut Outputs<R>) {}

    fn passivate_after(&self) -> Millis {
        self.0.policy.passivate_after
    }
}
