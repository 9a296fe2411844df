//! Pix: what is said to the provider and what it says, byte for byte.
//!
//! `effects` and `jobs` call this, `app` mounts what the provider calls; it knows the domain and
//! nothing of rides, ledgers or actors. Amounts are whole centavos, never floats; personal data
//! never shows in a `Debug`.

pub mod brcode;
pub mod client;
pub mod inbound;
pub mod qr;
pub mod simulator;
pub mod wire;
