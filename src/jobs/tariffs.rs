//! What the provider takes of receipts: has each asked about whose tariff is not booked yet.

use std::sync::Arc;
use std::time::Duration;

use ibora_domain::payment::STATED_AFTER;

use super::{JobParts, Trouble};
use crate::obs::failpoint;

pub(super) async fn run(parts: Arc<JobParts>, every: Duration) {
    loop {
        tokio::time::sleep(every).await;
        if parts.may_act()
            && let Err(error) = look(&parts).await
        {
            tracing::warn!(%error, "it is not looked for tariffs that are not booked");
        }
    }
}

/// Asks about a few, the oldest first. Their payments ask the provider, and book what it says.
async fn look(parts: &JobParts) -> Result<(), Trouble> {
    let Some(dispatch) = parts.dispatch.upgrade() else { return Ok(()) };
    let before = dispatch.now() - STATED_AFTER;
    for (payment, pix) in parts.journal.records().unstated(before).await? {
        failpoint!(TariffFound);
        dispatch.payment_came(payment, pix);
    }
    Ok(())
}
