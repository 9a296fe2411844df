//! The ride's machine: the one place where a ride is won, driven and ended.
//!
//! A race is settled by the order of its inputs: the first valid accept wins, every later one finds
//! the ride taken. Losers are gathered and recorded together ([`Machine::settle`]), a row a commit.

use std::sync::Arc;

use super::{
    Ask, Candidate, DispatcherInput, DriverInput, Envelope, Ephemeral, Known, Machine, Note,
    Output, Outputs, PassengerInput, PastCommand, Seek, answer, done,
};
use crate::facts::{
    Attempt, AttemptsRow, CommandKey, Decision, Entity, EventRow, RideRow, Row, StreamId,
    StreamRow, Timer, WaveOffer, WaveRow, Zone,
};
use crate::ids::{DriverId, OfferId, PassengerId, RideId, UserId};
use crate::place::Coordinates;
use crate::policy::RidePolicy;
use crate::refusal::Refusal;
use crate::ride::{
    Cancel, CancelAs, DriverCard, DriverPosition, Offer, Order, Reader, Ride, RideEvent, Status,
};
use crate::units::{Millis, UnixMillis};

mod offers;

/// What a ride's machine reacts to.
#[derive(Debug)]
pub enum RideInput<R> {
    /// The first of a ride's life. Comes from the passenger's machine, which has reserved them.
    Request {
        ask: Ask<R>,
        order: Box<Order>,
    },
    /// Comes from the driver's machine, which has reserved him.
    Accept {
        ask: Ask<R>,
        driver: Box<DriverCard>,
        offer: Option<OfferId>,
        at: Option<DriverPosition>,
    },
    Decline {
        ask: Ask<R>,
        driver: DriverId,
        offer: Option<OfferId>,
        reason: Option<String>,
    },
    /// From the ride's own driver.
    Drive {
        ask: Ask<R>,
        driver: DriverId,
        command: DriverCommand,
    },
    Cancel {
        ask: Ask<R>,
        cancel: Cancel,
    },
    /// Asks for the ride as its reader may see it.
    Read {
        by: ReadAs,
        reply: R,
    },
    /// The dispatcher found drivers and has a slot of each.
    Offers {
        search: u8,
        wave: u16,
        candidates: Vec<Candidate>,
    },
    Position {
        driver: DriverId,
        position: DriverPosition,
    },
    /// A driver's machine lost track of its accept. Answered by won or not won.
    WhoseIsIt {
        driver: DriverId,
    },
    /// A passenger's machine lost track of its request.
    DoesItExist {
        passenger: PassengerId,
    },
    Alarm,
}

/// What a driver does on his ride.
#[derive(Debug, Clone)]
pub enum DriverCommand {
    Arrive { location: Option<Coordinates> },
    Start { pin: String },
    Complete { location: Option<Coordinates>, reason: Option<String> },
}

/// In whose name a ride is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadAs {
    User(UserId),
    Admin,
}

/// What is known of a ride when its machine is built.
#[derive(Debug, Default)]
pub struct RideRecords {
    pub ride: Option<Ride>,
    pub offers: Vec<Offer>,
    pub commands: Vec<PastCommand>,
    /// How many attempts to accept are recorded.
    pub attempts: u32,
}

/// The actor's inside.
pub struct RideMachine<R> {
    id: RideId,
    policy: Arc<RidePolicy>,
    ride: Option<Ride>,
    known: Known,
    /// Attempts recorded or being recorded so far.
    attempts: u32,
    losers: Vec<Loser<R>>,
    /// Offers closed in this turn, whose drivers are still to be told.
    withdrawn: Vec<(Offer, &'static str)>,
}

/// A refused accept that waits to be recorded with the others.
struct Loser<R> {
    ask: Ask<R>,
    attempt: Attempt,
    refusal: Refusal,
}

impl<R> RideMachine<R> {
    /// Builds the machine of ride `id` from what the records say.
    #[must_use]
    pub fn new(id: RideId, policy: Arc<RidePolicy>, records: RideRecords) -> Self {
        let mut ride = records.ride;
        if let Some(ride) = &mut ride {
            ride.restore_offers(records.offers);
        }
        Self {
            id,
            policy,
            ride,
            known: records.commands.into_iter().collect(),
            attempts: records.attempts,
            losers: Vec::new(),
            withdrawn: Vec::new(),
        }
    }

