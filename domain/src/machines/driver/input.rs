//! What a driver's machine is told: its inputs, and what it is built from.

use super::{DriverProfile, MeanRating, OnlineAs};
use crate::category::Category;
use crate::facts::{CommandKey, Zone};
use crate::ids::{OfferId, RideId, VehicleId};
use crate::machines::{Ask, Envelope, PastCommand, Slot, UsedId, WaveId};
use crate::place::Coordinates;
use crate::ride::DriverPosition;
use crate::units::Millis;

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
    /// A command of his that somebody else decides. Here it is seen that its id is not another
    /// command's.
    PassOn {
        key: CommandKey,
        command: Box<Envelope<R>>,
    },
    /// Asks for an id, for a command of his that no machine decides.
    Claim {
        key: CommandKey,
        reply: R,
    },
    /// A command of his found nothing that it could have been about: its id was not used.
    Unused {
        key: CommandKey,
    },
    /// The dispatcher wants to offer him a ride.
    Slot {
        slot: Slot,
        zone: Zone,
    },
    /// A ride has recorded its offer to him, for which he gave a slot.
    Offered {
        slot: Slot,
    },
    /// His offer of this wave is over, or was never made: the slot he gave for it is free. One that
    /// he gave for a later wave is not.
    OfferClosed {
        ride: RideId,
        of: WaveId,
    },
    /// The ride is his.
    Won {
        ride: RideId,
        held: Held,
    },
    /// The ride is not his: the answer to an accept, or to a question.
    NotWon {
        ride: RideId,
        no: NotWon,
    },
    /// The ride was his and is over, or he gave it back.
    Ended {
        ride: RideId,
    },
    SessionOpened,
    SessionClosed,
    /// A REST call of his: as good a sign of life as a session.
    Seen,
    /// His account changed: approval, name, vehicles.
    Profile(Box<DriverProfile>),
    /// He was rated.
    Rated(MeanRating),
    /// Asks for `{"driver": .., "offered": ..}`: whether an offer may be open to him.
    Stand {
        reply: R,
    },
    Read {
        reply: R,
    },
    Alarm,
}

/// How a ride is not his.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotWon {
    /// Which call of his machine this answers, and with it those before.
    pub call: u64,
    /// No offer of it is open to him, of all waves up to this one: a slot for them is free.
    pub closed: Option<WaveId>,
}

/// How a driver has a ride.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Held {
    /// It is what he does now. `dropoff`: where he will be free, once he is on his way there.
    Now { dropoff: Option<Coordinates> },
    /// It is chained: he is still on another.
    Next { after: RideId },
}

/// What is known of a driver when his machine is built.
#[derive(Debug, Default)]
pub struct DriverRecords {
    /// `None`: no such driver.
    pub profile: Option<DriverProfile>,
    pub online: Option<OnlineAs>,
    pub version: u64,
    pub active: Option<RideId>,
    /// The chained ride that comes after it.
    pub next: Option<RideId>,
    pub open_offers: Vec<Slot>,
    /// What he was answered by this machine.
    pub commands: Vec<PastCommand>,
    /// The ids under which others answered him, oldest first; and of what is under way.
    pub elsewhere: Vec<UsedId>,
}

/// Limits of a driver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DriverPolicy {
    pub offers_max: usize,
    /// Without session and REST call for this long, a driver is offline.
    pub presence: Millis,
    pub passivate_after: Millis,
}
