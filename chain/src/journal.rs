//! Saved state as small keyed rows, so that a machine whose state grows rewrites only what changed.

use serde::{Serialize, de::DeserializeOwned};
use streamchain_protocol::util::json;

/// One change to saved state. The rows of one `Save` command are written together or not at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The row's key; keys with one prefix sort in the order of what they name.
    pub key: String,
    /// The new value as JSON; `None` removes the row.
    pub value: Option<String>,
}

/// Saved state that cannot be read back: there is a bug, or the store is damaged.
#[derive(Debug, thiserror::Error)]
#[error("saved row {key} cannot be read: {reason}")]
pub struct RestoreError {
    /// The row's key.
    pub key: String,
    /// Why it cannot be read.
    pub reason: String,
}

/// Collects changes until the owner is asked to save them.
#[derive(Debug, Default)]
pub(crate) struct Journal {
    rows: Vec<Row>,
}

impl Journal {
    /// Notes that the row `key` now has this value.
    pub(crate) fn put<T: Serialize>(&mut self, key: String, value: &T) {
        // Every value is a plain struct of strings and numbers: writing it to memory cannot fail.
        let value = serde_json::to_string(value).unwrap_or_default();
        self.rows.push(Row {
            key,
            value: Some(value),
        });
    }

    /// Notes that the row `key` is removed.
    pub(crate) fn remove(&mut self, key: String) {
        self.rows.push(Row { key, value: None });
    }

    /// Returns the changes since the last call, in order.
    pub(crate) fn take(&mut self) -> Vec<Row> {
        core::mem::take(&mut self.rows)
    }

    /// Whether there is nothing to save.
    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}

/// Reads one saved value.
pub(crate) fn read<T: DeserializeOwned>(key: &str, value: &str) -> Result<T, RestoreError> {
    json::from_text(value).map_err(|error| RestoreError {
        key: key.to_owned(),
        reason: error.to_string(),
    })
}

/// Reads a part of a key, such as the number in `ring/00000000000000000007`.
pub(crate) fn read_key_part<T: core::str::FromStr>(key: &str, part: &str) -> Result<T, RestoreError> {
    part.parse().map_err(|_| RestoreError {
        key: key.to_owned(),
        reason: format!("its key has the malformed part {part:?}"),
    })
}
