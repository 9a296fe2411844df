//! The turnstile: how many sessions may be opening at once, and how many a second.
//!
//! After a start everybody comes back in the same second. Opened as fast as possible, they would
//! take all processors for as long as it lasts, and whoever is on the way to a passenger would wait
//! for an answer. So they go through one after the other at a pace that leaves room, and those
//! whose turn would come too late hear so at once rather than at the end of their patience. Of one
//! person only a few wait at a time: who comes and goes all the time takes no turns from others.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use ibora_domain::ids::UserId;
use parking_lot::Mutex;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::sleep_until;

use super::Rate;

/// Openings of one person at a time: one for each device that he may have, and one that is late.
const OF_ONE_MAX: usize = 4;

pub(super) struct Turnstile {
    places: Semaphore,
    each: Duration,
    slack: Duration,
    /// When all turns that were given are over.
    taken_until: Mutex<Instant>,
    /// How many openings of a person wait or are under way.
    opening: Mutex<HashMap<UserId, usize>>,
}

/// Room for one opening session, until dropped.
pub(super) struct Passage<'a> {
    turnstile: &'a Turnstile,
    user: UserId,
    place: Option<SemaphorePermit<'a>>,
}

impl Drop for Passage<'_> {
    fn drop(&mut self) {
        let mut opening = self.turnstile.opening.lock();
        if let Some(count) = opening.get_mut(&self.user) {
            *count -= 1;
            if *count == 0 {
                opening.remove(&self.user);
            }
        }
    }
}

impl Turnstile {
    /// `pace`: as many may go through a second, and so many of them without waiting.
    pub(super) fn new(at_once: usize, pace: Rate, now: Instant) -> Self {
        let each = Duration::from_secs(1) / pace.per_s.max(1);
        let slack = each * pace.burst.saturating_sub(1);
        let taken_until = Mutex::new(now);
        Self {
            places: Semaphore::new(at_once),
            each,
            slack,
            taken_until,
            opening: Mutex::default(),
        }
    }

    /// Waits for a turn; the place is free again when dropped. `None` where the turn would come
    /// after `latest`, or where too many of this person's openings wait already.
    pub(super) async fn pass(&self, user: UserId, latest: Instant) -> Option<Passage<'_>> {
        let mut passage = self.come(user)?;
        let turn = self.turn(Instant::now(), latest)?;
        sleep_until(turn.into()).await;
        let place = tokio::time::timeout_at(latest.into(), self.places.acquire());
        passage.place = Some(place.await.ok()?.ok()?);
        Some(passage)
    }

    fn come(&self, user: UserId) -> Option<Passage<'_>> {
        let mut opening = self.opening.lock();
        let count = opening.entry(user).or_default();
        if *count >= OF_ONE_MAX {
            return None;
        }
        *count += 1;
        Some(Passage { turnstile: self, user, place: None })
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
        let user = UserId(uuid::Uuid::from_u128(1));
        let first = turnstile.pass(user, latest).await.expect("passes");
        let second = turnstile.pass(user, Instant::now() + 20 * MS).await;
        assert!(second.is_none(), "nobody leaves");
        drop(first);
        assert!(turnstile.pass(user, latest).await.is_some());
    }

    #[test]
    fn one_person_waits_a_few_times_at_once_and_takes_no_turn_beyond() {
        let turnstile = Turnstile::new(1, Rate { per_s: 1, burst: 1 }, Instant::now());
        let [one, other] = [1, 2].map(|number| UserId(uuid::Uuid::from_u128(number)));
        let waiting: Vec<_> = (0..OF_ONE_MAX).filter_map(|_| turnstile.come(one)).collect();
        assert_eq!(waiting.len(), OF_ONE_MAX);
        assert!(turnstile.come(one).is_none() && turnstile.come(other).is_some());
        drop(waiting);
        assert!(turnstile.come(one).is_some(), "who went may come again");
        assert!(turnstile.opening.lock().is_empty(), "who is not here takes no memory");
    }
}
