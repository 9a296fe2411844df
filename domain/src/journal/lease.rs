//! How an engine stands with its shards: whether it may act, told without asking the database.
//!
//! What must hold: once the shards are lost or left they stay so; a lease counts from before it was
//! asked for, by a clock that runs on while the process is stopped. This keeps a stale engine
//! quiet; the fence is what keeps it from writing.

use crate::mutants::{Mutant, is};
use crate::units::Millis;

/// Renewals a lease lasts for: one may be lost, and one be late.
pub const RENEWALS: u32 = 3;

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

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Lost,
    Left,
}

/// The shards as held by one engine. Times are its own, from any beginning, and never go back.
#[derive(Debug, Clone, Copy)]
pub struct Lease {
    /// Until then nobody else can have taken the shards.
    safe_until: Millis,
    end: Option<End>,
}

impl Lease {
    /// Held, safely for `length` after `asked`.
    #[must_use]
    pub const fn new(asked: Millis, length: Millis) -> Self {
        Self { safe_until: Millis(asked.0.saturating_add(length.0)), end: None }
    }

    /// Of one who holds nothing that could be taken from it.
    #[must_use]
    pub const fn of_nothing() -> Self {
        Self::new(Millis(0), Millis(u64::MAX))
    }

    /// How it stands at `now`.
    #[must_use]
    pub fn standing(&self, now: Millis) -> Standing {
        match self.end {
            Some(End::Lost) => Standing::Lost,
            Some(End::Left) => Standing::Left,
            None if now < self.safe_until || is(Mutant::LeaseNeverLapses) => Standing::Holds,
            None => Standing::Lapsed,
        }
    }

    /// It was renewed; `asked` is when that was sent. An answer that comes late takes nothing away.
    pub fn renewed(&mut self, asked: Millis, length: Millis) {
        self.safe_until = self.safe_until.max(Millis(asked.0.saturating_add(length.0)));
    }

    /// Another engine has the shards. True the first time, unless this one had left them.
    pub fn lose(&mut self) -> bool {
        self.end_as(End::Lost)
    }

    /// This engine gives its shards up. False where they were lost or left before.
    pub fn leave(&mut self) -> bool {
        self.end_as(End::Left)
    }

    fn end_as(&mut self, how: End) -> bool {
        let first = self.end.is_none();
        self.end.get_or_insert(how);
        first
    }

    /// Whether another engine has the shards.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        self.end == Some(End::Lost)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LENGTH: Millis = Millis::from_secs(6);

    #[test]
    fn a_lease_counts_from_before_it_was_asked_for() {
        let mut lease = Lease::new(Millis(1000), LENGTH);
        assert_eq!(lease.standing(Millis(6999)), Standing::Holds);
        assert_eq!(lease.standing(Millis(7000)), Standing::Lapsed);
        lease.renewed(Millis(6500), LENGTH);
        assert_eq!(lease.standing(Millis(12_499)), Standing::Holds, "nobody took what had lapsed");
        lease.renewed(Millis(2000), LENGTH);
        assert_eq!(lease.standing(Millis(12_499)), Standing::Holds, "a late answer takes nothing");
    }

    #[test]
    fn what_is_lost_or_left_stays_so() {
        let mut lost = Lease::new(Millis(0), LENGTH);
        assert!(lost.lose() && !lost.leave() && lost.is_lost());
        lost.renewed(Millis(9000), LENGTH);
        assert_eq!(lost.standing(Millis(0)), Standing::Lost);
        let mut left = Lease::new(Millis(0), LENGTH);
        assert!(left.leave() && !left.leave() && !left.lose() && !left.is_lost());
        assert_eq!(left.standing(Millis(0)), Standing::Left);
    }
}
