//! What the Archiver keeps in its object's SQLite: the job at work, where its look at all streams is, and how far rounds have
//! moved.

use crate::storage::row::Row;
use crate::storage::sql::{first, own_json, run};
use serde::Serialize;
use serde::de::DeserializeOwned;
use worker::{Error, SqlStorage};

pub(super) const SCHEMA: &[&str] =
    &["CREATE TABLE IF NOT EXISTS kept (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID"];

/// The job at work.
pub(super) const JOB: &str = "job";
/// Where the look at all streams goes on.
pub(super) const PLACE: &str = "place";
/// The first round whose buckets may be in the database.
pub(super) const FIRST_ROUND: &str = "first round";

/// What is kept under a key.
pub(super) fn load<T: DeserializeOwned>(sql: &SqlStorage, key: &str) -> Result<Option<T>, Error> {
    let query = "SELECT value FROM kept WHERE key = ?";
    let text = first(sql, query, vec![key.into()], Row::text)?;
    text.map(|text| own_json(&text)).transpose()
}

/// Keeps something under a key, or nothing any more.
pub(super) fn save<T: Serialize>(sql: &SqlStorage, key: &str, value: Option<&T>) -> Result<(), Error> {
    let Some(value) = value else {
        return run(sql, "DELETE FROM kept WHERE key = ?", vec![key.into()]);
    };
    let text = serde_json::to_string(value).map_err(|error| Error::RustError(error.to_string()))?;
    let put = "INSERT OR REPLACE INTO kept (key, value) VALUES (?, ?)";
    run(sql, put, vec![key.into(), text.into()])
}
