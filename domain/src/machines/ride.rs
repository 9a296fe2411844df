//! The ride's machine: the one place where a ride is won, driven and ended.
//!
//! A race is settled by the order of its inputs: the first valid accept wins, every later one finds
//! the ride taken. Losers are gathered and recorded together ([`Machine::settle`]), a row a commit.

use std::fmt;
use std::sync::Arc;

use super::known::{Known, PastCommand, done};
use super::{
    Ask, Candidate, DriverInput, Ephemeral, Machine, NotWon, Note, Output, Outputs, PassengerInput,
    Turn, WaveId,
};
use crate::facts::{Attempt, CommandKey, Decision, Done, Entity, Timer};
use crate::ids::{DriverId, OfferId, PassengerId, RideId, UserId};
use crate::money::Centavos;
use crate::mutants::{Mutant, is};
use crate::payment::PaymentStatus;
use crate::place::Coordinates;
use crate::policy::RidePolicy;
use crate::refusal::Refusal;
use crate::ride::{
    Bid, Cancel, CancelAs, DriverPosition, Offer, Order, Rating, Reader, Ride, RideEvent,
};
use crate::units::{Millis, Seconds, UnixMillis};

mod chain;
mod eta;
mod offers;
mod paying;
mod race;
mod record;

pub use eta::Ahead;

/// What a ride's machine reacts to.
#[derive(Debug)]
pub enum RideInput<R> {
    /// The first of a ride's life. Comes from the passenger's machine, which has reserved them.
    Request {
        ask: Ask<R>,
        order: Box<Order>,
    },
    /// Comes from the driver's machine, which has reserved him, or says why it has not.
    Accept {
        ask: Ask<R>,
        bid: Box<Bid>,
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
    /// From one of the ride's people, about the other.
    Rate {
        ask: Ask<R>,
        rating: Rating,
    },
    /// From its passenger, for its driver.
    Tip {
        ask: Ask<R>,
        amount: Centavos,
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
    /// A driver's machine cannot take the offer: he got another ride, or is offline. Answered by
    /// a freed slot.
    OfferUnwanted {
        driver: DriverId,
        of: WaveId,
    },
    /// A driver gave a slot for a wave that is made without it. Whether his offer of that wave is
    /// open all the same, for the wave was sought twice, only the ride knows.
    SlotUnused {
        driver: DriverId,
        of: WaveId,
    },
    Position {
        driver: DriverId,
        position: DriverPosition,
    },
    /// He takes so long to `to`: the answer to [`Output::Route`].
    Ahead {
        to: Coordinates,
        eta: Seconds,
    },
    /// The payment of this ride has moved. News only: who is built later reads it.
    PaymentMoved {
        status: PaymentStatus,
        version: u64,
    },
    /// A driver's machine lost track of its ride, or of its accept. Answered by won or not won.
    WhoseIsIt {
        driver: DriverId,
        call: u64,
    },
    /// `next` comes after this ride, which its driver is on. Answered when this one has ended.
    Precedes {
        next: RideId,
    },
    /// The ride that this one comes after has ended.
    PrecedingEnded {
        ride: RideId,
    },
    /// A passenger's machine lost track of its ride, or of its request. Answered by opened or
    /// ended.
    DoesItExist {
        passenger: PassengerId,
    },
    Alarm,
}

/// What a driver does on his ride.
#[derive(Clone)]
pub enum DriverCommand {
    Arrive { location: Option<Coordinates> },
    Start { pin: String },
    Complete { location: Option<Coordinates>, reason: Option<String> },
}

impl fmt::Debug for DriverCommand {
    /// The name only: a PIN or a place has no business in a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Arrive { .. } => "Arrive",
            Self::Start { .. } => "Start",
            Self::Complete { .. } => "Complete",
        })
    }
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
    /// Every offer ever made, in any order.
    pub offers: Vec<Offer>,
    pub commands: Vec<PastCommand>,
    /// How many attempts to accept are recorded.
    pub attempts: u32,
    /// Where its payment stands, and at which version.
    pub payment: Option<(PaymentStatus, u64)>,
    /// The ride that comes after this one, chained to it.
    pub next: Option<RideId>,
    /// The ride that this one came after has ended, by the records.
    pub preceding_ended: bool,
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
    /// The deadline last handed over to be recorded.
    timer: Option<Timer>,
    /// The wave last asked for; once it has come, it is no longer the next.
    sought: Option<WaveId>,
    eta: eta::Eta,
    /// Offers closed in this turn, whose drivers are still to be told.
    withdrawn: Vec<(Offer, WaveId, &'static str)>,
    /// The ride that its driver does next, to be told when this one ends.
    next: Option<RideId>,
    /// The records say that the ride before this one has ended; it is to be recorded here too.
    preceding_ended: bool,
}

