//! Waiting for the shards: at once ours where no other engine that lives has them, else after
//! standing by, listening, until that one has left them or has been silent for its lease.
//!
//! Looking often costs the database next to nothing, and needs no connection that is kept.

use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::ServerHandle;
use tokio::time::sleep;

use super::{StartError, web};
use crate::api::Standby;
use crate::db::Db;
use crate::journal::{JournalOptions, Taking, Tenure};

/// How often it is looked whether the shards are free.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// Pause after a look that failed, and once more when the database is back: it was as silent to the
/// engine at work, which is to have its shards again before anybody else.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// What answers while an engine waits; ends when dropped, connections that are open after it.
pub(super) struct Answering(ServerHandle);

impl Drop for Answering {
    fn drop(&mut self) {
        // The order is given; that it is carried out need not be waited for.
        drop(self.0.stop(true));
    }
}

/// Waits until the shards are ours. Who answered meanwhile is to answer until the engine does.
///
/// # Errors
/// [`StartError`]: what another try would not mend.
pub(super) async fn wait(
    db: &Db,
    options: &JournalOptions,
    (listener, standby): (&TcpListener, &Arc<Standby>),
) -> Result<(Tenure, Option<Answering>), StartError> {
    let mut answering: Option<Answering> = None;
    let mut seen: Option<String> = None;
    let mut silent = false;
    loop {
        match Tenure::take(db, options).await {
            Ok(Taking::Ours(tenure)) => {
                tracing::info!(node = options.node, after = seen, "the shards are ours");
                return Ok((tenure, answering));
            }
            Ok(Taking::Held { by }) => {
                if seen.as_ref() != Some(&by) {
                    tracing::info!(node = options.node, owner = by, "another engine is at work");
                }
                seen = Some(by);
            }
            Err(error) if is_lasting(&error) => return Err(error.into()),
            Err(error) => {
                tracing::warn!(%error, "the shards cannot be asked for, trying on");
                silent = true;
            }
        }
        if answering.is_none() {
            answering = Some(Answering(web::listen_standby(listener, standby)?));
        }
        while silent {
            sleep(AGAIN_AFTER).await;
            silent = !Tenure::can_be_asked_for(db, options).await;
            sleep(AGAIN_AFTER).await;
        }
        sleep(LOOK_EVERY).await;
    }
}

/// Whether trying again is of no use: a schema or a right that is not there.
fn is_lasting(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    code.is_some_and(|code| matches!(code.get(..2), Some("22" | "23" | "28" | "3D" | "42")))
}