    /// The next deadline, for arming a rebuilt machine.
    #[must_use]
    pub fn deadline(&self) -> Option<UnixMillis> {
        self.ride.as_ref().and_then(|ride| ride.deadline(&self.policy))
    }

    /// The ride, if it exists.
    #[must_use]
    pub fn ride(&self) -> Option<&Ride> {
        self.ride.as_ref()
    }

    fn request(&mut self, now: UnixMillis, ask: Ask<R>, order: Order, out: &mut Outputs<R>) {
        if self.ride.is_some() {
            // An id made anew for each request can only meet itself, through a repeated message.
            out.push(Output::Reply(ask.reply, Err(Refusal::Unavailable)));
            return;
        }
        let passenger = order.passenger.id;
        let event = RideEvent::Requested { order: Box::new(order.clone()) };
        let ride = Ride::requested(self.id, order, now);
        let mut decision = Decision::new(Entity::Ride(self.id), now);
        push_event(&mut decision, &ride, &event, now);
        // Also for the passenger who asked: the answer reaches one device, the event all.
        tell_people(&mut decision, &ride, None);
        let body = done(ride.version, ride.json_for(Reader::Passenger));
        out.push(Output::Note(moved(None, &ride)));
        self.ride = Some(ride);
        let key = ask.key.clone();
        answer(ask, Ok(body), &mut self.known, &mut decision, out);
        // The passenger's machine looks for the results of its requests, not the ride's.
        for result in &mut decision.results {
            result.owner = passenger.0;
        }
        out.push(Output::Send(Envelope::Passenger(
            passenger,
            PassengerInput::Opened { ride: self.id, key },
        )));
        self.finish(decision, out);
        self.start_wave(now, out);
    }

    /// Applies `event` and adds it to `decision`, with what it tells the people of the ride.
    fn record(
        &mut self,
        now: UnixMillis,
        event: &RideEvent,
        decision: &mut Decision,
        out: &mut Outputs<R>,
    ) {
        let Some(ride) = self.ride.as_mut() else {
            return;
        };
        let before = ride.status;
        let driver = ride.driver_id();
        ride.apply(event, now);
        push_event(decision, ride, event, now);
        if event.is_news() {
            tell_people(decision, ride, driver);
        }
        if ride.status != before {
            out.push(Output::Note(moved(Some(before), ride)));
            announce(ride, driver, now, out);
        }
    }

    /// Completes a decision with the current row and the deadline, and hands it over.
    fn finish(&mut self, mut decision: Decision, out: &mut Outputs<R>) {
        if let Some(ride) = &self.ride
            && !decision.events.is_empty()
        {
            let due = ride.deadline(&self.policy);
            decision.rows.push(Row::Ride(row_of(ride)));
            decision.timer = Some(due.map_or(Timer::Off, Timer::Due));
            out.push(Output::Alarm(due));
        }
        if !decision.is_empty() {
            out.push(Output::Persist(Box::new(decision)));
        }
    }

    /// Runs a command that needs an existing ride: decides, records, answers.
    fn command(
        &mut self,
        now: UnixMillis,
        ask: Ask<R>,
        reader: Reader,
        decide: impl FnOnce(&Ride, &RidePolicy) -> Decided,
        out: &mut Outputs<R>,
    ) {
        let Some(ride) = &self.ride else {
            out.push(Output::Reply(ask.reply, Err(Refusal::NotFound)));
            return;
        };
        let mut decision = Decision::new(Entity::Ride(self.id), now);
        let stale = ask.if_version.is_some_and(|version| version != ride.version);
        let decided = if stale {
            Decided::refuse(Refusal::VersionConflict)
        } else {
            decide(ride, &self.policy)
        };
        if let Some(event) = &decided.event {
            self.withdraw_all_if_over(event);
            self.record(now, event, &mut decision, out);
        }
        let reply = match (decided.refusal, &self.ride) {
            (Some(refusal), _) => Err(refusal),
            (None, Some(ride)) => Ok(done(ride.version, ride.json_for(reader))),
            (None, None) => Err(Refusal::NotFound),
        };
        answer(ask, reply, &mut self.known, &mut decision, out);
        self.finish(decision, out);
    }

    fn drive(
        &mut self,
        now: UnixMillis,
        ask: Ask<R>,
        command: DriverCommand,
        out: &mut Outputs<R>,
    ) {
        self.command(
            now,
            ask,
            Reader::Driver,
            |ride, policy| match command {
                DriverCommand::Arrive { location } => ride.arrive(location, policy).into(),
                DriverCommand::Start { pin } => ride.start(&pin, now, policy).into(),
                DriverCommand::Complete { location: _, reason } => ride.complete(reason).into(),
            },
            out,
        );
    }

