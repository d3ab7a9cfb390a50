//! The segments that are not final yet, by stream.
//!
//! What always holds: segments leave only when the chain has them in a finalized block; what is known of the chain's
//! state is never saved.

use std::collections::BTreeMap;
use std::ops::Bound;

use streamchain_protocol::ids::{Seq, StreamId};
use streamchain_protocol::time::UnixMs;

use super::obstacle::Obstacle;
use super::segment::{Run, Segment, SegmentError, end_of};
use super::stream::{SegmentRow, StreamEntry, StreamRow};
use crate::abi;
use crate::journal::{self, Journal, RestoreError};

/// Segments kept at most, over all streams: about 30 MB. While the chain is away for long, the streams keep the rest.
const MAX_HELD_SEGMENTS: usize = 100_000;

/// The prefix of this module's rows; the name is that of the first version.
pub(super) const PREFIX: &str = "book/";

/// All streams with segments that are not final.
#[derive(Debug)]
pub(super) struct Pending {
    streams: BTreeMap<StreamId, StreamEntry>,
    held: usize,
    retry_ms: u64,
}

impl Pending {
    /// No stream. What others have to do on chain is looked for again after `retry_ms`.
    pub(super) fn new(retry_ms: u64) -> Self {
        Self {
            streams: BTreeMap::new(),
            held: 0,
            retry_ms,
        }
    }

    /// Takes in one saved row: `book/<id>` or `book/<id>/<first>`, a stream before its segments.
    pub(super) fn restore(&mut self, key: &str, value: &str) -> Result<(), RestoreError> {
        let mut parts = key.split('/').skip(1);
        let id: StreamId = journal::read_key_part(key, parts.next().unwrap_or_default())?;
        match parts.next() {
            None => {
                let about = journal::read(key, value)?;
                self.streams.entry(id).or_insert_with(|| StreamEntry::new(about));
            }
            Some(first) => {
                let first = Seq(journal::read_key_part(key, first)?);
                let row = journal::read(key, value)?;
                let Some(entry) = self.streams.get_mut(&id) else {
                    return Err(RestoreError {
                        key: key.into(),
                        reason: "its stream has no row".into(),
                    });
                };
                self.held += usize::from(entry.segments.insert(first, row).is_none());
            }
        }
        Ok(())
    }

    /// Takes in segments, all or none, and returns how many were new.
    pub(super) fn insert(
        &mut self,
        segments: &[Segment],
        journal: &mut Journal,
    ) -> Result<usize, SegmentError> {
        for segment in segments {
            self.check(segment)?;
        }
        if self.held + segments.len() > MAX_HELD_SEGMENTS {
            return Err(SegmentError::Full { held: self.held });
        }
        let before = self.held;
        for segment in segments {
            self.insert_one(segment, journal)?;
        }
        Ok(self.held - before)
    }

    fn check(&self, segment: &Segment) -> Result<(), SegmentError> {
        let (stream, first) = (segment.stream, segment.first);
        if abi::stream_id(segment.owner, segment.name_hash) != stream {
            return Err(SegmentError::WrongId { stream });
        }
        if segment.count == 0 || first.0.checked_add(segment.count.into()).is_none() {
            return Err(SegmentError::BadRange { stream, first });
        }
        let entry = self.streams.get(&stream);
        match entry.and_then(|entry| entry.segments.get(&first)) {
            Some(row) if !row.has_messages_of(&segment.into()) => {
                Err(SegmentError::Different { stream, first })
            }
            _ => Ok(()),
        }
    }

    fn insert_one(&mut self, segment: &Segment, journal: &mut Journal) -> Result<(), SegmentError> {
        let (stream, first) = (segment.stream, segment.first);
        let entry = self.streams.entry(stream).or_insert_with(|| {
            let about = StreamRow::from(segment);
            journal.put(stream_key(stream), &about);
            StreamEntry::new(about)
        });
        let row = SegmentRow::from(segment);
        match entry.segments.get(&first) {
            // The first one stays: the settings may have changed since it was handed over.
            Some(old) if old.has_messages_of(&row) => Ok(()),
            Some(_) => Err(SegmentError::Different { stream, first }),
            None => {
                entry.segments.insert(first, row);
                self.held += 1;
                journal.put(segment_key(stream, first), &row);
                Ok(())
            }
        }
    }

    /// A stream's entry.
    pub(super) fn get(&self, stream: &StreamId) -> Option<&StreamEntry> {
        self.streams.get(stream)
    }

