//! One test binary, one file a behaviour. What they share is in `world.rs`.

mod accounts;
mod demo;
mod embedded_postgres;
mod pg;
mod rest;
mod rides;
mod session;
mod world;
