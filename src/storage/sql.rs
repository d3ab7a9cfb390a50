//! An object's SQLite: rows without `one()` (which hangs on no rows), and whole transactions.

use crate::counters;
use crate::storage::row::{self, Row};
use serde::de::DeserializeOwned;
use streamchain_protocol::util::json;
use wasm_bindgen::prelude::*;
use worker::{Error, SqlStorage, SqlStorageValue, Storage};

#[wasm_bindgen]
extern "C" {
    /// `DurableObjectStorage`, as far as `worker` does not bind it.
    type SyncStorage;

    #[wasm_bindgen(method, catch, js_name = transactionSync)]
    fn transaction_sync(
        this: &SyncStorage,
        step: &mut dyn FnMut() -> Result<(), JsValue>,
    ) -> Result<(), JsValue>;
}

/// Runs a step whose writes all stay, or none of them if it fails.
pub(crate) fn atomically<T, E>(storage: &Storage, step: impl FnOnce() -> Result<T, E>) -> Result<T, E>
where
    E: From<Error>,
{
    let mut step = Some(step);
    let mut outcome = None;
    let ran = in_transaction(storage, &mut || {
        outcome = step.take().map(|step| step());
        matches!(outcome, Some(Ok(_)))
    });
    match (outcome, ran) {
        (Some(Ok(value)), Ok(())) => Ok(value),
        (Some(Err(error)), _) => Err(error),
        (_, Err(error)) => Err(error.into()),
        (None, Ok(())) => Err(Error::RustError("the transaction did not run".into()).into()),
    }
}

/// Runs a step that says whether its writes shall stay; one function for steps of all types.
fn in_transaction(storage: &Storage, step: &mut dyn FnMut() -> bool) -> Result<(), Error> {
    let storage = storage.as_raw().unchecked_ref::<SyncStorage>();
    let ran = storage.transaction_sync(&mut || match step() {
        true => Ok(()),
        false => Err(JsValue::from_str("rolled back")),
    });
    Ok(ran?)
}

/// Reads JSON that an object kept.
pub(crate) fn own_json<T: DeserializeOwned>(text: &str) -> Result<T, Error> {
    json::from_text(text).map_err(|error| Error::RustError(error.to_string()))
}

/// A number as SQLite takes it here: everything bound is at most 2^53 - 1.
pub(crate) fn number(value: u64) -> SqlStorageValue {
    SqlStorageValue::Integer(value.cast_signed())
}

/// Runs a statement that gives no rows.
pub(crate) fn run(sql: &SqlStorage, statement: &str, values: Vec<SqlStorageValue>) -> Result<(), Error> {
    let cursor = sql.exec(statement, values)?;
    counters::count_object_rows(cursor.rows_written() as u64);
    Ok(())
}

/// The rows that a query gives, one after the other: what is not taken is not read.
pub(crate) fn each(
    sql: &SqlStorage,
    query: &str,
    values: Vec<SqlStorageValue>,
) -> Result<impl Iterator<Item = Result<Row, Error>> + use<>, Error> {
    Ok(sql.exec(query, values)?.raw().map(|row| Ok(Row::new(row?))))
}

/// All rows.
pub(crate) fn all<T>(
    sql: &SqlStorage,
    query: &str,
    values: Vec<SqlStorageValue>,
    read: impl Fn(&mut Row) -> Result<T, Error>,
) -> Result<Vec<T>, Error> {
    row::read_all(rows(sql, query, values)?, read)
}

/// The first row, if there is one.
pub(crate) fn first<T>(
    sql: &SqlStorage,
    query: &str,
    values: Vec<SqlStorageValue>,
    read: impl FnOnce(&mut Row) -> Result<T, Error>,
) -> Result<Option<T>, Error> {
    match rows(sql, query, values)?.first_mut() {
        Some(row) => read(row).map(Some),
        None => Ok(None),
    }
}

/// Rows that are yet to be read; one function for rows of all types.
fn rows(sql: &SqlStorage, query: &str, values: Vec<SqlStorageValue>) -> Result<Vec<Row>, Error> {
    each(sql, query, values)?.collect()
}
