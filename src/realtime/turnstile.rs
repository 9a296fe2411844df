//! The turnstile: how many sessions may be opening at once, and how many a second.
//!
//! After a start everybody comes back in the same second. Opened as fast as possible, they would
//! take all processors for as long as it lasts, and whoever is on the way to a passenger would wait
//! for an answer. So they go through one after the other at a pace that leaves room, and those
//! whose turn would come too late hear so at once rather than at the end of their patience.

use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::sleep_until;

use super::Rate;

pub(super) struct Turnstile {
    places: Semaphore,
    each: Duration,
    slack: Duration,
    /// When all turns that were given are over.
    taken_until: Mutex<Instant>,
}

impl Turnstile {
    /// `pace`: as many may go through a second, and so many of them without waiting.
    pub(super) fn new(at_once: usize, pace: Rate, now: Instant) -> Self {
        let each = Duration::from_secs(1) / pace.per_s.max(1);
        let slack = each * pace.burst.saturating_sub(1);
        let taken_until = Mutex::new(now);
        Self { places: Semaphore::new(at_once), each, slack, taken_until }
    }

    /// Waits for a turn; the place is free again when dropped. `None` where the turn would come
    /// after `latest`.
    pub(super) async fn pass(&self, latest: Instant) -> Option<SemaphorePermit<'_>> {
        let turn = self.turn(Instant::now(), latest)?;
        sleep_until(turn.into()).await;
        let place = tokio::time::timeout_at(latest.into(), self.places.acquire());
        place.await.ok()?.ok()
    }

    fn turn(&self, now: Instant, latest: Instant) -> Option<Instant> {
        let mut taken_until = self.taken_until.lock();
        let after = (*taken_until).max(now);
        let turn = after.checked_sub(self.slack).map_or(now, |turn| turn.max(now));
        if turn > latest {
            return None;
        }
        *taken_until = after + self.each;
        Some(turn)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn a_few_pass_at_once_the_others_at_the_pace_and_those_too_late_are_told() {
        let start = Instant::now();
        let turnstile = Turnstile::new(1, Rate { per_s: 100, burst: 3 }, start);
        let turn = |at: Duration| {
            turnstile.turn(start + at, start + at + 40 * MS).map(|turn| turn - start)
        };
        let turns: Vec<_> = (0..9).map(|_| turn(Duration::ZERO)).collect();
        let waits = [0, 0, 0, 10, 20, 30, 40].map(|wait| Some(wait * MS));
        assert_eq!(turns, [waits.as_slice(), &[None, None]].concat(), "who is refused takes none");
        assert_eq!(turn(10 * MS), Some(50 * MS));
        assert_eq!(turn(1000 * MS), Some(1000 * MS), "a pause lets a few pass at once again");
    }

    #[tokio::test]
    async fn only_so_many_are_inside_and_a_place_is_free_again() {
        let now = Instant::now();
        let turnstile = Turnstile::new(1, Rate { per_s: 1000, burst: 10 }, now);
        let latest = now + Duration::from_secs(30);
        let first = turnstile.pass(latest).await.expect("passes");
        assert!(turnstile.pass(Instant::now() + 20 * MS).await.is_none(), "nobody leaves");
        drop(first);
        assert!(turnstile.pass(latest).await.is_some());
    }
}
