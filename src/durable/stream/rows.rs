//! A stream's rows in its object's SQLite.

use crate::durable::sql::{all, first, number, run, to_number};
use alloy_primitives::{Address, hex};
use serde::Deserialize;
use std::cell::Cell;
use streamchain_protocol::ids::{ProducerId, Seq, SessionId};
use streamchain_protocol::log::{LogState, LogStore, ROWS_MAX, Sealed, Session, StoredBatch};
use streamchain_protocol::rights::Rights;
use worker::{Error, SqlStorage, SqlStorageValue};

/// Made when the stream is, so that asking for a stream that does not exist leaves nothing behind.
const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS state (one INTEGER PRIMARY KEY CHECK (one = 1), json TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS producers (id BLOB PRIMARY KEY, stored INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS batches (first INTEGER PRIMARY KEY, count INTEGER NOT NULL, records BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS sealed (first INTEGER PRIMARY KEY, json TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS sessions (
  place INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, created INTEGER NOT NULL, json TEXT NOT NULL);
";

/// Made with the first member: most streams never have one.
const MEMBERS: &str =
    "CREATE TABLE IF NOT EXISTS members (address TEXT PRIMARY KEY, rights INTEGER NOT NULL) WITHOUT ROWID";

/// How many expired sessions go with each new one: more than come, so that they never pile up.
const PRUNE_AT_ONCE: u64 = 8;

/// The rows of one stream.
pub struct StreamRows {
    sql: SqlStorage,
    /// Whether the tables are known to be there; they are never dropped.
    prepared: Cell<bool>,
}

#[derive(Deserialize)]
struct JsonRow {
    json: String,
}

#[derive(Deserialize)]
struct StoredRow {
    stored: f64,
}

#[derive(Deserialize)]
struct NameRow {
    #[allow(dead_code)] // only whether there is a row counts
    name: String,
}

#[derive(Deserialize)]
struct MemberRow {
    address: String,
    rights: f64,
}

fn to_address(text: &str) -> Result<Address, Error> {
    text.parse()
        .map_err(|_| Error::RustError(format!("a row of members has {text:?} as its address")))
}

impl StreamRows {
    /// Over an object's storage.
    pub fn new(sql: SqlStorage) -> Self {
        Self {
            sql,
            prepared: Cell::new(false),
        }
    }

    /// Makes the tables.
    pub fn prepare(&self) -> Result<(), Error> {
        if self.is_prepared()? {
            Ok(())
        } else {
            run(&self.sql, SCHEMA, vec![])
        }
    }

    fn is_prepared(&self) -> Result<bool, Error> {
        if !self.prepared.get() {
            self.prepared.set(self.has_table("state")?);
        }
        Ok(self.prepared.get())
    }

    fn has_table(&self, table: &str) -> Result<bool, Error> {
        let query = "SELECT name FROM sqlite_master WHERE type = 'table' AND name = ?";
        Ok(first::<NameRow>(&self.sql, query, vec![table.into()])?.is_some())
    }

    fn json<T: serde::de::DeserializeOwned>(
        &self,
        query: &str,
        values: Vec<SqlStorageValue>,
    ) -> Result<Option<T>, Error> {
        let row = first::<JsonRow>(&self.sql, query, values)?;
        row.map(|row| serde_json::from_str(&row.json))
            .transpose()
            .map_err(Error::from)
    }
}

impl LogStore for StreamRows {
    type Error = Error;

    fn state(&self) -> Result<Option<LogState>, Error> {
        if !self.is_prepared()? {
            return Ok(None);
        }
        self.json("SELECT json FROM state", vec![])
    }

    fn put_state(&self, state: &LogState) -> Result<(), Error> {
        let json = serde_json::to_string(state)?;
        run(
            &self.sql,
            "INSERT OR REPLACE INTO state VALUES (1, ?)",
            vec![json.into()],
        )
    }

    fn producer(&self, producer: ProducerId) -> Result<Option<u64>, Error> {
        let id = vec![producer.0.to_vec().into()];
        let row: Option<StoredRow> = first(&self.sql, "SELECT stored FROM producers WHERE id = ?", id)?;
        // At most 2^53 - 1, so a double has it exactly.
        Ok(row.map(|row| row.stored as u64))
    }

    fn put_producer(&self, producer: ProducerId, stored: u64) -> Result<(), Error> {
        let values = vec![producer.0.to_vec().into(), number(stored)];
        run(
            &self.sql,
            "INSERT OR REPLACE INTO producers VALUES (?, ?)",
            values,
        )
    }

    fn add_batch(&self, batch: &StoredBatch) -> Result<(), Error> {
        let values = vec![
            number(batch.first.0),
            number(batch.count),
            batch.records.clone().into(),
        ];
        run(&self.sql, "INSERT INTO batches VALUES (?, ?, ?)", values)
    }

    fn batches(&self, from: Seq, max_bytes: usize) -> Result<Vec<StoredBatch>, Error> {
        let query = "SELECT first, count, records FROM batches
                     WHERE first >= (SELECT coalesce(max(first), 0) FROM batches WHERE first <= ?1)
                       AND first + count > ?1 ORDER BY first LIMIT ?2";
        let rows = self
            .sql
            .exec(query, vec![number(from.0), number(ROWS_MAX as u64)])?
            .raw();
        let (mut batches, mut bytes) = (Vec::new(), 0);
        for row in rows {
            let batch = to_batch(row?)?;
            bytes += batch.records.len();
            batches.push(batch);
            if bytes >= max_bytes {
                break;
            }
        }
        Ok(batches)
    }

    fn drop_batches(&self, below: Seq) -> Result<(), Error> {
        run(
            &self.sql,
            "DELETE FROM batches WHERE first + count <= ?",
            vec![number(below.0)],
        )
    }

    fn sealed(&self, rows: usize) -> Result<Vec<Sealed>, Error> {
        let limit = number(rows.min(u32::MAX as usize) as u64);
        let rows: Vec<JsonRow> = all(
            &self.sql,
            "SELECT json FROM sealed ORDER BY first LIMIT ?",
            vec![limit],
        )?;
        rows.iter()
            .map(|row| serde_json::from_str(&row.json).map_err(Error::from))
            .collect()
    }

    fn put_sealed(&self, segment: &Sealed) -> Result<(), Error> {
        let values = vec![number(segment.first.0), serde_json::to_string(segment)?.into()];
        run(&self.sql, "INSERT OR REPLACE INTO sealed VALUES (?, ?)", values)
    }

    fn drop_sealed(&self, first: Seq) -> Result<(), Error> {
        run(
            &self.sql,
            "DELETE FROM sealed WHERE first = ?",
            vec![number(first.0)],
        )
    }

    fn session(&self, session: SessionId) -> Result<Option<Session>, Error> {
        if !self.is_prepared()? {
            return Ok(None);
        }
        self.json(
            "SELECT json FROM sessions WHERE id = ?",
            vec![session.to_hex().into()],
        )
    }

    fn put_session(&self, session: &Session) -> Result<(), Error> {
        let json = serde_json::to_string(session)?;
        let values = vec![session.id.to_hex().into(), number(session.created), json.into()];
        run(
            &self.sql,
            "INSERT INTO sessions (id, created, json) VALUES (?, ?, ?)",
            values,
        )
    }

    fn drop_session(&self, session: SessionId) -> Result<(), Error> {
        run(
            &self.sql,
            "DELETE FROM sessions WHERE id = ?",
            vec![session.to_hex().into()],
        )
    }

    fn member(&self, member: Address) -> Result<Option<Rights>, Error> {
        if !self.has_table("members")? {
            return Ok(None);
        }
        let query = "SELECT address, rights FROM members WHERE address = ?";
        let row: Option<MemberRow> = first(&self.sql, query, vec![hex::encode_prefixed(member).into()])?;
        Ok(row.map(|row| Rights::from_bits(row.rights as u8)))
    }

    fn members(&self) -> Result<Vec<(Address, Rights)>, Error> {
        if !self.has_table("members")? {
            return Ok(Vec::new());
        }
        let query = "SELECT address, rights FROM members ORDER BY address";
        let rows: Vec<MemberRow> = all(&self.sql, query, vec![])?;
        let member = |row: MemberRow| Ok((to_address(&row.address)?, Rights::from_bits(row.rights as u8)));
        rows.into_iter().map(member).collect()
    }

    fn put_member(&self, member: Address, rights: Rights) -> Result<(), Error> {
        run(&self.sql, MEMBERS, vec![])?;
        let values = vec![hex::encode_prefixed(member).into(), number(rights.bits().into())];
        run(&self.sql, "INSERT OR REPLACE INTO members VALUES (?, ?)", values)
    }

    fn drop_member(&self, member: Address) -> Result<(), Error> {
        let values = vec![hex::encode_prefixed(member).into()];
        run(&self.sql, "DELETE FROM members WHERE address = ?", values)
    }

    fn prune_sessions(&self, before: u64, keep: usize) -> Result<(), Error> {
        let surplus = "DELETE FROM sessions WHERE place <= (SELECT max(place) FROM sessions) - ?";
        run(&self.sql, surplus, vec![number(keep as u64)])?;
        let expired = "DELETE FROM sessions WHERE created < ?
                       AND place IN (SELECT place FROM sessions ORDER BY place LIMIT ?)";
        run(&self.sql, expired, vec![number(before), number(PRUNE_AT_ONCE)])
    }
}

fn to_batch(row: Vec<SqlStorageValue>) -> Result<StoredBatch, Error> {
    match <[SqlStorageValue; 3]>::try_from(row) {
        Ok([first, count, SqlStorageValue::Blob(records)]) => Ok(StoredBatch {
            first: Seq(to_number(&first)?),
            count: to_number(&count)?,
            records,
        }),
        _ => Err(Error::RustError("a row of batches is out of shape".into())),
    }
}
