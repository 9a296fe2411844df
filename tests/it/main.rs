//! Behaviour tests: one binary, a file a behaviour.

mod embedded_postgres;
