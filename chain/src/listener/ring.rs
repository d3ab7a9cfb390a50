//! The blocks that we have read, by height and hash: dense near the head, sparse further back.
//!
//! What always holds: at least one entry is at or below the finalized mark, once there is a mark, so that a search for
//! a fork always has a lower bound.

use alloy_primitives::B256;
use serde::{Deserialize, Serialize};
use streamchain_protocol::util::SortedMap;

use crate::ethereum::Block;
use crate::journal::Journal;

/// The prefix of this module's rows.
pub(super) const PREFIX: &str = "ring/";

/// Entries kept at most: several times what any chain takes to finalize at one entry a block. When there are more,
/// every second one of the older half is dropped, and a search for a fork undoes a little more than it has to.
const MAX_ENTRIES: usize = 2_048;

/// A block on the chain that we follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Mark {
    /// The block's height.
    pub(super) number: u64,
    /// The block's hash.
    pub(super) hash: B256,
}

impl From<&Block> for Mark {
    fn from(block: &Block) -> Self {
        Self {
            number: block.number,
            hash: block.hash,
        }
    }
}

/// The blocks by height.
#[derive(Debug, Default)]
pub(super) struct Ring {
    blocks: SortedMap<u64, B256>,
}

impl Ring {
    /// Takes in one saved row.
    pub(super) fn restore(&mut self, number: u64, hash: B256) {
        self.blocks.insert(number, hash);
    }

    /// Adds a block that was read.
    pub(super) fn push(&mut self, mark: Mark, journal: &mut Journal) {
        if self.blocks.insert(mark.number, mark.hash) != Some(mark.hash) {
            journal.put(ring_key(mark.number), &mark.hash);
        }
        if self.blocks.entries().len() > MAX_ENTRIES {
            let older = self.blocks.entries().iter().take(MAX_ENTRIES / 2);
            let thinned: Vec<u64> = older.skip(1).step_by(2).map(|(number, _)| *number).collect();
            self.forget(&thinned, journal);
        }
    }

    /// The newest entry.
    pub(super) fn last(&self) -> Option<Mark> {
        self.blocks.entries().last().map(mark)
    }

    /// The hash of the block at this height, if it is here.
    pub(super) fn get(&self, number: u64) -> Option<B256> {
        self.blocks.get(&number).copied()
    }

    /// The newest entry at or below `number`.
    pub(super) fn at_or_below(&self, number: u64) -> Option<Mark> {
        self.blocks.below(&number.saturating_add(1)).last().map(mark)
    }

    /// All entries below `number`, oldest first.
    pub(super) fn below(&self, number: u64) -> Vec<Mark> {
        self.blocks.below(&number).iter().map(mark).collect()
    }

    /// Drops all entries above `number`, or all entries.
    pub(super) fn cut_above(&mut self, number: Option<u64>, journal: &mut Journal) {
        let above = number.map_or(0, |number| number + 1);
        let gone: Vec<u64> = self
            .blocks
            .from(&above)
            .iter()
            .map(|(number, _)| *number)
            .collect();
        self.forget(&gone, journal);
    }

    /// Drops what a search for a fork never needs: all but the newest entry at or below the finalized height.
    pub(super) fn prune(&mut self, finalized: u64, journal: &mut Journal) {
        let Some(floor) = self.at_or_below(finalized) else {
            return;
        };
        let below = self.blocks.below(&floor.number).iter();
        let gone: Vec<u64> = below.map(|(number, _)| *number).collect();
        self.forget(&gone, journal);
    }

    fn forget(&mut self, numbers: &[u64], journal: &mut Journal) {
        for number in numbers {
            self.blocks.remove(number);
            journal.remove(ring_key(*number));
        }
    }
}

fn mark(&(number, hash): &(u64, B256)) -> Mark {
    Mark { number, hash }
}

fn ring_key(number: u64) -> String {
    format!("{PREFIX}{number:020}")
}
