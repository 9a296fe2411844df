pub mod obs;
pub mod postgres;
