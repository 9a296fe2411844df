//! From a decision to what is recorded and told: events, the current row, the people's streams.

use std::sync::Arc;

use serde_json::json;

use super::{DriverInput, Millis, Note, RideMachine, Turn, chain, paying};
use crate::facts::{Act, Decision, Done, EventRow, RideRow, Row, StreamId, StreamRow, Timer};
use crate::ids::DriverId;
use crate::ledger;
use crate::machines::{Ask, Held, Output};
use crate::person::Role;
use crate::policy::RidePolicy;
use crate::refusal::Refusal;
use crate::ride::{RIDE_JSON, Rater, Reader, Ride, RideEvent, Status, json_text};

/// Bytes that an event as JSON usually takes at most.
const EVENT_JSON: usize = 512;

/// What a command comes to: perhaps an event, perhaps a refusal, perhaps both (a wrong PIN).
pub(super) struct Decided {
    event: Option<RideEvent>,
    refusal: Option<Refusal>,
}

impl Decided {
    fn refuse(refusal: Refusal) -> Self {
        Self { event: None, refusal: Some(refusal) }
    }
}

impl From<Result<Option<RideEvent>, Refusal>> for Decided {
    fn from(decided: Result<Option<RideEvent>, Refusal>) -> Self {
        decided.map_or_else(Self::refuse, |event| Self { event, refusal: None })
    }
}

impl From<Result<(Option<RideEvent>, Option<Refusal>), Refusal>> for Decided {
    fn from(decided: Result<(Option<RideEvent>, Option<Refusal>), Refusal>) -> Self {
        decided.map_or_else(Self::refuse, |(event, refusal)| Self { event, refusal })
    }
}

impl<R> RideMachine<R> {
    /// Runs a command that needs an existing ride: decides, records, answers. True if something
    /// happened.
    pub(super) fn command(
        &mut self,
        turn: &mut Turn<'_, R>,
        ask: Ask<R>,
        reader: Reader,
        decide: impl FnOnce(&Ride, &RidePolicy) -> Decided,
    ) -> bool {
        let Some(ride) = &self.ride else {
            turn.reply(ask.reply, Err(Refusal::NotFound));
            return false;
        };
        let mut decision = self.decision(turn);
        let decided = if is_stale(&ask, ride) {
            Decided::refuse(Refusal::VersionConflict)
        } else {
            decide(ride, &self.policy)
        };
        if let (Some(event), Reader::Admin) = (&decided.event, reader) {
            let act = act_of_admin(ride, event);
            decision.audit.extend(act.map(|act| ask.audit(Role::Admin, act, turn.now)));
        }
        let told = match &decided.event {
            Some(event) => self.record(turn, event, &mut decision),
            None => Told::default(),
        };
        let reply = match (decided.refusal, &self.ride) {
            (Some(refusal), _) => Err(refusal),
            (None, Some(ride)) => Ok(Done { version: ride.version, body: told.to(reader, ride) }),
            (None, None) => Err(Refusal::NotFound),
        };
        self.known.answer(turn, ask, reply, &mut decision);
        self.finish(turn, decision);
        decided.event.is_some()
    }

    /// Applies `event` and adds it to `decision`, with what it tells the people of the ride.
    pub(super) fn record(
        &mut self,
        turn: &mut Turn<'_, R>,
        event: &RideEvent,
        decision: &mut Decision,
    ) -> Told {
        self.note_closed_offers(event);
        let mut told = Told::default();
        let Some(ride) = self.ride.as_mut() else {
            return told;
        };
        let before = ride.status;
        let driver = ride.driver_id();
        ride.apply(event, turn.now);
        push_event(decision, ride, event);
        // What was priced is an amount, so there is nothing that could not be booked.
        let booked = ledger::of_ride(ride, event, &self.policy.terms, turn.now);
        decision.money.extend(booked.ok().flatten());
        paying::open(turn, decision, (ride, event), &self.policy);
        if let RideEvent::Rated { by, rating, .. } = event {
            told = tell_rater(turn, decision, ride, *by);
            turn.note(Note::Rated { by: *by, stars: rating.stars });
        } else if event.is_news() {
            told = tell_people(decision, ride, driver);
        }
        if ride.status != before {
            turn.note(moved(Some(before), ride));
            announce(turn, (ride, driver), &self.policy);
            if ride.status.is_final() {
                self.tell_next(turn);
            }
        }
        if let RideEvent::Canceled { by, reason, .. } = event {
            turn.note(Note::RideCanceled { by: by.as_str(), reason: reason.as_str() });
        }
        told
    }

    /// Completes a decision with the current row and the deadline, and hands it over.
    pub(super) fn finish(&mut self, turn: &mut Turn<'_, R>, mut decision: Decision) {
        if let Some(ride) = &self.ride
            && !decision.events.is_empty()
        {
            let due = ride.deadline(&self.policy);
            decision.rows.push(Row::Ride(row_of(ride)));
            let timer = due.map_or(Timer::Off, Timer::Due);
            decision.timer = Some(timer).filter(|timer| self.timer != Some(*timer));
            self.timer = Some(timer);
            let chained = ride.chain.map(|_| turn.now + chain::ASKED_EVERY);
            turn.alarm(due.into_iter().chain(chained).min());
        }
        turn.persist(decision);
    }
}

