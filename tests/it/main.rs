//! Behaviour tests: one binary, one file a behaviour.

mod accounts;
mod pg;
