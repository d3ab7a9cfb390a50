//! The rows of the authors who have, or had, a session to publish at one of the stream's relays.

use crate::storage::row::Row;
use crate::storage::sql::{all, first, number, run};
use alloy_primitives::{Address, hex};
use streamchain_protocol::ids::RelayId;
use streamchain_protocol::time::UnixMs;
use worker::{Error, SqlStorage, SqlStorageValue};

/// Makes the table, with the authors of the sessions that an earlier version remembers.
pub(super) const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS authors (
  place INTEGER PRIMARY KEY AUTOINCREMENT, author TEXT NOT NULL, relay TEXT NOT NULL, seen INTEGER NOT NULL,
  UNIQUE (author, relay));
INSERT OR REPLACE INTO authors (author, relay, seen)
  SELECT json_extract(json, '$.author'), json_extract(json, '$.relay'), created FROM sessions ORDER BY place;
";

/// How many expired rows go with each new one: more than come, so that they never pile up.
const MAX_PRUNED_AT_ONCE: u64 = 8;

fn key(author: Address, relay: &RelayId) -> [SqlStorageValue; 2] {
    [hex::encode_prefixed(author).into(), relay.as_str().into()]
}

/// When the author was noted last at the relay.
pub(super) fn seen(sql: &SqlStorage, author: Address, relay: &RelayId) -> Result<Option<UnixMs>, Error> {
    let query = "SELECT seen AS number FROM authors WHERE author = ? AND relay = ?";
    let found = first(sql, query, key(author, relay).into(), Row::number)?;
    Ok(found.map(UnixMs))
}

/// The relays at which the author was noted.
pub(super) fn relays(sql: &SqlStorage, author: Address) -> Result<Vec<RelayId>, Error> {
    let query = "SELECT relay FROM authors WHERE author = ?";
    all(sql, query, vec![hex::encode_prefixed(author).into()], Row::parsed)
}

/// Notes the author as the newest one.
pub(super) fn put(sql: &SqlStorage, author: Address, relay: &RelayId, seen: UnixMs) -> Result<(), Error> {
    let [author, relay] = key(author, relay);
    run(
        sql,
        "INSERT OR REPLACE INTO authors (author, relay, seen) VALUES (?, ?, ?)",
        vec![author, relay, number(seen.0)],
    )
}

/// Drops the oldest rows beyond the `keep` newest, and some of those from before `before`.
pub(super) fn prune(sql: &SqlStorage, before: UnixMs, keep: usize) -> Result<(), Error> {
    let surplus = "DELETE FROM authors WHERE place <= (SELECT max(place) FROM authors) - ?";
    run(sql, surplus, vec![number(keep as u64)])?;
    let expired = "DELETE FROM authors WHERE seen < ?
                   AND place IN (SELECT place FROM authors ORDER BY place LIMIT ?)";
    let values = vec![number(before.0), number(MAX_PRUNED_AT_ONCE)];
    run(sql, expired, values)
}
