//! The rows of a stream's batches: batches that are small share one.
//!
//! What always holds: one row is written for each batch, whether it begins a row or joins one.

use crate::storage::row::{Row, out_of_shape};
use crate::storage::sql::{each, number, run};
use std::cell::Cell;
use streamchain_edge_core::stream_log::{
    CommittedBatch, MAX_CHUNK_BYTES, MAX_ROWS, chunk_batches, chunk_entry,
};
use streamchain_protocol::ids::{Epoch, Seq};
use worker::{Error, SqlStorage};

/// The row that the next batch may join.
#[derive(Debug, Clone, Copy)]
struct OpenChunk {
    first: Seq,
    end: Seq,
    bytes: usize,
}

/// The rows of the batches.
#[derive(Debug, Default)]
pub(super) struct Chunks {
    open: Cell<Option<OpenChunk>>,
}

impl Chunks {
    /// Begins a new row with the next batch: what was written may have been taken back.
    pub(super) fn forget(&self) {
        self.open.set(None);
    }

    /// Keeps a batch.
    pub(super) fn add(&self, sql: &SqlStorage, batch: &CommittedBatch) -> Result<(), Error> {
        let bytes = batch.records.len();
        let fits = |open: &OpenChunk| open.end == batch.first && open.bytes + bytes <= MAX_CHUNK_BYTES;
        let joined = self.open.get().filter(fits);
        let (first, statement) = match joined {
            Some(open) => (
                open.first,
                "UPDATE chunks SET count = count + ?2, batches = batches || ?3,
                                   records = CAST(records || ?4 AS BLOB) WHERE first = ?1",
            ),
            None => (batch.first, "INSERT INTO chunks VALUES (?1, ?2, ?3, ?4)"),
        };
        let values = vec![
            number(first.0),
            number(batch.count),
            chunk_entry(batch).into(),
            batch.records.clone().into(),
        ];
        run(sql, statement, values)?;
        self.open.set(Some(OpenChunk {
            first,
            end: batch.end(),
            bytes: joined.map_or(0, |open| open.bytes) + bytes,
        }));
        Ok(())
    }

    /// Reads the batches with seqs from `from` on, in order; see `LogStore::batches`.
    pub(super) fn read(
        &self,
        sql: &SqlStorage,
        from: Seq,
        max_bytes: usize,
    ) -> Result<Vec<CommittedBatch>, Error> {
        let query = "SELECT first, count, batches, records FROM chunks
                     WHERE first >= (SELECT coalesce(max(first), 0) FROM chunks WHERE first <= ?1)
                       AND first + count > ?1 ORDER BY first";
        let (mut batches, mut bytes) = (Vec::new(), 0);
        for row in each(sql, query, vec![number(from.0)])? {
            for batch in chunk(&mut row?)?.into_iter().filter(|batch| batch.end() > from) {
                if bytes >= max_bytes || batches.len() >= MAX_ROWS {
                    return Ok(batches);
                }
                bytes += batch.records.len();
                batches.push(batch);
            }
        }
        Ok(batches)
    }

    /// Drops the rows whose batches all end at or below `below`.
    pub(super) fn drop_below(&self, sql: &SqlStorage, below: Seq) -> Result<(), Error> {
        // A row that is flushed in part gets no more batches, so that the next flush drops it.
        self.open.set(self.open.get().filter(|open| open.first >= below));
        let statement = "DELETE FROM chunks WHERE first < ?1 AND first + count <= ?1";
        run(sql, statement, vec![number(below.0)])
    }
}

fn chunk(row: &mut Row) -> Result<Vec<CommittedBatch>, Error> {
    let (first, count) = (Seq(row.number()?), row.number()?);
    let (entries, records) = (row.maybe_text()?, row.bytes()?);
    match entries {
        Some(entries) => {
            let batches = chunk_batches(first, &entries, &records);
            batches.ok_or_else(|| out_of_shape("batches that end where their row says"))
        }
        // Of the version before.
        None => Ok(vec![CommittedBatch {
            first,
            count,
            epoch: Epoch(0),
            records,
        }]),
    }
}
