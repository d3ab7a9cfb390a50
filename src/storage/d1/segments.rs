//! The table of segments: every stored message below its stream's `flushed` mark that is in no pack yet. Others read it
//! through [`crate::storage::history`].

use super::{number, packs, rows};
use crate::storage::row::{Row, out_of_shape};
use alloy_primitives::{B256, hex};
use streamchain_chain::anchorer::StoredSegment;
use streamchain_edge_core::archive::RowSize;
use streamchain_edge_core::stream_log::OutboxSegment;
use streamchain_protocol::archive::MAX_PACK_SEGMENTS;
use streamchain_protocol::ids::{Seq, StreamId};
use streamchain_protocol::stream_settings::{Anchoring, Mode};
use worker::{D1Database, D1PreparedStatement, D1Type, Error};

/// A segment with its messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SegmentRow {
    /// Its first seq.
    pub first: Seq,
    /// How many messages.
    pub count: u64,
    /// Over their leaves.
    pub root: B256,
    /// Encoded records; empty when only the root was asked for.
    pub records: Vec<u8>,
}

impl SegmentRow {
    /// The seq behind its last message.
    pub(crate) fn end(&self) -> Seq {
        Seq(self.first.0.saturating_add(self.count))
    }
}

fn read(row: &mut Row) -> Result<SegmentRow, Error> {
    Ok(SegmentRow {
        first: Seq(row.number()?),
        count: row.number()?,
        root: row.parsed()?,
        records: hex::decode(row.text()?).map_err(|_| out_of_shape("hexadecimal digits"))?,
    })
}

/// Writes a segment. The same one again is fine, also where a pack has it by now; another one at its place is an error,
/// for the first was perhaps read by somebody, and anchored.
pub(crate) async fn insert(
    db: &D1Database,
    stream: StreamId,
    made: &OutboxSegment,
    records: &[u8],
) -> Result<(), Error> {
    let segment = &made.segment;
    // `unhex` of one text is the fastest way for bytes into D1.
    let statement = "INSERT INTO segments (stream, first, count, root, bytes, records, mode, prove, anchor)
                     SELECT ?1, ?2, ?3, ?4, ?5, unhex(?6), ?7, ?8, ?9
                     WHERE NOT EXISTS (SELECT 1 FROM packs WHERE stream = ?1 AND first <= ?2 AND next > ?2)
                     ON CONFLICT DO NOTHING RETURNING first";
    let (id, root, digits) = (
        stream.to_string(),
        hex::encode_prefixed(segment.root),
        hex::encode(records),
    );
    let values = [
        D1Type::Text(&id),
        number(segment.first.0),
        number(segment.count),
        D1Type::Text(&root),
        number(records.len() as u64),
        D1Type::Text(&digits),
        D1Type::Text(made.mode.as_str()),
        number(made.prove.into()),
        D1Type::Text(made.anchor.as_str()),
    ];
    if !rows(db, statement, &values, Row::number).await?.is_empty() {
        return Ok(());
    }
    let end = segment.end();
    if packs::find(db, stream, segment.first)
        .await?
        .is_some_and(|found| found.row.end >= end)
    {
        return Ok(());
    }
    let there = roots(db, stream, segment.first, segment.first.next()).await?;
    match there.as_slice() {
        [row] if row.count == segment.count && row.root == segment.root => Ok(()),
        _ => Err(Error::RustError(format!(
            "stream {stream} has another segment at {}",
            segment.first
        ))),
    }
}

/// The segments with the messages `from..to`, in order: the first, and more until their records reach
/// `max_bytes`. (The window sums lengths only; the records of the chosen rows are read once.)
pub(crate) async fn with_records(
    db: &D1Database,
    stream: StreamId,
    from: Seq,
    to: Seq,
    max_bytes: usize,
) -> Result<Vec<SegmentRow>, Error> {
    let query = "
        WITH wanted AS (
          SELECT first, sum(bytes) OVER (ORDER BY first) - bytes AS before FROM segments
          WHERE stream = ?1 AND first < ?3
            AND first >= (SELECT coalesce(max(first), 0) FROM segments WHERE stream = ?1 AND first <= ?2))
        SELECT s.first, s.count, s.root, hex(s.records)
        FROM wanted w JOIN segments s ON s.stream = ?1 AND s.first = w.first
        WHERE w.before < ?4 ORDER BY s.first";
    let id = stream.to_string();
    let values = [
        D1Type::Text(&id),
        number(from.0),
        number(to.0),
        number(max_bytes as u64),
    ];
    rows(db, query, &values, read).await
}

