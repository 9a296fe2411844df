//! Callbacks of the Pix provider: who may call, what is kept of it, and what is not believed.

mod doors;
mod intake;
mod line;
