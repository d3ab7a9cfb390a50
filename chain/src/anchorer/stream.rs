//! One stream's segments, and what is known of its state on the chain.
//!
//! What always holds: a segment does not change once it is here; `covered` and `obstacle` may be forgotten at any time
//! and are never saved.

use std::collections::BTreeMap;

use alloy_primitives::{Address, B256};
use serde::{Deserialize, Serialize};
use streamchain_protocol::ids::{Seq, StreamId};
use streamchain_protocol::proof::merkle;
use streamchain_protocol::stream_settings::Mode;
use streamchain_protocol::time::UnixMs;

use super::obstacle::Obstacle;
use super::segment::{Run, Segment, end_of};

/// Segments joined into one anchor at most: a root over them takes about 40 ms in a Worker.
const MAX_SEGMENTS_PER_ANCHOR: usize = 4_096;

/// A segment as it is saved; its stream and its first message are in the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SegmentRow {
    pub(super) count: u32,
    pub(super) root: B256,
    #[serde(default)]
    pub(super) mode: Mode,
    #[serde(default)]
    pub(super) prove: bool,
}

impl From<&Segment> for SegmentRow {
    fn from(segment: &Segment) -> Self {
        Self {
            count: segment.count,
            root: segment.root,
            mode: segment.mode,
            prove: segment.prove,
        }
    }
}

impl SegmentRow {
    /// Whether both have the same messages. The settings of the stream may have changed between the two.
    pub(super) fn has_messages_of(&self, other: &Self) -> bool {
        (self.count, self.root) == (other.count, other.root)
    }
}

/// A stream as it is saved.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct StreamRow {
    pub(super) owner: Address,
    pub(super) name: String,
    pub(super) name_hash: B256,
}

impl From<&Segment> for StreamRow {
    fn from(segment: &Segment) -> Self {
        Self {
            owner: segment.owner,
            name: segment.name.clone(),
            name_hash: segment.name_hash,
        }
    }
}

/// A run that can be sent, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RunPlan {
    /// What is anchored.
    pub(super) run: Run,
    /// What else goes on chain for it.
    pub(super) mode: Mode,
    /// Whether its anchor is stored for contracts to check.
    pub(super) prove: bool,
    /// Its segments by their first messages, in order; never empty.
    pub(super) segments: Vec<(Seq, SegmentRow)>,
}

impl RunPlan {
    /// The run over contiguous segments of one mode; `None` when there are none, or more than 2^32 messages.
    pub(super) fn over(stream: StreamId, segments: Vec<(Seq, SegmentRow)>) -> Option<Self> {
        let (first, SegmentRow { mode, prove, .. }) = *segments.first()?;
        let counts = segments.iter().map(|(_, row)| u64::from(row.count));
        let roots: Vec<B256> = segments.iter().map(|(_, row)| row.root).collect();
        let run = Run {
            stream,
            first,
            count: counts.sum::<u64>().try_into().ok()?,
            root: merkle::root(&roots)?,
        };
        Some(Self {
            run,
            mode,
            prove,
            segments,
        })
    }

    /// The run over the first `most` of its segments; `None` when that is none.
    pub(super) fn shortened(mut self, most: usize) -> Option<Self> {
        self.segments.truncate(most);
        Self::over(self.run.stream, self.segments)
    }
}

/// What can be sent for a stream whose next seq on the chain is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ready {
    /// This run can be sent.
    Run(RunPlan),
    /// There is nothing to send: all is anchored.
    Done,
    /// Nothing can be sent, for this reason.
    Not(Obstacle),
}

/// One stream with segments that are not final.
#[derive(Clone, Debug)]
pub(super) struct StreamEntry {
    about: StreamRow,
    pub(super) segments: BTreeMap<Seq, SegmentRow>,
    /// The chain's next seq as far as known; `None` means that it has to be read before anything is sent.
    pub(super) covered: Option<Seq>,
    /// When the contract was last read for this stream, or a transaction of ours changed it.
    pub(super) read_at: UnixMs,
    /// What keeps the stream from being anchored, and until when it is left alone.
    pub(super) obstacle: Option<(Obstacle, UnixMs)>,
}

impl StreamEntry {
    /// A stream without segments, of which nothing is known.
    pub(super) fn new(about: StreamRow) -> Self {
        Self {
            about,
            segments: BTreeMap::new(),
            covered: None,
            read_at: UnixMs(0),
            obstacle: None,
        }
    }

    /// The stream's owner.
    pub(super) fn owner(&self) -> Address {
        self.about.owner
    }

    /// The keccak256 hash of the stream's name.
    pub(super) fn name_hash(&self) -> B256 {
        self.about.name_hash
    }

    fn end(&self) -> Seq {
        self.segments
            .last_key_value()
            .map_or(Seq(0), |(first, row)| end_of(*first, row.count))
    }

    /// Whether it has segments that are not on the chain, as far as known.
    pub(super) fn is_behind(&self) -> bool {
        self.covered.is_none_or(|covered| self.end() > covered)
    }

    /// Whether it can be anchored now.
    pub(super) fn wants_anchor(&self, now: UnixMs) -> bool {
        let rests = self.obstacle.as_ref().is_some_and(|(_, until)| *until > now);
        !rests && !self.segments.is_empty() && self.is_behind()
    }

    /// How many of its segments are not on the chain, as far as known.
    pub(super) fn pending(&self) -> usize {
        self.segments.range(self.covered.unwrap_or(Seq(0))..).count()
    }

    /// The longest run that begins at `next`, over segments that want the same mode.
    pub(super) fn run_from(&self, stream: StreamId, next: Seq) -> Ready {
        if self.end() <= next {
            return Ready::Done;
        }
        let Some(&SegmentRow { mode, prove, .. }) = self.segments.get(&next) else {
            let before = self.segments.range(..next).next_back();
            return Ready::Not(match before {
                Some((&first, row)) if end_of(first, row.count) > next => Obstacle::Straddled { next, first },
                _ => Obstacle::Missing(next),
            });
        };
        let mut segments = Vec::new();
        let mut end = next;
        for (&first, row) in self.segments.range(next..).take(MAX_SEGMENTS_PER_ANCHOR) {
            let new_end = end_of(end, row.count);
            let is_too_long = new_end.0 - next.0 > u32::MAX.into();
            if first != end || is_too_long || (row.mode, row.prove) != (mode, prove) {
                break;
            }
            segments.push((first, *row));
            end = new_end;
        }
        // The loop takes the first segment and stays within u32.
        RunPlan::over(stream, segments).map_or(Ready::Done, Ready::Run)
    }

    /// Whether our segments tile the run exactly but give another root.
    pub(super) fn contradicts(&self, run: &Run) -> bool {
        let mut end = run.first;
        let mut roots = Vec::new();
        for (first, row) in self.segments.range(run.first..run.end()) {
            if *first != end {
                return false;
            }
            end = end_of(*first, row.count);
            roots.push(row.root);
        }
        end == run.end() && merkle::root(&roots).is_some_and(|root| root != run.root)
    }
}
