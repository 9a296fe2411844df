//! How this engine stands with its shards: whether it may act, told without asking the database.
//!
//! The journal's own; all its parts share one. What must hold: once the shards are lost or left
//! they stay so; a lease counts from before it was asked for, by a clock that runs on while the
//! process is stopped. This keeps a stale engine quiet; the fence is what keeps it from writing.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use prometheus::IntGauge;
use tokio::sync::watch;

/// How an engine stands with its shards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    Holds,
    /// Its lease has run out: it may still have them, but only the database knows.
    Lapsed,
    /// Another engine has them.
    Lost,
    /// It gave them up.
    Left,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Lost,
    Left,
}

/// The shards as held by this engine.
pub(super) struct Hold {
    began: Instant,
    /// Milliseconds after `began` until which nobody else can have taken the shards.
    safe_until: AtomicU64,
    end: watch::Sender<Option<End>>,
    /// 1 while they are held.
    shown: IntGauge,
}

impl Hold {
    /// Held from now on, safely for `lease` after `asked`.
    pub(super) fn new(asked: Instant, lease: Duration, shown: IntGauge) -> Arc<Self> {
        shown.set(1);
        let safe_until = AtomicU64::new(millis(lease));
        Arc::new(Self { began: asked, safe_until, end: watch::Sender::new(None), shown })
    }

    /// Of a tool, which holds nothing that could be taken from it.
    pub(super) fn of_nothing(shown: IntGauge) -> Arc<Self> {
        let safe_until = AtomicU64::new(u64::MAX);
        Arc::new(Self { began: Instant::now(), safe_until, end: watch::Sender::new(None), shown })
    }

    pub(super) fn standing(&self) -> Standing {
        match *self.end.borrow() {
            Some(End::Lost) => Standing::Lost,
            Some(End::Left) => Standing::Left,
            None if millis(self.began.elapsed()) < self.safe_until.load(Ordering::Acquire) => {
                Standing::Holds
            }
            None => Standing::Lapsed,
        }
    }

    /// The lease was renewed; `asked` is when that was sent.
    pub(super) fn renewed(&self, asked: Instant, lease: Duration) {
        let until = millis(asked.duration_since(self.began) + lease);
        self.safe_until.fetch_max(until, Ordering::AcqRel);
    }

    /// Another engine has the shards. Said once, unless this one had left them.
    pub(super) fn lose(&self) {
        if self.end_as(End::Lost) {
            tracing::error!("another engine has taken over: nothing more is decided here");
        }
    }

    /// This engine gives its shards up. False where they were lost or left before.
    pub(super) fn leave(&self) -> bool {
        self.end_as(End::Left)
    }

    fn end_as(&self, how: End) -> bool {
        let ended = self.end.send_if_modified(|end| {
            let first = end.is_none();
            end.get_or_insert(how);
            first
        });
        if ended {
            self.shown.set(0);
        }
        ended
    }

    /// Returns when another engine has the shards; never, once this one has left them.
    pub(super) async fn lost(&self) {
        let mut end = self.end.subscribe();
        if end.wait_for(|end| *end == Some(End::Lost)).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEASE: Duration = Duration::from_secs(60);

    fn hold(asked: Instant) -> Arc<Hold> {
        Hold::new(asked, LEASE, IntGauge::new("held", "Held.").expect("a name"))
    }

    #[test]
    fn a_lease_counts_from_before_it_was_asked_for() {
        let now = Instant::now();
        assert_eq!(hold(now).standing(), Standing::Holds);
        let old = hold(now.checked_sub(LEASE).expect("the machine runs for longer"));
        assert_eq!(old.standing(), Standing::Lapsed);
        old.renewed(now, LEASE);
        assert_eq!(old.standing(), Standing::Holds, "nobody took what had lapsed");
        old.renewed(now.checked_sub(LEASE).expect("as above"), LEASE);
        assert_eq!(old.standing(), Standing::Holds, "an answer that comes late takes nothing away");
    }

    #[tokio::test]
    async fn what_is_lost_or_left_stays_so() {
        let lost = hold(Instant::now());
        lost.lose();
        assert!(!lost.leave());
        lost.renewed(Instant::now(), LEASE);
        assert_eq!((lost.standing(), lost.shown.get()), (Standing::Lost, 0));
        lost.lost().await;
        let left = hold(Instant::now());
        assert!(left.leave() && !left.leave());
        left.lose();
        assert_eq!((left.standing(), left.shown.get()), (Standing::Left, 0));
    }
}
