//! People in the small world: what they ask for, and what they are told.

use std::sync::Arc;

use super::world::World;
use crate::facts::{Answer, CommandKey, Entity};
use crate::ids::{DriverId, OfferId, PassengerId, RideId, UserId};
use crate::machines::{
    Ask, DriverCommand, DriverInput, Envelope, Market, PassengerInput, RideInput,
};
use crate::refusal::Refusal;
use crate::ride::{Cancel, CancelAs, CancelReason, RideEvent, Status, sample};

/// A command as a person means it. The same command has the same `Debug` text.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Command {
    Request(PassengerId),
    Accept(DriverId, RideId, Option<OfferId>),
    Decline(DriverId, RideId),
    Arrive(DriverId, RideId),
    Start(DriverId, RideId, bool),
    Complete(DriverId, RideId),
    DriverCancel(DriverId, RideId),
    PassengerCancel(PassengerId, RideId),
    Online(DriverId),
    Offline(DriverId),
}

/// What a person was told.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Said {
    Answer(Answer),
    /// Nothing: the machine that owed the answer is gone.
    Died,
}

/// A command that was sent.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub(super) command: Command,
    pub(super) key: Option<CommandKey>,
    /// Who owes the answer.
    pub(super) holder: Entity,
    pub(super) said: Option<Said>,
}

impl Command {
    fn by(self) -> UserId {
        match self {
            Self::Request(passenger) | Self::PassengerCancel(passenger, _) => passenger.into(),
            Self::Accept(driver, _, _)
            | Self::Decline(driver, _)
            | Self::Arrive(driver, _)
            | Self::Start(driver, _, _)
            | Self::Complete(driver, _)
            | Self::DriverCancel(driver, _)
            | Self::Online(driver)
            | Self::Offline(driver) => driver.into(),
        }
    }

    /// FNV-1a of what is asked for.
    fn fingerprint(self) -> i64 {
        let text = format!("{self:?}");
        let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        hash.cast_signed()
    }
}

impl World {
    /// Sends `command` under the id `id`, and gives the number of its answer.
    pub(super) fn send(&mut self, command: Command, id: Option<&str>) -> u64 {
        let key = id.map(|id| CommandKey {
            principal: command.by(),
            id: Arc::from(id),
            fingerprint: command.fingerprint(),
        });
        let reply = self.asked.len() as u64 + 1;
        let ask = Ask { by: command.by(), key: key.clone(), if_version: None, origin: None, reply };
        let envelope = envelope(command, ask, reply);
        let asked = Asked { command, key, holder: envelope.entity(), said: None };
        self.asked.insert(reply, asked);
        self.post(envelope);
        reply
    }

    /// An answer leaves. It must rest on what is recorded.
    pub(super) fn say(&mut self, reply: u64, answer: &Answer) {
        let asked = self.asked.get_mut(&reply).expect("was asked");
        assert_eq!(asked.said, None, "answered twice: {asked:?}");
        asked.said = Some(Said::Answer(answer.clone()));
        let asked = asked.clone();
        let stored = match answer {
            Ok(_) => true,
            Err(refusal) => refusal.is_result(),
        };
        if let Some(key) = asked.key.as_ref().filter(|_| stored) {
            let recorded = self.disk.answer(key);
            assert_eq!(recorded, Some(answer), "not recorded: {asked:?}");
        }
        if let (Command::Accept(driver, ride, _), Ok(_)) = (asked.command, answer) {
            assert!(self.was_assigned(driver, ride), "not his: {asked:?}");
        }
    }

    pub(super) fn was_assigned(&self, driver: DriverId, ride: RideId) -> bool {
        let history = self.disk.history(ride);
        history.iter().any(|(event, _)| match event {
            RideEvent::Assigned { driver: card, .. } => card.id == driver,
            _ => false,
        })
    }

    /// The answer that `reply` got.
    pub(super) fn told(&self, reply: u64) -> Option<Result<(), Refusal>> {
        match self.asked.get(&reply)?.said.as_ref()? {
            Said::Answer(answer) => Some(answer.as_ref().map(|_| ()).map_err(|refusal| *refusal)),
            Said::Died => None,
        }
    }

    /// Somebody does something.
    pub(super) fn act(&mut self, passengers: u32) {
        let id = format!("k{}", self.asked.len());
        let id = (!self.chance.one_in(8)).then_some(id);
        let command = match self.chance.below(20) {
            0..=9 => self.react_to_offer(),
            10 | 11 => {
                self.repeat();
                None
            }
            12 | 13 => {
                let number = self.chance.below(passengers as usize);
                let number = u32::try_from(number).expect("few") + 1;
                Some(Command::Request(sample::passenger(number)))
            }
            14..=17 => self.go_on(),
            18 => self.tap_anywhere(),
            _ => self.come_or_go(),
        };
        if let Some(command) = command {
            self.send(command, id.as_deref());
        }
    }

