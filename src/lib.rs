//! Ibora, a realtime dispatch engine for ride-hailing.

pub mod accounts;
pub mod journal;
pub mod readmodel;
