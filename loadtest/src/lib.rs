//! What tests and benches share: faults between an engine and its neighbours.
//!
//! The benches themselves are the program of this package.

pub mod proxy;
