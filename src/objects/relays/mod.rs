//! The Relays object: the one directory of relays.

pub(crate) mod api;
mod object;
mod tables;
mod turn_service;
