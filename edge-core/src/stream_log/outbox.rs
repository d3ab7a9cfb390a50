//! The outbox: batches → segments → the database → the Anchorer.
//!
//! A segment is made of whole batches, unless its messages or digests go on chain: then of as many messages as one
//! transaction takes.
//!
//! What always holds: a segment's bounds and root are saved before anything is done with it, so a retry after
//! any crash writes the very same segment; own batches are dropped only once the database has it, and the
//! segment's row only once the Anchorer knows it.

use super::{LogError, LogState, LogStore, Step, StoredBatch, StreamLog};
use alloy_primitives::B256;
use serde::{Deserialize, Serialize};
use streamchain_protocol::ids::Seq;
use streamchain_protocol::limits::{
    EMITTED_MAX_BYTES, EMITTED_MAX_MESSAGES, EMITTED_OVERHEAD, SEGMENT_MAX_BYTES, SEGMENT_MAX_MESSAGES,
};
use streamchain_protocol::proof::leaves;
use streamchain_protocol::proof::merkle::Tree;
use streamchain_protocol::stream_settings::{Mode, StreamSettings};
use streamchain_protocol::wire::{Record, decode_records, encode_records};

/// How long batches gather before they become a segment, milliseconds: fewer rows for a wait that nobody sees.
pub const GATHER_MS: u64 = 1_000;

/// The first wait after a flush that failed, milliseconds; doubled each time, up to [`RETRY_MAX_MS`].
const RETRY_MS: u64 = 1_000;

/// The longest wait after a flush that failed, milliseconds: a database that is back is noticed within half a minute.
const RETRY_MAX_MS: u64 = 30_000;

/// Most segments written in one flush: bounds its run time. More follow with the next one.
pub const SEGMENTS_PER_FLUSH: usize = 8;

/// How long to wait for the next flush when `failures` of them failed in a row before this one, and this one may fail
/// as well, milliseconds.
pub fn retry_after_ms(failures: u32) -> u64 {
    (RETRY_MS << failures.min(5)).min(RETRY_MAX_MS)
}

/// A run of messages with its root, on its way out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Segment {
    /// Its first seq.
    pub first: Seq,
    /// How many messages.
    pub count: u64,
    /// Over its messages' leaves.
    pub root: B256,
    /// Whether the database has it.
    pub stored: bool,
    /// What goes on chain for it beside the root: the stream's mode when it was sealed.
    #[serde(default)]
    pub mode: Mode,
    /// Whether its anchor is stored on chain: the stream's setting when it was sealed.
    #[serde(default)]
    pub prove: bool,
}

impl Segment {
    /// One past its last seq.
    pub fn end(&self) -> Seq {
        Seq(self.first.0 + self.count)
    }
}

impl<S: LogStore> StreamLog<S> {
    /// The segment that the database lacks, with its records: the one sealed before, or a new one of the oldest
    /// batches. `None` when the database has everything.
    pub fn seal(&self) -> Step<Option<(Segment, Vec<u8>)>, S> {
        let state = self.state()?;
        if state.flushed == state.head {
            return Ok(None);
        }
        let rows = self
            .store
            .batches(state.flushed, SEGMENT_MAX_BYTES)
            .map_err(LogError::Store)?;
        let waiting = self.store.segments(usize::MAX).map_err(LogError::Store)?;
        if let Some(segment) = waiting.into_iter().find(|segment| !segment.stored) {
            let records = slice(rows, segment.first, segment.end());
            let records = records.ok_or(LogError::Corrupt(segment.first))?;
            return Ok(Some((segment, records)));
        }
        let count = match state.settings.mode {
            Mode::Root => Some(join(&rows, state.flushed)),
            Mode::Hash | Mode::Payload => emittable(&rows, state.flushed),
        };
        let count = count.ok_or(LogError::Corrupt(state.flushed))?;
        let records = slice(rows, state.flushed, Seq(state.flushed.0 + count));
        let records = records.ok_or(LogError::Corrupt(state.flushed))?;
        let leaves = leaves(state.id, state.flushed, &records);
        let tree = leaves
            .and_then(|leaves| Tree::new(&leaves))
            .ok_or(LogError::Corrupt(state.flushed))?;
        let segment = Segment {
            first: state.flushed,
            count,
            root: tree.root(),
            stored: false,
            mode: state.settings.mode,
            prove: state.settings.prove,
        };
        self.store.put_segment(&segment).map_err(LogError::Store)?;
        Ok(Some((segment, records)))
    }

