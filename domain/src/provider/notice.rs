//! What the provider tells by callbacks and in its lists: what makes two notices one, by which
//! financial event one is seen to be booked, and what becomes of one that is not.
//!
//! A notice is a hint: it posts nothing. Whoever it is about asks the provider.

use crate::mutants::{Mutant, is};
use crate::pix::{EndToEndId, SendId};

/// What makes two notices the same. A receipt and its refunds have one number from end to end, so
/// that number alone does not.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NoticeKey {
    pub kind: String,
    pub e2e_id: EndToEndId,
    /// Of the refund or return; empty where there is none.
    pub part: String,
    pub status: String,
}

impl NoticeKey {
    #[must_use]
    pub fn new(kind: &str, e2e_id: EndToEndId, (part, status): (&str, &str)) -> Self {
        let of = |text: &str| if is(Mutant::ToldOnce) { String::new() } else { text.to_owned() };
        Self { kind: of(kind), e2e_id, part: of(part), status: of(status) }
    }
}

/// What a notice tells, as far as it decides by what it is seen to be booked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// A Pix came in.
    Received,
    /// Of a Pix that came in, this refund has come to an end, or to none yet.
    Refunded { id: String, done: bool },
    /// A payout was done, was not done, or is under way; whose it is the provider may not say.
    Sent { id: Option<SendId>, done: Option<bool> },
    /// This return of a payout has arrived, or not yet.
    Returned { id: String, done: bool },
}

impl Told {
    /// The key of the financial event that books it; none where nothing is booked for it: something
    /// is under way, or was not done and so is as before.
    #[must_use]
    pub fn booked_as(&self, pix: &EndToEndId) -> Option<String> {
        match self {
            Self::Received => Some(format!("pix:{pix}")),
            Self::Refunded { id, done } => done.then(|| format!("dev:{pix}:{id}:ok")),
            Self::Returned { id, done } => done.then(|| format!("payret:{id}")),
            Self::Sent { id, done } => {
                let what = if (*done)? { "ok" } else { "fail" };
                // A payout of which the provider does not say which it is can be booked by nobody.
                let id = id.as_ref().map_or("", SendId::as_str);
                Some(format!("payout:{id}:{what}"))
            }
        }
    }
}

/// The look at which one is forged that the provider does not know: it may take a moment itself.
const FORGED_AT: i32 = 3;

/// What becomes of a notice that was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// What it tells is in the books, or nothing is booked for it.
    Done,
    /// It is true, and nobody has booked it yet.
    Parked,
    /// The provider knows nothing of it.
    Forged,
}

impl Fate {
    /// The name in records and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Parked => "parked",
            Self::Forged => "forged",
        }
    }

    /// Of one that is not booked after `tries` looks. `known`: whether the provider knows it, where
    /// it could say. None: nothing is known yet.
    #[must_use]
    pub const fn of(known: Option<bool>, tries: i32) -> Option<Self> {
        match known {
            Some(true) => Some(Self::Parked),
            Some(false) if tries >= FORGED_AT => Some(Self::Forged),
            Some(false) | None => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_booked_waits_and_what_the_provider_never_knew_is_forged() {
        assert_eq!(Fate::of(Some(true), 9), Some(Fate::Parked));
        assert_eq!(Fate::of(Some(false), 2), None, "it may take a moment itself");
        assert_eq!(Fate::of(Some(false), 3), Some(Fate::Forged));
        assert_eq!(Fate::of(None, 9), None);
    }
}
