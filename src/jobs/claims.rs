//! Claims of fraud (MED): reads the provider's list, takes each down as it stands, and tells the
//! payment that it is about for as long as it may matter.

use std::sync::Arc;
use std::time::Duration;

use ibora_domain::payment::{BankEnd, BankSays};
use ibora_domain::provider::{Window, Windows};
use ibora_domain::units::Millis;

use super::{JobParts, Trouble, answered, now};
use crate::journal::ClaimRow;
use crate::obs::failpoint;
use crate::pix::wire::{Infraction, InfractionStatus, Row};

/// How often the list is read: an answer has days.
const EVERY: Duration = Duration::from_secs(600);
/// How long an engine is let alone after its start.
const AFTER_START: Duration = Duration::from_secs(5);
/// How long after both banks' time to look at it something may still be taken for a claim that was
/// granted. What is taken later all the same is found, and booked as a debit that nobody announced.
const TAKEN_WITHIN: Millis = Millis::from_secs(7 * 24 * 3600);
/// How far back it is read: a claim may come 80 days after its Pix, and takes less than two weeks.
const BACK: Millis = Millis::from_secs(91 * 24 * 3600);
const WINDOW: Millis = Millis::from_secs(31 * 24 * 3600);

pub(super) async fn run(parts: Arc<JobParts>, every: Duration) {
    tokio::time::sleep(every.min(AFTER_START)).await;
    loop {
        if parts.may_act()
            && let Err(error) = read(&parts).await
        {
            tracing::warn!(%error, "claims of fraud are not read");
        }
        tokio::time::sleep(EVERY.min(every)).await;
    }
}

async fn read(parts: &JobParts) -> Result<(), Trouble> {
    let whole = Window { from: now() - BACK, to: now() };
    for window in Windows::of(whole, WINDOW, Millis(0)) {
        let mut pages = parts.provider.infractions(window);
        while let Some(page) = pages.next().await {
            for claim in answered(page)?.iter().filter_map(Row::read) {
                take_down(parts, claim).await?;
            }
        }
    }
    Ok(())
}

async fn take_down(parts: &JobParts, claim: &Infraction) -> Result<(), Trouble> {
    let row = ClaimRow {
        id: claim.id.clone(),
        e2e_id: claim.e2e_id.clone(),
        protocol: claim.protocol.clone(),
        amount: claim.value,
        status: claim.status.as_str().to_owned(),
        opened_at: claim.analysis.map(|analysis| analysis.opened),
        due_at: claim.analysis.and_then(|analysis| analysis.due),
    };
    failpoint!(ClaimListed);
    if let Some(dispatch) = parts.dispatch.upgrade() {
        let end = match claim.status {
            InfractionStatus::Accepted => Some(BankEnd::Granted),
            InfractionStatus::Rejected | InfractionStatus::Cancelled => Some(BankEnd::Rejected),
            InfractionStatus::Open | InfractionStatus::InDefence | InfractionStatus::Unknown(_) => {
                None
            }
        };
        let (name, pix, amount) = (claim.id.clone(), claim.e2e_id.clone(), claim.value);
        let due_at = claim.analysis.and_then(|analysis| analysis.due);
        let over_at = due_at.map(|due_at| due_at + TAKEN_WITHIN);
        dispatch.claim_hint(BankSays { name, pix, amount, end, over_at }).await?;
    }
    failpoint!(ClaimTold);
    let is_news = parts.journal.reconciliations().claim(&row).await?;
    failpoint!(ClaimTakenDown);
    if is_news {
        tracing::warn!(
            claim = row.id,
            pix = %row.e2e_id,
            status = row.status,
            "a claim of fraud is new, or stands otherwise than before"
        );
    }
    Ok(())
}
