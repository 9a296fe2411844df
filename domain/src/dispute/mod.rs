//! What stands against a driver's share of a ride: what one of the ride's people contests, what a
//! bank claims as fraud, what an admin gives back at both their cost.
//!
//! A payment makes the [`Claim`] and says how it stands; the driver's wallet takes or freezes his
//! share and records this, and only it lets go of that again. What must hold: what lies in escrow
//! is what the open ones froze, and one that has ended takes nothing more and gives nothing back.

mod view;

use serde::{Deserialize, Serialize};

use crate::facts::DisputeRow;
use crate::ids::{DisputeId, PaymentId, UserId};
use crate::ledger::{self, Borne, Due, Shares, Taken, Trip};
use crate::money::Centavos;
use crate::mutants::{Mutant, is};
use crate::person::Role;
use crate::pix::{EndToEndId, RefundId};
use crate::refusal::Refusal;
use crate::units::{Millis, UnixMillis};

pub use view::shown;

/// Pieces of evidence that one dispute takes.
pub const EVIDENCE_MAX: u32 = 20;

/// By what rules disputes are decided. All come from configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DisputePolicy {
    /// For how long after its payment a ride can be contested.
    pub open_within: Millis,
    /// How long the other side has to answer. Then it is under review, answered or not.
    pub answer_within: Millis,
    /// How long after it was opened it is ruled by itself, where nobody has.
    pub ruled_within: Millis,
    /// For whom that is.
    pub unruled: Winner,
}

impl Default for DisputePolicy {
    /// The defaults of the design, for tests; a running engine reads its configuration.
    fn default() -> Self {
        const DAY: u64 = 24 * 3600;
        Self {
            open_within: Millis::from_secs(30 * DAY),
            answer_within: Millis::from_secs(3 * DAY),
            ruled_within: Millis::from_secs(14 * DAY),
            unruled: Winner::Driver,
        }
    }
}

/// Whom a ruling is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Winner {
    Passenger,
    Driver,
}

impl Winner {
    /// The public name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Passenger => "passenger",
            Self::Driver => "driver",
        }
    }
}

/// Why a ride is contested. The names are public.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    NotDriven,
    WrongFare,
    WrongRoute,
    Conduct,
    LostItem,
    Other,
}

/// Who contests a ride, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opening {
    pub id: DisputeId,
    pub by: UserId,
    pub role: Role,
    pub reason: Reason,
    pub note: Option<String>,
}

/// What a claim rests on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum Ground {
    /// An admin gives so much back, and each bears his share: the share is taken at once.
    Refund { pix: EndToEndId, id: RefundId },
    /// One of the ride's people contests it: frozen until it is ruled.
    Contested(Opening),
    /// A bank claims fraud (MED), under its name for the claim: frozen until the banks decide.
    Bank { claim: String, blocked: Centavos },
}

impl Ground {
    /// The public name.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Refund { .. } => "refund",
            Self::Contested(_) => "contested",
            Self::Bank { .. } => "bank_claim",
        }
    }

    /// What the provider has blocked for it.
    #[must_use]
    pub const fn blocked(&self) -> Centavos {
        match self {
            Self::Bank { blocked, .. } => *blocked,
            Self::Refund { .. } | Self::Contested(_) => Centavos::ZERO,
        }
    }
}

/// What is wanted of a driver's share, and of the platform's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    pub id: DisputeId,
    pub payment: PaymentId,
    pub trip: Trip,
    pub due: Due,
    /// All that is wanted. What of it is above the shares the platform loses.
    pub amount: Centavos,
    pub shares: Shares,
    pub ground: Ground,
}

/// How a claim stands, as its payment knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stands {
    Open,
    /// The money has left.
    Granted,
    /// The refund was not carried out, or the banks refused the claim.
    Refused,
    /// A bank took so much by itself, under its own id, whose shares are these.
    Taken {
        pix: EndToEndId,
        id: RefundId,
        amount: Centavos,
        shares: Shares,
    },
}

