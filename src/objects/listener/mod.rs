//! The Listener object: one for each contract.

pub mod api;
mod notify;
mod object;
