//! A stream's rows in its object's SQLite.

use super::author_rows;
use super::chunks::Chunks;
use crate::storage::row::{Row, out_of_shape};
use crate::storage::schema;
use crate::storage::sql::own_json;
use crate::storage::sql::{all, each, first, number, run};
use alloy_primitives::{Address, B256, hex};
use std::cell::Cell;
use streamchain_edge_core::stream_log::{
    CommittedBatch, LogState, LogStore, MAX_ROWS, OutboxSegment, ProducerMark, SEQS_PER_PRODUCER, Session,
    StoredEvent, Waiting, WaitingKey,
};
use streamchain_protocol::auth::Rights;
use streamchain_protocol::ids::{ProducerId, RelayId, Seq, SessionId};
use streamchain_protocol::time::UnixMs;
use streamchain_protocol::wire::ProducerKey;
use worker::{Error, SqlStorage, SqlStorageValue};

/// Made when the stream is, so that asking for a stream that does not exist leaves nothing behind.
const SCHEMA: &[&str] = &["
CREATE TABLE IF NOT EXISTS state (one INTEGER PRIMARY KEY CHECK (one = 1), json TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS producers (id BLOB PRIMARY KEY, stored INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS batches (first INTEGER PRIMARY KEY, count INTEGER NOT NULL, records BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS sealed (first INTEGER PRIMARY KEY, json TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS sessions (
  place INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, created INTEGER NOT NULL, json TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS inbox (
  place INTEGER PRIMARY KEY, producer BLOB NOT NULL, number INTEGER NOT NULL, record BLOB NOT NULL,
  UNIQUE (producer, number));
CREATE TABLE IF NOT EXISTS events (
  number INTEGER PRIMARY KEY, key TEXT NOT NULL, state TEXT NOT NULL, name TEXT NOT NULL, json TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS events_by_key ON events (key, number);
CREATE TABLE IF NOT EXISTS places (
  producer BLOB NOT NULL, slot INTEGER NOT NULL, number INTEGER NOT NULL, seq INTEGER NOT NULL,
  PRIMARY KEY (producer, slot)) WITHOUT ROWID;
",
// From here on a producer's key is its id and its author. What waits is rewritten: the author is in the record, behind
// the array's head, the time (9 bytes) and the head of the author. The rows of `producers` and `places` stay.
"UPDATE inbox SET producer = CAST(producer || substr(record, 12, 20) AS BLOB) WHERE length(producer) = 16;",
author_rows::SCHEMA,
// From here on batches share rows, and the row of state may be behind them: `batches` lists the count, the bytes and the epoch
// of each, and is null where the row is one batch of the version before. That version would misread the row of state:
// without its table it refuses every commit.
"
CREATE TABLE IF NOT EXISTS batches (first INTEGER PRIMARY KEY, count INTEGER NOT NULL, records BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS chunks (
  first INTEGER PRIMARY KEY, count INTEGER NOT NULL, batches TEXT, records BLOB NOT NULL);
INSERT OR IGNORE INTO chunks SELECT first, count, NULL, records FROM batches;
DROP TABLE batches;
",
// From here on producers sign, and what waits may be a group: a row has as many messages as `count` says. Each column is added by a
// statement of its own, since a column that is there already makes its statement fail.
"ALTER TABLE producers ADD COLUMN digest BLOB",
"ALTER TABLE inbox ADD COLUMN count INTEGER NOT NULL DEFAULT 1",
"ALTER TABLE inbox ADD COLUMN previous BLOB",
"ALTER TABLE inbox ADD COLUMN digest BLOB"];

/// Made with the first member: most streams never have one.
const MEMBERS: &str =
    "CREATE TABLE IF NOT EXISTS members (address TEXT PRIMARY KEY, rights INTEGER NOT NULL) WITHOUT ROWID";
/// How many expired sessions go with each new one: more than come, so that they never pile up.
const MAX_PRUNED_AT_ONCE: u64 = 8;

/// The rows of one stream.
pub(super) struct StreamRows {
    sql: SqlStorage,
    /// Whether the tables are known to be there; they are never dropped.
    prepared: Cell<bool>,
    /// Whether it is known that no segment waits for the Anchorer: those of streams in rounds never do.
    has_no_segments: Cell<bool>,
    chunks: Chunks,
}

impl StreamRows {
    /// Over an object's storage.
    pub(super) fn new(sql: SqlStorage) -> Self {
        Self {
            sql,
            prepared: Cell::new(false),
            has_no_segments: Cell::new(false),
            chunks: Chunks::default(),
        }
    }

    /// A step failed, and what it wrote was taken back: tables are looked up again.
    pub(super) fn forget(&self) {
        self.chunks.forget();
        self.prepared.set(false);
        self.has_no_segments.set(false);
    }

    /// Whether there are tables, and no stream in them.
    pub(super) fn is_empty(&self) -> Result<bool, Error> {
        if !schema::has_table(&self.sql, "state")? {
            return Ok(false);
        }
        let stream = first(&self.sql, "SELECT 1 AS number FROM state", vec![], Row::number)?;
        Ok(stream.is_none())
    }

    /// Makes the tables.
    pub(super) fn prepare(&self) -> Result<(), Error> {
        if !self.is_prepared()? {
            schema::upgrade(&self.sql, SCHEMA)?;
        }
        Ok(())
    }

    fn is_prepared(&self) -> Result<bool, Error> {
        if !self.prepared.get() && schema::has_table(&self.sql, "state")? {
            // An object of an earlier version has its stream already, but not all tables.
            schema::upgrade(&self.sql, SCHEMA)?;
            self.prepared.set(true);
        }
        Ok(self.prepared.get())
    }

    /// The number in the first row.
    fn number_of(&self, query: &str, values: Vec<SqlStorageValue>) -> Result<Option<u64>, Error> {
        Ok(first(&self.sql, query, values, Row::maybe_number)?.flatten())
    }

    fn json<T: serde::de::DeserializeOwned>(
        &self,
        query: &str,
        values: Vec<SqlStorageValue>,
    ) -> Result<Option<T>, Error> {
        first(&self.sql, query, values, |row| own_json(&row.text()?))
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

    fn producer(&self, producer: ProducerKey) -> Result<Option<ProducerMark>, Error> {
        let query =
            "SELECT stored, digest FROM producers WHERE id IN (?, ?) ORDER BY length(id) DESC LIMIT 1";
        first(&self.sql, query, vec![key(producer), id(producer.id)], mark)
    }

    fn highest_of(&self, producer: ProducerId) -> Result<Option<u64>, Error> {
        let last = ProducerKey {
            author: Address::repeat_byte(0xff),
            id: producer,
        };
        let query = "SELECT max(stored) AS number FROM producers WHERE id BETWEEN ? AND ?";
        self.number_of(query, vec![id(producer), key(last)])
    }

    fn put_producer(&self, producer: ProducerKey, mark: ProducerMark) -> Result<(), Error> {
        let values = vec![key(producer), number(mark.last), digest(mark.digest)];
        let statement = "INSERT OR REPLACE INTO producers (id, stored, digest) VALUES (?, ?, ?)";
        run(&self.sql, statement, values)
    }

    fn add_batch(&self, batch: &CommittedBatch) -> Result<(), Error> {
        self.chunks.add(&self.sql, batch)
    }

    fn batches(&self, from: Seq, max_bytes: usize) -> Result<Vec<CommittedBatch>, Error> {
        self.chunks.read(&self.sql, from, max_bytes)
    }

    fn drop_batches(&self, below: Seq) -> Result<(), Error> {
        self.chunks.drop_below(&self.sql, below)
    }

    fn segments(&self, rows: usize) -> Result<Vec<OutboxSegment>, Error> {
        if self.has_no_segments.get() {
            return Ok(Vec::new());
        }
        let limit = number(rows.min(u32::MAX as usize) as u64);
        let query = "SELECT json FROM sealed ORDER BY first LIMIT ?";
        let segments = all(&self.sql, query, vec![limit], |row| own_json(&row.text()?))?;
        self.has_no_segments.set(rows > 0 && segments.is_empty());
        Ok(segments)
    }

    fn put_segment(&self, segment: &OutboxSegment) -> Result<(), Error> {
        self.has_no_segments.set(false);
        let values = vec![
            number(segment.segment.first.0),
            serde_json::to_string(segment)?.into(),
        ];
        run(&self.sql, "INSERT OR REPLACE INTO sealed VALUES (?, ?)", values)
    }

    fn drop_segment(&self, first: Seq) -> Result<(), Error> {
        run(
            &self.sql,
            "DELETE FROM sealed WHERE first = ?",
            vec![number(first.0)],
        )
    }

    fn put_event(&self, event: &StoredEvent, key: &str, state: &str) -> Result<(), Error> {
        let values = vec![
            number(event.number),
            key.into(),
            state.into(),
            event.name.as_str().into(),
            event.json.as_str().into(),
        ];
        run(&self.sql, "INSERT INTO events VALUES (?, ?, ?, ?, ?)", values)
    }

    fn events(&self, after: u64, max_bytes: usize) -> Result<Vec<StoredEvent>, Error> {
        // Summed up by the database, so that no more is read than is taken.
        let query = "SELECT number, name, json FROM (
                       SELECT number, name, json, sum(length(json)) OVER (ORDER BY number) - length(json) AS before
                       FROM (SELECT number, name, json FROM events WHERE number > ? ORDER BY number LIMIT ?))
                     WHERE before < ? ORDER BY number";
        let values = vec![number(after), number(MAX_ROWS as u64), number(max_bytes as u64)];
        all(&self.sql, query, values, event)
    }

    fn last_event(&self, key: &str) -> Result<Option<String>, Error> {
        let query = "SELECT state FROM events WHERE key = ? ORDER BY number DESC LIMIT 1";
        first(&self.sql, query, vec![key.into()], Row::text)
    }

    fn drop_event(&self, given: u64) -> Result<(), Error> {
        run(
            &self.sql,
            "DELETE FROM events WHERE number = ?",
            vec![number(given)],
        )
    }

    fn put_waiting(&self, waiting: &Waiting) -> Result<(), Error> {
        let values = vec![
            number(waiting.position),
            key(waiting.key.producer),
            number(waiting.key.first),
            waiting.records.clone().into(),
            number(waiting.key.count),
            digest(waiting.key.previous),
            digest(waiting.digest),
        ];
        let statement = "INSERT INTO inbox (place, producer, number, record, count, previous, digest)
                         VALUES (?, ?, ?, ?, ?, ?, ?)";
        run(&self.sql, statement, values)
    }

    fn waiting(&self, max_bytes: usize) -> Result<Vec<Waiting>, Error> {
        let query = "SELECT place, digest, record, producer, number, count, previous, length(record) FROM inbox ORDER BY place";
        let (mut waiting, mut bytes) = (Vec::new(), 0);
        for row in each(&self.sql, query, vec![])? {
            let one = self::waiting(&mut row?)?;
            bytes += one.records.len();
            waiting.push(one);
            if bytes >= max_bytes {
                break;
            }
        }
        Ok(waiting)
    }

    fn waiting_keys(&self) -> Result<Vec<WaitingKey>, Error> {
        let query = "SELECT producer, number, count, previous, length(record) FROM inbox ORDER BY place";
        all(&self.sql, query, vec![], waiting_key)
    }

    fn last_waiting(&self, producer: ProducerKey) -> Result<Option<ProducerMark>, Error> {
        let query =
            "SELECT number + count - 1, digest FROM inbox WHERE producer = ? ORDER BY number DESC LIMIT 1";
        first(&self.sql, query, vec![key(producer)], mark)
    }

    fn drop_waiting(&self, producer: ProducerKey, given: u64) -> Result<(), Error> {
        let values = vec![key(producer), number(given)];
        run(
            &self.sql,
            "DELETE FROM inbox WHERE producer = ? AND number = ?",
            values,
        )
    }

    fn put_producer_seq(&self, producer: ProducerKey, given: u64, seq: Seq) -> Result<(), Error> {
        let values = vec![
            key(producer),
            number(given % SEQS_PER_PRODUCER),
            number(given),
            number(seq.0),
        ];
        run(
            &self.sql,
            "INSERT OR REPLACE INTO places VALUES (?, ?, ?, ?)",
            values,
        )
    }

    fn seq_of(&self, producer: ProducerKey, given: u64) -> Result<Option<Seq>, Error> {
        let values = vec![
            key(producer),
            id(producer.id),
            number(given % SEQS_PER_PRODUCER),
            number(given),
        ];
        let query = "SELECT seq AS number FROM places WHERE producer IN (?, ?) AND slot = ? AND number = ?
                     ORDER BY length(producer) DESC LIMIT 1";
        Ok(self.number_of(query, values)?.map(Seq))
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
        let values = vec![session.id.to_hex().into(), number(session.created.0), json.into()];
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

    fn author(&self, author: Address, relay: &RelayId) -> Result<Option<UnixMs>, Error> {
        author_rows::seen(&self.sql, author, relay)
    }

    fn relays_of_author(&self, author: Address) -> Result<Vec<RelayId>, Error> {
        author_rows::relays(&self.sql, author)
    }

    fn put_author(&self, author: Address, relay: &RelayId, seen: UnixMs) -> Result<(), Error> {
        author_rows::put(&self.sql, author, relay, seen)
    }

    fn prune_authors(&self, before: UnixMs, keep: usize) -> Result<(), Error> {
        author_rows::prune(&self.sql, before, keep)
    }

    fn member(&self, member: Address) -> Result<Option<Rights>, Error> {
        if !schema::has_table(&self.sql, "members")? {
            return Ok(None);
        }
        let query = "SELECT rights FROM members WHERE address = ?";
        first(
            &self.sql,
            query,
            vec![hex::encode_prefixed(member).into()],
            rights,
        )
    }

    fn members(&self) -> Result<Vec<(Address, Rights)>, Error> {
        if !schema::has_table(&self.sql, "members")? {
            return Ok(Vec::new());
        }
        let query = "SELECT address, rights FROM members ORDER BY address";
        all(&self.sql, query, vec![], |row| Ok((row.parsed()?, rights(row)?)))
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

    fn prune_sessions(&self, before: UnixMs, keep: usize) -> Result<(), Error> {
        let surplus = "DELETE FROM sessions WHERE place <= (SELECT max(place) FROM sessions) - ?";
        run(&self.sql, surplus, vec![number(keep as u64)])?;
        let expired = "DELETE FROM sessions WHERE created < ?
                       AND place IN (SELECT place FROM sessions ORDER BY place LIMIT ?)";
        run(
            &self.sql,
            expired,
            vec![number(before.0), number(MAX_PRUNED_AT_ONCE)],
        )
    }
}

fn waiting(row: &mut Row) -> Result<Waiting, Error> {
    Ok(Waiting {
        position: row.number()?,
        digest: maybe_digest(row)?,
        records: row.bytes()?,
        key: waiting_key(row)?,
    })
}

fn waiting_key(row: &mut Row) -> Result<WaitingKey, Error> {
    Ok(WaitingKey {
        producer: producer(row)?,
        first: row.number()?,
        count: row.number()?,
        previous: maybe_digest(row)?,
        bytes: row.number()?,
    })
}

fn mark(row: &mut Row) -> Result<ProducerMark, Error> {
    Ok(ProducerMark {
        last: row.number()?,
        digest: maybe_digest(row)?,
    })
}

fn maybe_digest(row: &mut Row) -> Result<Option<B256>, Error> {
    row.maybe_bytes(|bytes| B256::try_from(bytes).ok())
}

/// The digest of a group, or none.
fn digest(digest: Option<B256>) -> SqlStorageValue {
    digest.map_or(SqlStorageValue::Null, |digest| digest.to_vec().into())
}

fn producer(row: &mut Row) -> Result<ProducerKey, Error> {
    ProducerKey::from_bytes(&row.bytes()?).ok_or_else(|| out_of_shape("a producer's key"))
}

/// A producer as a key.
fn key(producer: ProducerKey) -> SqlStorageValue {
    producer.to_bytes().to_vec().into()
}

/// A producer as the key of rows of the version before, which have no author.
fn id(producer: ProducerId) -> SqlStorageValue {
    producer.0.to_vec().into()
}

fn event(row: &mut Row) -> Result<StoredEvent, Error> {
    Ok(StoredEvent {
        number: row.number()?,
        name: row.text()?,
        json: row.text()?,
    })
}

fn rights(row: &mut Row) -> Result<Rights, Error> {
    let bits = u8::try_from(row.number()?);
    bits.map(Rights::from_bits).map_err(|_| out_of_shape("rights"))
}
