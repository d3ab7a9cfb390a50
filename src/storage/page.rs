//! A page of a stream's messages, joined from the archive, the database and the Stream object without a seam.

use crate::problem::Problem;
use crate::response::put_member;
use crate::storage::history::History;
use serde_json::{Value, json};
use streamchain_edge_core::stream_log::Tail;
use streamchain_protocol::ids::Seq;
use streamchain_protocol::wire::{StoredPayload, StoredRecord, decode_stored_records};

/// A page of a stream's messages, filled in the order of seq.
pub(crate) struct Page {
    /// Its first message.
    pub(crate) from: Seq,
    /// One past the last seq that may be on it.
    to: Seq,
    /// What there is so far.
    pub(crate) messages: Vec<(Seq, StoredRecord)>,
    /// Payload bytes of what there is.
    pub(crate) bytes: usize,
    max_bytes: usize,
}

impl Page {
    /// An empty page for messages below `to`, with at most about `max_bytes` of payload.
    pub(crate) fn new(from: Seq, to: Seq, max_bytes: usize) -> Self {
        Self {
            from,
            to,
            messages: Vec::new(),
            bytes: 0,
            max_bytes,
        }
    }

    /// The first message that is not on it.
    pub(crate) fn next(&self) -> Seq {
        self.messages.last().map_or(self.from, |(seq, _)| seq.next())
    }

    /// Whether no more is to be taken.
    pub(crate) fn is_full(&self) -> bool {
        self.next() >= self.to || self.bytes >= self.max_bytes
    }

    /// Takes what fits of a run of encoded records that begins at `first`.
    pub(crate) fn take(&mut self, first: Seq, records: &[u8]) -> Result<(), Problem> {
        let records = decode_stored_records(records).map_err(Problem::internal)?;
        for (index, record) in records.into_iter().enumerate() {
            let seq = Seq(first.0 + index as u64);
            if seq < self.next() {
                continue;
            }
            let length = match &record.payload {
                StoredPayload::Kept(payload) => payload.len(),
                StoredPayload::Erased(_) => 0,
            };
            let fits = self.bytes + length <= self.max_bytes || self.messages.is_empty();
            if seq != self.next() || seq >= self.to || !fits {
                self.to = self.to.min(self.next());
                return Ok(());
            }
            self.bytes += length;
            self.messages.push((seq, record));
        }
        Ok(())
    }
}

/// Takes what the database and the archive have of the page.
pub(crate) async fn read_database(history: &History, tail: &Tail, page: &mut Page) -> Result<(), Problem> {
    let end = page.to.min(tail.state.flushed);
    if page.from >= end {
        return Ok(());
    }
    let rows = history
        .with_records(tail.state.id, page.from, end, page.max_bytes)
        .await?;
    for row in rows {
        page.take(row.first, &row.records)?;
    }
    if page.next() < end {
        // The byte limit came first: what the object has is for a later page.
        page.to = page.next();
    }
    Ok(())
}

/// A message as JSON shows it: an erased one has no payload, and `erased` says what is known of it.
pub(crate) fn shown((seq, record): &(Seq, StoredRecord)) -> Value {
    let (payload, erased) = record.payload.clone().shown();
    let mut message = json!({"seq": seq, "time": record.time, "author": record.author, "payload": payload});
    if let Some(erased) = erased {
        put_member(&mut message, "erased", &erased);
    }
    message
}
