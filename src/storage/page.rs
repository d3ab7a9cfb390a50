//! A page of a stream's messages, joined from the archive, the database and the Stream object without a seam.

use crate::problem::Problem;
use crate::response::put_member;
use crate::storage::history::History;
use serde_json::{Value, json};
use streamchain_edge_core::stream_log::Tail;
use streamchain_protocol::ids::{ProducerId, Seq};
use streamchain_protocol::signed::GroupHeader;
use streamchain_protocol::wire::{StoredPayload, StoredRecord, decode_stored_records};

/// A message of a page.
pub(crate) struct Message {
    /// Its seq.
    pub(crate) seq: Seq,
    /// What is stored of it.
    pub(crate) record: StoredRecord,
    /// The seq of the first message of its group; `None` when it is not signed.
    pub(crate) group: Option<Seq>,
}

/// A signed group with messages on a page. It may begin before the page, and end behind it.
#[derive(Clone, Copy)]
pub(crate) struct PageGroup {
    /// The seq of its first message.
    pub(crate) seq: Seq,
    /// Who numbered its messages.
    pub(crate) producer: ProducerId,
    /// The number of its first message.
    pub(crate) producer_seq: u64,
    /// What its author signed with.
    pub(crate) header: GroupHeader,
}

impl PageGroup {
    /// As JSON shows it.
    pub(crate) fn shown(&self) -> Value {
        let header = &self.header;
        json!({
            "seq": self.seq, "count": header.count, "producer": self.producer, "producerSeq": self.producer_seq,
            "previous": header.previous, "key": header.key, "signature": header.signature,
        })
    }
}

/// A page of a stream's messages, filled in the order of seq.
pub(crate) struct Page {
    /// Its first message.
    pub(crate) from: Seq,
    /// One past the last seq that may be on it.
    to: Seq,
    /// What there is so far.
    pub(crate) messages: Vec<Message>,
    /// The groups of these messages, in order.
    pub(crate) groups: Vec<PageGroup>,
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
            groups: Vec::new(),
            bytes: 0,
            max_bytes,
        }
    }

    /// The first message that is not on it.
    pub(crate) fn next(&self) -> Seq {
        self.messages.last().map_or(self.from, |last| last.seq.next())
    }

    /// Whether no more is to be taken.
    pub(crate) fn is_full(&self) -> bool {
        self.next() >= self.to || self.bytes >= self.max_bytes
    }

    /// Takes what fits of a run of encoded records that begins at `first`. No run begins inside a group: neither segments nor
    /// batches do.
    pub(crate) fn take(&mut self, first: Seq, records: &[u8]) -> Result<(), Problem> {
        let records = decode_stored_records(records).map_err(Problem::internal)?;
        // The group that was begun last, and the seq behind it.
        let mut group: Option<(PageGroup, Seq)> = None;
        for (index, record) in records.into_iter().enumerate() {
            let seq = Seq(first.0 + index as u64);
            if let Some(header) = record.group {
                let begun = PageGroup {
                    seq,
                    producer: record.producer,
                    producer_seq: record.producer_seq,
                    header,
                };
                group = Some((begun, Seq(seq.0 + u64::from(header.count))));
            }
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
            let of = group.filter(|(_, end)| seq < *end).map(|(begun, _)| begun);
            if let Some(begun) = of
                && self.groups.last().is_none_or(|last| last.seq != begun.seq)
            {
                self.groups.push(begun);
            }
            let group = of.map(|begun| begun.seq);
            self.messages.push(Message { seq, record, group });
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
pub(crate) fn shown(message: &Message) -> Value {
    let Message { seq, record, group } = message;
    let (payload, erased) = record.payload.clone().shown();
    let mut shown = json!({"seq": seq, "time": record.time, "author": record.author, "payload": payload});
    if let Some(erased) = erased {
        put_member(&mut shown, "erased", &erased);
    }
    if group.is_some() {
        put_member(&mut shown, "signed", &true);
    }
    shown
}
