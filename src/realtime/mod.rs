//! Realtime: the WebSocket session `ibora.v1`, at `GET /v1/session`.
//!
//! `app` mounts [`configure`], gives the journal's events to [`Hub::publish`] and the actors'
//! ephemeral frames to [`Hub::pusher`]. What must always hold: nothing outside ever waits for a
//! socket; what waits for one is bounded; events reach a session in `seq` order without gap, after
//! their commit; a command means here what it means over REST, for both parse and carry it out by
//! the same functions of `actors`.

mod close;
mod counters;
mod echo;
mod frames;
mod hub;
mod opening;
mod outbox;
mod rates;
mod say;
mod session;
mod socket;
mod strangers;
mod tel;
mod transport;
mod turnstile;
mod wire;
mod work;

use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::web;

use crate::accounts::{Accounts, Clock};
use crate::actors::Dispatch;
use crate::network::Proxies;
use crate::obs::Metrics;
use counters::Counters;
use strangers::Strangers;
use turnstile::Turnstile;

pub use echo::configure_echo;
pub use hub::Hub;
pub use rates::Rate;
pub use strangers::StrangersMax;

/// What sessions work with.
pub struct RealtimeParts {
    pub hub: Arc<Hub>,
    pub dispatch: Arc<Dispatch>,
    pub accounts: Arc<Accounts>,
    /// Real time, by which tokens expire.
    pub wall_clock: Clock,
    pub metrics: Arc<Metrics>,
}

/// The numbers sessions work by. All times are real.
#[derive(Debug, Clone)]
pub struct SessionOptions {
    pub hello_timeout: Duration,
    /// Connections whose client may be unknown yet.
    pub strangers: StrangersMax,
    /// Sessions of this engine at the same time.
    pub sessions_max: usize,
    /// Sessions that may be opening at the same time: each reads what its person must know.
    pub openings_max: usize,
    /// Sessions that may be opened a second: the others wait for their turn.
    pub openings: Rate,
    pub idle: Duration,
    pub grace: Duration,
    /// While an offer or a ride is open.
    pub active: Duration,
    pub active_grace: Duration,
    pub frame_bytes_max: usize,
    pub cmd: Rate,
    pub tel: Rate,
    pub outbox_frames_max: usize,
    pub outbox_bytes_max: usize,
    pub write_timeout: Duration,
    /// Time after which an urgent event that is not acknowledged is sent again.
    pub resend: Duration,
    /// Origins of browsers that may open a session.
    pub allowed_origins: Vec<String>,
    /// Whose word on where a handshake comes from is taken.
    pub proxies: Proxies,
}

/// What all sessions of an engine share.
#[derive(Clone)]
pub struct RealtimeState(Arc<Shared>);

struct Shared {
    hub: Arc<Hub>,
    dispatch: Arc<Dispatch>,
    accounts: Arc<Accounts>,
    wall_clock: Clock,
    options: Arc<SessionOptions>,
    counters: Counters,
    strangers: Arc<Strangers>,
    turnstile: Turnstile,
    /// The members of a welcome that are the same for all.
    rules: String,
}

impl RealtimeState {
    /// Made once an engine; its clones are the same.
    #[must_use]
    pub fn new(parts: RealtimeParts, options: SessionOptions) -> Self {
        let RealtimeParts { hub, dispatch, accounts, wall_clock, metrics } = parts;
        let rules = opening::rules(&options);
        let counters = Counters::new(&metrics);
        let strangers = Strangers::new(options.strangers);
        let turnstile = Turnstile::new(options.openings_max, options.openings, Instant::now());
        let options = Arc::new(options);
        Self(Arc::new(Shared {
            hub,
            dispatch,
            accounts,
            wall_clock,
            options,
            counters,
            strangers,
            turnstile,
            rules,
        }))
    }
}

/// Mounts `GET /v1/session`.
pub fn configure(cfg: &mut web::ServiceConfig, state: &RealtimeState) {
    let state = web::Data::from(Arc::clone(&state.0));
    let open = web::get().to(transport::open);
    let session = web::resource("/v1/session").app_data(state);
    cfg.service(session.route(open).default_service(web::to(transport::other_method)));
}
