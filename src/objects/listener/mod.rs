//! The Listener object: one for each contract.

mod notify;
mod object;
