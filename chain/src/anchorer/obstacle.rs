//! What keeps a stream from being anchored.

use alloy_primitives::Address;
use streamchain_protocol::ids::Seq;

/// After how many ms a stream is looked at again when a part of this product has to repair it.
const OWN_REPAIR_MS: u64 = 5_000;
/// After how many ms a stream is looked at again when the operator has to repair it.
const OPERATOR_REPAIR_MS: u64 = 60_000;

/// Why a stream is not anchored at the moment, in words for people.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Obstacle {
    /// Another account may anchor the stream, and this one may not.
    #[error("the contract lets {0} anchor this stream, and nobody else")]
    Stranger(Address),
    /// The stream belongs to another account, which has not opened it.
    #[error("its owner has not opened it on the contract")]
    NotOpen,
    /// The segment that has to come next has not arrived.
    #[error("the segment that begins at message {0} has not arrived")]
    Missing(Seq),
    /// The chain's next seq lies inside a segment: another account anchored a part of it.
    #[error("the chain is anchored up to message {next}, inside the segment that begins at {first}")]
    Straddled {
        /// The chain's next seq.
        next: Seq,
        /// The segment's first message.
        first: Seq,
    },
    /// The records in the database differ from those of the segment.
    #[error("the stored messages from {0} do not give the segment's root")]
    Damaged(Seq),
    /// The node says that an anchor of this stream alone would fail.
    #[error("an anchor of this stream alone is refused: {0}")]
    Refused(String),
    /// The chain holds an anchor over the same messages with another root than ours.
    #[error("the chain holds another root than ours for the messages from {first}")]
    OtherRoot {
        /// The first message of that anchor.
        first: Seq,
    },
}

impl Obstacle {
    /// After how many ms the stream is looked at again; `retry_ms` is for what its owner has to do on chain.
    pub(super) fn rest_ms(&self, retry_ms: u64) -> u64 {
        match self {
            Obstacle::Missing(_) => OWN_REPAIR_MS,
            Obstacle::NotOpen | Obstacle::Stranger(_) => retry_ms,
            _ => OPERATOR_REPAIR_MS,
        }
    }
}
