//! The blocks we have read, by height and hash: dense near the head, sparse further back.
//!
//! What always holds: at least one entry is at or below the finalized mark, once there is a mark, so that a walk
//! back to a fork always has a floor.

use std::collections::BTreeMap;

use alloy_primitives::B256;

use super::{Mark, RING_PREFIX};
use crate::row::Journal;

/// Entries kept at most: several times what any chain takes to finalize at one entry a block. When there are more,
/// every second one of the older half goes, and a walk back undoes a little more than it has to.
const MAX_ENTRIES: usize = 2_048;

#[derive(Debug, Default)]
pub(super) struct Ring {
    blocks: BTreeMap<u64, B256>,
}

impl Ring {
    pub fn restore(&mut self, number: u64, hash: B256) {
        self.blocks.insert(number, hash);
    }

    pub fn push(&mut self, mark: Mark, journal: &mut Journal) {
        if self.blocks.insert(mark.number, mark.hash) != Some(mark.hash) {
            journal.put(ring_key(mark.number), &mark.hash);
        }
        if self.blocks.len() > MAX_ENTRIES {
            let older = self.blocks.keys().copied().take(MAX_ENTRIES / 2);
            let thinned: Vec<u64> = older.skip(1).step_by(2).collect();
            self.forget(&thinned, journal);
        }
    }

    pub fn last(&self) -> Option<Mark> {
        self.blocks
            .last_key_value()
            .map(|(&number, &hash)| Mark { number, hash })
    }

    pub fn get(&self, number: u64) -> Option<B256> {
        self.blocks.get(&number).copied()
    }

    /// The newest entry at or below `number`.
    pub fn at_or_below(&self, number: u64) -> Option<Mark> {
        self.blocks
            .range(..=number)
            .next_back()
            .map(|(&number, &hash)| Mark { number, hash })
    }

    /// All entries at or below `number`, oldest first.
    pub fn up_to(&self, number: u64) -> Vec<Mark> {
        self.blocks
            .range(..=number)
            .map(|(&number, &hash)| Mark { number, hash })
            .collect()
    }

    /// Forgets all entries above `number`, or all.
    pub fn cut_above(&mut self, number: Option<u64>, journal: &mut Journal) {
        let above = number.map_or(0, |number| number + 1);
        let gone: Vec<u64> = self.blocks.range(above..).map(|(&number, _)| number).collect();
        self.forget(&gone, journal);
    }

    /// Forgets what a walk back will never need: all but the newest entry at or below the finalized height.
    pub fn prune(&mut self, finalized: u64, journal: &mut Journal) {
        let Some(floor) = self.at_or_below(finalized) else {
            return;
        };
        let gone: Vec<u64> = self
            .blocks
            .range(..floor.number)
            .map(|(&number, _)| number)
            .collect();
        self.forget(&gone, journal);
    }

    fn forget(&mut self, numbers: &[u64], journal: &mut Journal) {
        for number in numbers {
            self.blocks.remove(number);
            journal.remove(ring_key(*number));
        }
    }
}

fn ring_key(number: u64) -> String {
    format!("{RING_PREFIX}{number:020}")
}
