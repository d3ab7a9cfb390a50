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
    /// Whether all this was read from the database, and no round was made since.
    #[serde(default)]
    pub(super) is_found: bool,
    /// Whether the peaks are the contract's, and the database does not have them.
    #[serde(default)]
    pub(super) is_adopted: bool,
    /// What the contract has beyond `next`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) ahead: Option<Ahead>,
    /// The batchers that rounds were made without, and that have written no list since.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) left_out: Vec<LeftOut>,
}

/// A contract that has more rounds than are known here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ahead {
    /// Its next round.
    pub(crate) next: u64,
    /// Since when it is that one.
    pub(crate) since: UnixMs,
}

/// A batcher that a round was made without, since it did not write its list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct LeftOut {
    /// The first of its buckets.
    pub(super) group: u8,
    /// The round, for which it has frozen its runs.
    pub(super) round: u64,
    /// How often that happened before, in a row.
    pub(super) times: u32,
    /// Until when it is not asked to close another one.
    pub(super) until: UnixMs,
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
    /// The batchers whose lists it waits for.
    pub(super) groups: Vec<u8>,
}

/// The round that was fixed last.
#[derive(Clone, Debug)]
pub(super) struct Fixed {
    pub(super) round: FixedRound,
    pub(super) fixed_at: UnixMs,
    /// The batchers that have not said that they have written it.
    pub(super) unwritten: BTreeSet<u8>,
    /// How often they were asked.
    pub(super) tries: u32,
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
            tries: 0,
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
            tries: 0,
        })
    }
}
