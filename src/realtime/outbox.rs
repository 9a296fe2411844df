//! The outbox of a session: everything that waits for its socket, and no more than a bound.
//!
//! Anybody may put something in, from any thread, and never waits. Whoever puts in too much closes
//! the session (4201) at that moment, whatever the session itself is doing; nothing durable is lost
//! by that. Events leave in `seq` order; at a gap they wait until a snapshot has closed it. What is
//! shown and forgotten is kept once a key, the newest.

use std::collections::VecDeque;

use ibora_domain::session::{Sequence, Taken};
use parking_lot::Mutex;
use tokio::sync::Notify;
use uuid::Uuid;

use super::close::Close;
use super::say::Outgoing;

/// Keys of what is shown and forgotten.
const SHOWN_MAX: usize = 64;

/// How much may wait.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    pub(super) frames: usize,
    pub(super) bytes: usize,
}

pub(super) struct Outbox {
    bounds: Bounds,
    inner: Mutex<Inner>,
    /// Told when there is something new to write.
    changed: Notify,
    /// Told when what waited was handed over.
    taken: Notify,
}

struct Inner {
    stage: Stage,
    frames: VecDeque<Outgoing>,
    /// Events that wait until it is known which of them a snapshot already tells of.
    gathered: VecDeque<Outgoing>,
    /// Of `frames`, those that were missed before: they count towards no bound.
    missed: usize,
    shown: VecDeque<(&'static str, Uuid, Outgoing)>,
    bytes: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Going(Sequence),
    Closing(Close),
}

/// What the writer does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// Write what was handed over.
    Write,
    Wait,
    /// Open again with a snapshot: an event is missing.
    Sync,
    /// Nothing is left to be written.
    End(Close),
}

impl Outbox {
    pub(super) fn new(bounds: Bounds) -> Self {
        let inner = Inner {
            stage: Stage::Going(Sequence::New),
            frames: VecDeque::new(),
            gathered: VecDeque::new(),
            missed: 0,
            shown: VecDeque::new(),
            bytes: 0,
        };
        Self { bounds, inner: Mutex::new(inner), changed: Notify::new(), taken: Notify::new() }
    }

    /// Begins, or goes on after a gap, with `first`, which holds a snapshot. Its client has all
    /// events up to `seq` once it has those that it `missed`; newer ones follow.
    pub(super) fn open(&self, first: Outgoing, missed: Vec<Outgoing>, seq: u64) {
        let mut inner = self.inner.lock();
        let Stage::Going(sequence) = &mut inner.stage else { return };
        if !sequence.open(seq) {
            return;
        }
        let gathered = std::mem::take(&mut inner.gathered);
        inner.bytes -= gathered.iter().map(|event| event.text.len()).sum::<usize>();
        // Before whatever was put in while there was no welcome.
        let begun = missed.len() + 1;
        let later = std::mem::take(&mut inner.frames);
        inner.frames.reserve(begun + later.len() + gathered.len());
        inner.frames.push_back(first);
        inner.frames.extend(missed);
        inner.frames.extend(later);
        inner.missed += begun;
        for event in gathered {
            inner.event(event, self.bounds);
        }
        drop(inner);
        self.changed.notify_one();
    }

    /// Takes a frame that is no event: an answer, an acknowledgement.
    pub(super) fn put(&self, frame: Outgoing) {
        self.inner.lock().push(frame, self.bounds);
        self.changed.notify_one();
    }

    /// Takes an event. One taken before is ignored.
    pub(super) fn event(&self, event: Outgoing) {
        self.inner.lock().event(event, self.bounds);
        self.changed.notify_one();
    }

    /// Takes what is shown and forgotten, instead of an older one about the same thing.
    pub(super) fn show(&self, op: &'static str, key: Uuid, frame: Outgoing) {
        self.inner.lock().show(op, key, frame, self.bounds);
        self.changed.notify_one();
    }

    /// Ends the session: what waits is still written, unless `close` is abrupt. The first call
    /// wins.
    pub(super) fn close(&self, close: Close) {
        self.inner.lock().close(close);
        self.changed.notify_one();
    }

    /// Hands over what waits, in order, into `frames`, which must be empty.
    pub(super) fn take(&self, frames: &mut VecDeque<Outgoing>) -> Next {
        let mut inner = self.inner.lock();
        if inner.stage == Stage::Going(Sequence::New) {
            return Next::Wait;
        }
        std::mem::swap(&mut inner.frames, frames);
        frames.extend(inner.shown.drain(..).map(|(_, _, frame)| frame));
        inner.missed = 0;
        inner.bytes = inner.gathered.iter().map(|event| event.text.len()).sum();
        self.taken.notify_one();
        match inner.stage {
            _ if !frames.is_empty() => Next::Write,
            Stage::Closing(close) => Next::End(close),
            Stage::Going(Sequence::Gap) => Next::Sync,
            Stage::Going(Sequence::New | Sequence::Open { .. }) => Next::Wait,
        }
    }

