//! What became of a batch: asked until it is known, under one id, and never guessed.
//!
//! An answer that was lost leaves a doubt: the first call may have committed, may yet commit, or
//! never came. The same call under the same id waits for it, and finds it done or does it. One that
//! is refused then says nothing of the first: what refused it may have passed by the time the first
//! is carried out. So before a refusal in doubt is believed the batch is sealed: its id is recorded
//! without it, together with [`seal_of`] it, which says whose work that was should this answer be
//! lost too. Either that succeeds, and the first call can never be, or the first is there already.

use uuid::Uuid;

use super::Verdict;
use crate::mutants::{Mutant, is};

/// What to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Question {
    /// The batch.
    Batch,
    /// Its id and its seal, and nothing else.
    Seal,
}

/// What was said to a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// It is recorded now. Of a seal: it is sealed, by this call or by an earlier one.
    Recorded,
    /// The batch was recorded before.
    Known,
    Refused {
        constraint: Option<String>,
    },
    Fenced,
    /// Nothing, or nothing certain.
    Nothing,
}

/// The questions about one batch.
#[derive(Debug, Default)]
pub struct Inquiry {
    in_doubt: bool,
    /// What refused it while an earlier call was in doubt.
    refused: Option<Option<String>>,
}

impl Inquiry {
    /// What to send next.
    #[must_use]
    pub const fn question(&self) -> Question {
        match self.refused {
            Some(_) => Question::Seal,
            None => Question::Batch,
        }
    }

    /// Takes in what was said; `None`: ask on.
    pub fn hear(&mut self, heard: Heard) -> Option<Verdict> {
        match heard {
            Heard::Fenced => Some(Verdict::Fenced),
            Heard::Known => Some(Verdict::Written),
            Heard::Recorded => Some(match self.refused.take() {
                Some(constraint) => Verdict::Refused { constraint },
                None => Verdict::Written,
            }),
            Heard::Refused { constraint } if self.in_doubt && !is(Mutant::Unsealed) => {
                self.refused = Some(constraint);
                None
            }
            Heard::Refused { constraint } => Some(Verdict::Refused { constraint }),
            Heard::Nothing => {
                self.in_doubt = true;
                None
            }
        }
    }
}

/// The id that is recorded with a batch's own where the batch is sealed.
#[must_use]
pub const fn seal_of(batch: Uuid) -> Uuid {
    // Another version, so that it is no other batch's.
    Uuid::from_u128(batch.as_u128() ^ (0xf << 76))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused() -> Heard {
        Heard::Refused { constraint: Some("events_pkey".to_owned()) }
    }

    fn refusal() -> Verdict {
        Verdict::Refused { constraint: Some("events_pkey".to_owned()) }
    }

    #[test]
    fn what_is_said_at_once_is_believed() {
        let said = |heard| Inquiry::default().hear(heard);
        assert_eq!(said(Heard::Recorded), Some(Verdict::Written));
        assert_eq!(said(Heard::Known), Some(Verdict::Written));
        assert_eq!(said(refused()), Some(refusal()));
        assert_eq!(said(Heard::Fenced), Some(Verdict::Fenced));
    }

    #[test]
    fn a_lost_answer_is_asked_for_with_the_whole_batch() {
        for (heard, verdict) in [
            (Heard::Recorded, Verdict::Written),
            (Heard::Known, Verdict::Written),
            (Heard::Fenced, Verdict::Fenced),
        ] {
            let mut inquiry = Inquiry::default();
            assert_eq!(inquiry.hear(Heard::Nothing), None);
            assert_eq!(inquiry.question(), Question::Batch);
            assert_eq!(inquiry.hear(heard), Some(verdict));
        }
    }

    #[test]
    fn a_refusal_in_doubt_is_believed_once_the_first_call_can_never_be() {
        for (heard, verdict) in [(Heard::Recorded, refusal()), (Heard::Known, Verdict::Written)] {
            let mut inquiry = Inquiry::default();
            assert_eq!(inquiry.hear(Heard::Nothing), None);
            assert_eq!(inquiry.hear(refused()), None);
            assert_eq!(inquiry.question(), Question::Seal);
            assert_eq!(inquiry.hear(Heard::Nothing), None, "this answer may be lost too");
            assert_eq!(inquiry.question(), Question::Seal);
            assert_eq!(inquiry.hear(heard), Some(verdict));
        }
    }
}
