//! Segments: runs of a stream's messages that have one Merkle root.

use crate::ids::Seq;
use alloy_primitives::B256;
use serde::{Deserialize, Serialize};

/// A run of messages with the root over their leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Segment {
    /// The first message's seq.
    pub first: Seq,
    /// How many messages it has.
    pub count: u64,
    /// The Merkle root over the messages' leaves, in the order of their seqs.
    pub root: B256,
}

impl Segment {
    /// Returns the seq behind the last message.
    pub fn end(&self) -> Seq {
        Seq(self.first.0.saturating_add(self.count))
    }
}
