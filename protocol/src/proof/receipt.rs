//! Receipts: all that is needed to check one message against the chain, in one JSON file.
//!
//! [`Receipt::check`] proves that the message leads to the anchor's root. That the root was really emitted, by
//! this contract in this transaction, is then read from the chain: any RPC endpoint, none of ours.
//!
//! A receipt of version 1 leads to an anchor of the message's own stream. One of version 2 leads to a round, which is
//! an anchor of a stream of rounds; its part `round` says how.
//!
//! A receipt of either version may have the part `author`: the author's own signature over the message, and who vouches for
//! the key. Without it, the operator alone says who the author is.

mod author;
mod error;
mod parts;
mod round;

pub use author::{AuthorError, ReceiptAuthor, ReceiptGroup, check_certificate, check_time};
pub use error::ReceiptError;
pub use parts::{ReceiptAnchor, ReceiptMessage, ReceiptStream};
pub use round::{ROUNDS_NAME, ReceiptBucket, ReceiptRange, ReceiptRound, ReceiptRun, rounds_stream};

use super::leaf::LeafFields;
use crate::ids::StreamId;
use crate::limits::MAX_PROOF_HASHES;
use crate::util::merkle::process_proof;
use alloy_primitives::{Address, B256};
use serde::{Deserialize, Serialize};

/// The `type` of every receipt.
pub const RECEIPT_TYPE: &str = "streamchain-receipt";
/// The `version` of a receipt whose message is under an anchor of its own stream.
pub const RECEIPT_VERSION: u32 = 1;
/// The `version` of a receipt whose message is in a round.
pub const ROUND_RECEIPT_VERSION: u32 = 2;

/// One message's receipt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Receipt {
    /// [`RECEIPT_TYPE`].
    pub r#type: String,
    /// [`RECEIPT_VERSION`] or [`ROUND_RECEIPT_VERSION`].
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
    /// From the leaf to the root: the path in the segment, then the path of the segment's root in the run.
    pub proof: Vec<B256>,
    /// The root that the proof leads to: the run's, which in version 1 is the anchor's.
    pub root: B256,
    /// How the run leads to the anchor in version 2; there is none in version 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub round: Option<ReceiptRound>,
    /// The anchor that emitted the run's root, or the round's.
    pub anchor: ReceiptAnchor,
    /// The author's signature; when there is none, the operator attests the author.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<ReceiptAuthor>,
}

impl Receipt {
    /// Returns the leaf that stream and message give.
    pub(crate) fn computed_leaf(&self) -> B256 {
        LeafFields {
            stream: self.stream.id,
            seq: self.message.seq,
            time: self.message.time,
            author: self.message.author,
            payload_hash: self.message.payload_hash(),
        }
        .leaf()
    }

    /// Checks everything that needs no chain and no library of elliptic curves: each field is bound to the anchor's root, and
    /// what the author signed is this message. Whether the signatures hold is checked apart (`streamchain-chain`).
    pub fn check(&self) -> Result<(), ReceiptError> {
        self.check_version()?;
        self.check_message()?;
        if let Some(author) = &self.author {
            author.check(&self.stream, &self.message, self.chain_id)?;
        }
        match &self.round {
            Some(round) => round.check(self.stream.id, self.message.seq, self.root, &self.anchor),
            None => self.check_anchor(),
        }
    }

    /// Returns the stream that the anchor is of: the message's, or the stream of rounds.
    pub fn anchored_stream(&self) -> &ReceiptStream {
        self.round.as_ref().map_or(&self.stream, |round| &round.stream)
    }

    fn check_version(&self) -> Result<(), ReceiptError> {
        let is_known = matches!(self.version, RECEIPT_VERSION | ROUND_RECEIPT_VERSION);
        if self.r#type != RECEIPT_TYPE || !is_known {
            return Err(ReceiptError::Type {
                given: self.r#type.clone(),
                version: self.version,
            });
        }
        match (self.version, &self.round) {
            (RECEIPT_VERSION, Some(_)) => Err(ReceiptError::RoundPart(self.version, "has")),
            (ROUND_RECEIPT_VERSION, None) => Err(ReceiptError::RoundPart(self.version, "lacks")),
            _ => Ok(()),
        }
    }

    /// Checks the way from the message to the run's root.
    fn check_message(&self) -> Result<(), ReceiptError> {
        let computed = StreamId::of(self.stream.owner, &self.stream.name);
        if self.stream.id != computed {
            return Err(ReceiptError::Stream {
                given: self.stream.id,
                computed,
            });
        }
        if self.message.erased.is_some() && !self.message.payload.is_empty() {
            return Err(ReceiptError::ErasedPayload);
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
        Ok(())
    }

    /// Checks that the run is what was anchored.
    fn check_anchor(&self) -> Result<(), ReceiptError> {
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
mod tests;
