//! One stream's segments, and what is known of its state on the chain.
//!
//! What always holds: the database has every segment that was handed over, so that what is not here can be read there;
//! a segment does not change once it is here; `covered` and `obstacle` may be forgotten at any time and are never saved.

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
pub(super) const MAX_SEGMENTS_PER_ANCHOR: usize = 4_096;
/// Runs on the chain that are not final, for each stream: more are merged, the oldest first, so that a chain without
/// finality makes no row grow.
const MAX_LANDED_RUNS: usize = 8;

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
    /// The same messages, of which nothing but the root goes on chain.
    fn by_root(self) -> Self {
        Self {
            mode: Mode::Root,
            prove: false,
            ..self
        }
    }

    /// Whether both have the same messages. The settings of the stream may have changed between the two.
    pub(super) fn has_messages_of(&self, other: &Self) -> bool {
        (self.count, self.root) == (other.count, other.root)
    }
}

/// Segments that the chain has, in blocks that are not final.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Landed {
    /// The seq after their last message.
    pub(super) end: Seq,
    /// How many they are.
    pub(super) segments: u64,
}

/// A stream as it is saved: the one line of the book that every stream has.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct StreamRow {
    pub(super) owner: Address,
    pub(super) name: String,
    pub(super) name_hash: B256,
    /// What the chain has of it and may still lose, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) landed: Vec<Landed>,
    /// Whether the database may have segments of it that are neither here nor on the chain.
    #[serde(default, skip_serializing_if = "is_false")]
    pub(super) in_database: bool,
    /// Whether its owner has to act on the contract before it can be anchored.
    #[serde(default, skip_serializing_if = "is_false")]
    pub(super) waiting: bool,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_false(flag: &bool) -> bool {
    !flag
}

impl From<&Segment> for StreamRow {
    fn from(segment: &Segment) -> Self {
        Self {
            owner: segment.owner,
            name: segment.name.clone(),
            name_hash: segment.name_hash,
            landed: Vec::new(),
            in_database: false,
            waiting: false,
        }
    }
}

/// A segment as the database has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoredSegment {
    /// The seq of the first message.
    pub first: Seq,
    /// The number of messages.
    pub count: u32,
    /// The Merkle root over the leaves of the messages.
    pub root: B256,
    /// What goes on chain beside the root.
    pub mode: Mode,
    /// Whether the anchor is stored, so that contracts can check the messages.
    pub prove: bool,
}

impl StoredSegment {
    /// A round, as the stream of rounds has it.
    pub fn of_round(round: u64, root: B256) -> Self {
        Self {
            first: Seq(round),
            count: 1,
            root,
            mode: Mode::Root,
            prove: false,
        }
    }

    fn row(&self) -> (Seq, SegmentRow) {
        let row = SegmentRow {
            count: self.count,
            root: self.root,
            mode: self.mode,
            prove: self.prove,
        };
        (self.first, row)
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
    /// Whether the segments are rounds: each has an anchor of its own then.
    pub(super) is_rounds: bool,
}

impl RunPlan {
    /// The longest run over segments that follow each other from `next` on and want the same on chain; `None` when the
    /// first of them begins elsewhere. Unless it is `granted`, only roots go on chain.
    pub(super) fn longest(
        stream: StreamId,
        next: Seq,
        segments: impl Iterator<Item = (Seq, SegmentRow)>,
        granted: bool,
    ) -> Option<Self> {
        let mut chosen: Vec<(Seq, SegmentRow)> = Vec::new();
        let mut end = next;
        for (first, row) in segments.take(MAX_SEGMENTS_PER_ANCHOR) {
            let row = if granted { row } else { row.by_root() };
            let wants = (row.mode, row.prove);
            let is_like_the_first = chosen
                .first()
                .is_none_or(|(_, chosen)| (chosen.mode, chosen.prove) == wants);
            let new_end = end_of(end, row.count);
            if first != end || !is_like_the_first || new_end.0 - next.0 > u32::MAX.into() {
                break;
            }
            chosen.push((first, row));
            end = new_end;
        }
        Self::over(stream, chosen)
    }

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
            is_rounds: false,
        })
    }

    /// The run over the first `most` of its segments; `None` when that is none.
    pub(super) fn shortened(mut self, most: usize) -> Option<Self> {
        self.segments.truncate(most);
        let shortened = Self::over(self.run.stream, self.segments)?;
        Some(Self {
            is_rounds: self.is_rounds,
            ..shortened
        })
    }

    /// The same segments as rounds, at most so many.
    pub(super) fn into_rounds(mut self, most: usize) -> Self {
        self.segments.truncate(most.max(1));
        self.is_rounds = true;
        self
    }

    /// What is anchored: the run, or each of the rounds.
    pub(super) fn anchored(&self) -> Vec<Run> {
        if !self.is_rounds {
            return vec![self.run];
        }
        let rounds = self.segments.iter().map(|(first, row)| Run {
            stream: self.run.stream,
            first: *first,
            count: row.count,
            root: row.root,
        });
        rounds.collect()
    }
}

