//! The Audit object: one for each operator.

pub mod api;
mod object;
