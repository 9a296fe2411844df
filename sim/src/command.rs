//! What apps ask of engines, and what they are told.

use std::rc::Rc;
use std::sync::Arc;

use ibora_domain::facts::{Answer, CommandKey, StreamRow};
use ibora_domain::ids::{DriverId, OfferId, PassengerId, PaymentId, PayoutId, RideId, UserId};
use ibora_domain::machines::{
    Ask, DriverCommand, DriverInput, Envelope, PassengerInput, PaymentInput, RideInput, Verdict,
    WalletInput, Wanted,
};
use ibora_domain::money::Centavos;
use ibora_domain::payment::BorneBy;
use ibora_domain::ride::{Cancel, CancelAs, CancelReason, Rating, Stars, Status};
use serde::Deserialize;

use crate::database::OpenOffer;
use crate::people;

/// A command as a person means it. The same command has the same `Debug` text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    Online,
    Offline,
    /// `intent` tells apart the wishes: one wish is one ride at most.
    Request {
        intent: Arc<str>,
        /// Where it begins, in metres north of the first pickup.
        metres: u32,
    },
    Accept {
        ride: RideId,
        offer: Option<OfferId>,
    },
    Decline {
        ride: RideId,
    },
    Arrive {
        ride: RideId,
        /// He says where he is; else his last position counts.
        here: bool,
    },
    Start {
        ride: RideId,
        right: bool,
    },
    Complete {
        ride: RideId,
    },
    Cancel {
        ride: RideId,
    },
    Rate {
        ride: RideId,
        stars: Stars,
    },
    /// He wants to pay for this ride.
    Intent {
        ride: RideId,
    },
    /// Somebody of the platform gives so much of a payment back.
    GiveBack {
        payment: PaymentId,
        centavos: i64,
    },
    /// A driver wants so many centavos.
    Payout {
        centavos: i64,
    },
    /// Somebody of the platform lets a payout go, or not.
    Review {
        driver: DriverId,
        payout: PayoutId,
        approves: bool,
    },
}

impl Command {
    /// A short name for a trace.
    #[must_use]
    pub fn name(&self) -> String {
        let (op, ride) = match self {
            Self::Online => ("online", None),
            Self::Offline => ("offline", None),
            Self::Request { .. } => ("request", None),
            Self::Accept { ride, .. } => ("accept", Some(ride)),
            Self::Decline { ride } => ("decline", Some(ride)),
            Self::Arrive { ride, .. } => ("arrive", Some(ride)),
            Self::Start { ride, .. } => ("start", Some(ride)),
            Self::Complete { ride } => ("complete", Some(ride)),
            Self::Cancel { ride } => ("cancel", Some(ride)),
            Self::Rate { ride, .. } => ("rate", Some(ride)),
            Self::Intent { ride } => ("intent", Some(ride)),
            Self::GiveBack { .. } => ("give back", None),
            Self::Payout { .. } => ("payout", None),
            Self::Review { .. } => ("review", None),
        };
        ride.map_or_else(|| op.to_owned(), |ride| format!("{op} {}", people::name(ride.0)))
    }

    /// What makes it the same command under the same id.
    #[must_use]
    pub fn key(&self, user: UserId, id: &Arc<str>) -> CommandKey {
        let fingerprint = people::fingerprint(&format!("{self:?}"));
        CommandKey { principal: user, id: Arc::clone(id), fingerprint }
    }

    /// The message for the machine that it goes to first. `ride` and `payout`: new ids, for what
    /// begins one.
    #[must_use]
    pub fn envelope<R>(&self, ask: Ask<R>, new: (RideId, PayoutId)) -> Envelope<R> {
        let (by, key) = (ask.by, ask.key.clone());
        let decided_by = self.addressed(ask, new);
        match people::is_driver(by) {
            true => decided_by.past(by.into(), key),
            false => decided_by,
        }
    }