/// What can be sent for a stream whose next seq on the chain is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ready {
    /// This run can be sent.
    Run(RunPlan),
    /// The segments have to be read from the database, from this seq on.
    Read(Seq),
    /// There is nothing to send: all is anchored.
    Done,
    /// Nothing can be sent, for this reason.
    Not(Obstacle),
}

/// One stream that is not settled: something of it waits, or is on the chain and not final.
#[derive(Clone, Debug)]
pub(super) struct StreamEntry {
    pub(super) about: StreamRow,
    /// The segments that are not on the chain, as far as they are kept here.
    pub(super) segments: BTreeMap<Seq, SegmentRow>,
    /// The seq after the last message that was handed over; `None` when that is not known any more.
    known_end: Option<Seq>,
    /// The chain's next seq as far as known; `None` means that it has to be read before anything is sent.
    pub(super) covered: Option<Seq>,
    /// When the contract was last read for this stream, or a transaction of ours changed it.
    pub(super) read_at: UnixMs,
    /// What keeps the stream from being anchored, and until when it is left alone.
    pub(super) obstacle: Option<(Obstacle, UnixMs)>,
    /// How many readings in a row found that its owner has not acted.
    pub(super) vain_readings: u32,
    /// How many readings of the finalized state in a row settled nothing.
    pub(super) vain_rechecks: u32,
    /// Whether a transaction reverted that carried it among others: it is sent alone until that succeeds.
    pub(super) suspect: bool,
    /// Grows with each time that something was handed over, over all streams.
    pub(super) touched: u64,
}