    fn cancel(&mut self, now: UnixMillis, ask: Ask<R>, cancel: Cancel, out: &mut Outputs<R>) {
        let reader = match cancel.by {
            CancelAs::Passenger => Reader::Passenger,
            CancelAs::Driver(_) => Reader::Driver,
            CancelAs::Admin => Reader::Admin,
        };
        let reason = cancel.reason;
        self.command(now, ask, reader, |ride, policy| ride.cancel(cancel, now, policy).into(), out);
        let canceled = self.ride.as_ref().and_then(|ride| ride.cancellation.as_ref());
        if let Some(by) = canceled.filter(|canceled| canceled.at == now).map(|c| c.by.as_str()) {
            out.push(Output::Note(Note::RideCanceled { by, reason: reason.as_str() }));
        }
        self.seek_if_due(now, out);
    }

    fn read(&self, by: ReadAs, reply: R, out: &mut Outputs<R>) {
        let shown = self.ride.as_ref().and_then(|ride| {
            let reader = match by {
                ReadAs::Admin => Reader::Admin,
                ReadAs::User(user) if ride.order.passenger.id.0 == user.0 => Reader::Passenger,
                ReadAs::User(user) if ride.is_driven_by(user.into()) => Reader::Driver,
                ReadAs::User(_) => return None,
            };
            Some(done(ride.version, ride.json_for(reader)))
        });
        out.push(Output::Reply(reply, shown.ok_or(Refusal::NotFound)));
    }

    fn position(
        &mut self,
        now: UnixMillis,
        driver: DriverId,
        position: DriverPosition,
        out: &mut Outputs<R>,
    ) {
        let Some(ride) = self.ride.as_mut().filter(|ride| ride.is_driven_by(driver)) else {
            return;
        };
        let event = ride.follow(position, &self.policy);
        if ride.status.has_driver() {
            let body = serde_json::json!({"ride_id": ride.id, "location": position.place});
            out.push(Output::Push(Ephemeral {
                to: ride.order.passenger.id.into(),
                op: "driver.position",
                key: ride.id.0,
                body: body.to_string().into(),
            }));
        }
        if let Some(event) = event {
            let mut decision = Decision::new(Entity::Ride(self.id), now);
            self.record(now, &event, &mut decision, out);
            self.finish(decision, out);
        }
    }

    fn whose(&self, driver: DriverId, out: &mut Outputs<R>) {
        let his = self
            .ride
            .as_ref()
            .is_some_and(|ride| ride.is_driven_by(driver) && !ride.status.is_final());
        let input = if his {
            DriverInput::Won { ride: self.id }
        } else {
            DriverInput::NotWon { ride: self.id }
        };
        out.push(Output::Send(Envelope::Driver(driver, input)));
    }

    fn exists(&self, passenger: PassengerId, out: &mut Outputs<R>) {
        let open = self.ride.as_ref().is_some_and(|ride| !ride.status.is_final());
        let input = if open {
            PassengerInput::Opened { ride: self.id, key: None }
        } else {
            PassengerInput::Ended { ride: self.id }
        };
        out.push(Output::Send(Envelope::Passenger(passenger, input)));
    }
}

/// What a command comes to: perhaps an event, perhaps a refusal, perhaps both (a wrong PIN).
struct Decided {
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

impl<R> Machine for RideMachine<R> {
    type Input = RideInput<R>;
    type Reply = R;

