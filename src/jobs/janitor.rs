//! The janitor: reads the provider's lists and finds what no callback told.
//!
//! Each list is read from where the last round ended, and from well before: rows may appear late,
//! and the provider's clock is not ours. What is found becomes the same notice as by a callback, so
//! that it is applied once, whichever comes first. Old Pix of which something went back only lately
//! stand in no such window: those of the last months are read now and then.

use std::sync::Arc;
use std::time::Duration;

use ibora_domain::provider::{NoticeKey, Window, Windows};
use ibora_domain::units::{Millis, UnixMillis};
use serde::Serialize;

use super::{JobOptions, JobParts, Trouble, answered, now};
use crate::journal::NoticeRow;
use crate::obs::failpoint;
use crate::pix::client::{Pages, ReceivedFilter};
use crate::pix::wire::{
    Listing, Notice, Received, Refund, RefundStatus, Returned, Row, SendExtras, SendNotice,
    SendStatus, Sent, Times,
};

/// How far a window reaches back into the one before it.
const OVERLAP: Millis = Millis::from_secs(600);
/// How far the provider's clock may be ahead of ours.
const AHEAD: Millis = Millis::from_secs(600);
/// The longest window that is asked for at once.
const WINDOW: Millis = Millis::from_secs(24 * 3600);
/// How far back the first round of all reads.
const FIRST: Millis = Millis::from_secs(24 * 3600);
/// How far back money may go, by the rules of Pix.
const GOES_BACK: Millis = Millis::from_secs(91 * 24 * 3600);
/// Windows of what went back: they are few.
const LONG_WINDOW: Millis = Millis::from_secs(30 * 24 * 3600);
/// How often what went back of old Pix is read.
const GOES_BACK_EVERY: Duration = Duration::from_secs(3600);

/// How long an engine is let alone after its start.
const AFTER_START: Duration = Duration::from_secs(5);

pub(super) async fn run(parts: Arc<JobParts>, options: JobOptions) {
    let janitor = Janitor { parts, within: options.callback_within.into() };
    let mut went_back: Option<tokio::time::Instant> = None;
    tokio::time::sleep(options.janitor_every.min(AFTER_START)).await;
    loop {
        if janitor.parts.may_act() {
            janitor.tell("received", janitor.received().await);
            janitor.tell("sent", janitor.sent().await);
            if went_back.is_none_or(|at| at.elapsed() >= GOES_BACK_EVERY) {
                let outcome = janitor.went_back().await;
                went_back = outcome.is_ok().then(tokio::time::Instant::now).or(went_back);
                janitor.tell("went_back", outcome);
            }
        }
        tokio::time::sleep(options.janitor_every).await;
    }
}

struct Janitor {
    parts: Arc<JobParts>,
    /// How long a callback may take.
    within: Millis,
}

impl Janitor {
    fn tell(&self, list: &str, outcome: Result<(), Trouble>) {
        if let Err(error) = outcome {
            tracing::warn!(list, %error, "the provider's list is not read to its end");
        }
    }

    async fn received(&self) -> Result<(), Trouble> {
        let provider = &self.parts.provider;
        self.forward("pix_received", async |window| {
            let pages = provider.received_within(window, &ReceivedFilter::All);
            self.read(pages, of_received).await
        })
        .await
    }

    async fn sent(&self) -> Result<(), Trouble> {
        let provider = &self.parts.provider;
        self.forward("pix_sent", async |window| {
            self.read(provider.sent_within(window), of_sent).await
        })
        .await
    }

    async fn went_back(&self) -> Result<(), Trouble> {
        let (now, provider) = (now(), &self.parts.provider);
        let whole = Window { from: now - GOES_BACK, to: now + AHEAD };
        for window in Windows::of(whole, LONG_WINDOW, OVERLAP) {
            let pages = provider.received_within(window, &ReceivedFilter::Refunded);
            self.read(pages, of_received).await?;
            self.read(provider.returned_within(window), of_sent).await?;
        }
        Ok(())
    }

