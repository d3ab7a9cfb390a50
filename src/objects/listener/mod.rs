//! The Listener object: one for each contract.

pub(crate) mod api;
mod notify;
mod object;