    /// Returns once no more waits than a session's own frames may add to. Who reads from a client
    /// awaits this before it reads on: a client that asks much at once is slowed down, not cut off,
    /// also by the answers to what is under way. One that does not read is soon not worked for.
    pub(super) async fn roomy(&self) {
        while self.is_crowded() {
            self.taken.notified().await;
        }
    }

    fn is_crowded(&self) -> bool {
        let inner = self.inner.lock();
        let Bounds { frames, bytes } = self.bounds;
        let open = !matches!(inner.stage, Stage::Closing(_));
        open && (inner.waiting() > frames / 4 || inner.bytes > bytes / 64)
    }

    /// Returns when something changed since this was last awaited.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Returns when the session is to end at once, with what waits left unwritten.
    pub(super) async fn cut(&self) -> Close {
        loop {
            if let Stage::Closing(close) = self.inner.lock().stage
                && close.is_abrupt()
            {
                return close;
            }
            self.changed.notified().await;
        }
    }
}

impl Inner {
    fn push(&mut self, frame: Outgoing, bounds: Bounds) {
        if matches!(self.stage, Stage::Closing(_)) {
            return;
        }
        self.bytes += frame.text.len();
        self.frames.push_back(frame);
        self.cut_if_over(bounds);
    }

    /// Frames that count towards the bound.
    fn waiting(&self) -> usize {
        self.frames.len() + self.gathered.len() - self.missed
    }

    fn cut_if_over(&mut self, bounds: Bounds) {
        if self.waiting() > bounds.frames || self.bytes > bounds.bytes {
            self.close(Close::Slow);
        }
    }

    fn gather(&mut self, event: Outgoing, bounds: Bounds) {
        self.bytes += event.text.len();
        self.gathered.push_back(event);
        self.cut_if_over(bounds);
    }

    fn event(&mut self, event: Outgoing, bounds: Bounds) {
        let Stage::Going(sequence) = &mut self.stage else { return };
        match sequence.take(event.seq) {
            Taken::Next => self.push(event, bounds),
            Taken::Known => {}
            Taken::Gathered => self.gather(event, bounds),
        }
    }

    fn show(&mut self, op: &'static str, key: Uuid, frame: Outgoing, bounds: Bounds) {
        if matches!(self.stage, Stage::Closing(_)) {
            return;
        }
        let older = self.shown.iter().position(|(o, k, _)| *o == op && *k == key);
        let gone = match older {
            Some(at) => self.shown.remove(at),
            None if self.shown.len() >= SHOWN_MAX => self.shown.pop_front(),
            None => None,
        };
        self.bytes -= gone.map_or(0, |(_, _, frame)| frame.text.len());
        // Not worth closing for: it is forgotten anyway.
        if self.bytes + frame.text.len() <= bounds.bytes {
            self.bytes += frame.text.len();
            self.shown.push_back((op, key, frame));
        }
    }

