//! A stored message, as history gives it.

use streamchain_protocol::ids::{ProducerId, Seq};
use streamchain_protocol::signed::GroupHeader;
use streamchain_protocol::{Address, B256};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Message {
    pub seq: Seq,
    /// When the relay took it, Unix milliseconds.
    pub time: u64,
    pub author: Address,
    /// keccak256 of its payload; of an erased one, what the edge says that it was: the root shows whether it is right.
    pub payload_hash: B256,
    /// The payload's size; of an erased one, what the edge says that it was.
    pub payload_bytes: u64,
    /// Whether the payload is gone.
    pub is_erased: bool,
    /// Where it is in a signed group, if it is in one.
    pub group: Option<GroupPlace>,
}

/// Where a message is in a signed group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum GroupPlace {
    /// The first message of the group on a page: what was signed.
    Header(GroupItem),
    /// Behind that: the seq of the group's first message.
    Inside(Seq),
}

/// A group, as history gives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct GroupItem {
    /// The seq of its first message.
    pub first: Seq,
    pub producer: ProducerId,
    /// The producer's number of that message.
    pub producer_seq: u64,
    pub header: GroupHeader,
}
