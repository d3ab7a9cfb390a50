//! From the database to the rounds: which run the batcher is offered.
//!
//! What always holds: a run that the batcher takes begins where it says that the next one does, and covers whole segments of
//! the database up to one that is flushed; what the batcher took is not offered again until there is more. Asking again
//! after a crash is harmless: an offer replaces the one before.
//!
//! The last run that was taken is mostly in a round by the time of the next offer, so the next one is offered behind it. If
//! it is not, the batcher says where it begins, and the whole is offered.

use super::StreamLog;
use super::error::LogError;
use super::state::{LogState, OutboxSegment, RunMarks};
use super::store::{LogStore, Step};
use alloy_primitives::B256;
use streamchain_protocol::ids::Seq;
use streamchain_protocol::proof::{Segment, merkle};

/// Most segments whose roots are remembered for the next offer: some minutes of a busy stream.
const MAX_REMEMBERED: usize = 64;

/// Where the next run is in the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PendingRun {
    /// Its first message.
    pub first: Seq,
    /// No segment of it ends above.
    pub to: Seq,
}

/// A run: segments that follow each other, under one root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// The first message.
    pub first: Seq,
    /// How many messages.
    pub count: u32,
    /// Over the roots of the segments.
    pub root: B256,
}

impl PendingRun {
    /// Returns the run over segments as the database has them, in order: those of the longest stretch from `first` on that
    /// is whole, and whose count a run can have. `None` when there is none.
    pub fn of_segments(self, segments: impl IntoIterator<Item = (Seq, u64, B256)>) -> Option<Run> {
        let (mut end, mut roots) = (self.first, Vec::new());
        for (first, count, root) in segments {
            let next = Seq(first.0.checked_add(count)?);
            let is_too_long = u32::try_from(next.0.checked_sub(self.first.0)?).is_err();
            if first != end || next > self.to || is_too_long {
                break;
            }
            end = next;
            roots.push(root);
        }
        Some(Run {
            first: self.first,
            count: u32::try_from(end.0 - self.first.0).ok()?,
            root: merkle::root(&roots)?,
        })
    }
}

/// The newest segments that this instance wrote to the database: a run of them is made without asking it.
#[derive(Debug, Clone, Default)]
pub struct FlushedSegments(Vec<(Seq, u64, B256)>);

impl FlushedSegments {
    /// Notes that the database has a segment.
    pub fn add(&mut self, segment: &Segment) {
        let follows = self
            .0
            .last()
            .is_none_or(|(first, count, _)| first.0 + count == segment.first.0);
        if !follows || self.0.len() >= MAX_REMEMBERED {
            self.0.clear();
        }
        self.0.push((segment.first, segment.count, segment.root));
    }

    /// Returns the run that waits, if all its segments are remembered.
    pub fn run(&self, pending: PendingRun) -> Option<Run> {
        let behind = self.0.iter().skip_while(|(first, ..)| *first < pending.first);
        let run = pending.of_segments(behind.copied());
        run.filter(|run| run.end() == pending.to)
    }
}

impl Run {
    /// Returns the seq behind the last message.
    pub fn end(&self) -> Seq {
        Seq(self.first.0 + u64::from(self.count))
    }
}

/// What goes to the batcher.
impl<S: LogStore> StreamLog<S> {
    /// Returns the run that the batcher is to be offered: `None` when it has all that is flushed, or the stream has anchors
    /// of its own.
    pub fn pending_run(&self) -> Step<Option<PendingRun>, S> {
        Ok(self.state()?.pending_run())
    }

    /// Notes the batcher's answer to the offer of a run: `begin` is where the stream's next run begins.
    pub fn mark_offered(&self, run: &Run, begin: Seq) -> Step<(), S> {
        self.change(|state, _| {
            state.mark_offered(run, begin);
            Ok(())
        })
    }

    /// As [`Self::mark_flushed`], of a segment whose run the batcher was offered already: both are noted in one write.
    pub fn mark_flushed_and_offered(
        &self,
        segment: &OutboxSegment,
        bytes: usize,
        (run, begin): (&Run, Seq),
    ) -> Step<(), S> {
        self.change_outbox(|outbox| {
            outbox
                .mark_flushed(segment, bytes, false)
                .map_err(LogError::Store)?;
            outbox.live.state.mark_offered(run, begin);
            Ok(())
        })
    }
}

impl LogState {
    /// Notes that a segment which begins at `first` is flushed for a round.
    pub(super) fn begin_runs(&mut self, first: Seq) {
        self.run.get_or_insert(RunMarks {
            from: first,
            begin: first,
            offered: first,
        });
    }

    /// Returns the row as it is once a segment for a round is marked as flushed, as far as offers depend on it.
    pub fn with_flushed(mut self, segment: &Segment) -> Self {
        if segment.first == self.flushed {
            self.flushed = segment.end();
            self.begin_runs(segment.first);
        }
        self
    }

    /// Returns the run that is to be offered.
    pub fn pending_run(&self) -> Option<PendingRun> {
        let RunMarks { from, begin, offered } = self.run?;
        let to = self.flushed;
        // A batcher that never put a run of the stream into a round may not know where the next one begins.
        let first = if begin > from { offered.max(begin) } else { begin };
        (offered < to && begin < to).then_some(PendingRun { first, to })
    }

    /// Returns whether the stream may still hear of rounds: messages were offered that are not final, as far as known here.
    pub fn waits_for_rounds(&self) -> bool {
        self.run.is_some_and(|marks| marks.offered > self.finalized)
    }

    /// Notes the batcher's answer to the offer of `run`.
    pub(super) fn mark_offered(&mut self, run: &Run, begin: Seq) {
        let is_taken = begin == run.first;
        self.run = Some(RunMarks {
            from: self.run.map_or(begin, |marks| marks.from),
            begin,
            offered: if is_taken { run.end() } else { begin },
        });
    }
}
