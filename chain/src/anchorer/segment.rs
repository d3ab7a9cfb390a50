//! Segments, and the runs that they are merged into.

use alloy_primitives::{Address, B256};
use serde::{Deserialize, Serialize};
use streamchain_protocol::ids::{Seq, StreamId};
use streamchain_protocol::stream_settings::Mode;

use crate::abi::{Anchor, anchorRoundCall};

/// A segment to be anchored: a contiguous range of messages under one root.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Segment {
    /// The stream's id.
    pub stream: StreamId,
    /// The stream's owner.
    pub owner: Address,
    /// The stream's name, for people.
    pub name: String,
    /// The keccak256 hash of the name.
    pub name_hash: B256,
    /// The seq of the first message.
    pub first: Seq,
    /// The number of messages.
    pub count: u32,
    /// The Merkle root over the leaves of the messages.
    pub root: B256,
    /// What goes on chain beside the root.
    pub mode: Mode,
    /// Whether the anchor is stored, so that contracts can check the messages.
    pub prove: bool,
}

/// Why a segment is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SegmentError {
    /// The id is not that of the owner's stream of this name. The caller has a bug.
    #[error("stream {stream} is not keccak256(abi.encode(owner, nameHash))")]
    WrongId {
        /// The id given.
        stream: StreamId,
    },
    /// The segment has no message, or its range goes past 2^64. The caller has a bug.
    #[error("the segment of {stream} at message {first} is empty or too long")]
    BadRange {
        /// The segment's stream.
        stream: StreamId,
        /// The segment's first message.
        first: Seq,
    },
    /// Another segment begins at the same message. The caller has a bug.
    #[error("another segment of {stream} at message {first} is already here")]
    Different {
        /// The segment's stream.
        stream: StreamId,
        /// The segment's first message.
        first: Seq,
    },
    /// The share of this owner, or of all strangers, has no room for one more stream. The caller keeps the segment and
    /// tries again later.
    #[error("too many streams of {owner}, or of all owners but the anchoring account, wait for the chain")]
    Full {
        /// The stream's owner.
        owner: Address,
    },
}

/// A contiguous run of messages of one stream, as the contract's `Anchor`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Run {
    /// The stream's id.
    pub stream: StreamId,
    /// The seq of the first message.
    pub first: Seq,
    /// The number of messages.
    pub count: u32,
    /// The Merkle root over the roots of the segments.
    pub root: B256,
}

impl Run {
    /// The seq after the last message.
    pub fn end(&self) -> Seq {
        end_of(self.first, self.count)
    }

    /// The run, which is a round, as the contract takes it.
    pub(super) fn anchor_round(&self) -> anchorRoundCall {
        anchorRoundCall {
            stream: self.stream.word(),
            round: self.first.0,
            root: self.root,
        }
    }

    /// The run as the contract takes it.
    pub(super) fn anchor(&self) -> Anchor {
        Anchor {
            stream: self.stream.word(),
            firstSeq: self.first.0,
            count: self.count,
            root: self.root,
        }
    }
}

/// The seq after `count` messages from `first`.
pub(super) fn end_of(first: Seq, count: u32) -> Seq {
    Seq(first.0.saturating_add(count.into()))
}
