//! Merkle trees of the shape that OpenZeppelin's `SimpleMerkleTree` has with `sortLeaves: false`, over leaves
//! of the encoding that its `StandardMerkleTree` has.
//!
//! The tree is an array of `2n - 1` hashes: leaf `i` stands at `2n - 2 - i`, and node `i` is
//! `keccak256` of the sorted pair `2i + 1`, `2i + 2`; the root is node 0. Pairs are sorted, so a proof is a list
//! of hashes without sides; a message's place is bound by the `seq` in its leaf.

use alloy_primitives::{B256, keccak256};

/// `keccak256` of two hashes, the smaller first.
pub fn hash_pair(a: B256, b: B256) -> B256 {
    let (low, high) = if a < b { (a, b) } else { (b, a) };
    let mut pair = [0; 64];
    pair[..32].copy_from_slice(low.as_slice());
    pair[32..].copy_from_slice(high.as_slice());
    keccak256(pair)
}

/// A whole tree in memory: 64 bytes a leaf.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tree {
    nodes: Vec<B256>,
    leaves: usize,
}

impl Tree {
    /// Over `leaves` in their order; `None` when there are none.
    pub fn new(leaves: &[B256]) -> Option<Self> {
        let count = leaves.len();
        if count == 0 {
            return None;
        }
        let mut nodes = vec![B256::ZERO; 2 * count - 1];
        for (index, leaf) in leaves.iter().enumerate() {
            nodes[2 * count - 2 - index] = *leaf;
        }
        for index in (0..count - 1).rev() {
            nodes[index] = hash_pair(nodes[2 * index + 1], nodes[2 * index + 2]);
        }
        Some(Self { nodes, leaves: count })
    }

    /// The root.
    pub fn root(&self) -> B256 {
        self.nodes[0]
    }

    /// The siblings on the way from leaf `index` to the root; `None` when there is no such leaf.
    pub fn proof(&self, index: usize) -> Option<Vec<B256>> {
        if index >= self.leaves {
            return None;
        }
        let mut at = 2 * self.leaves - 2 - index;
        let mut proof = Vec::new();
        while at > 0 {
            let sibling = if at.is_multiple_of(2) { at - 1 } else { at + 1 };
            proof.push(self.nodes[sibling]);
            at = (at - 1) / 2;
        }
        Some(proof)
    }
}

/// The root over `leaves`; `None` when there are none.
pub fn root(leaves: &[B256]) -> Option<B256> {
    Tree::new(leaves).map(|tree| tree.root())
}

/// The proof of leaf `index`; `None` when there is no such leaf.
pub fn proof(leaves: &[B256], index: usize) -> Option<Vec<B256>> {
    Tree::new(leaves)?.proof(index)
}

/// The root that `leaf` and `proof` lead to, as OpenZeppelin's `MerkleProof.processProof`.
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
