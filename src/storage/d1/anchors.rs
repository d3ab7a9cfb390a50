//! The table of anchors: what the contract's `Anchored` events say, as the Listener saw them.

use super::{anchor_state, final_range, number, rows};
use crate::storage::row::Row;
use alloy_primitives::{B256, hex};
use serde::Serialize;
use streamchain_chain::listener::{ChainEvent, EventKind};
use streamchain_edge_core::archive::FinalRange;
use streamchain_protocol::ids::{Seq, StreamId};
use streamchain_protocol::proof::AnchorState;
use worker::{D1Database, D1PreparedStatement, D1Type, Error};

/// An anchor on the chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AnchorRow {
    /// Its first message.
    pub first: Seq,
    /// How many messages.
    pub count: u64,
    /// Over the roots of their segments.
    pub root: B256,
    /// The transaction that emitted it.
    pub tx: B256,
    /// Its block's number.
    pub block: u64,
    /// Its block's hash.
    pub block_hash: B256,
    /// Its place among all logs of the block.
    pub log_index: u64,
    /// How sure it is.
    pub state: AnchorState,
}

fn read(row: &mut Row) -> Result<AnchorRow, Error> {
    Ok(AnchorRow {
        first: Seq(row.number()?),
        count: row.number()?,
        root: row.parsed()?,
        tx: row.parsed()?,
        block: row.number()?,
        block_hash: row.parsed()?,
        log_index: row.number()?,
        state: anchor_state(row)?,
    })
}

const COLUMNS: &str = "first, count, root, tx, block, block_hash, log_index, state";

/// The anchor over a message, if the chain has one.
pub(crate) async fn covering(
    db: &D1Database,
    stream: StreamId,
    seq: Seq,
) -> Result<Option<AnchorRow>, Error> {
    let query = format!(
        "SELECT {COLUMNS} FROM anchors WHERE stream = ?1 AND first <= ?2 ORDER BY first DESC, block DESC LIMIT 1"
    );
    let id = stream.to_string();
    let found = rows(db, &query, &[D1Type::Text(&id), number(seq.0)], read).await?;
    let found = found.into_iter().next();
    Ok(found.filter(|anchor| seq.0 < anchor.first.0 + anchor.count))
}

/// The ranges of final anchors that reach into `from..to`, in order, at most `limit` of them.
pub(crate) async fn finals(
    db: &D1Database,
    stream: StreamId,
    from: Seq,
    to: Seq,
    limit: usize,
) -> Result<Vec<FinalRange>, Error> {
    let query = "SELECT first, count FROM anchors
                 WHERE stream = ?1 AND state = 'final' AND first < ?3
                   AND first >= (SELECT coalesce(max(first), 0) FROM anchors
                                 WHERE stream = ?1 AND first <= ?2 AND state = 'final')
                 ORDER BY first LIMIT ?4";
    let id = stream.to_string();
    let values = [
        D1Type::Text(&id),
        number(from.0),
        number(to.0),
        number(limit as u64),
    ];
    rows(db, query, &values, final_range).await
}

/// The blocks in which the anchor over a message can be that is not here: from that of the anchor before it, if there is
/// one, to that of the first one behind it.
pub(crate) async fn blocks_around(
    db: &D1Database,
    stream: StreamId,
    missing: Seq,
) -> Result<(u64, Option<u64>), Error> {
    let id = stream.to_string();
    let values = [D1Type::Text(&id), number(missing.0)];
    let block = |row: &mut Row| row.number();
    let before = "SELECT block FROM anchors WHERE stream = ?1 AND first < ?2 ORDER BY first DESC LIMIT 1";
    let before = rows(db, before, &values, block).await?;
    let behind = "SELECT block FROM anchors WHERE stream = ?1 AND first > ?2 ORDER BY first LIMIT 1";
    let behind = rows(db, behind, &values, block).await?;
    Ok((before.first().copied().unwrap_or(0), behind.first().copied()))
}

/// Up to `limit` anchors that begin at `from` or later, in order.
pub(crate) async fn list(
    db: &D1Database,
    stream: StreamId,
    from: Seq,
    limit: usize,
) -> Result<Vec<AnchorRow>, Error> {
    let query = format!(
        "SELECT {COLUMNS} FROM anchors WHERE stream = ?1 AND first >= ?2 ORDER BY first, block LIMIT ?3"
    );
    let id = stream.to_string();
    let values = [D1Type::Text(&id), number(from.0), number(limit as u64)];
    rows(db, &query, &values, read).await
}

/// Enters an event; once it is final it stays so. `None` when the event is no anchor.
pub(crate) fn put(
    db: &D1Database,
    event: &ChainEvent,
    state: AnchorState,
) -> Result<Option<D1PreparedStatement>, Error> {
    let EventKind::Anchored {
        first, count, root, ..
    } = &event.kind
    else {
        return Ok(None);
    };
    let statement =
        "INSERT INTO anchors (stream, first, count, root, tx, block, block_hash, log_index, state)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
                     ON CONFLICT DO UPDATE SET state = excluded.state WHERE state = 'anchored'";
    let stream = event.stream.to_string();
    let [root, tx, block_hash] = [*root, event.tx, event.block_hash].map(hex::encode_prefixed);
    let values = [
        D1Type::Text(&stream),
        number(first.0),
        number((*count).into()),
        D1Type::Text(&root),
        D1Type::Text(&tx),
        number(event.block),
        D1Type::Text(&block_hash),
        number(event.log_index),
        D1Type::Text(state.as_str()),
    ];
    db.prepare(statement).bind_refs(&values).map(Some)
}

/// Removes an event that a reorganisation took back. `None` when the event is no anchor.
pub(crate) fn remove(db: &D1Database, event: &ChainEvent) -> Result<Option<D1PreparedStatement>, Error> {
    let EventKind::Anchored { first, .. } = &event.kind else {
        return Ok(None);
    };
    let statement =
        "DELETE FROM anchors WHERE stream = ?1 AND first = ?2 AND block_hash = ?3 AND log_index = ?4";
    let (stream, block_hash) = (event.stream.to_string(), event.block_hash.to_string());
    let values = [
        D1Type::Text(&stream),
        number(first.0),
        D1Type::Text(&block_hash),
        number(event.log_index),
    ];
    db.prepare(statement).bind_refs(&values).map(Some)
}

/// Removes all rows: they are made of the chain's events, and come again when it is read anew.
pub(crate) fn remove_all(db: &D1Database) -> D1PreparedStatement {
    db.prepare("DELETE FROM anchors")
}