/// Where a dispute stands. The names are public.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// The other side may answer.
    Open,
    /// It waits for a ruling.
    UnderReview,
    ForDriver,
    ForPassenger,
}

impl Status {
    /// The public name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::UnderReview => "under_review",
            Self::ForDriver => "for_driver",
            Self::ForPassenger => "for_passenger",
        }
    }

    /// Whether it has not ended.
    #[must_use]
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Open | Self::UnderReview)
    }
}

/// How it was decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ruling {
    /// None where a deadline or a bank decided.
    pub by: Option<UserId>,
    pub reason: Option<String>,
    pub at: UnixMillis,
}

/// A dispute as it is recorded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dispute {
    pub claim: Claim,
    pub status: Status,
    /// What was taken from the driver, or lies in escrow.
    pub taken: Taken,
    pub evidence: u32,
    pub opened_at: UnixMillis,
    /// When it goes on by itself.
    pub due_at: Option<UnixMillis>,
    pub ruling: Option<Ruling>,
    /// Number of its events.
    pub version: u64,
}

/// What happens to a dispute.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum DisputeEvent {
    Opened {
        taken: Taken,
        due_at: Option<UnixMillis>,
    },
    Evidence {
        by: UserId,
        role: Role,
    },
    /// Nobody may answer any more.
    Reviewed {
        due_at: UnixMillis,
    },
    /// It has ended; `short` is what of the driver's share was not in escrow.
    Ended {
        winner: Winner,
        by: Option<UserId>,
        reason: Option<String>,
        short: Taken,
    },
}

impl DisputeEvent {
    /// The name in records.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Opened { .. } => "dispute_opened",
            Self::Evidence { .. } => "dispute_evidence",
            Self::Reviewed { .. } => "dispute_reviewed",
            Self::Ended { .. } => "dispute_ended",
        }
    }
}

impl Claim {
    /// What nobody's share covers.
    #[must_use]
    pub fn lost(&self) -> Centavos {
        let shares = self.shares.driver.0.saturating_add(self.shares.platform.0);
        Centavos((self.amount.0 - shares).max(0))
    }

    /// Whether what is taken lies in escrow until it ends.
    #[must_use]
    pub const fn freezes(&self) -> bool {
        match self.ground {
            Ground::Contested(_) | Ground::Bank { .. } => true,
            Ground::Refund { .. } => false,
        }
    }

    /// Who contests the ride, where somebody does.
    #[must_use]
    pub const fn opening(&self) -> Option<&Opening> {
        match &self.ground {
            Ground::Contested(opening) => Some(opening),
            Ground::Refund { .. } | Ground::Bank { .. } => None,
        }
    }

    /// Who bears it, where so much of the driver's share was `short` of what lay in escrow, and so
    /// much too much did.
    #[must_use]
    pub fn borne(&self, short: Taken, rest: Centavos) -> Borne {
        Borne { short, rest, commission: self.shares.platform, due: self.due, lost: self.lost() }
    }
}

impl Dispute {
    /// One that was just opened, for which `taken` was taken.
    #[must_use]
    pub fn opened(claim: Claim, taken: Taken, at: UnixMillis, policy: &DisputePolicy) -> Self {
        let due_at = claim.opening().map(|_| at + policy.answer_within);
        let (status, evidence, ruling) = (Status::Open, 0, None);
        Self { claim, status, taken, evidence, opened_at: at, due_at, ruling, version: 1 }
    }

    /// What lies in escrow for it.
    #[must_use]
    pub fn escrow(&self) -> Centavos {
        match self.claim.freezes() && self.status.is_open() {
            true => self.taken.had(),
            false => Centavos::ZERO,
        }
    }

    /// As the ledger knows it.
    #[must_use]
    pub fn books(&self) -> ledger::Dispute {
        let driver = self.claim.trip.driver;
        ledger::Dispute { id: self.claim.id, driver, escrow: self.escrow() }
    }

