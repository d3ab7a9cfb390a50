//! A transaction before it is signed.
//!
//! What always holds: a transaction carries whole segments, and at least one of those that emit, however large it is.

use alloy_primitives::{Address, B256, Bytes};
use streamchain_protocol::ids::{Seq, StreamId};
use streamchain_protocol::stream_settings::Mode;

use super::emission::Emission;
use super::segment::Run;
use super::spending::Payee;
use super::stream::RunPlan;
use crate::abi::{Publication, openCall};

/// Streams anchored by one transaction at most: about a million gas once they are open.
pub const MAX_RUNS: usize = 100;
/// Messages and digests in one transaction at most, in bytes of calldata: pools take no transaction above 128 KiB, and
/// runs of other streams travel with it.
pub const MAX_EMITTED_BYTES: usize = 100_000;
/// Segments read for one transaction at most: each is one query.
const MAX_SEGMENTS_READ: usize = 64;
/// Streams whose segments are read from the database for one transaction at most: each is one query.
pub(super) const MAX_STREAMS_READ: usize = 16;
/// Segments covered by one transaction at most, unless they are of one stream: their roots take 160 ms in a Worker.
pub(super) const MAX_SEGMENTS_COVERED: usize = 16_384;

/// About what the parts of a transaction cost, in gas, to divide among streams what all of it is estimated to need.
/// An anchor, with its part of what a transaction costs anyway.
const ANCHOR_WEIGHT: u64 = 11_000;
/// A stored anchor: a new slot.
const STORED_WEIGHT: u64 = 34_000;
/// Opening a stream: a new slot.
const OPEN_WEIGHT: u64 = 47_000;
/// A round, with its part of what a transaction costs anyway.
const ROUND_WEIGHT: u64 = 38_000;
/// The event of one message or digest.
const EVENT_WEIGHT: u64 = 2_500;
/// A byte of a message or digest: calldata, and its place in an event.
const BYTE_WEIGHT: u64 = 26;

/// How large the next transaction may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Limits {
    /// How many runs it may have; halved when a batch is refused as a whole.
    pub(super) runs: usize,
    /// How many bytes of messages and digests it may carry; halved when they are too many.
    pub(super) emitted_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            runs: MAX_RUNS,
            emitted_bytes: MAX_EMITTED_BYTES,
        }
    }
}

impl Limits {
    /// The limits after a transaction that succeeded.
    pub(super) fn widened(self) -> Self {
        Self {
            runs: (self.runs * 2).min(MAX_RUNS),
            emitted_bytes: (self.emitted_bytes * 2).min(MAX_EMITTED_BYTES),
        }
    }
}

/// A segment whose records have to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unread {
    pub(super) stream: StreamId,
    pub(super) first: Seq,
    pub(super) count: u32,
}

/// What became of a draft when a segment's records arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Added {
    /// The records are in.
    Taken(Draft),
    /// The transaction is full; what was not read is left out.
    Full(Draft),
    /// The records do not give the segment's root.
    Damaged,
}

/// The runs of a transaction, while what they emit is read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Draft {
    /// The runs, and what is emitted for each so far.
    pub(super) runs: Vec<(RunPlan, Emission)>,
    /// The streams that have to be opened, with the hashes of their names.
    pub(super) opens: Vec<(StreamId, B256)>,
    /// The stream whose records were taken in last.
    pub(super) last_read: Option<StreamId>,
    /// The streams whose segments have to be read from the database, the next one last.
    pub(super) to_read: Vec<ToRead>,
    /// Whether more waits than this transaction takes.
    pub(super) leaves_more: bool,
}

/// A stream whose segments have to be read from the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ToRead {
    pub(super) stream: StreamId,
    /// The chain's next seq.
    pub(super) next: Seq,
    /// Whether the contract has the stream already.
    pub(super) is_open: bool,
}

fn is_read(plan: &RunPlan, emission: &Emission) -> bool {
    plan.mode == Mode::Root || emission.segments >= plan.segments.len()
}

impl Draft {
    /// The segment that has to be read next, if any.
    pub(super) fn unread(&self) -> Option<Unread> {
        let (plan, emission) = self
            .runs
            .iter()
            .find(|(plan, emission)| !is_read(plan, emission))?;
        let (first, row) = plan.segments.get(emission.segments)?;
        Some(Unread {
            stream: plan.run.stream,
            first: *first,
            count: row.count,
        })
    }

    /// Adds the records of the segment that [`Self::unread`] names.
    pub(super) fn add(mut self, records: &[u8], limits: Limits) -> Added {
        let (mut bytes, mut segments) = (0, 0);
        for (_, emission) in &self.runs {
            bytes += emission.max_bytes();
            segments += emission.segments;
        }
        let unread = self
            .runs
            .iter_mut()
            .find(|(plan, emission)| !is_read(plan, emission));
        let Some((plan, emission)) = unread else {
            return Added::Taken(self);
        };
        let next = plan.segments.get(emission.segments);
        let more = next.and_then(|(first, row)| Emission::of(plan.run.stream, *first, row, records));
        let Some(more) = more else {
            return Added::Damaged;
        };
        let fits = bytes + more.max_bytes() <= limits.emitted_bytes && segments < MAX_SEGMENTS_READ;
        if fits || segments == 0 {
            emission.append(more);
            self.last_read = Some(plan.run.stream);
        }
        match fits {
            true => Added::Taken(self),
            false => Added::Full(self.cut()),
        }
    }

