//! Ibora: a realtime dispatch engine for ride-hailing. `ARCHITECTURE.md` is the map of the rooms.

pub mod accounts;
pub mod actors;
pub mod api;
pub mod app;
pub mod bots;
pub mod cli;
pub mod config;
pub mod db;
pub mod demo;
pub mod effects;
pub mod geo;
pub mod jobs;
pub mod journal;
pub mod network;
pub mod obs;
pub mod pix;
pub mod postgres;
pub mod readmodel;
pub mod realtime;
pub mod seed;
pub mod simulate;