    /// Reads a list from its cursor on, and moves that behind each window that was read whole.
    async fn forward(
        &self,
        name: &str,
        read: impl AsyncFn(Window) -> Result<(), Trouble>,
    ) -> Result<(), Trouble> {
        let (now, cursors) = (now(), self.parts.journal.cursors());
        let from = cursors.at(name).await?.map_or(now - FIRST, |upto| upto - OVERLAP);
        let whole = Window { from: from.min(now), to: now + AHEAD };
        for window in Windows::of(whole, WINDOW, OVERLAP) {
            read(window).await?;
            // What is younger was passed over.
            cursors.move_to(name, window.to.min(now - self.within)).await?;
            failpoint!(JanitorMoved);
        }
        Ok(())
    }

    /// Takes down what the pages tell.
    async fn read<T>(
        &self,
        mut pages: Pages<'_, T>,
        of: impl Fn(&T) -> Vec<Listed>,
    ) -> Result<(), Trouble>
    where
        Listing<T>: serde::de::DeserializeOwned,
    {
        while let Some(page) = pages.next().await {
            let rows = answered(page)?;
            let unread = rows.iter().filter(|row| row.read().is_none()).count();
            if unread > 0 {
                tracing::error!(unread, "rows of the provider's list make no sense");
            }
            let old = now() - self.within;
            let notices = rows.iter().filter_map(Row::read).flat_map(&of);
            // One without a time is never young.
            let notices = notices.filter(|listed| listed.at.is_none_or(|at| at <= old));
            let notices: Vec<_> = notices.map(|listed| listed.notice).collect();
            if notices.is_empty() {
                continue;
            }
            failpoint!(JanitorRead);
            let missed = self.parts.journal.inbox().store_listed(&notices).await?;
            failpoint!(JanitorStored);
            for kind in missed {
                tracing::warn!(kind, "a callback was missed, and found in the provider's list");
                self.parts.metrics.webhooks_missed.with_label_values(&[&kind]).inc();
            }
        }
        Ok(())
    }
}

/// A notice out of a list, and when what it tells happened.
struct Listed {
    notice: NoticeRow,
    at: Option<UnixMillis>,
}

/// What a Pix in the list tells, as the callbacks about it would have.
fn of_received(row: &Received) -> Vec<Listed> {
    let ended = |refund: &&Refund| refund.status != RefundStatus::Pending;
    let refunds: Vec<_> = row.refunds.iter().filter(ended).cloned().collect();
    let at = refunds.iter().filter_map(|refund| last(refund.times)).max();
    let received = Received { refunds: vec![], ..row.clone() };
    let mut told = listed(&Notice::Received(received), row, row.at);
    told.extend(listed(&Notice::Refunded(Received { refunds, ..row.clone() }), row, at));
    told
}

/// What a payout in the list tells, once it has come to an end.
fn of_sent(row: &Sent) -> Vec<Listed> {
    if row.status == SendStatus::Pending {
        return vec![];
    }
    let ended = |part: &&Returned| part.status != RefundStatus::Pending;
    let notice = SendNotice {
        e2e_id: row.e2e_id.clone(),
        key: row.key.clone(),
        kind: None,
        status: row.status.clone(),
        value: row.value,
        at: row.times.settled,
        message: None,
        returns: row.returns.iter().filter(ended).cloned().collect(),
        extras: SendExtras { id: row.id.clone(), failure: None },
    };
    let at = notice.returns.iter().filter_map(|part| last(part.times)).max();
    let mut told = listed(&Notice::Sent(notice.clone()), row, last(row.times));
    told.extend(listed(&Notice::Returned(notice), row, at));
    told
}

fn last(times: Times) -> Option<UnixMillis> {
    times.settled.or(times.asked)
}

fn listed(notice: &Notice, row: &impl Serialize, at: Option<UnixMillis>) -> Vec<Listed> {
    let body = serde_json::to_string(row).unwrap_or_default();
    let row = |what: NoticeKey| NoticeRow {
        kind: what.kind,
        e2e_id: what.e2e_id,
        part: what.part,
        status: what.status,
        body: body.clone(),
    };
    let pieces = notice.pieces().into_iter();
    pieces.map(row).map(|notice| Listed { notice, at }).collect()
}
