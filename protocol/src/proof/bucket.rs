//! Buckets: the part of a round whose stream ids begin with the same byte, and the round's root over all of them.
//!
//! A round has all 256 buckets, also the empty ones, so the place of a stream in a round follows from its id alone.

use super::run::RunEntry;
use crate::ids::StreamId;
use crate::util::merkle::Tree;
use alloy_primitives::{B256, keccak256};
use serde::{Deserialize, Serialize};

/// How many buckets a round has.
pub const BUCKETS: usize = 256;

/// How many hashes lead from a bucket's leaf to the round's root: the tree over 256 leaves is perfect.
pub const BUCKET_PROOF_HASHES: usize = 8;

/// Length of one bucket in [`encode_buckets`]: the number of runs 4, the root 32.
const BUCKET_BYTES: usize = 36;

/// The buckets of a round, in their order.
pub type Buckets = [BucketRoot; BUCKETS];

/// What a round says of one bucket. The default is the empty bucket.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BucketRoot {
    /// How many runs the bucket has.
    pub runs: u32,
    /// The Merkle root over their leaves, in the order of stream ids; zero when there are none.
    pub root: B256,
}

/// Returns the bucket of a stream: the first byte of its id.
pub fn bucket_of(stream: StreamId) -> u8 {
    let [first, ..] = stream.0;
    first
}

/// Returns the root over runs that are in the order of their stream ids.
pub fn bucket_root(runs: &[RunEntry]) -> BucketRoot {
    let leaves: Vec<B256> = runs.iter().map(RunEntry::leaf).collect();
    Tree::new(&leaves).map_or_else(BucketRoot::default, |tree| BucketRoot {
        runs: u32::try_from(runs.len()).unwrap_or(u32::MAX),
        root: tree.root(),
    })
}

/// `keccak256(keccak256(abi.encode(uint64 round, uint8 bucket, uint32 runs, bytes32 bucketRoot)))`.
pub fn bucket_leaf(round: u64, bucket: u8, root: &BucketRoot) -> B256 {
    let mut encoded = [0; 128];
    encoded[24..32].copy_from_slice(&round.to_be_bytes());
    encoded[63] = bucket;
    encoded[92..96].copy_from_slice(&root.runs.to_be_bytes());
    encoded[96..].copy_from_slice(root.root.as_slice());
    keccak256(keccak256(encoded))
}

/// Returns the tree over all bucket leaves of a round; `None` never, for there are 256.
fn round_tree(round: u64, buckets: &Buckets) -> Option<Tree> {
    let leaves: Vec<B256> = (0..=u8::MAX)
        .zip(buckets)
        .map(|(bucket, root)| bucket_leaf(round, bucket, root))
        .collect();
    Tree::new(&leaves)
}

/// Returns the root of a round, which its transaction anchors.
pub fn round_root(round: u64, buckets: &Buckets) -> B256 {
    round_tree(round, buckets).map_or(B256::ZERO, |tree| tree.root())
}

/// Returns the path from a bucket's leaf to the round's root: [`BUCKET_PROOF_HASHES`] hashes.
pub fn bucket_proof(round: u64, bucket: u8, buckets: &Buckets) -> Vec<B256> {
    round_tree(round, buckets)
        .and_then(|tree| tree.proof(usize::from(bucket)))
        .unwrap_or_default()
}

/// Returns the buckets of a round as bytes: for each the number of runs (4 bytes, big-endian) and the root.
pub fn encode_buckets(buckets: &Buckets) -> Vec<u8> {
    let mut out = Vec::with_capacity(BUCKETS * BUCKET_BYTES);
    for bucket in buckets {
        out.extend_from_slice(&bucket.runs.to_be_bytes());
        out.extend_from_slice(bucket.root.as_slice());
    }
    out
}

