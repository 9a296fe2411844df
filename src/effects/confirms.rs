//! Confirmations: whether a Pix came in. Asked one by one while few wait; where many do, the
//! provider's list says it of hundreds in one answer.
//!
//! What stands in the list came in, as much as what is asked for by its number. What was read for
//! nobody is kept for a while: the callback of it is on its way. What a reading did not show is
//! asked for by itself, so nobody waits for a list that is late.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

use ibora_domain::ids::PaymentId;
use ibora_domain::machines::{EffectEnded, PaymentEffect, PaymentSeen, Said};
use ibora_domain::payment::Incoming;
use ibora_domain::pix::EndToEndId;
use ibora_domain::provider::{Outcome, Window};
use ibora_domain::units::{Millis, UnixMillis};
use time::OffsetDateTime;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::Carrier;
use super::payments::incoming;
use crate::actors::Dispatch;
use crate::obs::{Metrics, failpoint};
use crate::pix::client::ReceivedFilter;

/// Confirmations that wait. Past it they are dropped, and wanted again later.
const WAITING_MAX: usize = 8192;
/// While fewer wait, whoever has more may bring it.
const ROOM: usize = 512;
/// Questions at the same time.
const QUESTIONS: usize = 24;
/// So many that wait are worth a reading of the list; fewer are, right after one.
const LISTED_FROM: usize = 200;
const LISTED_AGAIN: usize = 50;
/// A reading of the list that takes longer is not waited for.
const LIST_WITHIN: Millis = Millis::from_secs(1);
/// How long a callback is on its way, mostly. What is told later is asked for by itself.
const TOLD_WITHIN: Millis = Millis::from_secs(20);
/// How far the provider's clock may be ahead of ours.
const AHEAD: Millis = Millis::from_secs(5);
/// How far a reading goes back into the one before it: rows may appear late.
const OVERLAP: Millis = Millis::from_secs(5);
/// Rows read for nobody that are kept.
const KEPT_MAX: usize = 100_000;

/// The way in, and how many wait.
#[derive(Clone)]
pub(super) struct Confirms {
    sender: mpsc::Sender<Wanted>,
    waiting: Arc<AtomicUsize>,
    metrics: Arc<Metrics>,
}

/// A payment that wants to know of a Pix.
pub(super) struct Wanted {
    payment: PaymentId,
    pix: EndToEndId,
    /// By the wall, as the provider's lists are.
    at: UnixMillis,
}

impl Confirms {
    /// The way in, and what comes out of it, which has still to be carried.
    pub(super) fn new(metrics: Arc<Metrics>) -> (Self, mpsc::Receiver<Wanted>) {
        let (sender, receiver) = mpsc::channel(WAITING_MAX);
        (Self { sender, waiting: Arc::default(), metrics }, receiver)
    }

    /// Whether more may be brought.
    pub(super) fn has_room(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) < ROOM
    }

    /// Takes a question; false where there is no place for it.
    pub(super) fn ask(&self, payment: PaymentId, pix: EndToEndId) -> bool {
        // Counted first: it may be answered before this is over.
        self.count(self.waiting.fetch_add(1, Ordering::Relaxed) + 1);
        let taken = self.sender.try_send(Wanted { payment, pix, at: now() }).is_ok();
        if !taken {
            self.answered();
        }
        taken
    }

    fn answered(&self) {
        self.count(self.waiting.fetch_sub(1, Ordering::Relaxed).saturating_sub(1));
    }

    fn count(&self, waiting: usize) {
        self.metrics.pix_confirms_waiting.set(i64::try_from(waiting).unwrap_or(i64::MAX));
    }
}

/// What carries confirmations out.
pub(super) struct Confirmer {
    pub(super) carrier: Arc<Carrier>,
    pub(super) dispatch: Weak<Dispatch>,
    pub(super) confirms: Confirms,
}

/// What is known of the list.
#[derive(Default)]
struct Read {
    /// Rows that nobody waited for.
    kept: HashMap<EndToEndId, Incoming>,
    /// All rows until then were read, but for late ones.
    upto: Option<UnixMillis>,
}