    fn react_to_offer(&mut self) -> Option<Command> {
        if self.offers.is_empty() {
            return None;
        }
        let drawn = self.chance.below(self.offers.len());
        let (driver, ride, offer) = self.offers[drawn];
        if !self.chance.one_in(4) {
            self.offers.swap_remove(drawn);
        }
        match self.chance.below(20) {
            0..=9 => Some(Command::Accept(driver, ride, Some(offer))),
            10..=14 => Some(Command::Accept(driver, ride, None)),
            15 => Some(Command::Accept(driver, ride, Some(sample::offer_id(0)))),
            16..=18 => Some(Command::Decline(driver, ride)),
            _ => None,
        }
    }

    /// The same command under the same id again, or another one under that id.
    fn repeat(&mut self) {
        if self.asked.is_empty() {
            return;
        }
        let drawn = self.chance.below(self.asked.len()) as u64 + 1;
        let earlier = self.asked[&drawn].clone();
        let Some(key) = earlier.key else { return };
        let command = match earlier.command {
            Command::Accept(driver, ride, _) if self.chance.one_in(5) => {
                Command::Accept(driver, ride, Some(sample::offer_id(77)))
            }
            same => same,
        };
        self.send(command, Some(&key.id));
    }

    /// A ride goes its way, or ends early.
    fn go_on(&mut self) -> Option<Command> {
        if self.disk.rides.is_empty() {
            return None;
        }
        let drawn = self.chance.below(self.disk.rides.len());
        let row = self.disk.rides.values().nth(drawn)?.clone();
        if row.status.is_final() && !self.chance.one_in(10) {
            return None;
        }
        if self.chance.one_in(12) {
            return Some(Command::PassengerCancel(row.passenger, row.id));
        }
        let driver = row.driver?;
        if self.chance.one_in(5) {
            return Some(Command::DriverCancel(driver, row.id));
        }
        Some(match row.status {
            Status::Accepted | Status::Arriving => Command::Arrive(driver, row.id),
            Status::Arrived => Command::Start(driver, row.id, !self.chance.one_in(4)),
            _ => Command::Complete(driver, row.id),
        })
    }

    /// Any driver accepts any ride: he may be busy, offline, or never asked.
    fn tap_anywhere(&mut self) -> Option<Command> {
        if self.disk.rides.is_empty() {
            return None;
        }
        let driver = self.any_driver();
        let drawn = self.chance.below(self.disk.rides.len());
        let ride = *self.disk.rides.keys().nth(drawn)?;
        Some(Command::Accept(driver, ride, None))
    }

    fn come_or_go(&mut self) -> Option<Command> {
        let driver = self.any_driver();
        Some(match self.market.get(&driver)? {
            Market::Offline => Command::Online(driver),
            Market::Available(..) | Market::Finishing(..) | Market::Busy => {
                Command::Offline(driver)
            }
        })
    }

    fn any_driver(&mut self) -> DriverId {
        let drawn = self.chance.below(self.market.len());
        let known = self.market.keys().nth(drawn);
        known.copied().unwrap_or_else(|| sample::driver(1))
    }
}

fn envelope(command: Command, ask: Ask<u64>, reply: u64) -> Envelope<u64> {
    match command {
        Command::Request(passenger) => {
            let number = u32::try_from(reply).expect("few");
            let input = PassengerInput::Request {
                ask,
                ride: sample::ride_id(1000 + number),
                order: Box::new(sample::order(passenger)),
            };
            Envelope::Passenger(passenger, input)
        }
        Command::Accept(driver, ride, offer) => {
            let at = None;
            let input = DriverInput::Accept { ask, ride, offer, at };
            Envelope::Driver(driver, input)
        }
        Command::Online(driver) => {
            let (category, vehicle) = (None, None);
            let input = DriverInput::Online { ask, category, vehicle };
            Envelope::Driver(driver, input)
        }
        Command::Offline(driver) => Envelope::Driver(driver, DriverInput::Offline { ask }),
        Command::Decline(driver, ride) => {
            let input = RideInput::Decline { ask, driver, offer: None, reason: None };
            Envelope::Ride(ride, input)
        }
        Command::DriverCancel(driver, ride) => cancel(ride, CancelAs::Driver(driver), ask),
        Command::PassengerCancel(_, ride) => cancel(ride, CancelAs::Passenger, ask),
        Command::Arrive(driver, ride)
        | Command::Start(driver, ride, _)
        | Command::Complete(driver, ride) => {
            let command = on_the_way(command);
            let input = RideInput::Drive { ask, driver, command };
            Envelope::Ride(ride, input)
        }
    }
}

fn on_the_way(command: Command) -> DriverCommand {
    let (location, reason) = (None, None);
    match command {
        Command::Arrive(..) => DriverCommand::Arrive { location },
        Command::Start(_, _, right) => {
            DriverCommand::Start { pin: if right { sample::PIN } else { "9999" }.to_owned() }
        }
        _ => DriverCommand::Complete { location, reason },
    }
}

fn cancel(ride: RideId, by: CancelAs, ask: Ask<u64>) -> Envelope<u64> {
    let cancel = Cancel { by, reason: CancelReason::Other, note: None };
    Envelope::Ride(ride, RideInput::Cancel { ask, cancel })
}
