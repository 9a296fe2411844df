//! How a session begins: who it is, what it missed, what it may do.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ibora_domain::facts::StreamId;
use ibora_domain::ids::{DriverId, PassengerId};
use ibora_domain::person::{Role, Scope};
use ibora_domain::refusal::Refusal;
use secrecy::ExposeSecret;
use serde_json::json;
use uuid::Uuid;

use super::close::Close;
use super::frames::{Hello, Proof};
use super::outbox::Outbox;
use super::say::{Mark, Outgoing, Welcome};
use super::session::Session;
use super::{SessionOptions, Shared};
use crate::accounts::{Identity, TokenError};
use crate::actors::{Caller, Snapshot};

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

    /// Opens a session whose outbox gathers events already: the head of the stream is read first
    /// and the snapshot after it, so that no event falls between them.
    ///
    /// # Errors
    /// [`Close`] when the engine cannot tell the truth now.
    pub(super) async fn welcome(
        &self,
        holder: &Holder,
        session: Uuid,
        outbox: &Outbox,
    ) -> Result<Session, Close> {
        let caller = holder.caller;
        let head = self.dispatch.journal().stream_head(caller.user).await;
        let (epoch, seq) = head.map_err(|error| {
            tracing::warn!(%error, "a stream cannot be read");
            Close::ServerError
        })?;
        let snapshot = self.dispatch.snapshot(caller).await.map_err(|refusal| match refusal {
            Refusal::Overloaded => Close::Overload,
            Refusal::NotFound | Refusal::Forbidden => Close::Forbidden,
            _ => Close::ServerError,
        })?;
        let now = Instant::now();
        let frame = self.frame(holder, session, (&epoch, seq), (&snapshot, now));
        outbox.open(frame, seq);
        let options = Arc::clone(&self.options);
        let mut opened = Session::new(options, caller.role, now, holder.expires, seq);
        for ride in snapshot.offers {
            opened.mark(now, Mark::OfferOpen(ride));
        }
        if let Some(id) = snapshot.ride {
            opened.mark(now, Mark::Ride { id, open: true });
        }
        Ok(opened)
    }

    fn frame(
        &self,
        holder: &Holder,
        session: Uuid,
        (epoch, seq): (&str, u64),
        (snapshot, now): (&Snapshot, Instant),
    ) -> Outgoing {
        let user = holder.caller.user;
        let stream = match holder.caller.role {
            Role::Driver => StreamId::Driver(DriverId::from(user)),
            Role::Passenger | Role::Admin | Role::Partner => {
                StreamId::Passenger(PassengerId::from(user))
            }
        };
        let welcome = Welcome {
            session,
            now: self.dispatch.now(),
            auth_ttl_s: holder.expires.saturating_duration_since(now).as_secs(),
            stream,
            epoch,
            seq,
            snapshot: &snapshot.json,
        };
        welcome.frame(&self.rules)
    }
}
