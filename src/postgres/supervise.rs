//! Keeps the private server up: one whose first process is gone is started again on its files.
//!
//! Used by `server` only. A server that lives is left alone, however slow: PostgreSQL mends itself
//! as long as its first process lives, and two servers on the same files would be the end of them.

use std::sync::Weak;
use std::time::{Duration, Instant};

use prometheus::IntCounter;
use sqlx::Connection;
use tokio::time::sleep;

use super::server::Kept;

/// How often it is looked whether the first process lives.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Pause after a start that failed; doubled up to the maximum. Short: a full disk that has room
/// again is to be noticed soon.
const AGAIN_AFTER: Duration = Duration::from_millis(200);
const AGAIN_AFTER_MAX: Duration = Duration::from_secs(2);

/// Watches until the server is to be stopped, or nobody has it any more.
pub(super) async fn run(kept: Weak<Kept>, restarts: IntCounter) {
    let mut pause = AGAIN_AFTER;
    loop {
        sleep(LOOK_EVERY).await;
        let Some(kept) = kept.upgrade() else { return };
        match look(&kept).await {
            Seen::NotWanted => return,
            Seen::Lives => {}
            Seen::Restarted => {
                restarts.inc();
                pause = AGAIN_AFTER;
            }
            Seen::Dead => {
                drop(kept);
                sleep(pause).await;
                pause = (pause * 2).min(AGAIN_AFTER_MAX);
            }
        }
    }
}

enum Seen {
    NotWanted,
    Lives,
    Restarted,
    /// And does not start.
    Dead,
}

async fn look(kept: &Kept) -> Seen {
    // Held through a start: who stops the server waits for it, and then stops all there is.
    let mut child = kept.child.lock().await;
    if !kept.is_wanted() {
        return Seen::NotWanted;
    }
    if kept.host.is_alive(kept.pid()) {
        return Seen::Lives;
    }
    if let Some(mut dead) = child.take() {
        dead.try_wait().ok(); // A dead child is a zombie until it is asked for.
    }
    let began = Instant::now();
    tracing::error!(pid = kept.pid(), "the PostgreSQL server is gone, starting it again");
    match kept.host.run().await {
        Ok((running, _)) => {
            kept.set_pid(running.pid);
            *child = running.child;
            running.superuser.close().await.ok(); // It has served.
            let took_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
            tracing::warn!(pid = kept.pid(), took_ms, "the PostgreSQL server is back");
            Seen::Restarted
        }
        Err(error) => {
            tracing::error!(%error, "the PostgreSQL server does not start, trying on");
            Seen::Dead
        }
    }
}