    /// The database has the segment: its batches go.
    pub fn flushed(&self, segment: &Segment, bytes: usize) -> Step<(), S> {
        let mut state = self.state()?;
        if segment.first != state.flushed {
            return Ok(());
        }
        state.flushed = segment.end();
        state.backlog = state.backlog.saturating_sub(bytes as u64);
        self.store.drop_batches(state.flushed).map_err(LogError::Store)?;
        self.store
            .put_segment(&Segment {
                stored: true,
                ..segment.clone()
            })
            .map_err(LogError::Store)?;
        self.save(&state)
    }

    /// Up to `rows` segments that the database has and the Anchorer may not know.
    pub fn unacked_segments(&self, rows: usize) -> Step<Vec<Segment>, S> {
        let mut segments = self.store.segments(rows).map_err(LogError::Store)?;
        segments.retain(|segment| segment.stored);
        Ok(segments)
    }

    /// The Anchorer knows these segments.
    pub fn ack_segments(&self, segments: &[Segment]) -> Step<(), S> {
        segments
            .iter()
            .try_for_each(|segment| self.store.drop_segment(segment.first))
            .map_err(LogError::Store)
    }

    /// The database's table of streams has this one, with these settings. Changed meanwhile, it is written again.
    pub fn listed(&self, settings: StreamSettings) -> Step<(), S> {
        let state = self.state()?;
        if state.settings != settings {
            return Ok(());
        }
        self.save(&LogState {
            listed: true,
            ..state
        })
    }

    /// Whether anything waits to go out.
    pub fn has_work(&self) -> Step<bool, S> {
        let state = self.state()?;
        let unacked_segments = self.store.segments(1).map_err(LogError::Store)?;
        Ok(!state.listed
            || state.flushed < state.head
            || state.inbox.messages > 0
            || !unacked_segments.is_empty())
    }
}

/// How many messages from `from` on, in whole batches, one segment takes; at least one batch.
fn join(batches: &[StoredBatch], from: Seq) -> u64 {
    let (mut count, mut bytes) = (0, 0);
    for batch in batches {
        let more = batch.end().0.saturating_sub(from.0.max(batch.first.0));
        let full =
            count + more > SEGMENT_MAX_MESSAGES as u64 || bytes + batch.records.len() > SEGMENT_MAX_BYTES;
        if count > 0 && full {
            break;
        }
        count += more;
        bytes += batch.records.len();
    }
    count
}

/// How many messages from `from` on a segment takes when they, or their digests, go on chain; at least one.
fn emittable(batches: &[StoredBatch], from: Seq) -> Option<u64> {
    let (mut count, mut bytes) = (0, 0);
    for batch in batches {
        for (_, record) in numbered(batch)?.into_iter().filter(|(seq, _)| *seq >= from.0) {
            bytes += record.payload.len() + EMITTED_OVERHEAD;
            if count > 0 && (bytes > EMITTED_MAX_BYTES || count == EMITTED_MAX_MESSAGES as u64) {
                return Some(count);
            }
            count += 1;
        }
    }
    Some(count)
}

/// The encoded records of the messages `from..end`; `None` when the batches' bytes are not records.
fn slice(mut batches: Vec<StoredBatch>, from: Seq, end: Seq) -> Option<Vec<u8>> {
    batches.retain(|batch| batch.first < end);
    let whole = batches.first().is_some_and(|batch| batch.first == from)
        && batches.last().is_some_and(|batch| batch.end() == end);
    if whole {
        return Some(batches.into_iter().flat_map(|batch| batch.records).collect());
    }
    let mut records = Vec::new();
    for batch in &batches {
        let wanted = numbered(batch)?
            .into_iter()
            .filter(|(seq, _)| (from.0..end.0).contains(seq));
        records.extend(wanted.map(|(_, record)| record));
    }
    Some(encode_records(&records))
}

fn numbered(batch: &StoredBatch) -> Option<Vec<(u64, Record)>> {
    let records = decode_records(&batch.records).ok()?;
    Some((batch.first.0..).zip(records).collect())
}
