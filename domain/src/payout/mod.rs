//! A payout: money on its way from a driver's wallet to his Pix key, or from the owner's to his.
//!
//! Asked for, perhaps approved by two people, then sent under one id for ever, and done, or failed
//! and his again; what his bank sends back later is his again too. The wallet's machine decides and
//! records, the payout line calls the provider. What must hold: `fee < amount`, the key never
//! changes, and one that has ended moves no more, except by what comes back of one that was done.

mod call;

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::ids::{DriverId, PayoutId, UserId};
use crate::ledger::{Payee, PayoutTerms};
use crate::money::{Centavos, reais};
use crate::person::Cpf;
use crate::pix::{EndToEndId, PixKey, ReturnId};
use crate::refusal::Refusal;
use crate::units::{UnixMillis, rfc3339, rfc3339_option};

pub use call::{Cleared, Heard, PayoutCall, Returned, SendOrder, SendState, SentPayout};

/// How many different people approve a payout over the limit.
pub const APPROVALS: usize = 2;

/// A payout as it is recorded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payout {
    pub id: PayoutId,
    /// Whose wallet it leaves: a driver's, or the owner's.
    pub driver: DriverId,
    /// The fee included.
    pub amount: Centavos,
    pub fee: Centavos,
    /// The key that was registered when it was asked for. A later one is not paid.
    pub key: PixKey,
    pub asked_at: UnixMillis,
    pub phase: Phase,
    /// Who approved it, where somebody has to.
    pub approved_by: Vec<UserId>,
    /// The network's number of it.
    pub pix: Option<EndToEndId>,
    /// What came back of it, each by the network's number.
    pub returns: Vec<(ReturnId, Centavos)>,
    /// Number of its events.
    pub version: u64,
}

/// Where it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum Phase {
    AwaitingApproval,
    Queued,
    /// It may be with the provider since then.
    InFlight {
        since: UnixMillis,
    },
    /// As in flight, and nobody waits for it any more: it is asked about until that is known.
    SetAside {
        since: UnixMillis,
    },
    Done {
        on: UnixMillis,
    },
    /// The money never left. `code` is the provider's name for why.
    Failed {
        on: UnixMillis,
        code: Option<String>,
    },
    Rejected {
        on: UnixMillis,
        by: UserId,
        reason: Option<String>,
    },
}

/// What happens to a payout.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum PayoutEvent {
    Requested { amount: Centavos, fee: Centavos },
    Approved { by: UserId },
    Rejected { by: UserId, reason: Option<String> },
    Sending,
    Accepted { pix: EndToEndId },
    SetAside,
    Done,
    Failed { code: Option<String> },
    Returned { id: ReturnId, amount: Centavos },
}

impl PayoutEvent {
    /// The name in records.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Requested { .. } => "payout_requested",
            Self::Approved { .. } => "payout_approved",
            Self::Rejected { .. } => "payout_rejected",
            Self::Sending => "payout_sending",
            Self::Accepted { .. } => "payout_accepted",
            Self::SetAside => "payout_set_aside",
            Self::Done => "payout_done",
            Self::Failed { .. } => "payout_failed",
            Self::Returned { .. } => "payout_returned",
        }
    }
}

impl Payout {
    /// One that was just asked for.
    #[must_use]
    pub fn requested(terms: &PayoutTerms, driver: DriverId, key: PixKey, at: UnixMillis) -> Self {
        Self {
            id: terms.id,
            driver,
            amount: terms.amount,
            fee: terms.fee,
            key,
            asked_at: at,
            phase: Phase::Queued,
            approved_by: Vec::new(),
            pix: None,
            returns: Vec::new(),
            version: 1,
        }
    }

    /// What is booked about it.
    #[must_use]
    pub fn terms(&self) -> PayoutTerms {
        let payee = Payee::of(self.driver);
        PayoutTerms { id: self.id, payee, amount: self.amount, fee: self.fee }
    }

    /// What goes out.
    #[must_use]
    pub fn order(&self, document: Option<Cpf>) -> SendOrder {
        let amount = self.terms().net();
        SendOrder { payout: self.id, amount, key: self.key.clone(), document }
    }

    /// What came back of it.
    #[must_use]
    pub fn returned(&self) -> Centavos {
        Centavos(self.returns.iter().map(|(_, amount)| amount.0).fold(0, i64::saturating_add))
    }