/// A refused accept that waits to be recorded with the others.
struct Loser<R> {
    attempt: Attempt,
    refusal: Refusal,
    /// Everyone who sent this same command, and the call of the machine that waits for its outcome.
    asked: Vec<(R, Option<u64>)>,
}

impl<R> RideMachine<R> {
    /// Builds the machine of ride `id` from what the records say.
    #[must_use]
    pub fn new(id: RideId, policy: Arc<RidePolicy>, records: RideRecords) -> Self {
        let mut ride = records.ride;
        if let Some(ride) = &mut ride {
            ride.restore_offers(records.offers);
            ride.version += u64::from(is(Mutant::AppliedTwice));
            if let Some((status, version)) = records.payment {
                ride.payment_is(status, version);
            }
        }
        Self {
            id,
            policy,
            ride,
            known: records.commands.into_iter().collect(),
            attempts: records.attempts,
            losers: Vec::new(),
            timer: None,
            sought: None,
            eta: eta::Eta::default(),
            withdrawn: Vec::new(),
            next: records.next,
            preceding_ended: records.preceding_ended,
        }
    }

    /// The next deadline, for arming a rebuilt machine.
    #[must_use]
    pub fn deadline(&self) -> Option<UnixMillis> {
        let ride = self.ride.as_ref().filter(|_| !is(Mutant::TimerNotArmed))?;
        // Chained, it looks at the first occasion: the end of the ride before it may be in the
        // records, or have been told to an earlier life.
        ride.accepted_at.filter(|_| ride.chain.is_some()).or(ride.deadline(&self.policy))
    }

    /// The ride, if it exists.
    #[must_use]
    pub fn ride(&self) -> Option<&Ride> {
        self.ride.as_ref()
    }

    fn decision(&self, turn: &Turn<'_, R>) -> Decision {
        Decision::new(Entity::Ride(self.id), turn.now)
    }

    fn request(&mut self, turn: &mut Turn<'_, R>, ask: Ask<R>, order: Order) {
        if self.ride.is_some() {
            // An id made anew for each request can only meet itself, through a repeated message.
            turn.reply(ask.reply, Err(Refusal::Unavailable));
            return;
        }
        let passenger = order.passenger.id;
        let event = RideEvent::Requested { order: Box::new(order.clone()) };
        let ride = Ride::requested(self.id, order, turn.now);
        let mut decision = self.decision(turn);
        record::push_event(&mut decision, &ride, &event);
        // Also for the passenger who asked: the answer reaches one device, the event all.
        let told = record::tell_people(&mut decision, &ride, None);
        let body = Done { version: ride.version, body: told.to(Reader::Passenger, &ride) };
        turn.note(record::moved(None, &ride));
        self.ride = Some(ride);
        let key = ask.key.clone();
        self.known.answer(turn, ask, Ok(body), &mut decision);
        // The passenger's machine looks for the results of its requests, not the ride's.
        for result in &mut decision.results {
            result.owner = passenger.0;
        }
        turn.tell_passenger(passenger, PassengerInput::Opened { ride: self.id, key });
        self.finish(turn, decision);
        self.start_wave(turn);
    }

