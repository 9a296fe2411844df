//! The background audit, wired: it reads through a pool, and stops payouts through accounts.

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::task::AbortHandle;

use super::settings::wall_clock;
use crate::accounts::{Accounts, Caller};
use crate::actors::Dispatch;
use crate::config::Config;
use crate::db::Db;
use crate::jobs::{AuditOptions, AuditParts, audit};
use crate::obs::Metrics;
use crate::readmodel::{Ledger, Watch};

/// Starts it.
pub(super) fn start(
    config: &Config,
    db: &Db,
    (dispatch, accounts): (&Arc<Dispatch>, &Arc<Accounts>),
    metrics: &Arc<Metrics>,
) -> AbortHandle {
    let (dispatch, accounts): (Weak<Dispatch>, _) =
        (Arc::downgrade(dispatch), Arc::downgrade(accounts));
    let parts = AuditParts {
        watch: Watch::new(db),
        ledger: Ledger::new(db.clone()),
        metrics: Arc::clone(metrics),
        stop_payouts: Arc::new(move |reason| {
            let accounts = accounts.upgrade();
            Box::pin(async move {
                let Some(accounts) = accounts else { return false };
                let stopped = accounts.switch_payouts(&Caller::system(), true, &reason).await;
                stopped.inspect_err(|error| tracing::warn!(%error, "not stopped yet")).is_ok()
            })
        }),
        may_act: Arc::new(move || {
            dispatch.upgrade().is_some_and(|dispatch| dispatch.may_act().is_ok())
        }),
        now: wall_clock,
    };
    let ms = Duration::from_millis;
    let options =
        AuditOptions { every: ms(config.audit.every_ms), window: ms(config.audit.window_ms) };
    audit(parts, options)
}
