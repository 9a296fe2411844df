//! Payments: what a ride leaves to be paid, from its charge to its end, at a simulated provider.

mod asked;
mod banks;
mod charged;
#[cfg(feature = "failpoints")]
mod crashed;
mod credit;
mod disputes;
mod expired;
mod relieved;
mod returned;
mod settled;
mod shared;
mod tariffs;
mod till;
mod tips;
