//! Payouts: from a driver's wish to his bank, at a simulated provider whose books must agree.

mod desk;
mod lost;
mod paid;
mod rest;
mod swept;
mod switch;
