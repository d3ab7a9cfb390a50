//! What keeps a stream from being anchored.

use alloy_primitives::Address;
use streamchain_protocol::ids::Seq;
use streamchain_protocol::time::UnixMs;

/// After how many ms a stream is looked at again when a part of this product has to repair it.
const OWN_REPAIR_MS: u64 = 5_000;
/// After how many ms a stream is looked at again when the operator has to repair it.
const OPERATOR_REPAIR_MS: u64 = 60_000;

/// After how many ms a stream whose anchor reverted is tried again: each try costs gas.
const REVERTED_MS: u64 = 3_600_000;

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
    /// The database does not give the segments that are not kept here.
    #[error("its segments cannot be read: {0}")]
    Unreadable(String),
    /// What it needs is more than what is left of a share of the day's gas.
    #[error("{share} is used up: anchoring it goes on at 00:00 UTC")]
    GasShare {
        /// Whose share.
        share: &'static str,
        /// When the next day begins.
        until: UnixMs,
    },
    /// A transaction with nothing but this stream reverted, though the node had said that it would succeed.
    #[error("its anchor reverted on the chain: the contract's state changed while it was under way")]
    Reverted,
    /// The node says that an anchor of this stream alone would fail.
    #[error("an anchor of this stream alone is refused: {0}")]
    Refused(String),
    /// The chain has more rounds than were made here.
    #[error("the chain has rounds below {0}, which were not made here: another deployment has this account")]
    OtherRounds(Seq),
    /// The chain holds an anchor over the same messages with another root than ours.
    #[error("the chain holds another root than ours for the messages from {first}")]
    OtherRoot {
        /// The first message of that anchor.
        first: Seq,
    },
}

impl Obstacle {
    /// Whether its owner has to act on the contract before it can be anchored.
    pub(super) fn waits_for_owner(&self) -> bool {
        matches!(self, Obstacle::NotOpen | Obstacle::Stranger(_))
    }

    /// Until when the stream is left alone.
    pub(super) fn until(&self, now: UnixMs) -> UnixMs {
        match self {
            Obstacle::Missing(_) | Obstacle::Unreadable(_) => now.plus_ms(OWN_REPAIR_MS),
            Obstacle::GasShare { until, .. } => *until,
            Obstacle::Reverted => now.plus_ms(REVERTED_MS),
            _ => now.plus_ms(OPERATOR_REPAIR_MS),
        }
    }
}
