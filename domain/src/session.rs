//! How a client gets its stream: in order, from where it was, and without a gap.
//!
//! A session asks these types what to do with each event and with a client that comes back. What
//! must hold: events leave in the order of their numbers, each once; at a gap they wait until a
//! snapshot tells of what is missing; whoever resumes gets all that it missed, or a snapshot.

use crate::mutants::{Mutant, is};

/// Events that a client may have missed and still get one by one.
pub const MISSED_MAX: u64 = 1_000;

/// What to do with an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// It is the next: it may leave.
    Next,
    /// It was taken before, or the snapshot tells of it.
    Known,
    /// It has to wait until it is known which events a snapshot tells of.
    Gathered,
}

/// Where a session is in its stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sequence {
    /// Nothing leaves before the welcome.
    New,
    /// An event is missing: the others gather until a snapshot tells of it.
    Gap,
    /// `last`: the newest event taken in.
    Open { last: u64 },
}

impl Sequence {
    /// Begins, or goes on after a gap, with a snapshot that tells of all events up to `seq`. False,
    /// and nothing changes, where it is open already.
    #[must_use]
    pub fn open(&mut self, seq: u64) -> bool {
        let waits = !matches!(self, Self::Open { .. });
        if waits {
            *self = Self::Open { last: seq };
        }
        waits
    }

    /// Takes in event `seq`.
    #[must_use]
    pub fn take(&mut self, seq: u64) -> Taken {
        match self {
            Self::New | Self::Gap => Taken::Gathered,
            Self::Open { last } if seq <= *last => Taken::Known,
            Self::Open { last } if seq == *last + 1 => {
                *last = seq;
                Taken::Next
            }
            Self::Open { .. } => {
                *self = Self::Gap;
                Taken::Gathered
            }
        }
    }
}

/// The number of the last event that a client has, if it can go on after it: same stream, same
/// `epoch`, and not more missed than is kept. `head`: where the stream is.
#[must_use]
pub fn resume_after(has: Option<(&str, u64)>, head: (&str, u64)) -> Option<u64> {
    let (_, seq) = has.filter(|(epoch, _)| *epoch == head.0)?;
    let missed = head.1.checked_sub(seq)?;
    (missed <= MISSED_MAX).then_some(seq + u64::from(is(Mutant::ResumeOffByOne)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_leave_in_order_and_wait_at_a_gap() {
        let mut sequence = Sequence::New;
        assert_eq!(sequence.take(5), Taken::Gathered, "before the welcome");
        assert!(sequence.open(5));
        assert!(!sequence.open(3), "it is open");
        let taken = [5, 6, 6, 8, 9].map(|seq| sequence.take(seq));
        let expected = [Taken::Known, Taken::Next, Taken::Known, Taken::Gathered, Taken::Gathered];
        assert_eq!((taken, sequence), (expected, Sequence::Gap));
        assert!(sequence.open(8));
        assert_eq!(sequence.take(9), Taken::Next);
    }

    #[test]
    fn a_client_goes_on_where_it_was_or_begins_anew() {
        let head = ("e", 2000);
        assert_eq!(resume_after(Some(("e", 2000)), head), Some(2000));
        assert_eq!(resume_after(Some(("e", 1000)), head), Some(1000));
        assert_eq!(resume_after(Some(("e", 999)), head), None, "too much missed");
        assert_eq!(resume_after(Some(("e", 2001)), head), None, "ahead of the stream");
        assert_eq!(resume_after(Some(("f", 1500)), head), None, "history was lost");
        assert_eq!(resume_after(None, head), None);
    }
}
