//! How this engine stands with its shards, for all parts of the journal: the domain's [`Lease`] by
//! a clock of this process, told to whoever waits for its end.
//!
//! The journal's own; all its parts share one. What must hold is the lease's; the clock runs on
//! while the process is stopped.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ibora_domain::journal::{Lease, Standing};
use ibora_domain::units::Millis;
use prometheus::IntGauge;
use tokio::sync::watch;

/// The shards as held by this engine.
pub(super) struct Hold {
    began: Instant,
    lease: watch::Sender<Lease>,
    /// 1 while they are held.
    shown: IntGauge,
}

impl Hold {
    /// Held from now on, safely for `lease` after `asked`.
    pub(super) fn new(asked: Instant, lease: Duration, shown: IntGauge) -> Arc<Self> {
        shown.set(1);
        let lease = watch::Sender::new(Lease::new(Millis(0), millis(lease)));
        Arc::new(Self { began: asked, lease, shown })
    }

    /// Of a tool, which holds nothing that could be taken from it.
    pub(super) fn of_nothing(shown: IntGauge) -> Arc<Self> {
        let lease = watch::Sender::new(Lease::of_nothing());
        Arc::new(Self { began: Instant::now(), lease, shown })
    }

    pub(super) fn standing(&self) -> Standing {
        self.lease.borrow().standing(millis(self.began.elapsed()))
    }

    /// The lease was renewed; `asked` is when that was sent.
    pub(super) fn renewed(&self, asked: Instant, lease: Duration) {
        let asked = millis(asked.duration_since(self.began));
        self.lease.send_modify(|held| held.renewed(asked, millis(lease)));
    }

    /// Another engine has the shards. Said once, unless this one had left them.
    pub(super) fn lose(&self) {
        if self.end(Lease::lose) {
            tracing::error!("another engine has taken over: nothing more is decided here");
        }
    }

    /// This engine gives its shards up. False where they were lost or left before.
    pub(super) fn leave(&self) -> bool {
        self.end(Lease::leave)
    }

    fn end(&self, how: fn(&mut Lease) -> bool) -> bool {
        let ended = self.lease.send_if_modified(how);
        if ended {
            self.shown.set(0);
        }
        ended
    }

    /// Returns when another engine has the shards; never, once this one has left them.
    pub(super) async fn lost(&self) {
        let mut lease = self.lease.subscribe();
        if lease.wait_for(Lease::is_lost).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

fn millis(time: Duration) -> Millis {
    Millis(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
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
