//! The newest events of people's streams, in memory: what a client missed that was away for a
//! moment is sent again without a read.
//!
//! Filled by the lanes after each commit, before the event goes anywhere else. Bounded; what is no
//! longer here is read from the database.

use std::collections::{HashMap, VecDeque};

use parking_lot::Mutex;
use tokio::sync::oneshot;
use uuid::Uuid;

use super::Published;

/// Events of all people together.
const EVENTS_MAX: usize = 50_000;
/// Events of one person: as many as a client may have missed.
const EACH_MAX: usize = 1_000;
/// Those who wait for one person's next event: a long poll each.
const WAITING_MAX: usize = 16;

#[derive(Default)]
pub(super) struct Backlog {
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    people: HashMap<Uuid, VecDeque<Published>>,
    /// Whose events they are, the oldest first.
    order: VecDeque<Uuid>,
    waiting: HashMap<Uuid, Vec<oneshot::Sender<()>>>,
}

impl Backlog {
    /// Keeps what was just committed.
    pub(super) fn keep(&self, events: &[Published]) {
        let mut kept = self.kept.lock();
        for event in events {
            let user = event.row.stream.user().0;
            let person = kept.people.entry(user).or_default();
            person.push_back(event.clone());
            let surplus = person.len() > EACH_MAX;
            kept.order.push_back(user);
            if surplus || kept.order.len() > EVENTS_MAX {
                kept.forget_oldest(surplus.then_some(user));
            }
        }
    }

    /// Wakes who waits for these events, which they can read now.
    pub(super) fn wake(&self, events: &[Published]) {
        let mut kept = self.kept.lock();
        for event in events {
            let user = event.row.stream.user().0;
            for waiting in kept.waiting.remove(&user).into_iter().flatten() {
                waiting.send(()).ok();
            }
        }
    }

    /// The events of a person after number `after` up to `upto`; `None` where not all are here.
    pub(super) fn between(&self, user: Uuid, after: u64, upto: u64) -> Option<Vec<Published>> {
        let kept = self.kept.lock();
        let wanted = kept.people.get(&user)?.iter();
        let wanted: Vec<Published> =
            wanted.filter(|event| event.seq > after && event.seq <= upto).cloned().collect();
        let complete = u64::try_from(wanted.len()) == Ok(upto - after);
        complete.then_some(wanted)
    }

    /// The newest event of this op about this entity, as its person was told.
    pub(super) fn newest(&self, user: Uuid, (op, key): (&str, Uuid)) -> Option<Published> {
        let kept = self.kept.lock();
        let events = kept.people.get(&user)?.iter().rev();
        events.into_iter().find(|event| event.row.op == op && event.row.key == key).cloned()
    }

    /// Ends when a person has a new event; `None` where too many wait for it already.
    pub(super) fn next(&self, user: Uuid) -> Option<oneshot::Receiver<()>> {
        let (sender, receiver) = oneshot::channel();
        let mut kept = self.kept.lock();
        let waiting = kept.waiting.entry(user).or_default();
        waiting.retain(|sender| !sender.is_closed());
        let room = waiting.len() < WAITING_MAX;
        room.then(|| {
            waiting.push(sender);
            receiver
        })
    }
}

impl Kept {
    /// Forgets the oldest event, of one person or of all.
    fn forget_oldest(&mut self, of: Option<Uuid>) {
        let at = match of {
            Some(user) => self.order.iter().position(|owner| *owner == user),
            None => Some(0),
        };
        let Some(user) = at.and_then(|at| self.order.remove(at)) else { return };
        if let Some(person) = self.people.get_mut(&user) {
            person.pop_front();
            if person.is_empty() {
                self.people.remove(&user);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use ibora_domain::facts::{StreamId, StreamRow};
    use ibora_domain::ids::DriverId;

    use super::*;

    const ONE: Uuid = Uuid::from_u128(1);
    const TWO: Uuid = Uuid::from_u128(2);

    fn event(user: Uuid, seq: u64) -> Published {
        let stream = StreamId::Driver(DriverId(user));
        let (op, key, body) = ("offer.made", Uuid::from_u128(u128::from(seq % 2)), "{}".into());
        let row = StreamRow { stream, op, key, version: seq, expires_at: None, urgent: true, body };
        Published { seq, row }
    }

    fn seqs(events: Option<Vec<Published>>) -> Option<Vec<u64>> {
        events.map(|events| events.into_iter().map(|event| event.seq).collect())
    }

    #[test]
    fn what_was_missed_comes_whole_or_not_at_all() {
        let backlog = Backlog::default();
        backlog.keep(&[event(ONE, 5), event(TWO, 1), event(ONE, 6), event(ONE, 7)]);
        assert_eq!(seqs(backlog.between(ONE, 5, 7)), Some(vec![6, 7]));
        assert_eq!(seqs(backlog.between(ONE, 7, 7)), Some(vec![]));
        assert_eq!(seqs(backlog.between(ONE, 3, 7)), None, "4 is not here");
        assert_eq!(seqs(backlog.between(TWO, 0, 1)), Some(vec![1]));
        let newest = backlog.newest(ONE, ("offer.made", Uuid::from_u128(1)));
        assert_eq!(newest.map(|event| event.seq), Some(7));
    }

    #[test]
    fn memory_is_bounded_for_one_and_for_all() {
        let backlog = Backlog::default();
        let count = u64::try_from(EACH_MAX).expect("fits") + 10;
        (1..=count).for_each(|seq| backlog.keep(&[event(ONE, seq)]));
        assert_eq!(seqs(backlog.between(ONE, 9, count)), None);
        assert_eq!(seqs(backlog.between(ONE, 10, count)).map(|seqs| seqs.len()), Some(EACH_MAX));
        for user in 3..=u128::try_from(EVENTS_MAX).expect("fits") {
            backlog.keep(&[event(Uuid::from_u128(user), 1)]);
        }
        let kept = backlog.kept.lock();
        assert_eq!(kept.order.len(), EVENTS_MAX);
        assert_eq!(kept.people.values().map(VecDeque::len).sum::<usize>(), EVENTS_MAX);
    }

    #[tokio::test]
    async fn who_waits_is_woken_by_his_own_event_only() {
        let backlog = Backlog::default();
        let mut mine = backlog.next(ONE).expect("room");
        backlog.wake(&[event(TWO, 1)]);
        assert!(mine.try_recv().is_err());
        backlog.wake(&[event(ONE, 1)]);
        assert_eq!(mine.await, Ok(()));
    }

    #[test]
    fn so_many_wait_for_one_person_s_event_and_no_more() {
        let backlog = Backlog::default();
        let mut waiting: Vec<_> = (0..WAITING_MAX).map(|_| backlog.next(ONE)).collect();
        assert!(waiting.iter().all(Option::is_some) && backlog.next(ONE).is_none());
        assert!(backlog.next(TWO).is_some());
        waiting.pop();
        assert!(backlog.next(ONE).is_some(), "one has left");
    }
}
