//! One stream of a batcher.

use alloy_primitives::{Address, B256};
use serde::{Deserialize, Serialize};
use streamchain_protocol::ids::{Seq, StreamId};
use streamchain_protocol::proof::run::RunEntry;

use super::offer::OfferRun;

/// The run that a stream offered last, which is in no round yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct PendingRun {
    pub(super) first: Seq,
    pub(super) count: u32,
    pub(super) root: B256,
}

impl From<&OfferRun> for PendingRun {
    fn from(offer: &OfferRun) -> Self {
        Self {
            first: offer.first,
            count: offer.count,
            root: offer.root,
        }
    }
}

/// A run that goes into a round as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct FrozenRun {
    /// The round for which it was frozen last.
    pub(super) round: u64,
    pub(super) first: Seq,
    pub(super) count: u32,
    pub(super) root: B256,
    pub(super) previous: B256,
}

impl FrozenRun {
    /// The run as lists have it.
    pub(super) fn entry(&self, stream: StreamId) -> RunEntry {
        RunEntry {
            stream,
            first: self.first,
            count: self.count,
            root: self.root,
            previous: self.previous,
        }
    }
}

/// A stream as it is saved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct LineRow {
    pub(super) owner: Address,
    /// Where the next run begins; `None` when the stream had no run and may begin anywhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) begin: Option<Seq>,
    /// The leaf of the run before that; zero when there is none.
    pub(super) previous: B256,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) pending: Option<PendingRun>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) frozen: Option<FrozenRun>,
    pub(super) watched: bool,
}

/// A stream, and what is not saved of it.
#[derive(Clone, Debug)]
pub(super) struct Line {
    pub(super) row: LineRow,
    /// Grows with each offer, over all streams: when it last offered something.
    pub(super) touched: u64,
    /// As `touched`, when its pending run came: who waits longest is frozen first.
    pub(super) waits_since: u64,
}

impl Line {
    /// A stream whose newest run in a round is this one.
    pub(super) fn new(owner: Address, newest: Option<&RunEntry>) -> Self {
        Self::of(LineRow {
            owner,
            begin: newest.map(RunEntry::end),
            previous: newest.map_or(B256::ZERO, RunEntry::leaf),
            pending: None,
            frozen: None,
            watched: false,
        })
    }

    /// A stream as it was saved.
    pub(super) fn of(row: LineRow) -> Self {
        Self {
            row,
            touched: 0,
            waits_since: 0,
        }
    }

    /// Makes its pending run one that goes into this round.
    pub(super) fn freeze(&mut self, stream: StreamId, round: u64) {
        let Some(run) = self.row.pending.take() else {
            return;
        };
        let frozen = FrozenRun {
            round,
            first: run.first,
            count: run.count,
            root: run.root,
            previous: self.row.previous,
        };
        let entry = frozen.entry(stream);
        self.row.begin = Some(entry.end());
        self.row.previous = entry.leaf();
        self.row.frozen = Some(frozen);
    }
}
