//! Where drivers are.
//!
//! The [`LiveIndex`] answers "who is near and free", in memory and shared between threads. The
//! dispatcher, the web workers and the load test may call it; this room itself sees only
//! `ibora_domain`, and it never blocks on anything but its own short locks.
//!
//! What always holds: nothing here is the truth about a driver. The index is a view that is filled
//! again from sessions after a restart, and a driver it names can still refuse.

mod grid;
mod index;
mod sphere;

#[cfg(test)]
mod tests;

pub use index::{CategoryBits, Counts, IndexOptions, LiveIndex, Nearby, Query};