/// The segments that begin in `from..to`, in order, without their records.
pub(crate) async fn roots(
    db: &D1Database,
    stream: StreamId,
    from: Seq,
    to: Seq,
) -> Result<Vec<SegmentRow>, Error> {
    let query = "SELECT first, count, root, '' FROM segments
                 WHERE stream = ?1 AND first >= ?2 AND first < ?3 ORDER BY first";
    let id = stream.to_string();
    rows(
        db,
        query,
        &[D1Type::Text(&id), number(from.0), number(to.0)],
        read,
    )
    .await
}

/// Writes other records of a segment, whose leaves are the same.
pub(crate) fn put_records(
    db: &D1Database,
    stream: StreamId,
    first: Seq,
    records: &[u8],
) -> Result<D1PreparedStatement, Error> {
    let statement = "UPDATE segments SET records = unhex(?3), bytes = ?4 WHERE stream = ?1 AND first = ?2";
    let (id, digits) = (stream.to_string(), hex::encode(records));
    db.prepare(statement).bind_refs(&[
        D1Type::Text(&id),
        number(first.0),
        D1Type::Text(&digits),
        number(records.len() as u64),
    ])
}

/// The stream's oldest segments, at most `limit`, without their records, and the beginning of the first one's.
pub(crate) async fn oldest(
    db: &D1Database,
    stream: StreamId,
    limit: usize,
) -> Result<(Vec<RowSize>, Vec<u8>), Error> {
    let id = stream.to_string();
    let query = "SELECT first, count, bytes FROM segments WHERE stream = ?1 ORDER BY first LIMIT ?2";
    let read = |row: &mut Row| {
        Ok(RowSize {
            first: Seq(row.number()?),
            count: row.number()?,
            bytes: row.number()?,
        })
    };
    let sizes = rows(db, query, &[D1Type::Text(&id), number(limit as u64)], read).await?;
    let Some(first) = sizes.first() else {
        return Ok((sizes, Vec::new()));
    };
    let query = "SELECT hex(substr(records, 1, 16)) FROM segments WHERE stream = ?1 AND first = ?2";
    let values = [D1Type::Text(&id), number(first.first.0)];
    let begins = rows(db, query, &values, begins).await?.into_iter().next();
    Ok((sizes, begins.unwrap_or_default()))
}

/// What a stream has here: its oldest segments, as many as a pack takes at most.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StreamSums {
    /// The stream.
    pub stream: StreamId,
    /// How many segments.
    pub segments: usize,
    /// The length of their records.
    pub bytes: u64,
    /// The beginning of the first one's records.
    pub begins: Vec<u8>,
}

/// Up to `limit` streams that have segments here, in the order of their ids, behind the given one.
pub(crate) async fn streams_after(
    db: &D1Database,
    after: &str,
    limit: usize,
) -> Result<Vec<StreamSums>, Error> {
    // Jumps from stream to stream: the rows between are not read.
    let query = "
        WITH RECURSIVE next(id) AS (
          SELECT min(stream) FROM segments WHERE stream > ?1
          UNION ALL SELECT (SELECT min(stream) FROM segments WHERE stream > next.id) FROM next WHERE next.id IS NOT NULL
          LIMIT ?2)
        SELECT id,
          (SELECT count(*) FROM (SELECT 1 FROM segments WHERE stream = id ORDER BY first LIMIT ?3)),
          (SELECT coalesce(sum(bytes), 0) FROM (SELECT bytes FROM segments WHERE stream = id ORDER BY first LIMIT ?3)),
          (SELECT hex(substr(records, 1, 16)) FROM segments WHERE stream = id ORDER BY first LIMIT 1)
        FROM next WHERE id IS NOT NULL";
    let read = |row: &mut Row| {
        Ok(StreamSums {
            stream: row.parsed()?,
            segments: row.number()? as usize, // at most what a pack takes
            bytes: row.number()?,
            begins: begins(row)?,
        })
    };
    let values = [
        D1Type::Text(after),
        number(limit as u64),
        number(MAX_PACK_SEGMENTS as u64),
    ];
    rows(db, query, &values, read).await
}

