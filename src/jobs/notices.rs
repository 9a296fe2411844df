//! What the provider tells, taken to whom it is about until it is booked.
//!
//! A notice is handed on at once. Who gets it asks the provider and books; so a look a second later
//! finds it booked, and it is done. Where it is not, the provider is asked here: what it knows is
//! handed on again, for as long as it takes (a callback may come before our own commit); what it
//! does not know, several times, is forged. That posts nothing and raises the alarm.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use ibora_domain::provider::{Fate, Kind, Outcome};
use uuid::Uuid;

use super::hint::{booked_as, hint, is_incoming};
use super::{JobParts, Trouble};
use crate::journal::Notice;
use crate::pix::wire::{Refund, Returned};

/// Notices taken at once.
const AT_ONCE: u32 = 200;
/// Questions to the provider at the same time: most of its connections are for who waits.
const QUESTIONS: usize = 8;
/// How often it is looked for notices that nobody announced.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How often it is looked whether there is room again.
const ROOM_EVERY: Duration = Duration::from_millis(20);
/// How often those that wait are counted.
const COUNT_EVERY: Duration = Duration::from_secs(5);

/// Hands on what is new.
pub(super) async fn hand_on(parts: Arc<JobParts>) {
    while let Err(error) = parts.journal.inbox().take_up().await {
        tracing::warn!(%error, "what the provider told before cannot be read, trying again");
        tokio::time::sleep(LOOK_EVERY).await;
    }
    loop {
        while parts.may_act() && (parts.room)() && hand_round(&parts).await {}
        if (parts.room)() {
            tokio::time::timeout(LOOK_EVERY, parts.journal.inbox().news()).await.ok();
        } else {
            tokio::time::sleep(ROOM_EVERY).await;
        }
    }
}

/// Whether there may be more.
async fn hand_round(parts: &JobParts) -> bool {
    let taken = match parts.journal.inbox().take(true, AT_ONCE).await {
        Ok(taken) => taken,
        Err(error) => {
            tracing::warn!(%error, "what the provider tells cannot be read, trying again");
            return false;
        }
    };
    for notice in &taken {
        (parts.hand)(hint(notice));
    }
    count_of(parts, "handed", taken.len());
    taken.len() == AT_ONCE as usize
}

/// Looks at what was handed on.
pub(super) async fn look(parts: Arc<JobParts>) {
    loop {
        let more = parts.may_act()
            && look_round(&parts).await.unwrap_or_else(|error| {
                tracing::warn!(%error, "what the provider told cannot be looked at, trying again");
                false
            });
        if !more {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

async fn look_round(parts: &JobParts) -> Result<bool, Trouble> {
    let inbox = parts.journal.inbox();
    let taken = inbox.take(false, AT_ONCE).await?;
    let keys: Vec<_> = taken.iter().map(booked_as).collect();
    let booked = inbox.booked(&keys.iter().flatten().cloned().collect::<Vec<_>>()).await?;
    let is_done = |key: &Option<String>| key.as_ref().is_none_or(|key| booked.contains(key));
    let (done, open): (Vec<_>, Vec<_>) = taken.iter().zip(&keys).partition(|(_, key)| is_done(key));
    settle(parts, done.iter().map(|(notice, _)| notice.id).collect(), Fate::Done).await?;
    let fates =
        stream::iter(open).map(|(notice, _)| async move { (notice, fate(parts, notice).await) });
    let fates: Vec<_> = fates.buffer_unordered(QUESTIONS).collect().await;
    for fate in [Fate::Parked, Fate::Forged] {
        let ids = fates.iter().filter(|(_, found)| *found == Some(fate));
        settle(parts, ids.map(|(notice, _)| notice.id).collect(), fate).await?;
    }
    Ok(taken.len() == AT_ONCE as usize)
}

async fn settle(parts: &JobParts, ids: Vec<Uuid>, fate: Fate) -> Result<(), Trouble> {
    parts.journal.inbox().settle(&ids, fate).await?;
    count_of(parts, fate.as_str(), ids.len());
    Ok(())
}

/// What is to become of a notice that is not booked; nothing yet, where the provider cannot say.
async fn fate(parts: &JobParts, notice: &Notice) -> Option<Fate> {
    // Without room whoever it was handed to has still to ask: another question would not help.
    let known = match (notice.confirmed, (parts.room)()) {
        (true, _) => Some(true),
        (false, true) => knows(parts, notice).await,
        (false, false) => None,
    };
    let fate = Fate::of(known, notice.tries);
    match fate {
        Some(Fate::Parked) => (parts.hand)(hint(notice)),
        Some(Fate::Forged) => tracing::error!(
            pix = %notice.e2e_id,
            kind = notice.kind,
            "forged: a callback tells what the provider knows nothing of"
        ),
        Some(Fate::Done) | None => {}
    }
    fate
}

/// Whether the provider knows what a notice tells. How far a part of it is may have changed since.
async fn knows(parts: &JobParts, notice: &Notice) -> Option<bool> {
    let part = &notice.part;
    let outcome = if is_incoming(notice) {
        parts.provider.received(&notice.e2e_id).await.map(|received| {
            let is_it = |refund: &Refund| refund.id.as_str() == part;
            part.is_empty() || received.refunds.iter().any(is_it)
        })
    } else {
        parts.provider.sent_as(&notice.e2e_id).await.map(|sent| {
            // Where the network's number is not said, it may be any of them.
            let is_it =
                |back: &Returned| back.return_id.as_ref().is_none_or(|id| id.as_str() == part);
            part.is_empty() || sent.returns.iter().any(is_it)
        })
    };
    match outcome {
        Outcome::Done(known) => Some(known),
        Outcome::Refused(error) if error.kind() == Kind::NotFound => Some(false),
        Outcome::Refused(_) | Outcome::NotSent(_) | Outcome::Unclear(_) => None,
    }
}

fn count_of(parts: &JobParts, outcome: &str, count: usize) {
    let count = u64::try_from(count).unwrap_or(u64::MAX);
    parts.metrics.pix_hints.with_label_values(&[outcome]).inc_by(count);
}

/// Keeps the gauges of what waits, and of what should not wait any more.
pub(super) async fn count(parts: Arc<JobParts>) {
    loop {
        match parts.journal.inbox().waiting().await {
            Ok(waiting) => {
                for state in ["new", "handed", "parked"] {
                    let found = waiting.iter().find(|(of, _)| of == state);
                    let gauge = parts.metrics.pix_notices_waiting.with_label_values(&[state]);
                    gauge.set(found.map_or(0, |(_, count)| *count));
                }
            }
            Err(error) => tracing::warn!(%error, "what the provider told cannot be counted"),
        }
        match parts.journal.reconciliations().stuck().await {
            Ok(stuck) => {
                for (what, count) in stuck {
                    parts.metrics.pix_unfinished.with_label_values(&[what]).set(count);
                }
            }
            Err(error) => tracing::warn!(%error, "what has no end cannot be counted"),
        }
        tokio::time::sleep(COUNT_EVERY).await;
    }
}