    fn addressed<R>(&self, ask: Ask<R>, (ride, payout): (RideId, PayoutId)) -> Envelope<R> {
        let driver = DriverId::from(ask.by);
        let drive =
            |ride, ask, command| Envelope::Ride(ride, RideInput::Drive { ask, driver, command });
        match self {
            Self::Online => {
                let input = DriverInput::Online { ask, category: None, vehicle: None };
                Envelope::Driver(driver, input)
            }
            Self::Offline => Envelope::Driver(driver, DriverInput::Offline { ask }),
            Self::Request { intent, metres } => {
                let passenger = PassengerId::from(ask.by);
                let order = Box::new(people::order(passenger, intent, *metres));
                Envelope::Passenger(passenger, PassengerInput::Request { ask, ride, order })
            }
            Self::Accept { ride, offer } => {
                let input = DriverInput::Accept { ask, ride: *ride, offer: *offer, at: None };
                Envelope::Driver(driver, input)
            }
            Self::Decline { ride } => {
                let input = RideInput::Decline { ask, driver, offer: None, reason: None };
                Envelope::Ride(*ride, input)
            }
            Self::Arrive { ride, here } => {
                let location = here.then(|| people::north_of_pickup(10));
                drive(*ride, ask, DriverCommand::Arrive { location })
            }
            Self::Start { ride, right } => {
                let pin = if *right { people::PIN } else { people::WRONG_PIN }.to_owned();
                drive(*ride, ask, DriverCommand::Start { pin })
            }
            Self::Complete { ride } => {
                let command = DriverCommand::Complete { location: None, reason: None };
                drive(*ride, ask, command)
            }
            Self::Cancel { ride } => {
                let by = match people::is_driver(ask.by) {
                    true => CancelAs::Driver(driver),
                    false => CancelAs::Passenger,
                };
                let cancel = Cancel { by, reason: CancelReason::Other, note: None };
                Envelope::Ride(*ride, RideInput::Cancel { ask, cancel })
            }
            Self::Rate { ride, stars } => {
                let rating = Rating { stars: *stars, comment: None };
                Envelope::Ride(*ride, RideInput::Rate { ask, rating })
            }
            Self::Intent { ride } => {
                Envelope::Payment(PaymentId::of_ride(*ride), PaymentInput::Intent { ask })
            }
            Self::GiveBack { payment, centavos } => {
                let (amount, reason) = (Centavos(*centavos), "goodwill".to_owned());
                let borne_by = BorneBy::Platform;
                Envelope::Payment(
                    *payment,
                    PaymentInput::GiveBack { ask, amount, borne_by, reason },
                )
            }
            Self::Review { driver, payout, approves } => {
                let (payout, verdict) = (*payout, verdict(*approves));
                Envelope::Wallet(*driver, WalletInput::Review { ask, payout, verdict })
            }
            Self::Payout { centavos } => {
                let (amount, payee) = (Centavos(*centavos), people::payee(driver));
                let wanted = Box::new(Wanted { id: payout, amount, key: None, payee, sweep: None });
                Envelope::Wallet(driver, WalletInput::Payout { ask, wanted })
            }
        }
    }
}

const fn verdict(approves: bool) -> Verdict {
    match approves {
        true => Verdict::Approved,
        false => Verdict::Rejected { reason: None },
    }
}

/// A ride as an app knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    pub ride: RideId,
    pub status: Status,
    pub version: u64,
    pub driver: Option<DriverId>,
    /// Its driver first ends another.
    pub chained: bool,
}

#[derive(Deserialize)]
struct RideBody {
    id: RideId,
    status: Status,
    version: u64,
    driver: Option<DriverBody>,
    chained: bool,
}

#[derive(Deserialize)]
struct DriverBody {
    id: DriverId,
}

#[derive(Deserialize)]
struct Told {
    ride: RideBody,
}

impl From<RideBody> for Seen {
    fn from(body: RideBody) -> Self {
        let driver = body.driver.map(|driver| driver.id);
        let RideBody { id, status, version, chained, .. } = body;
        Self { ride: id, status, version, driver, chained }
    }
}

impl Seen {
    /// Reads an answer.
    #[must_use]
    pub fn of_answer(body: &str) -> Option<Self> {
        serde_json::from_str::<RideBody>(body).ok().map(Self::from)
    }

    /// Reads `ride.updated`.
    #[must_use]
    pub fn of_event(row: &StreamRow) -> Option<Self> {
        serde_json::from_str::<Told>(&row.body).ok().map(|told| told.ride.into())
    }
}

/// What a person's app must show when it knows nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Snapshot {
    pub online: bool,
    pub offers: Vec<OpenOffer>,
    pub ride: Option<Seen>,
    /// The chained one, which comes after it.
    pub next: Option<Seen>,
}

/// A frame to an engine.
#[derive(Debug, Clone)]
pub enum Up {
    /// `has`: epoch and number of the last event, for who wants to go on.
    Hello {
        has: Option<(Arc<str>, u64)>,
    },
    Cmd {
        id: Arc<str>,
        command: Rc<Command>,
    },
    /// So many metres north of the first pickup.
    Position {
        metres: u32,
    },
}

/// A frame to an app.
#[derive(Debug, Clone)]
pub enum Down {
    Welcome {
        epoch: Arc<str>,
        seq: u64,
        recovered: bool,
        snapshot: Rc<Snapshot>,
    },
    /// A snapshot in the middle of a session, at a gap.
    Sync {
        seq: u64,
        snapshot: Rc<Snapshot>,
    },
    Event {
        seq: u64,
        row: Rc<StreamRow>,
    },
    Res {
        id: Arc<str>,
        answer: Answer,
    },
}

/// What is asked by REST.
#[derive(Debug, Clone)]
pub enum Rest {
    Command { id: Arc<str>, command: Rc<Command> },
    Snapshot,
}

/// What REST answers.
#[derive(Debug, Clone)]
pub enum Reply {
    Answer { id: Arc<str>, answer: Answer },
    Snapshot(Option<Rc<Snapshot>>),
}
