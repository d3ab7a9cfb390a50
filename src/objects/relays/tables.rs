//! The directory's rows in its object's SQLite: who is registered, and the notices that wait.

use crate::storage::row::Row;
use crate::storage::schema;
use crate::storage::sql::own_json;
use crate::storage::sql::{all, first, number, run};
use streamchain_edge_core::directory::{Directory, Mail, NoticeStore, Numbered, Withdrawn};
use streamchain_protocol::ids::{RelayId, ShortId};
use streamchain_protocol::time::UnixMs;
use streamchain_protocol::wire::{Notice, Registration};
use worker::{Error, SqlStorage, SqlStorageValue};

pub(super) const SCHEMA: &[&str] = &[
    "
CREATE TABLE IF NOT EXISTS relays (id TEXT PRIMARY KEY, json TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS notices (
  number INTEGER PRIMARY KEY AUTOINCREMENT, relay TEXT NOT NULL, at INTEGER NOT NULL, json TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS notices_by_relay ON notices (relay, number);
",
    "
CREATE TABLE IF NOT EXISTS turn_service (id INTEGER PRIMARY KEY CHECK (id = 1), json TEXT NOT NULL);
",
    "
ALTER TABLE notices ADD COLUMN stream TEXT;
ALTER TABLE notices ADD COLUMN whose TEXT;
CREATE INDEX withdrawals ON notices (relay, stream, whose) WHERE whose IS NOT NULL;
",
];

/// The directory's rows.
pub(super) struct RelayRows {
    sql: SqlStorage,
}

impl RelayRows {
    /// Over an object's storage.
    pub(super) fn new(sql: SqlStorage) -> Self {
        Self { sql }
    }

    /// Makes the tables, and reads the directory and for which relays notices wait.
    pub(super) fn load(&self, now: UnixMs) -> Result<(Directory, Mail), Error> {
        schema::upgrade(&self.sql, SCHEMA)?;
        let mut directory = Directory::default();
        let query = "SELECT id, json FROM relays";
        let relays = all(&self.sql, query, vec![], |row| {
            Ok((row.parsed()?, own_json(&row.text()?)?))
        })?;
        for (relay, registration) in relays {
            directory.restore(relay, registration, now);
        }
        let waiting = all(
            &self.sql,
            "SELECT DISTINCT relay FROM notices",
            vec![],
            Row::parsed,
        )?;
        Ok((directory, Mail::of(waiting)))
    }

    /// Keeps a registration.
    pub(super) fn put(&self, relay: &RelayId, registration: &Registration) -> Result<(), Error> {
        let values = vec![relay.as_str().into(), serde_json::to_string(registration)?.into()];
        run(&self.sql, "INSERT OR REPLACE INTO relays VALUES (?, ?)", values)
    }

    /// Drops a relay and what waits for it.
    pub(super) fn drop_relay(&self, relay: &RelayId) -> Result<(), Error> {
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

    fn add(
        &self,
        relay: &RelayId,
        notice: &Notice,
        withdrawn: Option<&Withdrawn>,
        now: UnixMs,
    ) -> Result<(), Error> {
        let (mut stream, mut whose) = (SqlStorageValue::Null, SqlStorageValue::Null);
        if let Some(withdrawn) = withdrawn {
            (stream, whose) = (withdrawn.stream.to_hex().into(), withdrawn.whose.as_str().into());
            let same = vec![relay.as_str().into(), stream.clone(), whose.clone()];
            let drop = "DELETE FROM notices WHERE relay = ? AND stream = ? AND whose = ?";
            run(&self.sql, drop, same)?;
        }
        let values = vec![
            relay.as_str().into(),
            number(now.0),
            serde_json::to_string(notice)?.into(),
            stream,
            whose,
        ];
        run(
            &self.sql,
            "INSERT INTO notices (relay, at, json, stream, whose) VALUES (?, ?, ?, ?, ?)",
            values,
        )
    }

    fn withdrawals(&self, relay: &RelayId, stream: Option<ShortId>) -> Result<usize, Error> {
        let (wanted, values) = withdrawals_of(relay, stream);
        let query = format!("SELECT count(*) FROM notices {wanted}");
        let count = first(&self.sql, &query, values, Row::number)?;
        Ok(count.unwrap_or(0) as usize)
    }

    fn drop_withdrawals(&self, relay: &RelayId, stream: Option<ShortId>) -> Result<(), Error> {
        let (wanted, values) = withdrawals_of(relay, stream);
        run(&self.sql, &format!("DELETE FROM notices {wanted}"), values)
    }

    fn last_number(&self) -> Result<u64, Error> {
        let query = "SELECT seq FROM sqlite_sequence WHERE name = 'notices'";
        Ok(first(&self.sql, query, vec![], Row::number)?.unwrap_or(0))
    }

    fn after(&self, relay: &RelayId, cursor: u64, rows: usize) -> Result<Vec<Numbered>, Error> {
        let query = "SELECT number, json FROM notices WHERE relay = ? AND number > ? ORDER BY number LIMIT ?";
        let values = vec![relay.as_str().into(), number(cursor), number(rows as u64)];
        all(&self.sql, query, values, |row| {
            Ok(Numbered {
                number: row.number()?,
                notice: own_json(&row.text()?)?,
            })
        })
    }

    fn drop_through(&self, relay: &RelayId, cursor: u64) -> Result<(), Error> {
        let values = vec![relay.as_str().into(), number(cursor)];
        run(
            &self.sql,
            "DELETE FROM notices WHERE relay = ? AND number <= ?",
            values,
        )
    }

    fn prune(&self, relay: &RelayId, before: UnixMs, keep: usize) -> Result<(), Error> {
        let surplus = "DELETE FROM notices WHERE relay = ?1 AND whose IS NULL AND number <=
            (SELECT number FROM notices WHERE relay = ?1 AND whose IS NULL ORDER BY number DESC LIMIT 1 OFFSET ?2)";
        run(
            &self.sql,
            surplus,
            vec![relay.as_str().into(), number(keep as u64)],
        )?;
        // They were added in the order of their numbers, so the expired ones are the first.
        let expired = "DELETE FROM notices WHERE relay = ?1 AND whose IS NULL AND number <
            (SELECT coalesce(min(number), 0) FROM notices WHERE relay = ?1 AND at >= ?2)";
        run(&self.sql, expired, vec![relay.as_str().into(), number(before.0)])
    }
}

/// The rows of a relay that withdraw rights, on one stream or on any.
fn withdrawals_of(relay: &RelayId, stream: Option<ShortId>) -> (&'static str, Vec<SqlStorageValue>) {
    let relay = relay.as_str().into();
    match stream {
        Some(stream) => (
            "WHERE relay = ? AND stream = ? AND whose IS NOT NULL",
            vec![relay, stream.to_hex().into()],
        ),
        None => ("WHERE relay = ? AND whose IS NOT NULL", vec![relay]),
    }
}
