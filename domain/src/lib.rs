//! The pure core of Ibora: what a ride, a driver and money may do.
//!
//! No clock, no chance, no I/O, no async, no globals: time and randomness come in as arguments,
//! facts go out as values. Everything here can be replayed, and a seeded simulator can drive it.

pub mod breaker;
pub mod category;
pub mod credit;
pub mod dispatch;
pub mod dispute;
pub mod facts;
pub mod fare;
pub mod field;
pub mod ids;
pub mod invariants;
pub mod journal;
pub mod ledger;
pub mod machines;
pub mod money;
pub mod mutants;
pub mod payment;
pub mod payout;
pub mod person;
pub mod pix;
pub mod place;
pub mod policy;
pub mod provider;
pub mod refusal;
pub mod ride;
mod role;
pub mod session;
pub mod token;
pub mod units;
pub mod vehicle;
pub mod zones;