    /// Leaves out what was not read: it waits for the next transaction.
    fn cut(self) -> Self {
        let cut = |(plan, emission): (RunPlan, Emission)| match is_read(&plan, &emission) {
            true => Some((plan, emission)),
            false => Some((plan.shortened(emission.segments)?, emission)),
        };
        let runs: Vec<_> = self.runs.into_iter().filter_map(cut).collect();
        let is_in = |stream| runs.iter().any(|(plan, _)| plan.run.stream == stream);
        let opens = self.opens.into_iter().filter(|(stream, _)| is_in(*stream));
        Self {
            opens: opens.collect(),
            runs,
            last_read: self.last_read,
            to_read: self.to_read,
            leaves_more: true,
        }
    }

    /// How many segments the runs have.
    pub(super) fn segments(&self) -> usize {
        self.runs.iter().map(|(plan, _)| plan.segments.len()).sum()
    }

    /// The calldata, once all is read. `anchorer` is the account that anchors the streams that are opened; `payee` says
    /// against whose share a stream's anchors count.
    pub(super) fn prepare(self, anchorer: Address, payee: impl Fn(StreamId) -> Option<Payee>) -> Prepared {
        let opened: Vec<StreamId> = self.opens.iter().map(|(stream, _)| *stream).collect();
        let has_rounds = self.runs.iter().any(|(plan, _)| plan.is_rounds);
        let opener = if has_rounds {
            Payee::Rounds
        } else {
            Payee::Openings
        };
        let mut weights = vec![(Some(opener), opened.len() as u64 * OPEN_WEIGHT)];
        weights.retain(|(_, weight)| *weight > 0);
        let open = |(_, name_hash)| openCall {
            nameHash: name_hash,
            anchorer,
        };
        let mut publication = Publication {
            opens: self.opens.into_iter().map(open).collect(),
            ..Publication::default()
        };
        let mut runs = Vec::with_capacity(self.runs.len());
        for (plan, emission) in self.runs {
            if plan.is_rounds {
                let rounds = plan.anchored();
                weights.push((Some(Payee::Rounds), rounds.len() as u64 * ROUND_WEIGHT));
                publication.rounds.extend(rounds.iter().map(Run::anchor_round));
                runs.push(plan);
                continue;
            }
            let run = &plan.run;
            let anchor = if plan.prove { STORED_WEIGHT } else { ANCHOR_WEIGHT };
            let bytes = emission.max_bytes() as u64 * BYTE_WEIGHT;
            let weight = anchor + emission.events() as u64 * EVENT_WEIGHT + bytes;
            weights.push((payee(run.stream), weight));
            publication
                .emissions
                .extend(emission.encode(run.stream, run.first));
            match plan.prove {
                true => publication.stored.push(run.anchor()),
                false => publication.anchors.push(run.anchor()),
            }
            runs.push(plan);
        }
        Prepared {
            runs,
            opened,
            weights,
            leaves_more: self.leaves_more,
            data: publication.encode(),
        }
    }
}

/// A transaction whose calldata is complete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Prepared {
    /// What it anchors.
    pub(super) runs: Vec<RunPlan>,
    /// The streams that it opens.
    pub(super) opened: Vec<StreamId>,
    /// For whom it uses gas, and in which proportions.
    pub(super) weights: Vec<(Option<Payee>, u64)>,
    /// Whether more waits than it carries.
    pub(super) leaves_more: bool,
    /// The calldata.
    pub(super) data: Bytes,
}

/// Whether a smaller transaction can be tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Halved {
    /// The next transaction may be made within these limits.
    Smaller(Limits),
    /// This transaction is as small as it can be; its one stream, and the limits of the next transaction.
    Smallest(StreamId, Limits),
}

impl Prepared {
    /// Whether it anchors rounds, and so nothing else.
    pub(super) fn has_rounds(&self) -> bool {
        self.runs.iter().any(|plan| plan.is_rounds)
    }

    /// The limits under which the next transaction is about half of this one.
    pub(super) fn halved(&self, limits: Limits) -> Halved {
        if let [plan] = self.runs.as_slice() {
            if plan.is_rounds && plan.segments.len() > 1 {
                let runs = plan.segments.len() / 2;
                return Halved::Smaller(Limits { runs, ..limits });
            }
            let limits = Limits {
                emitted_bytes: self.data.len() / 2,
                ..limits
            };
            return match plan.mode != Mode::Root && plan.segments.len() > 1 {
                true => Halved::Smaller(limits),
                false => Halved::Smallest(plan.run.stream, limits),
            };
        }
        let runs = (self.runs.len() / 2).max(1);
        Halved::Smaller(Limits { runs, ..limits })
    }
}
