//! Debts that have grown old: finds them, and asks each payment to write itself off.

use std::sync::Arc;
use std::time::Duration;

use super::{JobParts, Trouble};
use crate::obs::failpoint;

/// How often they are looked for: what is old by months is not in a hurry.
const EVERY: Duration = Duration::from_secs(3600);

pub(super) async fn run(parts: Arc<JobParts>, every: Duration) {
    loop {
        tokio::time::sleep(EVERY.min(every)).await;
        if parts.may_act()
            && let Err(error) = look(&parts).await
        {
            tracing::warn!(%error, "what is owed for too long is not looked for");
        }
    }
}

/// Asks a few, the oldest first; the next round goes on with those that are left. The payment
/// decides whether it is time.
async fn look(parts: &JobParts) -> Result<(), Trouble> {
    let Some(dispatch) = parts.dispatch.upgrade() else { return Ok(()) };
    for payment in parts.journal.records().owed_since(dispatch.owed_too_long()).await? {
        failpoint!(WriteOffFound);
        dispatch.write_off(payment);
    }
    Ok(())
}
