//! REST: the public contract over HTTP. One file a resource; what they share is beside them.
//!
//! `app` calls this room. A handler reads the request, asks one of the doors (`accounts`,
//! `actors`, `readmodel`) and renders the answer; it decides nothing. What must always hold:
//!
//! - A route is an [`Entry`](route::Entry), and an entry says who may call it: there is no other
//!   way to be routed, so no route is open by oversight.
//! - Changes of rides and drivers are the same commands that a session sends.
//! - `docs/openapi.json` lists exactly the routes there are.

mod accounts;
mod admin;
mod auth;
mod body;
mod cors;
mod credit;
mod disputes;
mod idempotency;
mod limits;
mod me;
mod money;
mod openapi;
mod ops;
mod payments;
mod payouts;
mod problem;
mod query;
mod request;
mod rides;
mod route;
mod seen;
mod standby;
mod statement;
mod stream;

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Weak};
use std::time::Duration;

use actix_web::web::ServiceConfig;
use ibora_domain::ids::UserId;

use crate::accounts::Accounts;
use crate::actors::Dispatch;
use crate::network::Proxies;
use crate::obs::Metrics;
use crate::readmodel::{Ledger, Rides};

pub use limits::LimitOptions;
pub use standby::Standby;

/// How often what nobody uses any more is forgotten.
const SWEEP_EVERY: Duration = Duration::from_secs(60);

/// What REST works with.
pub struct ApiParts {
    pub dispatch: Arc<Dispatch>,
    pub accounts: Arc<Accounts>,
    pub metrics: Arc<Metrics>,
    pub rides: Rides,
    pub ledger: Ledger,
    /// Whether requests are to come here; false while starting and stopping.
    pub ready: Arc<AtomicBool>,
    /// Ends the live sessions of a person whose refresh token was copied.
    pub end_sessions: Arc<dyn Fn(UserId) + Send + Sync>,
}

/// The numbers REST works by.
#[derive(Debug, Clone)]
pub struct ApiOptions {
    pub body_bytes_max: usize,
    /// Origins of browsers that may read answers.
    pub allowed_origins: Vec<String>,
    /// Whether `/metrics` is served here; `false` where it has an address of its own.
    pub metrics_here: bool,
    pub limits: LimitOptions,
    /// Whose word on where a request comes from is taken.
    pub proxies: Proxies,
}

/// REST of one engine, shared by the threads that serve it.
pub struct Api {
    dispatch: Arc<Dispatch>,
    accounts: Arc<Accounts>,
    metrics: Arc<Metrics>,
    rides: Rides,
    ledger: Ledger,
    ready: Arc<AtomicBool>,
    end_sessions: Arc<dyn Fn(UserId) + Send + Sync>,
    options: ApiOptions,
    limits: limits::Limits,
    seen: seen::Seen,
}

impl Api {
    /// REST over these parts. Must be called where tasks can be spawned.
    #[must_use]
    pub fn new(parts: ApiParts, options: ApiOptions) -> Arc<Self> {
        let ApiParts { dispatch, accounts, metrics, rides, ledger, ready, end_sessions } = parts;
        let limits = limits::Limits::new(&options.limits, Arc::clone(&metrics));
        let seen = seen::Seen::default();
        let api = Arc::new(Self {
            dispatch,
            accounts,
            metrics,
            rides,
            ledger,
            ready,
            end_sessions,
            options,
            limits,
            seen,
        });
        tokio::spawn(sweep(Arc::downgrade(&api)));
        api
    }

    /// Mounts every route, and the answer for what is none.
    pub fn configure(self: &Arc<Self>, config: &mut ServiceConfig) {
        let entries = entries(self.options.metrics_here);
        route::mount(self, entries, config);
    }
}

/// Every route there is.
fn entries(metrics_here: bool) -> Vec<route::Entry> {
    let mut entries = Vec::new();
    entries.extend(accounts::entries());
    entries.extend(me::entries());
    entries.extend(money::entries());
    entries.extend(credit::entries());
    entries.extend(payouts::entries());
    entries.extend(disputes::entries());
    entries.extend(rides::entries());
    entries.extend(payments::entries());
    entries.extend(stream::entries());
    entries.extend(admin::entries());
    entries.extend(ops::entries());
    if metrics_here {
        entries.push(ops::metrics_entry());
    }
    entries
}

async fn sweep(api: Weak<Api>) {
    loop {
        tokio::time::sleep(SWEEP_EVERY).await;
        let Some(api) = api.upgrade() else { return };
        api.limits.sweep();
        api.seen.sweep();
    }
}
