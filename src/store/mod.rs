//! The database (D1): one file per table.

pub mod anchors;
pub mod audit;
pub mod chain_events;
pub mod segments;
pub mod streams;

use crate::row::Row;
use worker::wasm_bindgen::JsValue;
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
    let rows = arrays(db, statement, values).await?;
    rows.iter().map(|row| read(&mut Row::of(row)?)).collect()
}

/// The same as the runtime gives them; one function for rows of all types.
async fn arrays(db: &D1Database, statement: &str, values: &[D1Type<'_>]) -> Result<Vec<JsValue>, Error> {
    db.prepare(statement).bind_refs(values)?.raw_js_value().await
}