/// What an admin did to somebody's ride, for the audit trail: without what he wrote about it.
fn act_of_admin(ride: &Ride, event: &RideEvent) -> Option<Act> {
    let RideEvent::Canceled { reason, fee, .. } = event else { return None };
    let changes = json!({
        "status": { "from": ride.status, "to": Status::Canceled },
        "reason": reason,
        "fee": fee.to_string(),
    });
    Some(Act { action: "cancel_ride", entity_type: "ride", entity_id: ride.id.0, changes })
}

/// Whether the sender thinks of another version than the ride has.
pub(super) fn is_stale<R>(ask: &Ask<R>, ride: &Ride) -> bool {
    ask.if_version.is_some_and(|version| version != ride.version)
}

pub(super) fn push_event(decision: &mut Decision, ride: &Ride, event: &RideEvent) {
    let body = json_text(event, EVENT_JSON).into();
    decision.events.push(EventRow { seq: ride.version, kind: event.kind(), at: decision.at, body });
}

fn row_of(ride: &Ride) -> RideRow {
    RideRow {
        id: ride.id,
        status: ride.status,
        passenger: ride.order.passenger.id,
        driver: ride.driver_id(),
        chained: ride.chain.is_some(),
        category: ride.order.category,
        version: ride.version,
        requested_at: ride.requested_at,
        state: json_text(ride, RIDE_JSON).into(),
    }
}

/// The ride as its people were just told it: the answer to whoever changed it is the same text.
#[derive(Default)]
pub(super) struct Told {
    passenger: Option<Arc<str>>,
    driver: Option<Arc<str>>,
}

impl Told {
    /// The text for `reader` of a ride that has not changed since.
    pub(super) fn to(self, reader: Reader, ride: &Ride) -> Arc<str> {
        let told = match reader {
            Reader::Passenger => self.passenger,
            Reader::Driver => self.driver,
            Reader::Admin | Reader::Offered => None,
        };
        told.unwrap_or_else(|| ride.json_for(reader).into())
    }
}

/// Puts the ride as it now is on the streams of its people. `driver` had it before the event: one
/// who gave it back is told this too, for his other devices, and nothing that happens later.
pub(super) fn tell_people(decision: &mut Decision, ride: &Ride, driver: Option<DriverId>) -> Told {
    let passenger = Some(tell_passenger(decision, ride));
    let driver = ride.driver_id().or(driver).map(|driver| tell_driver(decision, ride, driver));
    Told { passenger, driver }
}

/// Tells the devices of whoever rated, and of the other's mean that it is a new one. What was said
/// of him is not told to the other.
fn tell_rater<R>(turn: &mut Turn<'_, R>, decision: &mut Decision, ride: &Ride, by: Rater) -> Told {
    let (Some(driver), passenger) = (ride.driver_id(), ride.order.passenger.id) else {
        return Told::default();
    };
    let (of, told) = match by {
        Rater::Passenger => {
            let passenger = Some(tell_passenger(decision, ride));
            (StreamId::Driver(driver), Told { passenger, driver: None })
        }
        Rater::Driver => {
            let driver = Some(tell_driver(decision, ride, driver));
            (StreamId::Passenger(passenger), Told { passenger: None, driver })
        }
    };
    turn.out.push(Output::Rated(of));
    told
}

fn tell_passenger(decision: &mut Decision, ride: &Ride) -> Arc<str> {
    let stream = StreamId::Passenger(ride.order.passenger.id);
    tell(decision, ride, (stream, Reader::Passenger))
}

fn tell_driver(decision: &mut Decision, ride: &Ride, driver: DriverId) -> Arc<str> {
    tell(decision, ride, (StreamId::Driver(driver), Reader::Driver))
}

fn tell(decision: &mut Decision, ride: &Ride, (stream, reader): (StreamId, Reader)) -> Arc<str> {
    let told: Arc<str> = ride.json_for(reader).into();
    decision.streams.push(StreamRow {
        stream,
        op: "ride.updated",
        key: ride.id.0,
        version: ride.version,
        expires_at: None,
        urgent: false,
        body: ["{\"ride\":", &*told, "}"].concat().into(),
    });
    told
}

/// Tells the machines of its people that a ride was released or has ended.
fn announce<R>(
    turn: &mut Turn<'_, R>,
    (ride, driver): (&Ride, Option<DriverId>),
    policy: &RidePolicy,
) {
    let over = ride.status.is_final();
    if ride.status == Status::Started
        && let Some(driver) = ride.driver_id()
        && let held @ Held::Now { dropoff: Some(_) } = chain::held(ride)
    {
        turn.tell_driver(driver, DriverInput::Won { ride: ride.id, held });
    }
    if let Some(driver) = driver.filter(|driver| over || !ride.is_driven_by(*driver)) {
        turn.tell_driver(driver, DriverInput::Ended { ride: ride.id });
    }
    if over {
        let passenger = ride.order.passenger.id;
        turn.tell_passenger(passenger, paying::ended(ride, policy));
    }
    if ride.status == Status::Completed {
        let lasted = ride.started_at.map(|start| turn.now.since(start));
        turn.note(Note::RideEnded {
            category: ride.order.category,
            lasted: lasted.unwrap_or(Millis(0)),
            drive: ride.order.stops.is_empty().then_some((ride.order.pickup, ride.order.dropoff)),
        });
    }
}

pub(super) fn moved(from: Option<Status>, ride: &Ride) -> Note {
    Note::RideMoved {
        from: from.map(Status::as_str),
        to: ride.status.as_str(),
        category: ride.order.category,
    }
}
