//! The database (D1): one file per table.

pub mod anchors;
pub mod audit;
pub mod chain_events;
pub mod segments;
pub mod streams;

use crate::storage::row::{self, Row};
use worker::{D1Database, D1Type, Error};

/// A number as D1 takes it: it has no 64-bit integers, but a double carries all that we have (up to 2^53 - 1).
pub fn number(value: u64) -> D1Type<'static> {
    D1Type::Real(value as f64)
}

/// The rows that a statement gives.
async fn rows<T>(
    db: &D1Database,
    statement: &str,
    values: &[D1Type<'_>],
    read: impl Fn(&mut Row) -> Result<T, Error>,
) -> Result<Vec<T>, Error> {
    row::read_all(unread(db, statement, values).await?, read)
}

/// Rows that are yet to be read; one function for rows of all types.
async fn unread(db: &D1Database, statement: &str, values: &[D1Type<'_>]) -> Result<Vec<Row>, Error> {
    let rows = db.prepare(statement).bind_refs(values)?.raw_js_value().await?;
    rows.iter().map(Row::of).collect()
}
