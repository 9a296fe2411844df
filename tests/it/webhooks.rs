//! Callbacks of the Pix provider: who may call, what is kept of it, and what is not believed.

pub(crate) mod bank;
mod doors;
mod hints;
mod intake;
mod janitor;
mod line;
mod reconcile;
