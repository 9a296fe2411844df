pub mod config;
pub mod obs;
pub mod postgres;
