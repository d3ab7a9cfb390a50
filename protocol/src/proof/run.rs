//! Runs in rounds: the leaf of a run, and the public list of the runs of a bucket.
//!
//! A list has one run of each stream at most, in the ascending order of stream ids, so that it has one encoding, one
//! root, and one place for each stream: who reads it sees what is in it and what is not.

use crate::ids::{Seq, StreamId};
use crate::limits::MAX_RUNS_PER_LIST;
use crate::util::merkle::Tree;
use alloy_primitives::{B256, keccak256};
use serde::{Deserialize, Serialize};

/// Length of one run in a list: stream 32, first seq 8, count 4, root 32, previous leaf 32.
pub const RUN_ENTRY_BYTES: usize = 108;

/// One run of one stream in a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunEntry {
    /// The stream.
    pub stream: StreamId,
    /// Seq of the run's first message.
    pub first: Seq,
    /// How many messages it has; at least 1.
    pub count: u32,
    /// The Merkle root over the run.
    pub root: B256,
    /// The leaf of the stream's run before this one, zero for the first: so a run commits to the stream's whole past.
    pub previous: B256,
}

/// Why bytes are not a list of runs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadRuns {
    /// The length is not a whole number of runs.
    #[error("a list of runs has {0} bytes: expected a multiple of 108")]
    Length(usize),
    /// There are more runs than a list may have.
    #[error("a list has {0} runs: expected at most 8,192")]
    TooMany(usize),
    /// A stream does not come after the one before it.
    #[error("run {0} of a list: its stream id is not greater than the one before it")]
    Order(usize),
    /// A run has no messages.
    #[error("run {0} of a list has no messages")]
    Empty(usize),
    /// A run ends behind the last seq that the protocol can name.
    #[error("run {0} of a list ends behind seq 2^64 - 1")]
    Range(usize),
}

impl RunEntry {
    /// Returns the seq behind the run's last message.
    pub fn end(&self) -> Seq {
        Seq(self.first.0.saturating_add(u64::from(self.count)))
    }

    /// `keccak256(keccak256(abi.encode(bytes32 stream, uint64 firstSeq, uint32 count, bytes32 root, bytes32 previous)))`:
    /// hashed twice so that no inner node can pass for a leaf.
    pub fn leaf(&self) -> B256 {
        let mut encoded = [0; 160];
        encoded[..32].copy_from_slice(&self.stream.0);
        encoded[56..64].copy_from_slice(&self.first.0.to_be_bytes());
        encoded[92..96].copy_from_slice(&self.count.to_be_bytes());
        encoded[96..128].copy_from_slice(self.root.as_slice());
        encoded[128..].copy_from_slice(self.previous.as_slice());
        keccak256(keccak256(encoded))
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.stream.0);
        out.extend_from_slice(&self.first.0.to_be_bytes());
        out.extend_from_slice(&self.count.to_be_bytes());
        out.extend_from_slice(self.root.as_slice());
        out.extend_from_slice(self.previous.as_slice());
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let (stream, rest) = bytes.split_first_chunk::<32>()?;
        let (first, rest) = rest.split_first_chunk::<8>()?;
        let (count, rest) = rest.split_first_chunk::<4>()?;
        let (root, rest) = rest.split_first_chunk::<32>()?;
        let (previous, _) = rest.split_first_chunk::<32>()?;
        Some(Self {
            stream: StreamId(*stream),
            first: Seq(u64::from_be_bytes(*first)),
            count: u32::from_be_bytes(*count),
            root: B256::from(*root),
            previous: B256::from(*previous),
        })
    }
}

/// Returns the list as bytes. The runs must be in the order of their stream ids.
pub fn encode_runs(runs: &[RunEntry]) -> Vec<u8> {
    let mut out = Vec::with_capacity(runs.len() * RUN_ENTRY_BYTES);
    runs.iter().for_each(|run| run.write(&mut out));
    out
}

