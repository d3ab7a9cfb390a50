//! The leaf of one message: what binds it to its stream, its seq, its time and its author.

use crate::ids::{Seq, StreamId};
use crate::stored_record::{StoredRecord, decode_stored_records};
use crate::time::UnixMs;
use alloy_primitives::{Address, B256, keccak256};

/// What a leaf is made of: a message, bound to its stream and seq.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeafFields {
    /// The stream.
    pub stream: StreamId,
    /// The message's seq.
    pub seq: Seq,
    /// Milliseconds since the Unix epoch.
    pub time: UnixMs,
    /// The author.
    pub author: Address,
    /// `keccak256(payload)`.
    pub payload_hash: B256,
}

impl LeafFields {
    /// `keccak256(keccak256(abi.encode(bytes32 stream, uint64 seq, uint64 time, address author, bytes32 hash)))`:
    /// hashed twice so that no inner node can pass for a leaf.
    pub fn leaf(&self) -> B256 {
        let mut encoded = [0; 160];
        encoded[..32].copy_from_slice(&self.stream.0);
        encoded[56..64].copy_from_slice(&self.seq.0.to_be_bytes());
        encoded[88..96].copy_from_slice(&self.time.0.to_be_bytes());
        encoded[108..128].copy_from_slice(self.author.as_slice());
        encoded[128..].copy_from_slice(self.payload_hash.as_slice());
        keccak256(keccak256(encoded))
    }
}

/// Returns the leaf of every record of a run that begins at `first`; `None` when the bytes are not records. The leaf of
/// an erased message is what it was before.
pub fn leaves(stream: StreamId, first: Seq, records: &[u8]) -> Option<Vec<B256>> {
    let records = decode_stored_records(records).ok()?;
    let leaf = |(index, record): (usize, StoredRecord)| {
        LeafFields {
            stream,
            seq: Seq(first.0 + index as u64),
            time: record.time,
            author: record.author,
            payload_hash: record.payload.hash(),
        }
        .leaf()
    };
    Some(records.into_iter().enumerate().map(leaf).collect())
}