/// The beginning of a segment's records; nothing where there is no segment.
fn begins(row: &mut Row) -> Result<Vec<u8>, Error> {
    let digits = row.maybe_text()?.unwrap_or_default();
    hex::decode(digits).map_err(|_| out_of_shape("hexadecimal digits"))
}

/// A segment with what the archive and the Anchorer need to know of it, and the stream's settings when it was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FullSegment {
    /// The segment and its records.
    pub segment: SegmentRow,
    /// What goes on chain for it beside the root.
    pub mode: Mode,
    /// Whether its anchor is kept on chain.
    pub prove: bool,
    /// How it gets its anchor.
    pub anchor: Anchoring,
}

/// The segments that begin in `from..to`, in order, with all that is known of them: the first, and more until their
/// records reach `max_bytes`.
pub(crate) async fn full(
    db: &D1Database,
    stream: StreamId,
    from: Seq,
    to: Seq,
    max_bytes: usize,
) -> Result<Vec<FullSegment>, Error> {
    let query = "
        WITH wanted AS (
          SELECT first, sum(bytes) OVER (ORDER BY first) - bytes AS before FROM segments
          WHERE stream = ?1 AND first >= ?2 AND first < ?3)
        SELECT s.first, s.count, s.root, hex(s.records), s.mode, s.prove, s.anchor
        FROM wanted w JOIN segments s ON s.stream = ?1 AND s.first = w.first
        WHERE w.before < ?4 ORDER BY s.first";
    let id = stream.to_string();
    let values = [
        D1Type::Text(&id),
        number(from.0),
        number(to.0),
        number(max_bytes as u64),
    ];
    rows(db, query, &values, |row| {
        Ok(FullSegment {
            segment: read(row)?,
            mode: row.parsed()?,
            prove: row.number()? == 1,
            anchor: row.parsed()?,
        })
    })
    .await
}

/// Up to `limit` segments for the Anchorer, in order: the one with the message `from`, and those behind it. Those for rounds
/// are not among them: a stream has anchors of its own only before its first run in a round.
pub(crate) async fn to_anchor(
    db: &D1Database,
    stream: StreamId,
    from: Seq,
    limit: usize,
) -> Result<Vec<StoredSegment>, Error> {
    let query = "SELECT first, count, root, mode, prove FROM segments
                 WHERE stream = ?1 AND anchor = 'own'
                   AND first >= (SELECT coalesce(max(first), 0) FROM segments WHERE stream = ?1 AND first <= ?2)
                 ORDER BY first LIMIT ?3";
    let id = stream.to_string();
    let values = [D1Type::Text(&id), number(from.0), number(limit as u64)];
    rows(db, query, &values, |row| {
        Ok(StoredSegment {
            first: Seq(row.number()?),
            count: u32::try_from(row.number()?).map_err(|_| out_of_shape("a 32-bit number"))?,
            root: row.parsed()?,
            mode: row.parsed()?,
            prove: row.number()? == 1,
        })
    })
    .await
}

/// Up to `limit` segments that begin at `from` or later, in order, without their records.
pub(crate) async fn list(
    db: &D1Database,
    stream: StreamId,
    from: Seq,
    limit: usize,
) -> Result<Vec<SegmentRow>, Error> {
    let query = "SELECT first, count, root, '' FROM segments
                 WHERE stream = ?1 AND first >= ?2 ORDER BY first LIMIT ?3";
    let id = stream.to_string();
    let values = [D1Type::Text(&id), number(from.0), number(limit as u64)];
    rows(db, query, &values, read).await
}
