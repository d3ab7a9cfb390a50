//! A message as readers get it.

use std::sync::Arc;
use streamchain_protocol::Address;
use streamchain_protocol::ids::{ProducerId, Seq};
use streamchain_protocol::signed::GroupHeader;
use streamchain_protocol::time::UnixMs;
use streamchain_protocol::wire::Omitted;

/// The signed group that a message is of, as relay and edge say: nothing of it is verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MessageSignature {
    /// The seq of the group's first message.
    pub seq: Seq,
    /// The author's producer that numbered the messages.
    pub producer: ProducerId,
    /// The producer's number of the first message.
    pub producer_seq: u64,
    /// How many messages the group has, what it follows, and who signed it.
    pub header: GroupHeader,
}

impl MessageSignature {
    /// Returns whether the message of this seq is of the group.
    pub fn covers(&self, seq: Seq) -> bool {
        seq.0
            .checked_sub(self.seq.0)
            .is_some_and(|place| place < u64::from(self.header.count))
    }
}

/// A message of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Its place in the stream.
    pub seq: Seq,
    /// When the relay took it.
    pub time: UnixMs,
    /// Who published it.
    pub author: Address,
    /// Opaque bytes; empty where `erased` is there.
    pub payload: Vec<u8>,
    /// What is known of a payload that was erased.
    pub erased: Option<Omitted>,
    /// The signed group that it is of, for a reader that asks for signatures.
    pub signature: Option<Arc<MessageSignature>>,
}