    /// Its row.
    #[must_use]
    pub fn row(&self) -> DisputeRow {
        let (claim, open) = (&self.claim, self.status.is_open());
        DisputeRow {
            id: claim.id,
            ride: claim.trip.ride,
            payment: claim.payment,
            passenger: claim.trip.passenger,
            driver: claim.trip.driver,
            kind: claim.ground.kind(),
            status: self.status.as_str(),
            escrow: self.escrow(),
            blocked: if open { claim.ground.blocked() } else { Centavos::ZERO },
            opened_at: self.opened_at,
            version: self.version,
            state: serde_json::to_string(self).unwrap_or_default().into(),
        }
    }

    /// Whether this person, in this role, may see it and say something to it. What a bank or an
    /// admin wants is between them and the driver.
    #[must_use]
    pub fn is_of(&self, user: UserId, role: Role) -> bool {
        let trip = &self.claim.trip;
        match role {
            Role::Admin => true,
            Role::Driver => trip.driver.0 == user.0,
            Role::Passenger => trip.passenger.0 == user.0 && self.claim.opening().is_some(),
            Role::Partner => false,
        }
    }

    /// Somebody says something to it.
    ///
    /// # Errors
    /// [`Refusal::NotFound`] for who has no part in it, [`Refusal::IllegalTransition`] where it has
    /// ended or is no matter of evidence, or has enough of it.
    pub fn say(&self, by: UserId, role: Role) -> Result<DisputeEvent, Refusal> {
        if !self.is_of(by, role) {
            return Err(Refusal::NotFound);
        }
        let takes = self.claim.freezes() && self.evidence < EVIDENCE_MAX;
        match self.status.is_open() && takes {
            true => Ok(DisputeEvent::Evidence { by, role }),
            false => Err(Refusal::IllegalTransition),
        }
    }

    /// Whether an admin may rule it: banks rule theirs, a refund is ruled as it begins.
    #[must_use]
    pub fn may_be_ruled(&self) -> bool {
        let open = self.status.is_open() || is(Mutant::RuledAgain);
        self.claim.opening().is_some() && open
    }

    /// Whether the other side has answered, so that it need not be waited for.
    fn is_answer(&self, role: Role) -> bool {
        self.claim.opening().is_some_and(|opening| opening.role != role && role != Role::Admin)
    }

    /// What a deadline that has passed does by itself.
    #[must_use]
    pub fn overdue(&self, now: UnixMillis, policy: &DisputePolicy) -> Option<Overdue> {
        self.due_at.filter(|due| *due <= now && self.may_be_ruled())?;
        match self.status {
            Status::Open => Some(Overdue::Review(self.reviewed(policy))),
            Status::UnderReview => Some(Overdue::Rule(policy.unruled)),
            Status::ForDriver | Status::ForPassenger => None,
        }
    }

    fn reviewed(&self, policy: &DisputePolicy) -> DisputeEvent {
        DisputeEvent::Reviewed { due_at: self.opened_at + policy.ruled_within }
    }

    /// What follows of a piece of evidence.
    #[must_use]
    pub fn answered(&self, role: Role, policy: &DisputePolicy) -> Option<DisputeEvent> {
        let answers = self.status == Status::Open && self.is_answer(role);
        answers.then(|| self.reviewed(policy))
    }

    /// Takes in what has happened.
    pub fn apply(&mut self, event: &DisputeEvent, at: UnixMillis) {
        self.version += 1;
        match event {
            DisputeEvent::Opened { taken, due_at } => {
                self.taken = *taken;
                self.due_at = *due_at;
            }
            DisputeEvent::Evidence { .. } => self.evidence += 1,
            DisputeEvent::Reviewed { due_at } => {
                self.status = Status::UnderReview;
                self.due_at = Some(*due_at);
            }
            DisputeEvent::Ended { winner, by, reason, .. } => {
                self.status = match winner {
                    Winner::Driver => Status::ForDriver,
                    Winner::Passenger => Status::ForPassenger,
                };
                self.due_at = None;
                self.ruling = Some(Ruling { by: *by, reason: reason.clone(), at });
            }
        }
    }
}

/// What a dispute does when its time has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Overdue {
    Review(DisputeEvent),
    Rule(Winner),
}
