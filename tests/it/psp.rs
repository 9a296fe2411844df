//! The simulated payment provider, over real TLS: who is let in, money, callbacks, each fault.

mod callbacks;
mod faults;
mod inbox;
mod money;
mod provider;
mod tls;

pub(crate) use provider::https;
