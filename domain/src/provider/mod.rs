//! What to think of a payment provider's answers, and what to do next. No call is made here.
//!
//! The client in `src/pix/` carries out what these say, and a simulator can drive them. [`Outcome`]
//! is all that can come of one call; [`Errand`] carries one order to its end under one id, however
//! many answers are lost; [`Pace`], [`Budget`] and [`Lease`] say when a call may be made, and made
//! again. What must hold: no doubt is ever ended by a new id, nor by a guess.

mod errand;
mod lease;
mod notice;
mod outcome;
mod pace;
mod retry;
mod windows;

pub use errand::{Ending, Errand, Obstacle, Order, Patience, REFUND_CARRIED_FOR, Seen, Step};
pub use lease::{Lease, State};
pub use notice::{Fate, NoticeKey, Told};
pub use outcome::{Code, Hindrance, Kind, Outcome, ProviderError, Shape, TlsFault, Violation, Why};
pub use pace::Pace;
pub use retry::{Backoff, Budget};
pub use windows::{Window, Windows};