    /// Whether its money has neither arrived nor come back: it has to go on.
    #[must_use]
    pub const fn is_under_way(&self) -> bool {
        match self.phase {
            Phase::Queued | Phase::InFlight { .. } | Phase::SetAside { .. } => true,
            Phase::AwaitingApproval
            | Phase::Done { .. }
            | Phase::Failed { .. }
            | Phase::Rejected { .. } => false,
        }
    }

    /// Since when it may be with the provider, while that is not known to have ended.
    #[must_use]
    pub const fn in_flight_since(&self) -> Option<UnixMillis> {
        match self.phase {
            Phase::InFlight { since } | Phase::SetAside { since } => Some(since),
            Phase::AwaitingApproval
            | Phase::Queued
            | Phase::Done { .. }
            | Phase::Failed { .. }
            | Phase::Rejected { .. } => None,
        }
    }

    /// The public name of where it stands.
    #[must_use]
    pub fn status(&self) -> &'static str {
        match self.phase {
            Phase::AwaitingApproval => "awaiting_approval",
            Phase::Queued => "queued",
            Phase::InFlight { .. } => "in_flight",
            Phase::SetAside { .. } => "unclear",
            Phase::Done { .. } if self.returned() >= self.terms().net() => "returned",
            Phase::Done { .. } => "done",
            Phase::Failed { .. } => "failed",
            Phase::Rejected { .. } => "rejected",
        }
    }

    /// Decides on an approval by `by`.
    ///
    /// # Errors
    /// [`Refusal::AlreadyApproved`] for the same person once more, [`Refusal::IllegalTransition`]
    /// where nobody is asked any more.
    pub fn approve(&self, by: UserId) -> Result<PayoutEvent, Refusal> {
        match self.phase {
            _ if self.approved_by.contains(&by) => Err(Refusal::AlreadyApproved),
            Phase::AwaitingApproval => Ok(PayoutEvent::Approved { by }),
            Phase::Queued
            | Phase::InFlight { .. }
            | Phase::SetAside { .. }
            | Phase::Done { .. }
            | Phase::Failed { .. }
            | Phase::Rejected { .. } => Err(Refusal::IllegalTransition),
        }
    }

    /// Decides on a rejection by `by`, which may come as long as nothing was sent.
    ///
    /// # Errors
    /// [`Refusal::IllegalTransition`].
    pub fn reject(&self, by: UserId, reason: Option<String>) -> Result<PayoutEvent, Refusal> {
        match self.phase {
            Phase::AwaitingApproval | Phase::Queued => Ok(PayoutEvent::Rejected { by, reason }),
            Phase::InFlight { .. }
            | Phase::SetAside { .. }
            | Phase::Done { .. }
            | Phase::Failed { .. }
            | Phase::Rejected { .. } => Err(Refusal::IllegalTransition),
        }
    }

    /// Whether what the provider has under its id is this payout.
    #[must_use]
    pub fn is_of(&self, sent: &SentPayout) -> bool {
        let same_key = sent.key.as_ref().is_none_or(|key| *key == self.key);
        same_key && sent.amount == self.terms().net()
    }

    /// Whether the provider says what cannot be: money left that was given back here, or did not
    /// leave that is booked as gone.
    #[must_use]
    pub fn contradicts(&self, sent: &SentPayout) -> bool {
        match (&self.phase, sent.state) {
            (Phase::Failed { .. } | Phase::Rejected { .. }, SendState::Done) => true,
            (Phase::Done { .. }, SendState::Failed) => true,
            (
                Phase::AwaitingApproval
                | Phase::Queued
                | Phase::InFlight { .. }
                | Phase::SetAside { .. }
                | Phase::Done { .. }
                | Phase::Failed { .. }
                | Phase::Rejected { .. },
                _,
            ) => false,
        }
    }

    /// What is new in what the provider says of it: how it ended, and what came back. In order.
    #[must_use]
    pub fn news(&self, sent: &SentPayout) -> Vec<PayoutEvent> {
        let mut news = Vec::new();
        let under_way = self.in_flight_since().is_some();
        if self.pix.is_none() && under_way {
            news.push(PayoutEvent::Accepted { pix: sent.pix.clone() });
        }
        let done = match sent.state {
            SendState::Done => true,
            SendState::Failed if under_way => {
                news.push(PayoutEvent::Failed { code: None });
                return news;
            }
            SendState::Failed | SendState::Pending => false,
        };
        if done && under_way {
            news.push(PayoutEvent::Done);
        }
        let paid = done && under_way || matches!(self.phase, Phase::Done { .. });
        let mut room = self.terms().net().0 - self.returned().0;
        for Returned { id, amount } in sent.returns.iter().filter(|_| paid) {
            let known = self.returns.iter().any(|(known, _)| known == id);
            if !known && amount.0 > 0 && amount.0 <= room {
                room -= amount.0;
                news.push(PayoutEvent::Returned { id: id.clone(), amount: *amount });
            }
        }
        news
    }

    /// Takes in what has happened.
    pub fn apply(&mut self, event: &PayoutEvent, now: UnixMillis) {
        self.version += 1;
        let since = self.in_flight_since().unwrap_or(now);
        match event {
            PayoutEvent::Requested { .. } => {}
            PayoutEvent::Approved { by } => {
                self.approved_by.push(*by);
                if self.approved_by.len() >= APPROVALS {
                    self.phase = Phase::Queued;
                }
            }
            PayoutEvent::Rejected { by, reason } => {
                self.phase = Phase::Rejected { on: now, by: *by, reason: reason.clone() };
            }
            PayoutEvent::Sending => self.phase = Phase::InFlight { since: now },
            PayoutEvent::Accepted { pix } => self.pix = Some(pix.clone()),
            PayoutEvent::SetAside => self.phase = Phase::SetAside { since },
            PayoutEvent::Done => self.phase = Phase::Done { on: now },
            PayoutEvent::Failed { code } => {
                self.phase = Phase::Failed { on: now, code: code.clone() };
            }
            PayoutEvent::Returned { id, amount } => self.returns.push((id.clone(), *amount)),
        }
    }

    /// The payout as its driver and admins see it, JSON.
    #[must_use]
    pub fn json(&self) -> String {
        let (ended_at, reason) = match &self.phase {
            Phase::Done { on } => (Some(*on), None),
            Phase::Failed { on, code } => (Some(*on), code.as_deref()),
            Phase::Rejected { on, reason, .. } => (Some(*on), reason.as_deref()),
            Phase::AwaitingApproval
            | Phase::Queued
            | Phase::InFlight { .. }
            | Phase::SetAside { .. } => (None, None),
        };
        let waits = matches!(self.phase, Phase::AwaitingApproval);
        let shown = Shown {
            payout_id: self.id,
            driver_id: (self.driver != DriverId::OWNER).then_some(self.driver),
            status: self.status(),
            amount: self.amount,
            fee: self.fee,
            net: self.terms().net(),
            returned: self.returned(),
            currency: "BRL",
            pix_key: masked(&self.key),
            approvals_missing: if waits {
                APPROVALS - self.approved_by.len().min(APPROVALS)
            } else {
                0
            },
            end_to_end_id: self.pix.as_ref().map(EndToEndId::as_str),
            reason,
            requested_at: self.asked_at,
            ended_at,
        };
        serde_json::to_string(&shown).unwrap_or_default()
    }
}

