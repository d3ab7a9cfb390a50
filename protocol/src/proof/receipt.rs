//! Receipts: all that is needed to check one message against the chain, in one JSON file.
//!
//! [`Receipt::check`] proves that the message leads to the anchor's root. That the root was really emitted, by
//! this contract in this transaction, is then read from the chain: any RPC endpoint, none of ours.

use super::leaf::LeafFields;
use super::merkle::process_proof;
use crate::ids::{Seq, StreamId, StreamName};
use crate::limits::MAX_PROOF_HASHES;
use crate::time::UnixMs;
use alloy_primitives::{Address, B256, Bytes, keccak256};
use serde::{Deserialize, Serialize};

/// The `type` of every receipt.
pub const RECEIPT_TYPE: &str = "streamchain-receipt";
/// The only `version` so far.
pub const RECEIPT_VERSION: u32 = 1;

/// One message's receipt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Receipt {
    /// [`RECEIPT_TYPE`].
    pub r#type: String,
    /// [`RECEIPT_VERSION`].
    pub version: u32,
    /// The chain (EIP-155).
    pub chain_id: u64,
    /// The StreamChain contract there.
    pub contract: Address,
    /// The stream.
    pub stream: ReceiptStream,
    /// The message.
    pub message: ReceiptMessage,
    /// The message's leaf; see [`LeafFields::leaf`].
    pub leaf: B256,
    /// From the leaf to the root: the path in the segment, then the path of the segment's root in the anchor.
    pub proof: Vec<B256>,
    /// The root that the proof leads to: the anchor's.
    pub root: B256,
    /// The anchor that emitted the root.
    pub anchor: ReceiptAnchor,
}

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
    /// Its bytes.
    pub payload: Bytes,
}

/// The `Anchored` event of a receipt.
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

/// Why a receipt does not hold, before the chain is even asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReceiptError {
    /// The file is of another kind.
    #[error("type {given:?} version {version}: expected \"streamchain-receipt\" version 1")]
    Type {
        /// The receipt's type.
        given: String,
        /// The receipt's version.
        version: u32,
    },
    /// The stream's id is not that of its owner and name.
    #[error("stream.id is {given}, but owner and name give {computed}")]
    Stream {
        /// What the receipt says.
        given: StreamId,
        /// What owner and name give.
        computed: StreamId,
    },
    /// The leaf is not that of the message.
    #[error("leaf is {given}, but the message gives {computed}: some field of the message was changed")]
    Leaf {
        /// What the receipt says.
        given: B256,
        /// What the message gives.
        computed: B256,
    },
    /// The proof has more hashes than any proof of StreamChain.
    #[error("proof has {0} hashes: expected at most 64")]
    ProofLength(usize),
    /// The proof leads to another root.
    #[error("the proof leads to {computed}, not to root {given}")]
    Proof {
        /// What the receipt says.
        given: B256,
        /// Where the proof leads.
        computed: B256,
    },
    /// `root` and `anchor.root` differ.
    #[error("root is {root}, but anchor.root is {anchor}")]
    AnchorRoot {
        /// Where the proof leads.
        root: B256,
        /// What the anchor says.
        anchor: B256,
    },
    /// The anchor does not cover the message.
    #[error("seq {seq} is outside the anchor's {first}..{end}")]
    Range {
        /// The message's seq.
        seq: Seq,
        /// The first seq that the anchor covers.
        first: Seq,
        /// The seq behind the last one that the anchor covers.
        end: u64,
    },
}

impl Receipt {
    /// Returns the leaf that stream and message give.
    pub(crate) fn computed_leaf(&self) -> B256 {
        LeafFields {
            stream: self.stream.id,
            seq: self.message.seq,
            time: self.message.time,
            author: self.message.author,
            payload_hash: keccak256(&self.message.payload),
        }
        .leaf()
    }

    /// Checks everything that needs no chain: each field is bound to the anchor's root.
    pub fn check(&self) -> Result<(), ReceiptError> {
        if self.r#type != RECEIPT_TYPE || self.version != RECEIPT_VERSION {
            return Err(ReceiptError::Type {
                given: self.r#type.clone(),
                version: self.version,
            });
        }
        let computed = StreamId::of(self.stream.owner, &self.stream.name);
        if self.stream.id != computed {
            return Err(ReceiptError::Stream {
                given: self.stream.id,
                computed,
            });
        }
        let computed = self.computed_leaf();
        if self.leaf != computed {
            return Err(ReceiptError::Leaf {
                given: self.leaf,
                computed,
            });
        }
        if self.proof.len() > MAX_PROOF_HASHES {
            return Err(ReceiptError::ProofLength(self.proof.len()));
        }
        let computed = process_proof(self.leaf, &self.proof);
        if self.root != computed {
            return Err(ReceiptError::Proof {
                given: self.root,
                computed,
            });
        }
        if self.root != self.anchor.root {
            return Err(ReceiptError::AnchorRoot {
                root: self.root,
                anchor: self.anchor.root,
            });
        }
        let (seq, first) = (self.message.seq, self.anchor.first);
        let end = first.0.saturating_add(self.anchor.count);
        if seq < first || seq.0 >= end {
            return Err(ReceiptError::Range { seq, first, end });
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "receipt_tests.rs"]
mod tests;
