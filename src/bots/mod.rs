//! Bots: drivers and passengers who use the public contract over real sockets, as phones would.
//!
//! The demo and the load test run them, thousands in one process. They know nothing of the engine
//! but its address, its clock's speed and the tokens of the people they play; they share a
//! [`Town`], where PINs are told aloud, and a run's [`Figures`] and [`Promises`]. Everything a bot
//! draws comes from its seed. What always holds: no bot has a thread or a timer of its own.

mod backoff;
mod clock;
mod driver;
mod figures;
mod frames;
mod habits;
mod leg;
mod passenger;
mod promises;
mod seen;
mod session;
mod socket;
mod town;

pub use clock::EngineClock;
pub use driver::DriverBot;
pub use figures::{Count, Figures, Gauge, Samples};
pub use frames::Fix;
pub use habits::{DriverHabits, PassengerHabits};
pub use leg::{Leg, Motion};
pub use passenger::PassengerBot;
pub use promises::{Promise, Promises, StreamFaults, Told};
pub use seen::{DriverDoes, DriverSeen, PassengerDoes, PassengerSeen};
pub use session::{CommandError, Done, Engine, Event, Person, Session, SessionError};
pub use town::{Outcome, Pins, Story, Town, Trip};