    fn drive(&mut self, turn: &mut Turn<'_, R>, ask: Ask<R>, command: DriverCommand) {
        let now = turn.now;
        self.command(turn, ask, Reader::Driver, |ride, policy| match command {
            DriverCommand::Arrive { location } => ride.arrive(location, policy).into(),
            DriverCommand::Start { pin } => ride.start(&pin, now, policy).into(),
            DriverCommand::Complete { location: _, reason } => ride.complete(reason).into(),
        });
    }

    fn cancel(&mut self, turn: &mut Turn<'_, R>, ask: Ask<R>, cancel: Cancel) {
        let reader = match cancel.by {
            CancelAs::Passenger => Reader::Passenger,
            CancelAs::Driver(_) => Reader::Driver,
            CancelAs::Admin => Reader::Admin,
        };
        let now = turn.now;
        let happened =
            self.command(turn, ask, reader, |ride, policy| ride.cancel(cancel, now, policy).into());
        if happened {
            // One who gave the ride back leaves a search that is due at once.
            self.start_wave(turn);
        }
    }

    fn rate(&mut self, turn: &mut Turn<'_, R>, ask: Ask<R>, rating: Rating) {
        let Some(by) = self.ride.as_ref().and_then(|ride| ride.rater(ask.by)) else {
            turn.reply(ask.reply, Err(Refusal::NotFound));
            return;
        };
        let now = turn.now;
        self.command(turn, ask, by.reader(), |ride, policy| {
            ride.rate(by, rating, now, policy).into()
        });
    }

    fn read(&self, by: ReadAs, turn: &mut Turn<'_, R>, reply: R) {
        let shown = self.ride.as_ref().and_then(|ride| {
            let reader = match by {
                ReadAs::Admin => Reader::Admin,
                ReadAs::User(user) if ride.order.passenger.id.0 == user.0 => Reader::Passenger,
                ReadAs::User(user) if ride.is_driven_by(user.into()) => Reader::Driver,
                ReadAs::User(_) => return None,
            };
            Some(done(ride.version, ride.json_for(reader)))
        });
        turn.reply(reply, shown.ok_or(Refusal::NotFound));
    }

    fn position(&mut self, turn: &mut Turn<'_, R>, driver: DriverId, position: DriverPosition) {
        let Some(ride) = self.ride.as_mut().filter(|ride| ride.is_driven_by(driver)) else {
            return;
        };
        let event = ride.follow(position, &self.policy);
        if ride.status.has_driver() {
            let body = serde_json::json!({"ride_id": ride.id, "location": position.place});
            turn.out.push(Output::Push(Ephemeral {
                to: ride.order.passenger.id.into(),
                op: "driver.position",
                key: ride.id.0,
                body: body.to_string().into(),
            }));
        }
        if let Some(event) = event {
            let mut decision = self.decision(turn);
            self.record(turn, &event, &mut decision);
            self.finish(turn, decision);
        }
        self.look_ahead(turn);
    }

    /// Tells a driver's machine, which called, whether this ride is his.
    fn whose(&self, turn: &mut Turn<'_, R>, driver: DriverId, call: u64) {
        let ride = self.id;
        let his = |ride: &&Ride| ride.is_driven_by(driver) && !ride.status.is_final();
        let input = if let Some(held) = self.ride.as_ref().filter(his).map(chain::held) {
            DriverInput::Won { ride, held }
        } else {
            DriverInput::NotWon { ride, no: NotWon { call, closed: self.closed_to(driver) } }
        };
        turn.tell_driver(driver, input);
    }

    fn exists(&self, turn: &mut Turn<'_, R>, passenger: PassengerId) {
        let ride = self.id;
        let input = match &self.ride {
            Some(open) if !open.status.is_final() => PassengerInput::Opened { ride, key: None },
            Some(over) => paying::ended(over, &self.policy),
            None => PassengerInput::Ended { ride, owes: None },
        };
        turn.tell_passenger(passenger, input);
    }

