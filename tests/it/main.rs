//! One test binary, one file a behaviour. What they share is in `world.rs`.

mod accounts;
mod clients;
mod conformance;
mod crash;
mod demand;
mod demo;
mod deploy;
mod embedded_postgres;
#[cfg(feature = "failpoints")]
mod failpoints;
mod faults;
mod ledger;
mod machine;
mod model;
mod money;
mod overload;
mod payments;
mod payouts;
mod pg;
mod process;
mod provider;
mod psp;
mod ratings;
mod replay;
mod rest;
mod rides;
mod saga;
mod session;
mod story;
mod webhooks;
mod world;
