//! The Audit object: one for each operator.

pub(crate) mod api;
mod object;