    /// Up to `limit` streams that want an anchor, beginning after the stream `after`, so that all get their turn.
    pub(super) fn wanting(&self, after: Option<StreamId>, limit: usize, now: UnixMs) -> Vec<StreamId> {
        let turn = after.map_or(Bound::Unbounded, Bound::Excluded);
        let rest = after.map_or(Bound::Excluded(StreamId([0; StreamId::LEN])), Bound::Included);
        let later = self.streams.range((turn, Bound::Unbounded));
        let earlier = self.streams.range((Bound::Unbounded, rest));
        let wanting = later.chain(earlier).filter(|(_, entry)| entry.wants_anchor(now));
        wanting.map(|(id, _)| *id).take(limit).collect()
    }

    /// Up to `limit` streams for which the contract was last read at `before` or earlier.
    pub(super) fn unread_since(&self, before: UnixMs, limit: usize) -> Vec<StreamId> {
        let stale = self.streams.iter().filter(|(_, entry)| entry.read_at <= before);
        stale.map(|(id, _)| *id).take(limit).collect()
    }

    /// The time of the oldest reading of the contract.
    pub(super) fn oldest_reading(&self) -> Option<UnixMs> {
        self.streams.values().map(|entry| entry.read_at).min()
    }

    /// When the next stream is due: at once, or at the end of its obstacle; `None` when no stream waits.
    pub(super) fn next_due(&self, now: UnixMs) -> Option<UnixMs> {
        self.streams
            .values()
            .filter(|entry| entry.is_behind())
            .map(|entry| entry.obstacle.as_ref().map_or(now, |(_, until)| *until))
            .min()
    }

    /// Notes why a stream cannot be anchored, and leaves it alone for a while.
    pub(super) fn block(&mut self, stream: StreamId, obstacle: Obstacle, now: UnixMs) {
        if let Some(entry) = self.streams.get_mut(&stream) {
            let until = now.plus_ms(obstacle.rest_ms(self.retry_ms));
            entry.obstacle = Some((obstacle, until));
            entry.covered = None;
        }
    }

    /// Notes up to where the chain has a stream, from the contract or from a receipt of ours.
    pub(super) fn cover(&mut self, stream: StreamId, next: Seq, now: UnixMs) {
        if let Some(entry) = self.streams.get_mut(&stream) {
            entry.covered = Some(next);
            entry.read_at = now;
            // A contradiction stays in the status: only a person can repair it.
            entry
                .obstacle
                .take_if(|(obstacle, _)| !matches!(obstacle, Obstacle::OtherRoot { .. }));
        }
    }

    /// Notes that a stream's state on the chain is not known.
    pub(super) fn forget_coverage(&mut self, stream: StreamId) {
        if let Some(entry) = self.streams.get_mut(&stream) {
            entry.covered = None;
        }
    }

    /// Notes that the finalized state was read for a stream; the latest state has to be read as well.
    pub(super) fn mark_read(&mut self, stream: StreamId, now: UnixMs) {
        if let Some(entry) = self.streams.get_mut(&stream) {
            entry.read_at = now;
            entry.covered = None;
        }
    }

    /// Notes that the chain has a run, according to an event, and whether it contradicts our segments.
    pub(super) fn see(&mut self, run: &Run, now: UnixMs) {
        let Some(entry) = self.streams.get_mut(&run.stream) else {
            return;
        };
        if entry.contradicts(run) {
            self.block(run.stream, Obstacle::OtherRoot { first: run.first }, now);
            return;
        }
        entry.covered = entry.covered.map(|covered| covered.max(run.end()));
    }

    /// Drops the segments up to `end`, which the chain has in a finalized block.
    pub(super) fn settle(&mut self, stream: StreamId, end: Seq, journal: &mut Journal) {
        let Some(entry) = self.streams.get_mut(&stream) else {
            return;
        };
        while let Some(first) = entry.segments.first_entry()
            && end_of(*first.key(), first.get().count) <= end
        {
            let (first, _) = first.remove_entry();
            self.held -= 1;
            journal.remove(segment_key(stream, first));
        }
        if entry.segments.is_empty() {
            self.streams.remove(&stream);
            journal.remove(stream_key(stream));
        }
    }

    /// How many segments are here.
    pub(super) fn held(&self) -> usize {
        self.held
    }

    /// How many segments are not on the chain, as far as known.
    pub(super) fn pending(&self) -> usize {
        self.streams.values().map(StreamEntry::pending).sum()
    }

    /// The streams that cannot be anchored, and why.
    pub(super) fn blocked(&self) -> impl Iterator<Item = (StreamId, &Obstacle)> {
        self.streams
            .iter()
            .filter_map(|(id, entry)| Some((*id, &entry.obstacle.as_ref()?.0)))
    }
}

/// The key of a stream's row; it sorts before those of the stream's segments.
fn stream_key(stream: StreamId) -> String {
    format!("{PREFIX}{stream}")
}

fn segment_key(stream: StreamId, first: Seq) -> String {
    format!("{PREFIX}{stream}/{:020}", first.0)
}
