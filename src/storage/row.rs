//! Rows of the databases, D1 and an object's own SQLite, read column by column in the order of the query.
//!
//! Small steps instead of a derived reader: one of these for each kind of row would be a good part of the Worker.

use std::str::FromStr;
use worker::js_sys::Array;
use worker::wasm_bindgen::JsValue;
use worker::{Error, SqlStorageValue};

/// One row; every call takes its next column.
pub(crate) struct Row {
    columns: std::vec::IntoIter<SqlStorageValue>,
}

impl Row {
    /// The row with these columns.
    pub(crate) fn new(columns: Vec<SqlStorageValue>) -> Self {
        let columns = columns.into_iter();
        Self { columns }
    }

    /// A row as the runtime gives it: an array.
    pub(crate) fn of(array: &JsValue) -> Result<Self, Error> {
        let columns = Array::from(array).into_iter().map(SqlStorageValue::try_from);
        Ok(Self::new(columns.collect::<Result<_, _>>()?))
    }

    fn take(&mut self) -> SqlStorageValue {
        self.columns.next().unwrap_or(SqlStorageValue::Null)
    }

    /// Takes a column of text.
    pub(crate) fn text(&mut self) -> Result<String, Error> {
        match self.take() {
            SqlStorageValue::String(text) => Ok(text),
            _ => Err(out_of_shape("a text")),
        }
    }

    /// Takes a column of text, or none.
    pub(crate) fn maybe_text(&mut self) -> Result<Option<String>, Error> {
        match self.take() {
            SqlStorageValue::String(text) => Ok(Some(text)),
            SqlStorageValue::Null => Ok(None),
            _ => Err(out_of_shape("a text")),
        }
    }

    /// Takes a column whose text stands for something else.
    pub(crate) fn parsed<T: FromStr>(&mut self) -> Result<T, Error> {
        let text = self.text()?;
        text.parse().map_err(|_| out_of_shape("a text of another form"))
    }

    /// Takes a column with a number, or none. At most 2^53 - 1, as everything that is bound.
    pub(crate) fn maybe_number(&mut self) -> Result<Option<u64>, Error> {
        match self.take() {
            SqlStorageValue::Integer(number) if number >= 0 => Ok(Some(number.cast_unsigned())),
            SqlStorageValue::Null => Ok(None),
            _ => Err(out_of_shape("a number")),
        }
    }

    /// Takes a column with a number.
    pub(crate) fn number(&mut self) -> Result<u64, Error> {
        self.maybe_number()?.ok_or_else(|| out_of_shape("a number"))
    }

    /// Takes a column of bytes that stand for something else, or none.
    pub(crate) fn maybe_bytes<T>(
        &mut self,
        read: impl FnOnce(&[u8]) -> Option<T>,
    ) -> Result<Option<T>, Error> {
        match self.take() {
            SqlStorageValue::Blob(bytes) => read(&bytes)
                .map(Some)
                .ok_or_else(|| out_of_shape("bytes of another length")),
            SqlStorageValue::Null => Ok(None),
            _ => Err(out_of_shape("bytes")),
        }
    }

    /// Takes a column of bytes.
    pub(crate) fn bytes(&mut self) -> Result<Vec<u8>, Error> {
        match self.take() {
            SqlStorageValue::Blob(bytes) => Ok(bytes),
            _ => Err(out_of_shape("bytes")),
        }
    }
}

/// Reads rows. A plain loop: the adapters that `collect` errors out of an iterator are compiled for each type of row.
pub(crate) fn read_all<T>(
    rows: Vec<Row>,
    read: impl Fn(&mut Row) -> Result<T, Error>,
) -> Result<Vec<T>, Error> {
    let mut all = Vec::with_capacity(rows.len());
    for mut row in rows {
        all.push(read(&mut row)?);
    }
    Ok(all)
}

/// An error for what a row must not be.
#[cold]
pub(crate) fn out_of_shape(expected: &str) -> Error {
    Error::RustError(format!(
        "a row of the database is out of shape: expected {expected}"
    ))
}
