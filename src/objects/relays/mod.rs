//! The Relays object: the one directory of relays.

pub mod api;
mod object;
mod tables;
mod turn_service;
