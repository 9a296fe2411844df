//! Jobs: what is done now and then, and for nobody who waits: one small file a job.
//!
//! `app` starts them once requests are served. A job finds, an actor acts: nothing here decides
//! about money. What must hold: an engine that may not act does nothing; a job that ends in the
//! middle does no harm, for the next start goes over the same again.

mod auditing;
mod claims;
mod hint;
mod janitor;
mod notices;
mod reconcile;
mod registration;
mod tariffs;
mod write_offs;

use std::sync::{Arc, Weak};
use std::time::Duration;

use futures_util::future::LocalBoxFuture;
use ibora_domain::pix::PixKey;
use ibora_domain::provider::Outcome;
use ibora_domain::units::UnixMillis;
use secrecy::SecretString;
use thiserror::Error;
use time::OffsetDateTime;
use tokio::task::AbortHandle;

use crate::actors::Dispatch;
use crate::journal::{Journal, ReadError};
use crate::obs::Metrics;
use crate::pix::client::Provider;

pub use auditing::{AuditOptions, AuditParts, StopPayouts, audit};
pub use hint::{Hand, Hint};
pub use reconcile::reconcile;

/// What jobs work with.
pub struct JobParts {
    pub dispatch: Weak<Dispatch>,
    pub journal: Arc<Journal>,
    pub provider: Provider,
    /// Our Pix key.
    pub key: PixKey,
    pub metrics: Arc<Metrics>,
    /// Takes what the provider tells to whom it is about. Must not wait.
    pub hand: Hand,
    /// Whether there is room for what that leads to. Else it waits, where it is recorded.
    pub room: Arc<dyn Fn() -> bool + Send + Sync>,
}

/// The numbers jobs work by.
#[derive(Debug, Clone)]
pub struct JobOptions {
    /// Where the provider is to call us, if it is to be told.
    pub webhook: Option<WebhookAddress>,
    pub janitor_every: Duration,
    /// How long a callback may take before what it should tell counts as missed.
    pub callback_within: Duration,
}

/// Where the provider is to call us.
#[derive(Debug, Clone)]
pub struct WebhookAddress {
    /// With its secret.
    pub url: SecretString,
    /// Whether the provider checks that we ask for its certificate.
    pub asks_for_certificate: bool,
}

/// The jobs of one engine; they end when this is dropped.
pub struct Jobs {
    tasks: Vec<AbortHandle>,
}

impl Jobs {
    /// Starts all of them, on the thread of the caller, which is that of a system of actors.
    #[must_use]
    pub fn start(parts: JobParts, options: JobOptions) -> Self {
        let parts = Arc::new(parts);
        let mut jobs: Vec<LocalBoxFuture<'static, ()>> = vec![
            Box::pin(notices::hand_on(Arc::clone(&parts))),
            Box::pin(notices::look(Arc::clone(&parts))),
            Box::pin(notices::count(Arc::clone(&parts))),
            Box::pin(claims::run(Arc::clone(&parts), options.janitor_every)),
            Box::pin(reconcile::run(Arc::clone(&parts))),
            Box::pin(write_offs::run(Arc::clone(&parts), options.janitor_every)),
            Box::pin(tariffs::run(Arc::clone(&parts), options.janitor_every)),
            Box::pin(janitor::run(Arc::clone(&parts), options.clone())),
        ];
        if let Some(address) = options.webhook {
            jobs.push(Box::pin(registration::run(parts, address)));
        }
        let start = |job| tokio::task::spawn_local(job).abort_handle();
        Self { tasks: jobs.into_iter().map(start).collect() }
    }
}

impl Drop for Jobs {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

impl JobParts {
    /// Whether this engine may act.
    fn may_act(&self) -> bool {
        self.dispatch.upgrade().is_some_and(|dispatch| dispatch.may_act().is_ok())
    }
}

/// Why a job has not come to its end. The next round begins where this one did.
#[derive(Debug, Error)]
pub enum Trouble {
    #[error(transparent)]
    Database(#[from] ReadError),
    /// In words that repeat nothing of what was asked for.
    #[error("the provider: {0}")]
    Provider(String),
}

/// What was asked for, or why it is not known.
fn answered<T>(outcome: Outcome<T>) -> Result<T, Trouble> {
    match outcome {
        Outcome::Done(done) => Ok(done),
        Outcome::Refused(error) => Err(Trouble::Provider(error.to_string())),
        Outcome::NotSent(hindrance) => Err(Trouble::Provider(hindrance.to_string())),
        Outcome::Unclear(why) => Err(Trouble::Provider(why.to_string())),
    }
}

/// By the wall: the provider knows no other time.
fn now() -> UnixMillis {
    let now = OffsetDateTime::now_utc().unix_timestamp_nanos() / 1_000_000;
    UnixMillis(i64::try_from(now).unwrap_or(i64::MAX))
}
