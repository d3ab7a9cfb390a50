//! What the maker of rounds saves.

use std::collections::BTreeSet;

use alloy_primitives::{B256, hex};
use serde::{Deserialize, Serialize};
use streamchain_protocol::proof::bucket::decode_buckets;
use streamchain_protocol::time::UnixMs;

use super::message::FixedRound;

/// What is saved of the maker itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct StateRow {
    /// The number of the next round: that of the fixed one until it is handed over.
    pub(super) next: u64,
    /// How many buckets each batcher has: another number would let two of them have the same stream.
    pub(super) buckets_each: u16,
    /// The peaks of the range of the rounds below `next`: their heights and hashes.
    pub(super) peaks: Vec<(u8, B256)>,
}

/// The round that was fixed last, as it is saved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct FixedRow {
    pub(super) round: u64,
    pub(super) root: B256,
    /// All buckets, as hexadecimal text.
    pub(super) buckets: String,
    #[serde(rename = "fixedMs")]
    pub(super) fixed_at: UnixMs,
    /// The batchers that have runs in it.
    pub(super) groups: Vec<u8>,
}

/// The round that was fixed last.
#[derive(Clone, Debug)]
pub(super) struct Fixed {
    pub(super) round: FixedRound,
    pub(super) fixed_at: UnixMs,
    /// The batchers that have not said that they have written it.
    pub(super) unwritten: BTreeSet<u8>,
}

impl Fixed {
    pub(super) fn new(round: FixedRound, fixed_at: UnixMs, buckets_each: u16) -> Self {
        let mut unwritten = BTreeSet::new();
        for (bucket, root) in (0..=u8::MAX).zip(round.buckets.iter()) {
            if root.runs > 0 {
                let below = u8::try_from(buckets_each.saturating_sub(1)).unwrap_or(u8::MAX);
                unwritten.insert(bucket & !below);
            }
        }
        Self {
            round,
            fixed_at,
            unwritten,
        }
    }

    pub(super) fn read(row: &FixedRow) -> Option<Self> {
        let buckets = decode_buckets(&hex::decode(&row.buckets).ok()?)?;
        Some(Self {
            round: FixedRound {
                round: row.round,
                root: row.root,
                buckets,
            },
            fixed_at: row.fixed_at,
            unwritten: row.groups.iter().copied().collect(),
        })
    }
}
