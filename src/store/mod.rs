//! The database (D1): one file per table.

pub mod anchors;
pub mod audit;
pub mod chain_events;
pub mod segments;
pub mod streams;

use worker::{D1Type, Error};

/// A number as D1 takes it: it has no 64-bit integers, but a double carries all that we have (up to 2^53 - 1).
pub fn number(value: u64) -> D1Type<'static> {
    D1Type::Real(value as f64)
}

/// An error for what a row must not be.
fn out_of_shape(what: &str) -> Error {
    Error::RustError(format!("the database has a {what} out of shape"))
}