impl StreamEntry {
    /// A stream without segments, of which nothing is known.
    pub(super) fn new(about: StreamRow) -> Self {
        Self {
            about,
            segments: BTreeMap::new(),
            known_end: None,
            covered: None,
            read_at: UnixMs(0),
            obstacle: None,
            vain_readings: 0,
            vain_rechecks: 0,
            suspect: false,
            touched: 0,
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

    /// The seq after the last message that is known here.
    fn end(&self) -> Seq {
        let held = self.segments.last_key_value();
        let held = held.map_or(Seq(0), |(first, row)| end_of(*first, row.count));
        let landed = self.about.landed.last().map_or(Seq(0), |landed| landed.end);
        held.max(landed).max(self.known_end.unwrap_or_default())
    }

    /// Whether the chain has more of it than was handed over.
    pub(super) fn is_beyond(&self, next: Seq) -> bool {
        self.known_end.is_some_and(|end| next > end)
    }

    /// Notes that messages up to `end` were handed over.
    pub(super) fn hand_over(&mut self, end: Seq) {
        self.known_end = self.known_end.max(Some(end));
    }

    /// Whether it has messages that are not on the chain, as far as known.
    pub(super) fn is_behind(&self) -> bool {
        let is_open_ended = self.about.in_database && self.known_end.is_none();
        is_open_ended || self.covered.is_none_or(|covered| self.end() > covered)
    }

    /// Whether it can be anchored now.
    pub(super) fn wants_anchor(&self, now: UnixMs) -> bool {
        let rests = self.obstacle.as_ref().is_some_and(|(_, until)| *until > now);
        !self.about.waiting && !rests && self.is_behind()
    }

    /// When it can be anchored: at once, or at the end of its obstacle; `None` when there is nothing to anchor, or when it
    /// waits for its owner.
    pub(super) fn due(&self, now: UnixMs) -> Option<UnixMs> {
        let until = self.obstacle.as_ref().map_or(now, |(_, until)| *until);
        (!self.about.waiting && self.is_behind()).then_some(until)
    }

    /// When its owner may have acted, if it waits for that.
    pub(super) fn waits_until(&self) -> Option<UnixMs> {
        let until = self.obstacle.as_ref().map_or(UnixMs(0), |(_, until)| *until);
        self.about.waiting.then_some(until)
    }

    /// Whether nothing of it can be sent at present. The stream's next segment brings the line of such a stream back.
    pub(super) fn is_idle(&self) -> bool {
        self.about.waiting || (self.segments.is_empty() && !self.is_behind())
    }

    /// Whether there is nothing left to be done for it.
    pub(super) fn is_settled(&self) -> bool {
        self.segments.is_empty() && self.about.landed.is_empty() && !self.about.in_database
    }

    /// How many of the segments that are kept here are not on the chain, as far as known.
    pub(super) fn pending(&self) -> usize {
        self.segments.range(self.covered.unwrap_or(Seq(0))..).count()
    }

    /// How many of its segments are on the chain in blocks that are not final.
    pub(super) fn landed(&self) -> usize {
        let landed = self.about.landed.iter().map(|landed| landed.segments);
        usize::try_from(landed.sum::<u64>()).unwrap_or(usize::MAX)
    }

    /// Notes that the chain has it up to `next`. Returns the first messages of the segments that are here no more, and
    /// whether the stream's row has changed.
    pub(super) fn cover(&mut self, next: Seq) -> (Vec<Seq>, bool) {
        self.covered = Some(next);
        let mut gone = Vec::new();
        while let Some(first) = self.segments.first_entry()
            && end_of(*first.key(), first.get().count) <= next
        {
            gone.push(first.remove_entry().0);
        }
        let mut changed = !gone.is_empty();
        if changed {
            let segments = gone.len() as u64;
            self.about.landed.push(Landed { end: next, segments });
            self.merge_landed();
        }
        if self.about.in_database && self.known_end.is_some_and(|end| end <= next) {
            self.about.in_database = false;
            changed = true;
            if gone.is_empty() && self.about.landed.last().is_none_or(|landed| landed.end < next) {
                self.about.landed.push(Landed {
                    end: next,
                    segments: 0,
                });
                self.merge_landed();
            }
        }
        (gone, changed)
    }

    fn merge_landed(&mut self) {
        if self.about.landed.len() > MAX_LANDED_RUNS {
            let oldest = self.about.landed.remove(0);
            if let Some(next) = self.about.landed.first_mut() {
                next.segments += oldest.segments;
            }
        }
    }

    /// The database has nothing behind `next`: what was handed over is on the chain.
    pub(super) fn end_at(&mut self, next: Seq) {
        self.known_end.get_or_insert(next);
    }

    /// What can be sent from `next` on, by what is here.
    pub(super) fn run_from(&self, stream: StreamId, next: Seq, granted: bool) -> Ready {
        let held = self.segments.range(next..).map(|(first, row)| (*first, *row));
        if let Some(plan) = RunPlan::longest(stream, next, held, granted) {
            return Ready::Run(plan);
        }
        if let Some((&first, row)) = self.segments.range(..next).next_back()
            && end_of(first, row.count) > next
        {
            return Ready::Not(Obstacle::Straddled { next, first });
        }
        let is_open_ended = self.about.in_database && self.known_end.is_none();
        match self.end() <= next && !is_open_ended {
            true => Ready::Done,
            false => Ready::Read(next),
        }
    }

    /// What can be sent from `next` on, by what the database has there.
    pub(super) fn run_of(
        &self,
        stream: StreamId,
        next: Seq,
        stored: &[StoredSegment],
        granted: bool,
    ) -> Ready {
        let mut rows = stored.iter().map(StoredSegment::row);
        let rows = rows
            .by_ref()
            .skip_while(|(first, row)| end_of(*first, row.count) <= next);
        let rows: Vec<_> = rows.collect();
        match rows.first() {
            Some(&(first, _)) if first < next => Ready::Not(Obstacle::Straddled { next, first }),
            None if self.end() <= next => Ready::Done,
            _ => match RunPlan::longest(stream, next, rows.into_iter(), granted) {
                Some(plan) => Ready::Run(plan),
                None => Ready::Not(Obstacle::Missing(next)),
            },
        }
    }

    /// Whether more than the run waits.
    pub(super) fn has_more_than(&self, run: &Run) -> bool {
        self.end() > run.end() || (self.about.in_database && self.known_end.is_none())
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
