//! Sessions over real sockets: how they begin, what they carry, and why they end.

mod chained;
mod client;
mod ends;
mod resume;
mod rides;
mod schema;