/// Reads what [`encode_runs`] returns, and refuses what it can't have returned.
pub fn decode_runs(bytes: &[u8]) -> Result<Vec<RunEntry>, BadRuns> {
    let entries = bytes.chunks_exact(RUN_ENTRY_BYTES);
    if !entries.remainder().is_empty() {
        return Err(BadRuns::Length(bytes.len()));
    }
    if entries.len() > MAX_RUNS_PER_LIST {
        return Err(BadRuns::TooMany(entries.len()));
    }
    let runs: Vec<RunEntry> = entries.filter_map(RunEntry::read).collect();
    check_runs(&runs)?;
    Ok(runs)
}

/// Checks the rules of a list: streams ascend, and each run has messages that the protocol can name.
pub fn check_runs(runs: &[RunEntry]) -> Result<(), BadRuns> {
    if runs.len() > MAX_RUNS_PER_LIST {
        return Err(BadRuns::TooMany(runs.len()));
    }
    let mut before: Option<StreamId> = None;
    for (index, run) in runs.iter().enumerate() {
        if before.is_some_and(|before| before >= run.stream) {
            return Err(BadRuns::Order(index));
        }
        if run.count == 0 {
            return Err(BadRuns::Empty(index));
        }
        if run.first.0.checked_add(u64::from(run.count)).is_none() {
            return Err(BadRuns::Range(index));
        }
        before = Some(run.stream);
    }
    Ok(())
}

/// Returns the path from the leaf of run `index` to the root over the list; `None` when there is no such run.
pub fn run_proof(runs: &[RunEntry], index: usize) -> Option<Vec<B256>> {
    let leaves: Vec<B256> = runs.iter().map(RunEntry::leaf).collect();
    Tree::new(&leaves)?.proof(index)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(stream: u8) -> RunEntry {
        RunEntry {
            stream: StreamId([stream; 32]),
            first: Seq(u64::from(stream) << 40),
            count: u32::from(stream) + 1,
            root: B256::repeat_byte(stream ^ 0xff),
            previous: B256::repeat_byte(stream / 2),
        }
    }

    fn runs() -> Vec<RunEntry> {
        (1..=5).map(run).collect()
    }

    #[test]
    fn a_list_survives_its_own_bytes() {
        let bytes = encode_runs(&runs());
        assert_eq!(bytes.len(), 5 * RUN_ENTRY_BYTES);
        assert_eq!(decode_runs(&bytes), Ok(runs()));
        assert_eq!(decode_runs(&[]), Ok(vec![]));
    }

    #[test]
    fn bytes_that_no_list_encodes_to_are_refused() {
        let bytes = encode_runs(&runs());
        assert_eq!(decode_runs(&bytes[1..]), Err(BadRuns::Length(539)));
        let encoded = |change: fn(&mut Vec<RunEntry>)| {
            let mut runs = runs();
            change(&mut runs);
            decode_runs(&encode_runs(&runs))
        };
        assert_eq!(encoded(|runs| runs.swap(1, 2)), Err(BadRuns::Order(2)));
        assert_eq!(
            encoded(|runs| runs[3].stream = runs[2].stream),
            Err(BadRuns::Order(3)),
            "two runs of one stream"
        );
        assert_eq!(encoded(|runs| runs[4].count = 0), Err(BadRuns::Empty(4)));
        assert_eq!(
            encoded(|runs| runs[0].first = Seq(u64::MAX - 1)),
            Err(BadRuns::Range(0))
        );
        let many = vec![0; (MAX_RUNS_PER_LIST + 1) * RUN_ENTRY_BYTES];
        assert_eq!(decode_runs(&many), Err(BadRuns::TooMany(MAX_RUNS_PER_LIST + 1)));
    }

    #[test]
    fn every_field_is_in_the_leaf() {
        type Change = (&'static str, fn(&mut RunEntry));
        let changes: [Change; 5] = [
            ("stream", |run| run.stream.0[31] ^= 1),
            ("first", |run| run.first.0 ^= 1),
            ("count", |run| run.count ^= 1),
            ("root", |run| run.root.0[0] ^= 1),
            ("previous", |run| run.previous.0[0] ^= 1),
        ];
        for (field, change) in changes {
            let mut changed = run(7);
            change(&mut changed);
            assert_ne!(changed.leaf(), run(7).leaf(), "{field}");
        }
    }
}
