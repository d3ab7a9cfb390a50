//! The segments that are not final yet, by stream.
//!
//! What always holds: segments of a stream do not change once they are here, and leave only when the chain has them
//! for good; `covered` is a belief about the chain that may be forgotten at any time, never saved.

use std::collections::BTreeMap;
use std::ops::Bound;

use alloy_primitives::{Address, B256};
use serde::{Deserialize, Serialize};
use streamchain_protocol::proof::merkle;
use streamchain_protocol::stream_settings::Mode;

use super::{Segment, SegmentError};
use crate::abi;
use crate::journal::{self, Journal, RestoreError};

/// Segments held at most, over all streams: about 30 MB. With the chain away for long, the streams keep the rest.
pub const MAX_HELD_SEGMENTS: usize = 100_000;
/// Segments joined into one anchor at most: a root over them takes some 40 ms in a Worker.
pub const MAX_SEGMENTS_PER_ANCHOR: usize = 4_096;

/// A contiguous run of messages of one stream, as the contract's `Anchor`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Run {
    /// The stream.
    pub stream: B256,
    /// Its first message.
    pub first: u64,
    /// How many messages it has.
    pub count: u32,
    /// The Merkle root over its segments' roots.
    pub root: B256,
}

impl Run {
    /// The seq after its last message.
    pub fn end(&self) -> u64 {
        self.first.saturating_add(self.count.into())
    }
}

/// A run that can be sent, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Plan {
    /// What is anchored.
    pub run: Run,
    /// What else goes on chain for it.
    pub mode: Mode,
    /// Whether its anchor is stored for contracts to check.
    pub prove: bool,
    /// Its segments' first messages, counts and roots, in order.
    pub segments: Vec<(u64, u32, B256)>,
}

/// Why a stream is not anchored at the moment, in words for people.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Obstacle {
    /// Another account may anchor the stream, we may not.
    #[error("the contract lets {0} anchor this stream, and nobody else")]
    Stranger(Address),
    /// The stream belongs to somebody who has not opened it.
    #[error("its owner has not opened it on the contract")]
    NotOpen,
    /// The segment that has to come next has not arrived.
    #[error("the segment that begins at message {0} has not arrived")]
    Missing(u64),
    /// The chain's next seq lies inside a segment: somebody else anchored a part of it.
    #[error("the chain is anchored up to message {next}, inside the segment that begins at {first}")]
    Straddled {
        /// The chain's next seq.
        next: u64,
        /// The segment's first message.
        first: u64,
    },
    /// What the database holds is not what was handed over.
    #[error("the stored messages from {0} do not give the segment's root")]
    Damaged(u64),
    /// The node says that an anchor of this stream alone would fail.
    #[error("an anchor of this stream alone is refused: {0}")]
    Refused(String),
    /// The chain holds an anchor over the same messages with another root than ours.
    #[error("the chain holds another root than ours for the messages from {first}")]
    OtherRoot {
        /// The first message of that anchor.
        first: u64,
    },
}