impl Confirmer {
    /// Answers until nobody can ask any more.
    pub(super) async fn run(self, mut asked: mpsc::Receiver<Wanted>) {
        let this = Arc::new(self);
        let (mut waiting, mut unlisted) = (VecDeque::new(), VecDeque::new());
        let (mut singles, mut reading) = (JoinSet::new(), JoinSet::new());
        let (mut read, mut new) = (Some(Read::default()), Vec::new());
        let mut listed_from = LISTED_FROM;
        let list_within = std::time::Duration::from_millis(LIST_WITHIN.0);
        loop {
            tokio::select! {
                count = asked.recv_many(&mut new, WAITING_MAX) => {
                    if count == 0 {
                        return;
                    }
                    waiting.extend(new.drain(..));
                }
                Some(_) = singles.join_next() => {}
                Some(ended) = reading.join_next() => {
                    let (known, left) = ended.unwrap_or_default();
                    unlisted.extend(left);
                    read = Some(known);
                    listed_from = LISTED_AGAIN;
                }
                () = tokio::time::sleep(list_within), if !waiting.is_empty() => {}
            }
            if waiting.len() >= listed_from
                && let Some(known) = read.take()
            {
                let (this, wanted) = (Arc::clone(&this), std::mem::take(&mut waiting));
                reading.spawn(async move { this.read(known, wanted.into()).await });
            }
            listed_from = LISTED_FROM;
            // While the list is read, what came meanwhile is for its next reading, unless that
            // takes long.
            let may_ask = |wanted: &mut Wanted| read.is_some() || now() > wanted.at + LIST_WITHIN;
            while singles.len() < QUESTIONS
                && let Some(wanted) = unlisted.pop_front().or_else(|| waiting.pop_front_if(may_ask))
            {
                let this = Arc::clone(&this);
                singles.spawn(async move { this.ask(wanted).await });
            }
        }
    }

    /// One question.
    async fn ask(&self, Wanted { payment, pix, .. }: Wanted) {
        if !self.may_act() {
            return self.confirms.answered();
        }
        failpoint!(EffectConfirm);
        let seen = self.carrier.of_payment(PaymentEffect::Confirm { pix }).await;
        failpoint!(EffectConfirmAnswered);
        self.tell(payment, seen);
    }

    /// Reads the list for all of these; gives back those that it does not show.
    async fn read(&self, mut read: Read, mut wanted: Vec<Wanted>) -> (Read, Vec<Wanted>) {
        self.take(&mut read.kept, &mut wanted);
        let oldest = wanted.iter().map(|wanted| wanted.at).min();
        if let Some(oldest) = oldest.filter(|_| self.may_act()) {
            let began = now();
            let first = oldest - TOLD_WITHIN;
            let from = read.upto.map_or(first, |upto| first.max(upto - OVERLAP));
            let window = Window { from: from.min(began), to: began + AHEAD };
            // What is not read to its end is read again.
            if self.pages(window, &mut read.kept).await {
                read.upto = Some(began);
            }
            self.take(&mut read.kept, &mut wanted);
        }
        if read.kept.len() > KEPT_MAX {
            read.kept.clear();
        }
        (read, wanted)
    }

    /// Answers those whose Pix was read.
    fn take(&self, kept: &mut HashMap<EndToEndId, Incoming>, wanted: &mut Vec<Wanted>) {
        wanted.retain(|Wanted { payment, pix, .. }| match kept.remove(pix) {
            Some(incoming) => {
                let (pix, said) = (pix.clone(), Said::Found(incoming));
                self.tell(*payment, PaymentSeen::Confirm { pix, said });
                false
            }
            None => true,
        });
    }

    /// Keeps all rows of a window; false where a page was not there.
    async fn pages(&self, window: Window, kept: &mut HashMap<EndToEndId, Incoming>) -> bool {
        let mut pages = self.carrier.provider.received_within(window, &ReceivedFilter::All);
        while let Some(page) = pages.next().await {
            let Outcome::Done(rows) = page else { return false };
            let rows = rows.iter().filter_map(|row| row.read().cloned()).map(incoming);
            kept.extend(rows.map(|incoming| (incoming.pix.clone(), incoming)));
        }
        true
    }

    /// Whether it is this engine that asks.
    fn may_act(&self) -> bool {
        self.dispatch.upgrade().is_some_and(|dispatch| dispatch.may_act().is_ok())
    }

    fn tell(&self, payment: PaymentId, seen: PaymentSeen) {
        self.confirms.answered();
        let outcome = seen.outcome();
        self.confirms.metrics.effects.with_label_values(&["confirm", outcome]).inc();
        if let Some(dispatch) = self.dispatch.upgrade() {
            dispatch.effect_ended(EffectEnded::Payment(payment, seen));
        }
    }
}

fn now() -> UnixMillis {
    let now = OffsetDateTime::now_utc().unix_timestamp_nanos() / 1_000_000;
    UnixMillis(i64::try_from(now).unwrap_or(i64::MAX))
}
