//! Watching the promises while the engine works: a window of what is new, a window of what is old,
//! how things stand, and now and then what none of these can tell.
//!
//! A broken promise is shown by a gauge, counted once when it is found, and logged as an alarm. One
//! of the books stops all payouts; only an admin lets them go out again, and what he has looked at
//! does not stop them twice. Solvency is a gauge alone:
//! promotions and tariffs are the platform's money, and may run ahead of what its owner pays in.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use ibora_domain::invariants::Invariant;
use ibora_domain::units::UnixMillis;
use tokio::task::AbortHandle;
use uuid::Uuid;

use crate::obs::Metrics;
use crate::readmodel::{Ledger, ReadError, Seen, Watch, is_of_the_books};

/// What no window can tell of is checked this often.
const WHOLE_EVERY: Duration = Duration::from_secs(3600);
/// How far a look at bookings goes back into the one before it: one may be recorded a little after
/// the moment that its id names.
const OVERLAP: Duration = Duration::from_secs(60);
/// Months of ledger and trail that are made ahead.
const MONTHS_AHEAD: i32 = 14;

/// Stops all payouts, for this reason. True once that is recorded.
pub type StopPayouts = Arc<dyn Fn(String) -> BoxFuture<'static, bool> + Send + Sync>;

/// What the audit works with.
pub struct AuditParts {
    pub watch: Watch,
    pub ledger: Ledger,
    pub metrics: Arc<Metrics>,
    pub stop_payouts: StopPayouts,
    /// Whether this engine is the one at work.
    pub may_act: Arc<dyn Fn() -> bool + Send + Sync>,
    /// Tells real time.
    pub now: fn() -> UnixMillis,
}

/// The numbers it works by. All times are real.
#[derive(Debug, Clone, Copy)]
pub struct AuditOptions {
    pub every: Duration,
    pub window: Duration,
}

/// Starts to audit, until aborted.
#[must_use]
pub fn audit(parts: AuditParts, options: AuditOptions) -> AbortHandle {
    let auditor = Auditor {
        parts,
        options,
        found: HashMap::new(),
        known: HashSet::new(),
        unstopped: None,
        booked: UnixMillis(0),
        old: UnixMillis(0),
        whole_at: None,
    };
    tokio::spawn(auditor.run()).abort_handle()
}

struct Auditor {
    parts: AuditParts,
    options: AuditOptions,
    /// How often each promise was found broken, by the kind of look that found it.
    found: HashMap<(Invariant, Look), usize>,
    /// What broke a promise and was told already.
    known: HashSet<(Invariant, Uuid)>,
    /// Why payouts are to be stopped, until that is recorded.
    unstopped: Option<String>,
    /// Until when bookings were looked at.
    booked: UnixMillis,
    /// Where the window of what is old begins next.
    old: UnixMillis,
    whole_at: Option<Instant>,
}

/// Where something was found: each kind of look has its own last word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Look {
    New,
    Old,
    Standing,
    Whole,
}

impl Auditor {
    async fn run(mut self) {
        loop {
            tokio::time::sleep(self.options.every).await;
            if !(self.parts.may_act)() {
                continue;
            }
            let timer = self.parts.metrics.audit_look_seconds.start_timer();
            if let Err(error) = self.look().await {
                tracing::warn!(%error, "the promises could not be looked at");
            }
            timer.observe_duration();
        }
    }

    async fn look(&mut self) -> Result<(), ReadError> {
        let millis = |time: Duration| i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
        let window = millis(self.options.window);
        // What is about to get an id of this moment is not there yet; the next look sees it.
        let now = (self.parts.now)();
        let recent = UnixMillis(now.0.saturating_sub(window));
        let mut new = self.parts.watch.rides(recent, now).await?;
        let unseen = UnixMillis(self.booked.0.saturating_sub(millis(OVERLAP))).max(recent);
        let bookings = self.parts.watch.bookings(unseen, now).await?;
        // Nothing mends a booking: what is broken stays in sight as long as it is recent.
        if bookings.iter().all(|(_, broken)| broken.is_empty()) {
            self.booked = now;
        }
        new.extend(bookings);
        self.judge(Look::New, new).await;
        let standing = self.parts.watch.standing().await?;
        self.judge(Look::Standing, standing).await;
        // The first of what is old from here on, or from the beginning, once all was seen.
        match self.parts.watch.first_from(self.old).await?.filter(|first| *first < recent) {
            Some(first) => {
                let end = UnixMillis(first.0.saturating_add(window).min(recent.0));
                let mut old = self.parts.watch.rides(first, end).await?;
                old.extend(self.parts.watch.bookings(first, end).await?);
                self.judge(Look::Old, old).await;
                self.old = end;
            }
            None => self.old = UnixMillis(0),
        }
        if self.whole_at.is_none_or(|at| at.elapsed() >= WHOLE_EVERY) {
            let whole = self.parts.watch.whole().await?;
            self.judge(Look::Whole, whole).await;
            self.parts.watch.make_months(MONTHS_AHEAD).await?;
            self.whole_at = Some(Instant::now());
        }
        let surplus = self.parts.ledger.solvency().await?.surplus();
        self.parts.metrics.ledger_surplus_centavos.set(surplus.0);
        Ok(())
    }

    /// Shows what was found; what was not known before is an alarm.
    async fn judge(&mut self, look: Look, seen: Seen) {
        for (invariant, broken) in seen {
            self.found.insert((invariant, look), broken.len());
            let looks = self.found.iter().filter(|((known, _), _)| *known == invariant);
            let worst = looks.map(|(_, broken)| *broken).max().unwrap_or(0);
            let (metrics, id) = (&self.parts.metrics, [invariant.id()]);
            let gauge = metrics.invariant_broken.with_label_values(&id);
            gauge.set(i64::try_from(worst).unwrap_or(i64::MAX));
            let mut news = broken;
            news.retain(|id| self.known.insert((invariant, *id)));
            let Some(example) = news.first() else { continue };
            metrics.invariant_violations.with_label_values(&id).inc_by(news.len() as u64);
            tracing::error!(
                invariant = invariant.id(),
                promise = invariant.sentence(),
                violations = news.len(),
                %example,
                "invariant broken"
            );
            if is_of_the_books(invariant) {
                let reason = format!("{} is broken: {}", invariant.id(), invariant.sentence());
                self.unstopped = Some(reason);
            }
        }
        if let Some(reason) = self.unstopped.clone() {
            tracing::error!(reason, "payouts stopped: the books are wrong");
            if (self.parts.stop_payouts)(reason).await {
                self.unstopped = None;
            }
        }
    }
}
