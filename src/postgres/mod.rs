//! The store's doorstep: a private PostgreSQL of the engine's own, and the connect options for
//! every way to reach a database.
//!
//! Without a configured URL the engine runs its own server in its data directory
//! ([`EmbeddedPostgres`]); with one it uses what the operator gives ([`DatabaseSource::Urls`]).
//! `app` opens a [`Database`] once, gives `app_options` to every pool and `owner_options` to the
//! migrations only, and closes it last. Nobody else calls this room.
//!
//! What must always hold:
//! - One engine a data directory: the file lock in it is held for the life of the handle.
//! - The private server listens on a unix socket only, and confirms no commit before its disk did.
//! - The server outlives a killed engine, and the next start takes it over; no start ever runs a
//!   second server on the same files. One that dies under a running engine is started again.
//! - A first start that was interrupted leaves nothing that a later start would take for a cluster.
//! - Passwords are in one 0600 file of the engine; they are in no log, error or `Debug`.
//!
//! The programs are those of the machine (`apt-get install postgresql`); nothing is downloaded.
//! Needs Linux: whose a process is, is read in `/proc`.

mod binaries;
mod cluster;
mod command;
mod database;
mod error;
mod host;
mod layout;
mod options;
mod pidfile;
mod roles;
mod secrets;
mod server;
mod settings;
mod supervise;
mod user;
mod wal;

pub use database::{Database, DatabaseSource};
pub use error::PostgresError;
pub use options::EmbeddedOptions;
pub use roles::{APP_ROLE, DATABASE, OWNER_ROLE};
pub use server::EmbeddedPostgres;
