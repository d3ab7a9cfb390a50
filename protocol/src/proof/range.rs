//! The range of rounds: a Merkle mountain range over all rounds of a stream of rounds, whose peaks the contract keeps.
//!
//! A node is named by its height and by its index among the nodes of that height, counted from the left: node
//! `(h, i)` is over the rounds `i * 2^h` to `(i + 1) * 2^h - 1`. It never changes once it is there, so nodes can be
//! stored as they are made. With `n` rounds there is one peak for each bit of `n` that is set, as in a binary counter.

use crate::ids::StreamId;
use crate::util::merkle::hash_pair;
use alloy_primitives::{B256, keccak256};
use serde::{Deserialize, Serialize};

/// A node of the range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RangeNode {
    /// 0 for the leaf of a round.
    pub height: u8,
    /// How many nodes of this height are to the left of it.
    pub index: u64,
    /// Its hash.
    pub hash: B256,
}

/// `keccak256(keccak256(abi.encode(bytes32 rounds, uint64 round, bytes32 root)))`, `rounds` being the id of the stream
/// of rounds.
pub fn range_leaf(rounds: StreamId, round: u64, root: B256) -> B256 {
    let mut encoded = [0; 96];
    encoded[..32].copy_from_slice(&rounds.0);
    encoded[56..64].copy_from_slice(&round.to_be_bytes());
    encoded[64..].copy_from_slice(root.as_slice());
    keccak256(keccak256(encoded))
}

/// Returns whether bit `height` of `number` is set.
fn has_bit(number: u64, height: u8) -> bool {
    number.checked_shr(u32::from(height)).unwrap_or(0) & 1 == 1
}

/// Returns the nodes that appending `round` makes: its leaf, then each node that two peaks are merged into; the last
/// is the new peak. `peaks` returns the peak of a height as it is before; `None` when it does not have one that is
/// needed.
pub fn append(round: u64, leaf: B256, peaks: impl Fn(u8) -> Option<B256>) -> Option<Vec<RangeNode>> {
    let mut node = RangeNode {
        height: 0,
        index: round,
        hash: leaf,
    };
    let mut made = vec![node];
    while has_bit(round, node.height) {
        node = RangeNode {
            hash: hash_pair(peaks(node.height)?, node.hash),
            height: node.height + 1,
            index: node.index / 2,
        };
        made.push(node);
    }
    Some(made)
}

/// Returns height and index of each peak of a range of `rounds` rounds, the lowest first.
pub fn peaks(rounds: u64) -> Vec<(u8, u64)> {
    (0..64)
        .filter(|height| has_bit(rounds, *height))
        .map(|height| (height, (rounds >> height) - 1))
        .collect()
}

/// Returns the height of the peak over `round` in a range of `rounds` rounds; `None` when the round is not in it.
fn peak_height(round: u64, rounds: u64) -> Option<u8> {
    // The highest bit in which they differ is set in `rounds` alone: there is the peak.
    let differ = (round < rounds).then_some(round ^ rounds)?;
    u8::try_from(differ.ilog2()).ok()
}

/// Returns height and index of each sibling on the way from the leaf of `round` to its peak in a range of `rounds`
/// rounds; `None` when the round is not in it.
pub fn path(round: u64, rounds: u64) -> Option<Vec<(u8, u64)>> {
    let sibling = |height: u8| (height, (round >> height) ^ 1);
    Some((0..peak_height(round, rounds)?).map(sibling).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::util::merkle::{Tree, process_proof};
    use std::collections::BTreeMap;

    const ROUNDS: StreamId = StreamId([9; 32]);

    fn leaf(round: u64) -> B256 {
        range_leaf(ROUNDS, round, keccak256(round.to_be_bytes()))
    }

    /// All nodes of a range of `rounds` rounds, made one round after the other.
    fn nodes(rounds: u64) -> BTreeMap<(u8, u64), B256> {
        let mut nodes: BTreeMap<(u8, u64), B256> = BTreeMap::new();
        for round in 0..rounds {
            let made = append(round, leaf(round), |height| {
                nodes.get(&(height, (round >> height) - 1)).copied()
            })
            .unwrap();
            for node in made {
                let before = nodes.insert((node.height, node.index), node.hash);
                assert_eq!(before, None, "a node is made once");
            }
        }
        nodes
    }

    /// The reference: each peak is the root of the tree over its rounds.
    fn reference_peaks(rounds: u64) -> Vec<B256> {
        let mut begin = 0;
        let mut peaks: Vec<B256> = (0..64)
            .rev()
            .filter(|height| has_bit(rounds, *height))
            .map(|height| {
                let leaves: Vec<B256> = (begin..begin + (1 << height)).map(leaf).collect();
                begin += 1 << height;
                Tree::new(&leaves).unwrap().root()
            })
            .collect();
        peaks.reverse();
        peaks
    }

    #[test]
    fn peaks_are_the_roots_of_perfect_trees() {
        let nodes = nodes(140);
        for rounds in 0..=140 {
            let hashes: Vec<B256> = peaks(rounds).iter().map(|at| nodes[at]).collect();
            assert_eq!(hashes, reference_peaks(rounds), "{rounds} rounds");
        }
    }

    #[test]
    fn every_round_leads_to_its_peak() {
        let nodes = nodes(70);
        for rounds in 1..=70 {
            for round in 0..rounds {
                let proof: Vec<B256> = path(round, rounds).unwrap().iter().map(|at| nodes[at]).collect();
                let height = peak_height(round, rounds).unwrap();
                assert_eq!(proof.len(), usize::from(height));
                let peak = nodes[&(height, round >> height)];
                assert!(peaks(rounds).contains(&(height, round >> height)));
                assert_eq!(process_proof(leaf(round), &proof), peak);
            }
        }
    }

    #[test]
    fn a_round_that_is_not_there_has_no_path() {
        assert_eq!(path(5, 5), None);
        assert_eq!(peak_height(0, 0), None);
        assert_eq!(path(0, 1), Some(vec![]));
        assert_eq!(
            path(u64::MAX - 1, u64::MAX).map(|path| path.len()),
            Some(0),
            "the last peak of a range of 2^64 - 1 rounds is a leaf"
        );
        assert_eq!(peaks(u64::MAX).len(), 64);
    }

    #[test]
    fn a_missing_peak_is_no_peak() {
        assert_eq!(append(1, leaf(1), |_| None), None);
        assert_eq!(append(2, leaf(2), |_| None).map(|made| made.len()), Some(1));
    }

    #[test]
    fn a_leaf_is_bound_to_stream_round_and_root() {
        let root = B256::repeat_byte(1);
        let own = range_leaf(ROUNDS, 3, root);
        assert_ne!(range_leaf(StreamId([8; 32]), 3, root), own);
        assert_ne!(range_leaf(ROUNDS, 4, root), own);
        assert_ne!(range_leaf(ROUNDS, 3, B256::repeat_byte(2)), own);
    }
}
