//! What receipts of both versions say of the stream, the message and the anchor.

use crate::ids::{Seq, StreamId, StreamName};
use crate::omitted::Omitted;
use crate::time::UnixMs;
use alloy_primitives::{Address, B256, Bytes, keccak256};
use serde::{Deserialize, Serialize};

/// The stream of a receipt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceiptStream {
    /// `keccak256(abi.encode(owner, keccak256(name)))`.
    pub id: StreamId,
    /// The account that opened it on chain.
    pub owner: Address,
    /// Its name.
    pub name: StreamName,
}

/// The message of a receipt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceiptMessage {
    /// The message's number in the stream.
    pub seq: Seq,
    /// Milliseconds since the Unix epoch.
    pub time: UnixMs,
    /// The author.
    pub author: Address,
    /// Its bytes; none when they were erased.
    pub payload: Bytes,
    /// What is known of bytes that were erased. The leaf has their hash; their size is the edge's word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub erased: Option<Omitted>,
}

impl ReceiptMessage {
    /// Returns the payload's keccak256 hash, which the leaf holds.
    pub fn payload_hash(&self) -> B256 {
        match &self.erased {
            Some(erased) => erased.digest,
            None => keccak256(&self.payload),
        }
    }
}

/// The `Anchored` event of a receipt; `first` is the number of the round, and `count` is 1, when it is one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReceiptAnchor {
    /// First seq that the anchor covers.
    pub first: Seq,
    /// How many messages it covers.
    pub count: u64,
    /// The root that was emitted.
    pub root: B256,
    /// The transaction.
    pub tx: B256,
    /// Its block's number when the receipt was made.
    pub block: u64,
    /// Its block's hash when the receipt was made.
    pub block_hash: B256,
    /// The event's index in that block.
    pub log_index: u64,
}
