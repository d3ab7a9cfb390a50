//! What the maker of rounds and the batchers say to each other.

use alloy_primitives::B256;
use serde::{Deserialize, Serialize};
use streamchain_protocol::proof::AnchorState;
use streamchain_protocol::proof::bucket::{BUCKETS, BucketRoot, Buckets};

/// The buckets of no round, or of a round without runs.
pub(crate) fn no_buckets() -> Box<Buckets> {
    Box::new([BucketRoot::default(); BUCKETS])
}

/// How a round is fixed, as far as one batcher is concerned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupRoots {
    /// The round.
    pub round: u64,
    /// The first bucket of the batcher's group.
    pub first_bucket: u8,
    /// The batcher's buckets that have runs in the round, in order; none when the batcher was left out.
    pub roots: Vec<(u8, BucketRoot)>,
}

/// A batcher's answer to the question what it has for a round.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Closed {
    /// The buckets that have runs, in order.
    pub roots: Vec<(u8, BucketRoot)>,
    /// Whether more runs wait than one round takes.
    pub more: bool,
}

/// A round whose runs are decided: its root is the same whatever happens from now on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FixedRound {
    /// The round.
    pub round: u64,
    /// Its root, over the leaves of all buckets.
    pub root: B256,
    /// Its buckets.
    pub buckets: Box<Buckets>,
}

impl FixedRound {
    /// Returns the part of the batcher whose group begins with `first_bucket` and has `buckets_each` buckets.
    pub fn of_group(&self, first_bucket: u8, buckets_each: u16) -> GroupRoots {
        let group = (0..=u8::MAX).zip(self.buckets.iter().copied());
        let group = group
            .skip(first_bucket.into())
            .take(buckets_each.into())
            .filter(|(_, root)| root.runs > 0);
        GroupRoots {
            round: self.round,
            first_bucket,
            roots: group.collect(),
        }
    }
}

/// Where a round is on the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoundAnchor {
    /// The round.
    pub round: u64,
    /// The transaction that anchored it.
    pub tx: B256,
    /// Number of the transaction's block.
    pub block: u64,
    /// How sure the anchor is.
    pub state: AnchorState,
}