#[derive(Serialize)]
struct Shown<'a> {
    payout_id: PayoutId,
    driver_id: Option<DriverId>,
    status: &'static str,
    #[serde(serialize_with = "reais")]
    amount: Centavos,
    #[serde(serialize_with = "reais")]
    fee: Centavos,
    #[serde(serialize_with = "reais")]
    net: Centavos,
    #[serde(serialize_with = "reais")]
    returned: Centavos,
    currency: &'static str,
    pix_key: String,
    approvals_missing: usize,
    end_to_end_id: Option<&'a str>,
    reason: Option<&'a str>,
    #[serde(serialize_with = "rfc3339")]
    requested_at: UnixMillis,
    #[serde(serialize_with = "rfc3339_option")]
    ended_at: Option<UnixMillis>,
}

/// Enough of a key for whoever knows it: its last four characters, of a short one fewer.
fn masked(key: &PixKey) -> String {
    // Only the driver himself and admins are shown a payout, and they no more than this.
    let key: Vec<char> = key.expose().chars().collect();
    let shown = key.len().min(8) / 2;
    ["***".to_owned(), key[key.len() - shown..].iter().collect()].concat()
}

impl fmt::Display for Payout {
    /// For logs: nothing personal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "payout {} {}", self.id, self.status())
    }
}
