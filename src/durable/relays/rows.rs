//! The directory's rows in its object's SQLite: who is registered, and the notices that wait.

use crate::durable::sql::{all, first, number, run};
use serde::Deserialize;
use streamchain_protocol::directory::{Directory, NoticeStore, Numbered};
use streamchain_protocol::ids::RelayId;
use streamchain_protocol::uplink::{Notice, Registration};
use worker::{Error, SqlStorage};

const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS relays (id TEXT PRIMARY KEY, json TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS notices (
  number INTEGER PRIMARY KEY AUTOINCREMENT, relay TEXT NOT NULL, at INTEGER NOT NULL, json TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS notices_by_relay ON notices (relay, number);
";

/// The directory's rows.
pub struct RelayRows {
    sql: SqlStorage,
}

#[derive(Deserialize)]
struct RelayRow {
    id: String,
    json: String,
}

#[derive(Deserialize)]
struct NoticeRow {
    number: f64,
    json: String,
}

#[derive(Deserialize)]
struct LastRow {
    last: f64,
}

impl RelayRows {
    /// Over an object's storage.
    pub fn new(sql: SqlStorage) -> Self {
        Self { sql }
    }

    /// Makes the tables and reads the directory.
    pub fn load(&self, now_ms: u64) -> Result<Directory, Error> {
        run(&self.sql, SCHEMA, vec![])?;
        let mut directory = Directory::default();
        for RelayRow { id, json } in all(&self.sql, "SELECT id, json FROM relays", vec![])? {
            let relay = id.parse().map_err(|error| Error::RustError(format!("{error}")))?;
            let registration: Registration = serde_json::from_str(&json)?;
            directory.restore(relay, registration, now_ms);
        }
        Ok(directory)
    }

    /// Keeps a registration.
    pub fn put(&self, relay: &RelayId, registration: &Registration) -> Result<(), Error> {
        let values = vec![relay.as_str().into(), serde_json::to_string(registration)?.into()];
        run(&self.sql, "INSERT OR REPLACE INTO relays VALUES (?, ?)", values)
    }

    /// Drops a relay and what waits for it.
    pub fn drop_relay(&self, relay: &RelayId) -> Result<(), Error> {
        run(
            &self.sql,
            "DELETE FROM relays WHERE id = ?",
            vec![relay.as_str().into()],
        )?;
        run(
            &self.sql,
            "DELETE FROM notices WHERE relay = ?",
            vec![relay.as_str().into()],
        )
    }
}

impl NoticeStore for RelayRows {
    type Error = Error;

    fn add(&self, relay: &RelayId, notice: &Notice, now_ms: u64) -> Result<(), Error> {
        let values = vec![
            relay.as_str().into(),
            number(now_ms),
            serde_json::to_string(notice)?.into(),
        ];
        run(
            &self.sql,
            "INSERT INTO notices (relay, at, json) VALUES (?, ?, ?)",
            values,
        )
    }

    fn last_number(&self) -> Result<u64, Error> {
        let query = "SELECT seq AS last FROM sqlite_sequence WHERE name = 'notices'";
        Ok(first::<LastRow>(&self.sql, query, vec![])?.map_or(0, |row| row.last as u64))
    }

    fn after(&self, relay: &RelayId, cursor: u64, rows: usize) -> Result<Vec<Numbered>, Error> {
        let query = "SELECT number, json FROM notices WHERE relay = ? AND number > ? ORDER BY number LIMIT ?";
        let values = vec![relay.as_str().into(), number(cursor), number(rows as u64)];
        let rows: Vec<NoticeRow> = all(&self.sql, query, values)?;
        rows.into_iter()
            .map(|row| {
                Ok(Numbered {
                    number: row.number as u64,
                    notice: serde_json::from_str(&row.json)?,
                })
            })
            .collect()
    }

    fn drop_through(&self, relay: &RelayId, cursor: u64) -> Result<(), Error> {
        let values = vec![relay.as_str().into(), number(cursor)];
        run(
            &self.sql,
            "DELETE FROM notices WHERE relay = ? AND number <= ?",
            values,
        )
    }

    fn prune(&self, relay: &RelayId, before: u64, keep: usize) -> Result<(), Error> {
        let surplus = "DELETE FROM notices WHERE relay = ?1 AND number <=
            (SELECT number FROM notices WHERE relay = ?1 ORDER BY number DESC LIMIT 1 OFFSET ?2)";
        run(
            &self.sql,
            surplus,
            vec![relay.as_str().into(), number(keep as u64)],
        )?;
        // They were added in the order of their numbers, so the expired ones are the first.
        let expired = "DELETE FROM notices WHERE relay = ?1 AND number <
            (SELECT coalesce(min(number), 0) FROM notices WHERE relay = ?1 AND at >= ?2)";
        run(&self.sql, expired, vec![relay.as_str().into(), number(before)])
    }
}
