//! One test binary, one file a behaviour. What they share is in `world.rs`.

mod accounts;
mod clients;
mod crash;
mod demo;
mod deploy;
mod embedded_postgres;
mod faults;
mod overload;
mod pg;
mod process;
mod rest;
mod rides;
mod session;
mod world;
