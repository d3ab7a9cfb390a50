//! The outbox: batches become segments, and segments go to the database and then to the Anchorer.
//!
//! A segment is made of whole batches, unless its messages or digests go on chain: then of as many messages as one
//! transaction takes. It never ends inside a signed group.
//!
//! What always holds: a segment's bounds and root are saved before anything is done with it, so a retry after any crash
//! writes the very same segment; a batch is dropped only once it is flushed; and a segment that goes on chain by itself has
//! a row from when it is flushed until the Anchorer has acknowledged it. The rows of producers are written when a segment
//! is flushed, so that no batch is dropped that is to be applied again.

use super::error::LogError;
use super::groups::{Place, with_places};
use super::live::Live;
use super::state::{CommittedBatch, LogState, OutboxSegment};
use super::store::{LogStore, Step};
use streamchain_protocol::ids::Seq;
use streamchain_protocol::limits::{
    EMITTED_OVERHEAD, MAX_EMITTED_BYTES, MAX_EMITTED_MESSAGES, MAX_SEGMENT_BYTES, MAX_SEGMENT_MESSAGES,
};
use streamchain_protocol::proof::{Segment, leaves, merkle};
use streamchain_protocol::stream_settings::{Anchoring, Mode};
use streamchain_protocol::util::BackoffBounds;
use streamchain_protocol::wire::{Record, decode_records, encode_records};

/// The waits after flushes that failed: a database that is back is noticed within half a minute.
pub const FLUSH_BACKOFF: BackoffBounds = BackoffBounds {
    first_ms: 1_000,
    max_ms: 30_000,
};

/// How long segments wait that the Anchorer had no room for, milliseconds: room is made as other streams are anchored.
pub(super) const REFUSED_MS: u64 = 60_000;

/// Most segments written in one flush: bounds its run time. More follow with the next one.
pub const SEGMENTS_PER_FLUSH: usize = 8;

/// The outbox's rows, and the stream's row.
pub(super) struct Outbox<'a, S> {
    pub(super) store: &'a S,
    pub(super) live: &'a mut Live,
}

impl<S: LogStore> Outbox<'_, S> {
    /// Returns the segment that the database lacks, with its records: the one made before, or a new one of the oldest
    /// batches. `None` when everything is flushed.
    pub(super) fn next_segment(&mut self) -> Step<Option<(OutboxSegment, Vec<u8>)>, S> {
        let LogState {
            id,
            flushed,
            head,
            settings,
            sealing,
            ..
        } = self.live.state;
        if flushed == head {
            return Ok(None);
        }
        let corrupt = || LogError::Corrupt(flushed);
        let batches = self.store.batches(flushed, MAX_SEGMENT_BYTES);
        let batches = batches.map_err(LogError::Store)?;
        if let Some(made) = self.made_before(sealing)? {
            let Segment { first, .. } = made.segment;
            let records = slice(batches, first, made.segment.end());
            return Ok(Some((made, records.ok_or(LogError::Corrupt(first))?)));
        }
        let count = match settings.mode {
            Mode::Root => Some(whole_batches(&batches, flushed)),
            Mode::Hash | Mode::Payload => emittable(&batches, flushed),
        };
        let count = count.ok_or_else(corrupt)?;
        let records = slice(batches, flushed, Seq(flushed.0 + count)).ok_or_else(corrupt)?;
        let leaves = leaves(id, flushed, &records).ok_or_else(corrupt)?;
        let made = OutboxSegment {
            segment: Segment {
                first: flushed,
                count,
                root: merkle::root(&leaves).ok_or_else(corrupt)?,
            },
            flushed: false,
            mode: settings.mode,
            prove: settings.prove,
            anchor: settings.anchor,
        };
        self.live.state.sealing = Some(made);
        Ok(Some((made, records)))
    }

    /// Returns the segment that was made and is not flushed. The version before kept it in a row of its own.
    fn made_before(&self, sealing: Option<OutboxSegment>) -> Step<Option<OutboxSegment>, S> {
        if sealing.is_some() {
            return Ok(sealing);
        }
        let rows = self.store.segments(usize::MAX).map_err(LogError::Store)?;
        Ok(rows.into_iter().find(|one| !one.flushed))
    }

    /// Notes that the database has a segment of `bytes` encoded bytes, and drops its batches. A segment that goes on chain
    /// by itself is kept in a row until the Anchorer has acknowledged it; one for a round is in the database, where the run
    /// is made of it.
    pub(super) fn mark_flushed(
        &mut self,
        made: &OutboxSegment,
        bytes: usize,
        is_acked: bool,
    ) -> Result<(), S::Error> {
        let state = &mut self.live.state;
        if made.segment.first != state.flushed {
            return Ok(());
        }
        let had_row = state.sealing.take().is_none();
        state.flushed = made.segment.end();
        state.backlog = state.backlog.saturating_sub(bytes as u64);
        if made.anchor == Anchoring::Shared {
            state.begin_runs(made.segment.first);
        }
        let flushed = state.flushed;
        self.live.save_producers(self.store)?;
        self.store.drop_batches(flushed)?;
        if made.anchor == Anchoring::Own && !is_acked {
            let flushed = true;
            return self.store.put_segment(&OutboxSegment { flushed, ..*made });
        }
        match had_row {
            true => self.store.drop_segment(made.segment.first),
            false => Ok(()),
        }
    }
}