    /// Whether `driver` may command this ride as its own. One who gave it back may repeat what he
    /// said before that, so a known id passes.
    fn obeys(&self, driver: DriverId, key: Option<&CommandKey>) -> bool {
        self.ride.as_ref().is_some_and(|ride| ride.is_driven_by(driver)) || self.known.has(key)
    }

    fn may_cancel(&self, ask: &Ask<R>, by: CancelAs) -> bool {
        let Some(ride) = &self.ride else { return false };
        match by {
            CancelAs::Admin => true,
            CancelAs::Passenger => ride.order.passenger.id.0 == ask.by.0,
            CancelAs::Driver(driver) => self.obeys(driver, ask.key.as_ref()),
        }
    }
}

impl<R> Machine for RideMachine<R> {
    type Input = RideInput<R>;
    type Reply = R;

    fn step(&mut self, now: UnixMillis, input: RideInput<R>, out: &mut Outputs<R>) {
        let turn = &mut Turn::new(now, out);
        self.catch_up(turn);
        match input {
            RideInput::Request { ask, order } => self.request(turn, ask, *order),
            RideInput::Accept { ask, bid } => self.bid(turn, ask, &bid),
            RideInput::Decline { ask, driver, offer, reason } => {
                if let Some(ask) = self.known.replay(turn, ask) {
                    self.decline(turn, ask, driver, |ride| ride.decline(driver, offer, reason));
                }
            }
            RideInput::Drive { ask, driver, command } => {
                if !self.obeys(driver, ask.key.as_ref()) {
                    turn.reply(ask.reply, Err(Refusal::NotFound));
                } else if let Some(ask) = self.known.replay(turn, ask) {
                    self.drive(turn, ask, command);
                }
            }
            RideInput::Cancel { ask, cancel } => {
                if !self.may_cancel(&ask, cancel.by) {
                    turn.reply(ask.reply, Err(Refusal::NotFound));
                } else if let Some(ask) = self.known.replay(turn, ask) {
                    self.cancel(turn, ask, cancel);
                }
            }
            RideInput::Rate { ask, rating } => {
                // One who gave it back may repeat what he said before that.
                if let Some(ask) = self.known.replay(turn, ask) {
                    self.rate(turn, ask, rating);
                }
            }
            RideInput::Tip { ask, amount } => self.tip(turn, ask, amount),
            RideInput::Read { by, reply } => self.read(by, turn, reply),
            RideInput::Offers { search, wave, candidates } => {
                self.offers_found(turn, WaveId { search, wave }, candidates);
            }
            RideInput::OfferUnwanted { driver, of } => self.offer_unwanted(turn, driver, of),
            RideInput::SlotUnused { driver, of } => self.slot_unused(turn, driver, of),
            RideInput::Position { driver, position } => self.position(turn, driver, position),
            RideInput::Ahead { to, eta } => self.ahead(turn, to, eta),
            RideInput::PaymentMoved { status, version } => {
                if let Some(ride) = &mut self.ride {
                    ride.payment_is(status, version);
                }
            }
            RideInput::WhoseIsIt { driver, call } => self.whose(turn, driver, call),
            RideInput::Precedes { next } => self.precedes(turn, next),
            RideInput::PrecedingEnded { ride } => self.preceding_ended(turn, ride),
            RideInput::DoesItExist { passenger } => self.exists(turn, passenger),
            RideInput::Alarm => self.alarm(turn),
        }
    }

    fn settle(&mut self, now: UnixMillis, recording: bool, out: &mut Outputs<R>) {
        let turn = &mut Turn::new(now, out);
        self.tell_withdrawn(turn);
        if !recording {
            self.record_losers(turn);
        }
    }

    /// Others whose offers have just closed may be about to accept.
    fn expected_company(&self) -> usize {
        self.withdrawn.len()
    }

    fn passivate_after(&self) -> Millis {
        match &self.ride {
            Some(ride) if !ride.status.is_final() => Millis::from_secs(300),
            Some(_) | None => Millis::from_secs(30),
        }
    }
}
