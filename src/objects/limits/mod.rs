//! The Limits objects: each counts for a share of the clients.

pub mod api;
mod object;