/// Returns up to `rows` segments that are flushed and that the Anchorer has not acknowledged.
pub(super) fn unacked<S: LogStore>(store: &S, rows: usize) -> Result<Vec<OutboxSegment>, S::Error> {
    let mut segments = store.segments(rows)?;
    segments.retain(|one| one.flushed);
    Ok(segments)
}

/// Returns whether anything waits to go out.
pub(super) fn has_work<S: LogStore>(live: &Live, store: &S) -> Result<bool, S::Error> {
    let is_to_offer = live.state.pending_run().is_some();
    Ok(has_unflushed(live) || is_to_offer || !store.segments(1)?.is_empty())
}

/// Returns whether anything but segments for the Anchorer waits to go out.
pub(super) fn has_unflushed(live: &Live) -> bool {
    let state = &live.state;
    !state.listed || state.flushed < state.head || state.inbox.messages > 0
}

/// Returns how many messages from `from` on, in whole batches, one segment takes; at least one batch.
fn whole_batches(batches: &[CommittedBatch], from: Seq) -> u64 {
    let (mut count, mut bytes) = (0, 0);
    for batch in batches {
        let more = batch.end().0.saturating_sub(from.0.max(batch.first.0));
        let full =
            count + more > MAX_SEGMENT_MESSAGES as u64 || bytes + batch.records.len() > MAX_SEGMENT_BYTES;
        if count > 0 && full {
            break;
        }
        count += more;
        bytes += batch.records.len();
    }
    count
}

/// Returns how many messages from `from` on a segment takes when they, or their digests, go on chain: whole groups, and at
/// least one message or group. `None` when the batches' bytes are not records.
fn emittable(batches: &[CommittedBatch], from: Seq) -> Option<u64> {
    let (mut count, mut bytes) = (0, 0);
    // What is read of the message or group that begins at `count`.
    let (mut more, mut more_bytes) = (0, 0);
    for batch in batches {
        let records = decode_records(&batch.records).ok()?;
        for (seq, (record, place)) in (batch.first.0..).zip(with_places(&records)) {
            if seq < from.0 {
                continue;
            }
            if place != Place::Inside {
                (count, bytes) = (count + more, bytes + more_bytes);
                (more, more_bytes) = (0, 0);
            }
            more += 1;
            more_bytes += record.payload.len() + EMITTED_OVERHEAD;
            let is_above =
                bytes + more_bytes > MAX_EMITTED_BYTES || count + more > MAX_EMITTED_MESSAGES as u64;
            if count > 0 && is_above {
                return Some(count);
            }
        }
    }
    Some(count + more)
}

/// Returns the encoded records of the messages `from..end`; `None` when the batches' bytes are not records.
fn slice(mut batches: Vec<CommittedBatch>, from: Seq, end: Seq) -> Option<Vec<u8>> {
    batches.retain(|batch| batch.first < end);
    let whole = batches.first().is_some_and(|batch| batch.first == from)
        && batches.last().is_some_and(|batch| batch.end() == end);
    if whole {
        return Some(batches.into_iter().flat_map(|batch| batch.records).collect());
    }
    let mut records = Vec::new();
    for batch in &batches {
        let wanted = with_seqs(batch)?
            .into_iter()
            .filter(|(seq, _)| (from.0..end.0).contains(seq));
        records.extend(wanted.map(|(_, record)| record));
    }
    Some(encode_records(&records))
}

/// Returns the batch's records, each with its seq.
fn with_seqs(batch: &CommittedBatch) -> Option<Vec<(u64, Record)>> {
    let records = decode_records(&batch.records).ok()?;
    Some((batch.first.0..).zip(records).collect())
}
