//! The seeded simulator: the very machines of `ibora-domain`, one thread, virtual time, and faults.
//!
//! For developers and CI (`./dev sim`), and for tests that hold its model of the database to the
//! truth. It sees no clock, no thread and no hash order: the same seed is the same run, byte for
//! byte. What has to hold after every step is in [`watch`]; what goes wrong is drawn in [`faults`].

pub mod app;
pub mod case;
pub mod chance;
pub mod command;
pub mod database;
pub mod engine;
pub mod faults;
pub mod node;
pub mod people;
pub mod provider;
pub mod purse;
pub mod queue;
pub mod run;
pub mod shrink;
pub mod temper;
pub mod town;
pub mod watch;
pub mod world;
