//! The Limits objects: each counts for a share of the clients.

pub(crate) mod api;
mod object;