/// Reads what [`encode_buckets`] returns; `None` for another length, or for a bucket without runs that has a root, or
/// the other way round.
pub fn decode_buckets(bytes: &[u8]) -> Option<Box<Buckets>> {
    if bytes.len() != BUCKETS * BUCKET_BYTES {
        return None;
    }
    let mut buckets = Box::new([BucketRoot::default(); BUCKETS]);
    for (bucket, bytes) in buckets.iter_mut().zip(bytes.chunks_exact(BUCKET_BYTES)) {
        let (runs, root) = bytes.split_first_chunk::<4>()?;
        bucket.runs = u32::from_be_bytes(*runs);
        bucket.root = B256::try_from(root).ok()?;
        if (bucket.runs == 0) != bucket.root.is_zero() {
            return None;
        }
    }
    Some(buckets)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::Seq;
    use crate::proof::run::run_proof;
    use crate::util::merkle::process_proof;

    fn bucket(runs: u32) -> BucketRoot {
        BucketRoot {
            runs,
            root: keccak256(runs.to_be_bytes()),
        }
    }

    /// A round with runs in three buckets.
    fn buckets() -> Buckets {
        let mut buckets = [BucketRoot::default(); BUCKETS];
        (buckets[0], buckets[7], buckets[255]) = (bucket(1), bucket(2), bucket(3));
        buckets
    }

    #[test]
    fn a_streams_bucket_is_the_first_byte_of_its_id() {
        let mut id = [3; 32];
        id[0] = 0xa7;
        assert_eq!(bucket_of(StreamId(id)), 0xa7);
    }

    #[test]
    fn an_empty_bucket_has_the_root_zero() {
        assert_eq!(bucket_root(&[]), BucketRoot::default());
        let run = RunEntry {
            stream: StreamId([1; 32]),
            first: Seq(0),
            count: 1,
            root: B256::repeat_byte(1),
            previous: B256::ZERO,
        };
        assert_eq!(
            bucket_root(&[run]),
            BucketRoot {
                runs: 1,
                root: run.leaf()
            },
            "a single leaf is the root"
        );
    }

    #[test]
    fn every_run_leads_to_its_buckets_root() {
        let run = |stream: u8| RunEntry {
            stream: StreamId([stream; 32]),
            first: Seq(0),
            count: u32::from(stream),
            root: B256::repeat_byte(stream),
            previous: B256::ZERO,
        };
        let runs: Vec<RunEntry> = (1..=5).map(run).collect();
        for (index, run) in runs.iter().enumerate() {
            let proof = run_proof(&runs, index).unwrap();
            assert_eq!(process_proof(run.leaf(), &proof), bucket_root(&runs).root);
        }
        assert_eq!(run_proof(&runs, runs.len()), None);
    }

    #[test]
    fn every_bucket_leads_to_the_rounds_root_by_eight_hashes() {
        let buckets = buckets();
        let root = round_root(5, &buckets);
        for (index, of) in (0..=u8::MAX).zip(&buckets) {
            let proof = bucket_proof(5, index, &buckets);
            assert_eq!(proof.len(), BUCKET_PROOF_HASHES);
            assert_eq!(process_proof(bucket_leaf(5, index, of), &proof), root);
        }
    }

    #[test]
    fn a_round_is_bound_to_its_number_and_to_each_bucket() {
        let root = round_root(5, &buckets());
        assert_ne!(round_root(6, &buckets()), root, "another round");
        for index in [0, 1, 7, 128, 255] {
            let mut changed = buckets();
            changed[index].runs ^= 1;
            assert_ne!(round_root(5, &changed), root, "bucket {index} with another count");
            changed = buckets();
            changed[index].root.0[31] ^= 1;
            assert_ne!(round_root(5, &changed), root, "bucket {index} with another root");
        }
    }

    #[test]
    fn buckets_survive_their_own_bytes() {
        let bytes = encode_buckets(&buckets());
        assert_eq!(bytes.len(), 9_216);
        assert_eq!(decode_buckets(&bytes).as_deref(), Some(&buckets()));
        assert_eq!(decode_buckets(&bytes[1..]), None, "another length");
        let mut runs_without_root = bytes.clone();
        runs_without_root[36 + 3] = 1;
        assert_eq!(decode_buckets(&runs_without_root), None);
        let mut root_without_runs = bytes;
        root_without_runs[36 + 4] = 1;
        assert_eq!(decode_buckets(&root_without_runs), None);
    }
}
