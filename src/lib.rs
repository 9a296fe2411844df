//! The dispatch engine.

pub mod geo;
