//! What goes in and out of a session: who connects where, what is told, and what goes wrong.

use std::net::SocketAddr;
use std::sync::Arc;

use ibora_domain::refusal::Refusal;
use ibora_domain::units::UnixMillis;
use serde_json::value::RawValue;
use thiserror::Error;
use tokio::sync::Semaphore;
use uuid::Uuid;

use super::figures::Figures;
use super::promises::Promises;

/// Times that a command without an answer is sent.
pub(super) const ASKS_MAX: u32 = 8;
/// Failures in a row after which a first connection is given up.
pub(super) const FAILURES_MAX: u32 = 8;

/// Sessions of a run that may be opening at a time. Thousands of people do not switch on their
/// phones in the same second, and an engine that is asked to welcome them all welcomes none.
const OPENING_MAX: usize = 48;

/// What all sessions of a run share.
pub struct Engine {
    pub address: SocketAddr,
    /// Domain seconds a real second, as the engine is configured.
    pub speed: u32,
    pub figures: Figures,
    /// `None`: answers are not kept.
    pub promises: Option<Promises>,
    pub(super) opening: Semaphore,
}

impl Engine {
    /// An engine at an address; with `promises` what it tells is kept, which grows with every
    /// command.
    #[must_use]
    pub fn new(address: SocketAddr, speed: u32, promises: bool) -> Self {
        let promises = promises.then(Promises::default);
        let (figures, opening) = (Figures::default(), Semaphore::new(OPENING_MAX));
        Self { address, speed, figures, promises, opening }
    }
}

/// Who connects.
#[derive(Clone)]
pub struct Person {
    pub id: Uuid,
    pub token: Arc<str>,
}

/// Why a session is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SessionError {
    #[error("the server ended the session for good, close code {code}")]
    Stopped { code: u16 },
    #[error("no session after {FAILURES_MAX} attempts")]
    Unreachable,
}

/// Why a command was not done.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CommandError {
    #[error("refused: {code}")]
    Refused { code: Box<str> },
    #[error("asked {ASKS_MAX} times without an answer")]
    Unanswered,
    #[error(transparent)]
    Session(#[from] SessionError),
}

impl CommandError {
    /// Whether it was refused with this code.
    #[must_use]
    pub fn is(&self, refusal: Refusal) -> bool {
        matches!(self, Self::Refused { code } if **code == *refusal.code())
    }
}

/// A command that was done.
#[derive(Debug)]
pub struct Done {
    pub version: u64,
    pub body: Box<RawValue>,
}

/// Something a client is told without asking.
#[derive(Debug)]
pub enum Event {
    /// The truth as of now; what was known before is void.
    Snapshot(Box<RawValue>),
    /// Durable and in order.
    Durable { op: Box<str>, key: Option<Uuid>, version: u64, body: Box<RawValue> },
    /// The newest position or time of arrival.
    Shown { op: Box<str>, key: Option<Uuid>, body: Box<RawValue> },
}

impl PartialEq for Done {
    fn eq(&self, other: &Self) -> bool {
        self.version == other.version && self.body.get() == other.body.get()
    }
}

/// RFC 3339 as milliseconds.
pub(super) fn moment(text: &str) -> Option<UnixMillis> {
    let format = &time::format_description::well_known::Rfc3339;
    let at = time::OffsetDateTime::parse(text, format).ok()?;
    i64::try_from(at.unix_timestamp_nanos() / 1_000_000).ok().map(UnixMillis)
}

pub(super) fn id_of(body: &RawValue) -> Option<Uuid> {
    #[derive(serde::Deserialize)]
    struct Id {
        id: Uuid,
    }
    serde_json::from_str::<Id>(body.get()).ok().map(|body| body.id)
}