impl Obstacle {
    /// How long the stream is left alone, in ms: what another piece of us mends is looked at soon, what its owner does
    /// on chain after `retry_ms`, what the operator has to mend once a minute.
    fn rest_ms(&self, retry_ms: u64) -> u64 {
        match self {
            Obstacle::Missing(_) => 5_000,
            Obstacle::NotOpen | Obstacle::Stranger(_) => retry_ms,
            _ => 60_000,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct HeldSegment {
    count: u32,
    root: B256,
    #[serde(default)]
    mode: Mode,
    #[serde(default)]
    prove: bool,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct StreamRow {
    owner: Address,
    name: String,
    name_hash: B256,
}

/// One stream's segments and what is believed of it.
#[derive(Clone, Debug)]
pub(super) struct StreamEntry {
    about: StreamRow,
    segments: BTreeMap<u64, HeldSegment>,
    /// The chain's next seq as far as known; `None` means: has to be read before anything is sent.
    pub covered: Option<u64>,
    /// When the contract was last read for this stream, or believed to have changed.
    pub read_ms: u64,
    obstacle: Option<(Obstacle, u64)>,
}

/// What can be sent for a stream whose next seq on the chain is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ready {
    /// This run.
    Run(Plan),
    /// Nothing: all is anchored.
    Done,
    /// Nothing, for this reason.
    Not(Obstacle),
}

impl StreamEntry {
    /// Who owns the stream.
    pub(super) fn owner(&self) -> Address {
        self.about.owner
    }

    /// keccak256 of the stream's name.
    pub(super) fn name_hash(&self) -> B256 {
        self.about.name_hash
    }

    fn end(&self) -> u64 {
        self.segments
            .last_key_value()
            .map_or(0, |(&first, held)| first + u64::from(held.count))
    }

    fn wants_anchor(&self, now_ms: u64) -> bool {
        let rests = self.obstacle.as_ref().is_some_and(|(_, until)| *until > now_ms);
        !rests && !self.segments.is_empty() && self.covered.is_none_or(|covered| self.end() > covered)
    }

    fn pending(&self) -> usize {
        self.segments.range(self.covered.unwrap_or(0)..).count()
    }

    /// The longest run that begins at `next`, of up to `most` segments that want the same mode.
    pub(super) fn run_from(&self, stream: B256, next: u64, most: usize) -> Ready {
        if self.end() <= next {
            return Ready::Done;
        }
        let Some(&HeldSegment { mode, prove, .. }) = self.segments.get(&next) else {
            let before = self.segments.range(..next).next_back();
            return Ready::Not(match before {
                Some((&first, held)) if first + u64::from(held.count) > next => {
                    Obstacle::Straddled { next, first }
                }
                _ => Obstacle::Missing(next),
            });
        };
        let mut segments = Vec::new();
        let mut end = next;
        for (&first, held) in self
            .segments
            .range(next..)
            .take(most.min(MAX_SEGMENTS_PER_ANCHOR))
        {
            let count = (end - next).saturating_add(held.count.into());
            if first != end || count > u32::MAX.into() || (held.mode, held.prove) != (mode, prove) {
                break;
            }
            segments.push((first, held.count, held.root));
            end = first + u64::from(held.count);
        }
        let roots: Vec<B256> = segments.iter().map(|(.., root)| *root).collect();
        match (u32::try_from(end - next), merkle::root(&roots)) {
            (Ok(count), Some(root)) => Ready::Run(Plan {
                run: Run {
                    stream,
                    first: next,
                    count,
                    root,
                },
                mode,
                prove,
                segments,
            }),
            _ => Ready::Done, // the loop takes the first segment and stays within u32
        }
    }

    /// Whether our segments tile the run exactly but give another root.
    fn contradicts(&self, run: &Run) -> bool {
        let held: Vec<_> = self.segments.range(run.first..run.end()).collect();
        let mut end = run.first;
        for (first, segment) in &held {
            if **first != end {
                return false;
            }
            end = *first + u64::from(segment.count);
        }
        let roots: Vec<B256> = held.iter().map(|(_, segment)| segment.root).collect();
        end == run.end() && merkle::root(&roots).is_some_and(|root| root != run.root)
    }
}

/// All streams with segments that are not final.
#[derive(Debug)]
pub(super) struct Pending {
    streams: BTreeMap<B256, StreamEntry>,
    held: usize,
    retry_ms: u64,
}

impl Pending {
    /// An empty one. What others have to do on chain is looked for again after `retry_ms`.
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
        let id: B256 = journal::read_key_part(key, parts.next().unwrap_or_default())?;
        match parts.next() {
            None => {
                let about = journal::read(key, value)?;
                self.streams
                    .entry(id)
                    .or_insert_with(|| StreamEntry::empty(about));
            }
            Some(first) => {
                let first = journal::read_key_part(key, first)?;
                let held = journal::read(key, value)?;
                let Some(entry) = self.streams.get_mut(&id) else {
                    return Err(RestoreError {
                        key: key.into(),
                        reason: "its stream has no row".into(),
                    });
                };
                self.held += usize::from(entry.segments.insert(first, held).is_none());
            }
        }
        Ok(())
    }

    /// Takes in segments, all or none, and gives how many were new.
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
        if segment.count == 0 || first.checked_add(segment.count.into()).is_none() {
            return Err(SegmentError::BadRange { stream, first });
        }
        let held = self
            .streams
            .get(&stream)
            .and_then(|entry| entry.segments.get(&first));
        match held {
            Some(held) if (held.count, held.root) != (segment.count, segment.root) => {
                Err(SegmentError::Different { stream, first })
            }
            _ => Ok(()),
        }
    }

    fn insert_one(&mut self, segment: &Segment, journal: &mut Journal) -> Result<(), SegmentError> {
        let (stream, first) = (segment.stream, segment.first);
        let entry = self.streams.entry(stream).or_insert_with(|| {
            let about = StreamRow {
                owner: segment.owner,
                name: segment.name.clone(),
                name_hash: segment.name_hash,
            };
            journal.put(stream_key(stream), &about);
            StreamEntry::empty(about)
        });
        let held = HeldSegment {
            count: segment.count,
            root: segment.root,
            mode: segment.mode,
            prove: segment.prove,
        };
        match entry.segments.insert(first, held) {
            None => {
                self.held += 1;
                journal.put(segment_key(stream, first), &held);
                Ok(())
            }
            Some(old) => {
                // The first one stays: the settings may have changed since it was handed over.
                entry.segments.insert(first, old);
                let same = (old.count, old.root) == (held.count, held.root);
                same.then_some(())
                    .ok_or(SegmentError::Different { stream, first })
            }
        }
    }

    /// A stream's entry.
    pub(super) fn get(&self, stream: &B256) -> Option<&StreamEntry> {
        self.streams.get(stream)
    }

    /// A stream's entry, to change what is believed of it.
    pub(super) fn get_mut(&mut self, stream: &B256) -> Option<&mut StreamEntry> {
        self.streams.get_mut(stream)
    }

    /// Up to `limit` streams that want an anchor, beginning behind `after`, so that all get their turn.
    pub(super) fn wanting(&self, after: Option<B256>, limit: usize, now_ms: u64) -> Vec<B256> {
        let turn = after.map_or(Bound::Unbounded, Bound::Excluded);
        let rest = after.map_or(Bound::Excluded(B256::ZERO), Bound::Included);
        let later = self.streams.range((turn, Bound::Unbounded));
        let earlier = self.streams.range((Bound::Unbounded, rest));
        let wanting = later
            .chain(earlier)
            .filter(|(_, entry)| entry.wants_anchor(now_ms));
        wanting.map(|(id, _)| *id).take(limit).collect()
    }

    /// Up to `limit` streams with anchored segments whose last reading is older than `before_ms`.
    pub(super) fn unread_since(&self, before_ms: u64, limit: usize) -> Vec<B256> {
        let stale = self
            .streams
            .iter()
            .filter(|(_, entry)| entry.read_ms <= before_ms);
        stale.map(|(id, _)| *id).take(limit).collect()
    }

    /// When the oldest reading was made.
    pub(super) fn oldest_reading_ms(&self) -> Option<u64> {
        self.streams.values().map(|entry| entry.read_ms).min()
    }

    /// When the next stream is due: at once, at the end of an obstacle, or never.
    pub(super) fn next_due_ms(&self, now_ms: u64) -> Option<u64> {
        self.streams
            .values()
            .filter(|entry| entry.covered.is_none_or(|covered| entry.end() > covered))
            .map(|entry| entry.obstacle.as_ref().map_or(now_ms, |(_, until)| *until))
            .min()
    }

    /// Notes why a stream cannot be anchored; it rests for a while.
    pub(super) fn block(&mut self, stream: B256, obstacle: Obstacle, now_ms: u64) {
        if let Some(entry) = self.streams.get_mut(&stream) {
            let until = now_ms + obstacle.rest_ms(self.retry_ms);
            entry.obstacle = Some((obstacle, until));
            entry.covered = None;
        }
    }

    /// Notes how far the chain has a stream: the contract said so, or a receipt of ours.
    pub(super) fn cover(&mut self, stream: B256, next: u64, now_ms: u64) {
        if let Some(entry) = self.streams.get_mut(&stream) {
            entry.covered = Some(next);
            entry.read_ms = now_ms;
            // A contradiction stays in sight: only a person can mend it.
            entry
                .obstacle
                .take_if(|(obstacle, _)| !matches!(obstacle, Obstacle::OtherRoot { .. }));
        }
    }

    /// Notes that nothing is known of a stream's state on the chain.
    pub(super) fn forget_coverage(&mut self, stream: &B256) {
        if let Some(entry) = self.streams.get_mut(stream) {
            entry.covered = None;
        }
    }

    /// An event says that the chain has this run. Notes it, and whether it contradicts ours.
    pub(super) fn see(&mut self, run: &Run, now_ms: u64) {
        let Some(entry) = self.streams.get_mut(&run.stream) else {
            return;
        };
        if entry.contradicts(run) {
            self.block(run.stream, Obstacle::OtherRoot { first: run.first }, now_ms);
            return;
        }
        entry.covered = entry.covered.map(|covered| covered.max(run.end()));
    }

    /// The chain has the stream for good up to `end`: drops those segments.
    pub(super) fn settle(&mut self, stream: B256, end: u64, journal: &mut Journal) {
        let Some(entry) = self.streams.get_mut(&stream) else {
            return;
        };
        let settled: Vec<u64> = entry
            .segments
            .iter()
            .take_while(|(first, held)| **first + u64::from(held.count) <= end)
            .map(|(first, _)| *first)
            .collect();
        for first in &settled {
            entry.segments.remove(first);
            journal.remove(segment_key(stream, *first));
        }
        self.held -= settled.len();
        if entry.segments.is_empty() {
            self.streams.remove(&stream);
            journal.remove(stream_key(stream));
        }
    }

    /// Segments held.
    pub(super) fn held(&self) -> usize {
        self.held
    }

    /// Segments that are not on the chain, as far as known.
    pub(super) fn pending(&self) -> usize {
        self.streams.values().map(StreamEntry::pending).sum()
    }

    /// The streams that rest, and why.
    pub(super) fn blocked(&self) -> impl Iterator<Item = (B256, &Obstacle)> {
        self.streams
            .iter()
            .filter_map(|(id, entry)| Some((*id, &entry.obstacle.as_ref()?.0)))
    }
}

impl StreamEntry {
    fn empty(about: StreamRow) -> Self {
        Self {
            about,
            segments: BTreeMap::new(),
            covered: None,
            read_ms: 0,
            obstacle: None,
        }
    }
}

/// Sorts before the stream's segments.
fn stream_key(stream: B256) -> String {
    format!("book/{stream}")
}

fn segment_key(stream: B256, first: u64) -> String {
    format!("book/{stream}/{first:020}")
}
