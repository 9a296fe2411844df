//! Sessions over real sockets: how they begin, what they carry, and why they end.

mod chained;
pub(crate) mod client;
mod doors;
mod ends;
mod eta;
mod ids;
mod resume;
mod rides;
mod schema;
mod zones;
