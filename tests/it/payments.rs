//! Payments: what a ride leaves to be paid, from its charge to its end, at a simulated provider.

mod charged;
mod settled;
mod till;
