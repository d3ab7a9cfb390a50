//! The table of chain events: payloads that somebody published by a transaction of their own.

use super::{anchor_state, number, rows};
use crate::storage::row::{Row, out_of_shape};
use alloy_primitives::{Address, B256, Bytes, hex};
use serde::Serialize;
use streamchain_chain::listener::{ChainEvent, EventKind};
use streamchain_protocol::ids::StreamId;
use streamchain_protocol::proof::AnchorState;
use streamchain_protocol::wire::Omitted;
use worker::{D1Database, D1PreparedStatement, D1Type, Error};

/// A payload published on the chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ChainEventRow {
    /// Its block's number.
    pub block: u64,
    /// Its place among all logs of the block.
    pub log_index: u64,
    /// Its block's hash.
    pub block_hash: B256,
    /// The transaction that emitted it.
    pub tx: B256,
    /// Who published it.
    pub author: Address,
    /// Its bytes; empty when they are left out.
    pub payload: Bytes,
    /// What is known of bytes that are left out, since they are above the limits of the protocol.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub omitted: Option<Omitted>,
    /// How sure it is.
    pub state: AnchorState,
}

fn read(row: &mut Row) -> Result<ChainEventRow, Error> {
    Ok(ChainEventRow {
        block: row.number()?,
        log_index: row.number()?,
        block_hash: row.parsed()?,
        tx: row.parsed()?,
        author: row.parsed()?,
        payload: row.parsed()?,
        omitted: omitted(row.text()?)?,
        state: anchor_state(row)?,
    })
}

/// Reads the column `omitted`: `size digest`, or nothing.
fn omitted(text: String) -> Result<Option<Omitted>, Error> {
    let read = |text: &str| {
        let (size, digest) = text.split_once(' ')?;
        Some(Omitted {
            size: size.parse().ok()?,
            digest: digest.parse().ok()?,
        })
    };
    match text.is_empty() {
        true => Ok(None),
        false => read(&text)
            .map(Some)
            .ok_or_else(|| out_of_shape("an omitted payload")),
    }
}

/// Up to `limit` events of a stream behind the place (block, log index), in the order of the chain.
pub(crate) async fn list(
    db: &D1Database,
    stream: StreamId,
    after: Option<(u64, u64)>,
    limit: usize,
) -> Result<Vec<ChainEventRow>, Error> {
    let query =
        "SELECT block, log_index, block_hash, tx, author, hex(payload) AS payload, omitted, state FROM chain_events
                 WHERE stream = ?1 AND (block, log_index) > (?2, ?3) ORDER BY block, log_index LIMIT ?4";
    let id = stream.to_string();
    let before_all = (D1Type::Real(-1.0), D1Type::Real(-1.0));
    let (block, log_index) = after.map_or(before_all, |(block, log_index)| {
        (number(block), number(log_index))
    });
    let values = [D1Type::Text(&id), block, log_index, number(limit as u64)];
    rows(db, query, &values, read).await
}

/// Enters an event; once it is final it stays so. `None` when the event is of another kind.
pub(crate) fn put(
    db: &D1Database,
    event: &ChainEvent,
    state: AnchorState,
) -> Result<Option<D1PreparedStatement>, Error> {
    let EventKind::Published {
        author,
        payload,
        omitted,
    } = &event.kind
    else {
        return Ok(None);
    };
    let statement =
        "INSERT INTO chain_events (stream, block, log_index, block_hash, tx, author, payload, omitted, state)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, unhex(?7), ?8, ?9)
         ON CONFLICT DO UPDATE SET state = excluded.state WHERE state = 'anchored'";
    let stream = event.stream.to_string();
    let [block_hash, tx] = [event.block_hash, event.tx].map(hex::encode_prefixed);
    let (author, payload) = (hex::encode_prefixed(author), hex::encode(payload));
    let omitted = omitted.map(|omitted| format!("{} {}", omitted.size, omitted.digest));
    let values = [
        D1Type::Text(&stream),
        number(event.block),
        number(event.log_index),
        D1Type::Text(&block_hash),
        D1Type::Text(&tx),
        D1Type::Text(&author),
        D1Type::Text(&payload),
        D1Type::Text(omitted.as_deref().unwrap_or_default()),
        D1Type::Text(state.as_str()),
    ];
    db.prepare(statement).bind_refs(&values).map(Some)
}

fn by_place(db: &D1Database, statement: &str, event: &ChainEvent) -> Result<D1PreparedStatement, Error> {
    let (stream, block_hash) = (event.stream.to_string(), event.block_hash.to_string());
    let values = [
        D1Type::Text(&stream),
        number(event.block),
        number(event.log_index),
        D1Type::Text(&block_hash),
    ];
    db.prepare(statement).bind_refs(&values)
}

/// Marks an event as final; its payload is not needed. `None` when the event is of another kind.
pub(crate) fn settle(db: &D1Database, event: &ChainEvent) -> Result<Option<D1PreparedStatement>, Error> {
    let EventKind::Published { .. } = &event.kind else {
        return Ok(None);
    };
    let statement = "UPDATE chain_events SET state = 'final'
                     WHERE stream = ?1 AND block = ?2 AND log_index = ?3 AND block_hash = ?4";
    by_place(db, statement, event).map(Some)
}

/// Removes an event that a reorganisation took back. `None` when the event is of another kind.
pub(crate) fn remove(db: &D1Database, event: &ChainEvent) -> Result<Option<D1PreparedStatement>, Error> {
    let EventKind::Published { .. } = &event.kind else {
        return Ok(None);
    };
    let statement = "DELETE FROM chain_events
                     WHERE stream = ?1 AND block = ?2 AND log_index = ?3 AND block_hash = ?4";
    by_place(db, statement, event).map(Some)
}

/// Removes all rows: they are made of the chain's events, and come again when it is read anew.
pub(crate) fn remove_all(db: &D1Database) -> D1PreparedStatement {
    db.prepare("DELETE FROM chain_events")
}
