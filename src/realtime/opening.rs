//! How a session begins: who it is, what it missed, what it may do.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ibora_domain::facts::StreamId;
use ibora_domain::person::{Role, Scope};
use ibora_domain::refusal::Refusal;
use ibora_domain::session::resume_after;
use secrecy::ExposeSecret;
use serde_json::json;
use uuid::Uuid;

use super::close::Close;
use super::frames::{Hello, Proof, Resume};
use super::outbox::Outbox;
use super::say::{self, Welcome};
use super::session::Session;
use super::{SessionOptions, Shared};
use crate::accounts::{Identity, TokenError};
use crate::actors::{Caller, Published, Truth, stream_of};
use crate::obs::failpoint;

/// Bytes of missed events that a session is given: more is read anew, as a snapshot.
const MISSED_BYTES_MAX: usize = 1 << 20;

/// Who has opened a session.
#[derive(Debug, Clone, Copy)]
pub(super) struct Holder {
    pub(super) caller: Caller,
    /// Whether the token may change anything.
    pub(super) may_write: bool,
    pub(super) expires: Instant,
}

impl Holder {
    /// `token_life`: how long the token is good from `now` on.
    fn new(identity: &Identity, now: Instant, token_life: Duration) -> Self {
        let caller = Caller { user: identity.user, role: identity.role };
        Self { caller, may_write: identity.may(Scope::Write), expires: now + token_life }
    }
}

/// The members of a welcome that are the same for all sessions of an engine.
pub(super) fn rules(options: &SessionOptions) -> String {
    let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    let hb = json!({
        "idle_ms": ms(options.idle), "active_ms": ms(options.active),
        "grace_ms": ms(options.grace), "active_grace_ms": ms(options.active_grace),
    });
    let limits = json!({
        "frame": options.frame_bytes_max, "rate": options.cmd.per_s, "burst": options.cmd.burst,
    });
    format!(r#""hb":{hb},"limits":{limits}"#)
}

impl Shared {
    /// Whom a hello comes from.
    ///
    /// # Errors
    /// [`Close`]: no good proof, or a role that has no sessions.
    pub(super) fn admit(&self, hello: &Hello, now: Instant) -> Result<Holder, Close> {
        let identity = match &hello.proof {
            Proof::Bearer(bearer) => self.accounts.authenticate(bearer.expose_secret()),
            Proof::Ticket(ticket) => self.accounts.redeem_ticket(ticket.expose_secret()),
        };
        let identity = identity.map_err(|error| match error {
            // Its holder refreshes it and comes again; all others must log in.
            TokenError::Expired => Close::TokenExpired,
            _ => Close::Credentials,
        })?;
        match identity.role {
            Role::Driver | Role::Passenger => Ok(self.holder(&identity, now)),
            Role::Admin | Role::Partner => Err(Close::Forbidden),
        }
    }

    /// Who holds `bearer`, if it is the same person as `caller`.
    pub(super) fn readmit(&self, caller: Caller, bearer: &str, now: Instant) -> Option<Holder> {
        let identity = self.accounts.authenticate(bearer).ok()?;
        let holder = self.holder(&identity, now);
        (holder.caller == caller).then_some(holder)
    }

    fn holder(&self, identity: &Identity, now: Instant) -> Holder {
        let life = identity.expires_at.since((self.wall_clock)());
        Holder::new(identity, now, Duration::from_millis(life.0))
    }

    /// Opens a session whose outbox gathers events already.
    ///
    /// # Errors
    /// [`Close`] when the engine cannot tell the truth now.
    pub(super) async fn welcome(
        &self,
        (holder, resume): (&Holder, Option<&Resume>),
        session: Uuid,
        outbox: &Outbox,
    ) -> Result<Session, Close> {
        let caller = holder.caller;
        let stream = stream_of(caller).ok_or(Close::Forbidden)?;
        let truth = self.truth(caller).await?;
        failpoint!(SessionTruth);
        let missed = self.missed(stream, resume, &truth).await?;
        let recovered = missed.is_some();
        let now = Instant::now();
        let options = Arc::clone(&self.options);
        let mut opened = Session::new(options, caller.role, now, holder.expires, truth.seq);
        opened.shows(now, &truth.snapshot);
        let has = resume.filter(|_| recovered).map(|resume| resume.seq);
        if let Some(seq) = has {
            opened.resumes_after(seq);
        }
        self.dispatch.journal().acknowledge(caller.user, has.unwrap_or(0));
        let welcome = Welcome {
            session,
            now: self.dispatch.now(),
            auth_ttl_s: holder.expires.saturating_duration_since(now).as_secs(),
            stream,
            epoch: &truth.epoch,
            seq: truth.seq,
            recovered,
            snapshot: &truth.snapshot.json,
        };
        let missed = missed.unwrap_or_default();
        let missed = missed.iter().map(|event| say::event(event.seq, &event.row)).collect();
        outbox.open(welcome.frame(&self.rules), missed, truth.seq);
        Ok(opened)
    }

    /// What a person's app must show.
    ///
    /// # Errors
    /// [`Close`] when the engine cannot tell it now.
    pub(super) async fn truth(&self, caller: Caller) -> Result<Truth, Close> {
        self.dispatch.truth(caller).await.map_err(close_of)
    }

    /// The events that a client missed, all of them or none: `None` where it must forget what it
    /// knew.
    async fn missed(
        &self,
        stream: StreamId,
        resume: Option<&Resume>,
        truth: &Truth,
    ) -> Result<Option<Vec<Published>>, Close> {
        let his = resume.filter(|resume| resume.stream == stream.to_string());
        let has = his.map(|resume| (&*resume.epoch, resume.seq));
        let Some(after) = resume_after(has, (&truth.epoch, truth.seq)) else { return Ok(None) };
        let missed = self.dispatch.missed(stream, after, truth.seq).await;
        let missed = missed.map_err(close_of)?;
        failpoint!(SessionMissed);
        let bytes = |events: &Vec<Published>| -> usize {
            events.iter().map(|event| event.row.body.len()).sum()
        };
        Ok(missed.filter(|events| bytes(events) <= MISSED_BYTES_MAX))
    }
}

fn close_of(refusal: Refusal) -> Close {
    match refusal {
        Refusal::Overloaded => Close::Overload,
        Refusal::NotOwner => Close::Moved,
        Refusal::NotFound | Refusal::Forbidden => Close::Forbidden,
        _ => Close::ServerError,
    }
}