    fn step(&mut self, now: UnixMillis, input: RideInput<R>, out: &mut Outputs<R>) {
        match input {
            RideInput::Request { ask, order } => self.request(now, ask, *order, out),
            RideInput::Accept { ask, driver, offer, at } => {
                if let Some(ask) = self.replay_accept(ask, driver.id, out) {
                    self.accept(now, ask, &driver, (offer, at), out);
                }
            }
            RideInput::Decline { ask, driver, offer, reason } => {
                if let Some(ask) = self.known.replay(ask, out) {
                    self.decline(now, ask, (driver, offer, reason), out);
                }
            }
            RideInput::Drive { ask, driver, command } => {
                if !self.ride.as_ref().is_some_and(|ride| ride.is_driven_by(driver)) {
                    out.push(Output::Reply(ask.reply, Err(Refusal::NotFound)));
                } else if let Some(ask) = self.known.replay(ask, out) {
                    self.drive(now, ask, command, out);
                }
            }
            RideInput::Cancel { ask, cancel } => {
                if !self.may_cancel(&ask, cancel.by) {
                    out.push(Output::Reply(ask.reply, Err(Refusal::NotFound)));
                } else if let Some(ask) = self.known.replay(ask, out) {
                    self.cancel(now, ask, cancel, out);
                }
            }
            RideInput::Read { by, reply } => self.read(by, reply, out),
            RideInput::Offers { search, wave, candidates } => {
                self.offers_found(now, (search, wave), candidates, out);
            }
            RideInput::Position { driver, position } => self.position(now, driver, position, out),
            RideInput::WhoseIsIt { driver } => self.whose(driver, out),
            RideInput::DoesItExist { passenger } => self.exists(passenger, out),
            RideInput::Alarm => self.alarm(now, out),
        }
    }

    fn settle(&mut self, now: UnixMillis, recording: bool, out: &mut Outputs<R>) {
        self.tell_withdrawn(now, out);
        if !recording {
            self.record_losers(now, out);
        }
    }

    fn passivate_after(&self) -> Millis {
        match &self.ride {
            Some(ride) if !ride.status.is_final() => Millis::from_secs(300),
            Some(_) | None => Millis::from_secs(30),
        }
    }
}

impl<R> RideMachine<R> {
    /// A driver who gave the ride back may ask again under the same id, so a known id passes.
    fn may_cancel(&self, ask: &Ask<R>, by: CancelAs) -> bool {
        let Some(ride) = &self.ride else { return false };
        match by {
            CancelAs::Admin => true,
            CancelAs::Passenger => ride.order.passenger.id.0 == ask.by.0,
            CancelAs::Driver(driver) => {
                ride.is_driven_by(driver) || self.known.find(ask.key.as_ref()).is_some()
            }
        }
    }
}

fn push_event(decision: &mut Decision, ride: &Ride, event: &RideEvent, at: UnixMillis) {
    let body = serde_json::to_string(event).unwrap_or_default().into();
    decision.events.push(EventRow { seq: ride.version, kind: event.kind(), at, body });
}

fn row_of(ride: &Ride) -> RideRow {
    RideRow {
        id: ride.id,
        status: ride.status,
        passenger: ride.order.passenger.id,
        driver: ride.driver_id(),
        category: ride.order.category,
        version: ride.version,
        requested_at: ride.requested_at,
        state: serde_json::to_string(ride).unwrap_or_default().into(),
    }
}

/// Puts the ride as it now is on the streams of its people. `driver` had it before the event: one
/// who gave it back is not told what happens next, his answer says it.
fn tell_people(decision: &mut Decision, ride: &Ride, driver: Option<DriverId>) {
    let event = |stream, reader| StreamRow {
        stream,
        op: "ride.updated",
        key: ride.id.0,
        version: ride.version,
        expires_at: None,
        urgent: false,
        body: format!("{{\"ride\":{}}}", ride.json_for(reader)).into(),
    };
    let passenger = StreamId::Passenger(ride.order.passenger.id);
    decision.streams.push(event(passenger, Reader::Passenger));
    if let Some(driver) = ride.driver_id().or(driver.filter(|_| ride.status.is_final())) {
        decision.streams.push(event(StreamId::Driver(driver), Reader::Driver));
    }
}

/// Tells the machines of its people that a ride was released or has ended.
fn announce<R>(ride: &Ride, driver: Option<DriverId>, now: UnixMillis, out: &mut Outputs<R>) {
    let over = ride.status.is_final();
    if let Some(driver) = driver.filter(|driver| over || !ride.is_driven_by(*driver)) {
        let ended = DriverInput::Ended { ride: ride.id };
        out.push(Output::Send(Envelope::Driver(driver, ended)));
    }
    if over {
        let ended = PassengerInput::Ended { ride: ride.id };
        out.push(Output::Send(Envelope::Passenger(ride.order.passenger.id, ended)));
    }
    if ride.status == Status::Completed {
        let lasted = ride.started_at.map_or(Millis(0), |start| now.since(start));
        out.push(Output::Note(Note::RideEnded { category: ride.order.category, lasted }));
    }
}

fn moved(from: Option<Status>, ride: &Ride) -> Note {
    Note::RideMoved {
        from: from.map(Status::as_str),
        to: ride.status.as_str(),
        category: ride.order.category,
    }
}