    fn close(&mut self, close: Close) {
        if matches!(self.stage, Stage::Closing(_)) {
            return;
        }
        self.stage = Stage::Closing(close);
        if close.is_abrupt() {
            self.frames = VecDeque::new();
            self.gathered = VecDeque::new();
            self.shown = VecDeque::new();
            (self.bytes, self.missed) = (0, 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::say::Kind;
    use super::*;

    const SMALL: Bounds = Bounds { frames: 4, bytes: 100 };

    fn event(seq: u64) -> Outgoing {
        Outgoing { seq, ..Outgoing::plain(Kind::Evt, format!("e{seq}")) }
    }

    fn plain(text: &str) -> Outgoing {
        Outgoing::plain(Kind::Res, text.to_owned())
    }

    fn taken(outbox: &Outbox) -> (String, Next) {
        let mut frames = VecDeque::new();
        let next = outbox.take(&mut frames);
        let texts: Vec<_> = frames.into_iter().map(|frame| frame.text).collect();
        (texts.join(" "), next)
    }

    fn opened() -> Outbox {
        let outbox = Outbox::new(SMALL);
        outbox.open(plain("w"), vec![], 0);
        assert_eq!(taken(&outbox), ("w".to_owned(), Next::Write));
        outbox
    }

    #[test]
    fn the_welcome_comes_first_and_only_newer_events_follow() {
        let outbox = Outbox::new(SMALL);
        outbox.event(event(5));
        outbox.event(event(6));
        outbox.event(event(7));
        assert_eq!(taken(&outbox), (String::new(), Next::Wait), "nothing before the welcome");
        outbox.open(plain("w"), vec![], 6);
        outbox.event(event(7));
        outbox.event(event(8));
        assert_eq!(taken(&outbox), ("w e7 e8".to_owned(), Next::Write));
    }

    #[test]
    fn what_was_missed_comes_between_the_welcome_and_the_new_and_counts_towards_no_bound() {
        let outbox = Outbox::new(SMALL);
        outbox.event(event(9));
        outbox.event(event(10));
        outbox.open(plain("w"), (1..=9).map(event).collect(), 9);
        outbox.put(plain("r"));
        outbox.event(event(11));
        let all = "w e1 e2 e3 e4 e5 e6 e7 e8 e9 e10 r e11";
        assert_eq!(taken(&outbox), (all.to_owned(), Next::Write));
        (0..5).for_each(|_| outbox.put(plain("r")));
        assert_eq!(taken(&outbox).1, Next::End(Close::Slow), "the bound is there again");
    }

    #[test]
    fn a_gap_is_closed_by_a_snapshot_rather_than_hidden() {
        let outbox = opened();
        outbox.event(event(1));
        outbox.event(event(3));
        outbox.event(event(4));
        outbox.put(plain("r"));
        assert_eq!(taken(&outbox), ("e1 r".to_owned(), Next::Write));
        assert_eq!(taken(&outbox), (String::new(), Next::Sync));
        outbox.event(event(5));
        outbox.open(plain("s"), vec![], 4);
        assert_eq!(taken(&outbox), ("s e5".to_owned(), Next::Write));
    }

    #[test]
    fn what_gathers_is_bounded_too() {
        let outbox = Outbox::new(SMALL);
        (1..=5).for_each(|seq| outbox.event(event(seq)));
        assert_eq!(taken(&outbox), (String::new(), Next::End(Close::Slow)));
    }

    #[test]
    fn too_many_frames_or_bytes_close_it_and_free_its_memory() {
        let frames = opened();
        (0..4).for_each(|_| frames.put(plain("r")));
        assert_eq!(taken(&frames).1, Next::Write);
        (0..5).for_each(|_| frames.put(plain("r")));
        assert_eq!(taken(&frames), (String::new(), Next::End(Close::Slow)));
        let bytes = opened();
        bytes.put(plain(&"x".repeat(60)));
        bytes.put(plain(&"x".repeat(41)));
        bytes.put(plain("later"));
        assert_eq!(taken(&bytes), (String::new(), Next::End(Close::Slow)));
    }

    #[test]
    fn what_is_shown_is_kept_once_a_key_and_never_closes() {
        let outbox = Outbox::new(Bounds { frames: 4, bytes: 1000 });
        outbox.open(plain("w"), vec![], 0);
        let key = Uuid::from_u128;
        outbox.show("a", key(1), plain("old"));
        outbox.show("a", key(2), plain("two"));
        outbox.show("b", key(1), plain("b"));
        outbox.show("a", key(1), plain("new"));
        assert_eq!(taken(&outbox).0, "w two b new");
        (0..200).for_each(|n| outbox.show("a", key(n), plain(&n.to_string())));
        let (texts, next) = taken(&outbox);
        let expected: Vec<_> = (136..200).map(|n: u32| n.to_string()).collect();
        assert_eq!((texts, next), (expected.join(" "), Next::Write));
        outbox.show("a", key(1), plain(&"x".repeat(1001)));
        assert_eq!(taken(&outbox), (String::new(), Next::Wait));
    }

    #[test]
    fn an_orderly_close_writes_what_waits_and_takes_nothing_more() {
        let outbox = opened();
        outbox.put(plain("last"));
        outbox.close(Close::Superseded);
        outbox.put(plain("late"));
        outbox.close(Close::Slow);
        assert_eq!(taken(&outbox), ("last".to_owned(), Next::Write));
        assert_eq!(taken(&outbox), (String::new(), Next::End(Close::Superseded)));
    }

    #[tokio::test]
    async fn a_reader_waits_while_it_is_crowded() {
        let outbox = opened();
        outbox.put(plain("r"));
        outbox.roomy().await;
        outbox.put(plain("r"));
        let mut waits = std::pin::pin!(outbox.roomy());
        assert!(futures_util::poll!(waits.as_mut()).is_pending());
        assert_eq!(taken(&outbox).0, "r r");
        assert!(futures_util::poll!(waits.as_mut()).is_ready());
        outbox.put(plain("a long one"));
        let mut waits = std::pin::pin!(outbox.roomy());
        assert!(futures_util::poll!(waits.as_mut()).is_pending(), "one frame, but many bytes");
    }

    #[tokio::test]
    async fn a_writer_that_is_stuck_hears_of_a_cut() {
        let outbox = opened();
        let waits = tokio::time::timeout(std::time::Duration::from_secs(5), outbox.cut());
        let fill = async { (0..5).for_each(|_| outbox.put(plain("r"))) };
        let (cut, ()) = tokio::join!(waits, fill);
        assert_eq!(cut, Ok(Close::Slow));
    }
}
