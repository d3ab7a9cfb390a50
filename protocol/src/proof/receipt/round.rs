//! The part of a receipt that leads from a run to a round: what version 2 has beside version 1.
//!
//! The round's number and root are those of the receipt's anchor: round *n* is message *n* of the stream of rounds.

use super::error::ReceiptError;
use super::parts::{ReceiptAnchor, ReceiptStream};
use crate::ids::{Seq, StreamId};
use crate::limits::MAX_PROOF_HASHES;
use crate::proof::bucket::{BUCKET_PROOF_HASHES, BucketRoot, bucket_leaf, bucket_of};
use crate::proof::range::range_leaf;
use crate::proof::run::RunEntry;
use crate::util::merkle::process_proof;
use alloy_primitives::{Address, B256, keccak256};
use serde::{Deserialize, Serialize};

/// The name of every stream of rounds: an account has one, so it can't show different rounds to different readers.
pub const ROUNDS_NAME: &str = "_rounds";

/// Returns the id of `owner`'s stream of rounds.
pub fn rounds_stream(owner: Address) -> StreamId {
    let mut encoded = [0; 64];
    encoded[12..32].copy_from_slice(owner.as_slice());
    encoded[32..].copy_from_slice(keccak256(ROUNDS_NAME).as_slice());
    StreamId(keccak256(encoded).0)
}

/// How the message's run leads to the round that was anchored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceiptRound {
    /// The stream of rounds; its name is [`ROUNDS_NAME`].
    pub stream: ReceiptStream,
    /// The run; its root is the receipt's `root`.
    pub run: ReceiptRun,
    /// The bucket that the run is in.
    pub bucket: ReceiptBucket,
    /// The way to a peak of the range, for contracts; it may be missing, and a newer one may be had later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub range: Option<ReceiptRange>,
}

/// The run of a receipt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceiptRun {
    /// Seq of its first message.
    pub first: Seq,
    /// How many messages it has.
    pub count: u32,
    /// The leaf of the stream's run before it; zero for the first.
    pub previous: B256,
    /// From the run's leaf to the bucket's root.
    pub proof: Vec<B256>,
}

/// The bucket of a receipt; its number is the first byte of the message's stream id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceiptBucket {
    /// How many runs it has.
    pub runs: u32,
    /// The Merkle root over their leaves.
    pub root: B256,
    /// From the bucket's leaf to the round's root: eight hashes.
    pub proof: Vec<B256>,
}

/// The way from a round to a peak of the range, as it was when the receipt was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceiptRange {
    /// From the round's leaf in the range to the peak.
    pub proof: Vec<B256>,
    /// The peak, as the contract's `peak(rounds, proof.length)` returned it then.
    pub peak: B256,
}

impl ReceiptRound {
    /// Returns the run as it stands in the bucket's list; `stream` and `root` are the receipt's.
    pub fn run_entry(&self, stream: StreamId, root: B256) -> RunEntry {
        RunEntry {
            stream,
            first: self.run.first,
            count: self.run.count,
            root,
            previous: self.run.previous,
        }
    }

    /// Checks the way from a run's root to the root that was anchored.
    pub(super) fn check(
        &self,
        stream: StreamId,
        seq: Seq,
        root: B256,
        anchor: &ReceiptAnchor,
    ) -> Result<(), ReceiptError> {
        self.check_stream()?;
        let run = self.run_entry(stream, root);
        let (first, end) = (run.first, run.end());
        if seq < first || seq >= end {
            return Err(ReceiptError::RunRange { seq, first, end });
        }
        self.check_run(&run)?;
        self.check_bucket(bucket_of(stream), anchor)?;
        if anchor.count != 1 {
            return Err(ReceiptError::RoundCount(anchor.count));
        }
        self.range.as_ref().map_or(Ok(()), |range| {
            range.check(self.stream.id, anchor.first.0, anchor.root)
        })
    }

    /// Checks the way from the run to the bucket's root.
    fn check_run(&self, run: &RunEntry) -> Result<(), ReceiptError> {
        let (proof, given) = (&self.run.proof, self.bucket.root);
        if proof.len() > MAX_PROOF_HASHES {
            return Err(ReceiptError::ProofLength(proof.len()));
        }
        let computed = process_proof(run.leaf(), proof);
        if given != computed {
            return Err(ReceiptError::Bucket { given, computed });
        }
        Ok(())
    }

    /// Checks the way from the bucket to the round's root.
    fn check_bucket(&self, bucket: u8, anchor: &ReceiptAnchor) -> Result<(), ReceiptError> {
        let (proof, given) = (&self.bucket.proof, anchor.root);
        if proof.len() != BUCKET_PROOF_HASHES {
            return Err(ReceiptError::BucketProofLength(proof.len()));
        }
        let root = BucketRoot {
            runs: self.bucket.runs,
            root: self.bucket.root,
        };
        let computed = process_proof(bucket_leaf(anchor.first.0, bucket, &root), proof);
        if given != computed {
            return Err(ReceiptError::Round { given, computed });
        }
        Ok(())
    }

    /// Checks that the stream of rounds is that of its owner.
    fn check_stream(&self) -> Result<(), ReceiptError> {
        if self.stream.name.as_str() != ROUNDS_NAME {
            return Err(ReceiptError::RoundsName(self.stream.name.clone()));
        }
        let computed = rounds_stream(self.stream.owner);
        if self.stream.id != computed {
            let given = self.stream.id;
            return Err(ReceiptError::Stream { given, computed });
        }
        Ok(())
    }
}

impl ReceiptRange {
    fn check(&self, stream: StreamId, round: u64, root: B256) -> Result<(), ReceiptError> {
        if self.proof.len() > MAX_PROOF_HASHES {
            return Err(ReceiptError::ProofLength(self.proof.len()));
        }
        let computed = process_proof(range_leaf(stream, round, root), &self.proof);
        if self.peak != computed {
            let given = self.peak;
            return Err(ReceiptError::Peak { given, computed });
        }
        Ok(())
    }
}
