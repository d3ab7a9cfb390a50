//! Merkle trees of the shape that OpenZeppelin's `SimpleMerkleTree` has with `sortLeaves: false`, over leaves
//! of the encoding that its `StandardMerkleTree` has.
//!
//! The tree is an array of `2n - 1` hashes: leaf `i` stands at `2n - 2 - i`, and node `i` is
//! `keccak256` of the sorted pair `2i + 1`, `2i + 2`; the root is node 0. Pairs are sorted, so a proof is a list
//! of hashes without sides; a message's place is bound by the `seq` in its leaf.

use alloy_primitives::{B256, keccak256};

/// Returns `keccak256` of two hashes, the smaller first.
pub(crate) fn hash_pair(a: B256, b: B256) -> B256 {
    let (low, high) = if a < b { (a, b) } else { (b, a) };
    let mut pair = [0; 64];
    pair[..32].copy_from_slice(low.as_slice());
    pair[32..].copy_from_slice(high.as_slice());
    keccak256(pair)
}

/// A whole tree in memory: 64 bytes a leaf.
///
/// The hashes stand in the opposite order of OpenZeppelin's array: first the leaves, then the parent of each pair of
/// hashes that follow each other, up to the root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tree {
    nodes: Vec<B256>,
    leaves: usize,
    root: B256,
}

impl Tree {
    /// Makes the tree over `leaves` in their order; `None` when there are none.
    pub fn new(leaves: &[B256]) -> Option<Self> {
        let mut nodes = Vec::with_capacity(2 * leaves.len());
        nodes.extend_from_slice(leaves);
        let mut next = 0;
        while let Some([left, right]) = nodes.get(next..).and_then(|rest| rest.first_chunk()) {
            nodes.push(hash_pair(*left, *right));
            next += 2;
        }
        Some(Self {
            root: *nodes.last()?,
            leaves: leaves.len(),
            nodes,
        })
    }

    /// Returns the root.
    pub fn root(&self) -> B256 {
        self.root
    }

    /// Returns the siblings on the way from leaf `index` to the root; `None` when there is no such leaf.
    pub fn proof(&self, index: usize) -> Option<Vec<B256>> {
        if index >= self.leaves {
            return None;
        }
        let (mut at, mut proof) = (index, Vec::new());
        while at + 1 < self.nodes.len() {
            // Pairs begin at even places; the parent of the pair at 2k stands k places behind the leaves.
            proof.push(*self.nodes.get(at ^ 1)?);
            at = self.leaves + at / 2;
        }
        Some(proof)
    }
}

/// Returns the root over `leaves`; `None` when there are none.
pub fn root(leaves: &[B256]) -> Option<B256> {
    Tree::new(leaves).map(|tree| tree.root())
}

/// Returns the proof of leaf `index`; `None` when there is no such leaf.
pub fn proof(leaves: &[B256], index: usize) -> Option<Vec<B256>> {
    Tree::new(leaves)?.proof(index)
}

/// Returns the root that `leaf` and `proof` lead to, as OpenZeppelin's `MerkleProof.processProof`.
pub fn process_proof(leaf: B256, proof: &[B256]) -> B256 {
    proof.iter().fold(leaf, |hash, sibling| hash_pair(hash, *sibling))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn leaves(count: usize) -> Vec<B256> {
        (0..count).map(|index| keccak256(index.to_be_bytes())).collect()
    }

    #[test]
    fn no_leaves_have_no_root_and_one_leaf_is_its_own() {
        assert_eq!(root(&[]), None);
        assert_eq!(root(&leaves(1)), Some(leaves(1)[0]));
        assert_eq!(proof(&leaves(1), 0), Some(vec![]));
        assert_eq!(proof(&leaves(1), 1), None);
    }

    proptest! {
        #[test]
        fn every_leaf_of_every_size_is_proven(count in 1usize..70) {
            let leaves = leaves(count);
            let tree = Tree::new(&leaves).unwrap();
            for (index, leaf) in leaves.iter().enumerate() {
                let proof = tree.proof(index).unwrap();
                prop_assert_eq!(process_proof(*leaf, &proof), tree.root());
            }
        }

        #[test]
        fn a_proof_fails_for_every_other_leaf(count in 2usize..40, at in any::<prop::sample::Index>(), other in any::<prop::sample::Index>()) {
            let leaves = leaves(count);
            let (at, other) = (at.index(count), other.index(count));
            let tree = Tree::new(&leaves).unwrap();
            let proof = tree.proof(at).unwrap();
            // The sibling leaf's path differs only in its last hash, and a sorted pair has no sides.
            prop_assume!(at != other);
            let reached = process_proof(leaves[other], &proof);
            prop_assert_ne!(reached, tree.root());
        }
    }
}
