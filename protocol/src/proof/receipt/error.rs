//! Why a receipt does not hold.

use super::author::AuthorError;
use crate::ids::{Seq, StreamId, StreamName};
use alloy_primitives::B256;

/// Why a receipt does not hold, before the chain is even asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReceiptError {
    /// The file is of another kind.
    #[error("type {given:?} version {version}: expected \"streamchain-receipt\" version 1 or 2")]
    Type {
        /// The receipt's type.
        given: String,
        /// The receipt's version.
        version: u32,
    },
    /// Version 1 has a part `round`, or version 2 has none.
    #[error("version {0} {1} a part \"round\"")]
    RoundPart(u32, &'static str),
    /// The stream's id is not that of its owner and name.
    #[error("stream.id is {given}, but owner and name give {computed}")]
    Stream {
        /// What the receipt says.
        given: StreamId,
        /// What owner and name give.
        computed: StreamId,
    },
    /// The message has a payload and says that it was erased: nothing would bind the payload.
    #[error("message.payload is there although message.erased says that it is not")]
    ErasedPayload,
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
    /// The author's part is not of this message, or not by its author.
    #[error("author: {0}")]
    Author(#[from] AuthorError),
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
    /// The stream of rounds has another name.
    #[error("the stream of rounds is called {0:?}: expected \"_rounds\"")]
    RoundsName(StreamName),
    /// The run does not cover the message.
    #[error("seq {seq} is outside the run's {first}..{end}")]
    RunRange {
        /// The message's seq.
        seq: Seq,
        /// The run's first seq.
        first: Seq,
        /// The seq behind the run's last one.
        end: Seq,
    },
    /// The run's proof leads to another root.
    #[error("the run leads to {computed}, not to bucket.root {given}")]
    Bucket {
        /// What the receipt says.
        given: B256,
        /// Where the run's proof leads.
        computed: B256,
    },
    /// The way from a bucket to its round always has the same length.
    #[error("bucket.proof has {0} hashes: expected 8")]
    BucketProofLength(usize),
    /// The bucket's proof leads to another root.
    #[error(
        "the bucket leads to {computed}, not to anchor.root {given}: some field of run or bucket was changed"
    )]
    Round {
        /// What the receipt says.
        given: B256,
        /// Where the bucket's proof leads.
        computed: B256,
    },
    /// A round is one message of the stream of rounds.
    #[error("anchor.count is {0}: expected 1 for a round")]
    RoundCount(u64),
    /// The round's proof leads to another peak.
    #[error("the round leads to {computed}, not to range.peak {given}")]
    Peak {
        /// What the receipt says.
        given: B256,
        /// Where the round's proof leads.
        computed: B256,
    },
}
