//! What clients publish: a message, or a signed group.

use streamchain_protocol::B256;
use streamchain_protocol::limits::MAX_PAYLOAD_BYTES;
use streamchain_protocol::signed::{MAX_GROUP_BYTES, Signature};

/// What a *publish* or a *group* brings.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Publication<'a> {
    /// The number of its first message.
    pub producer_seq: u64,
    pub payloads: &'a [&'a [u8]],
    /// `previous` and the signature of a group; `None` for a message of no group.
    pub signed: Option<(B256, Signature)>,
}

impl Publication<'_> {
    pub(crate) fn bytes(&self) -> usize {
        self.payloads.iter().map(|payload| payload.len()).sum()
    }

    /// Most payload bytes that it may have.
    pub(crate) fn max_bytes(&self) -> usize {
        match self.signed {
            Some(_) => MAX_GROUP_BYTES,
            None => MAX_PAYLOAD_BYTES,
        }
    }

    pub(crate) fn messages(&self) -> u64 {
        self.payloads.len() as u64
    }

    /// What an answer to it is about.
    pub(crate) fn extent(&self) -> Extent {
        Extent {
            producer_seq: self.producer_seq,
            messages: self.messages(),
            is_group: self.signed.is_some(),
        }
    }
}

/// Which messages a publication has, without their bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Extent {
    /// The number of its first message.
    pub producer_seq: u64,
    pub messages: u64,
    pub is_group: bool,
}

impl Extent {
    /// What *accepted* says of a group's size.
    pub(crate) fn count(&self) -> Option<u64> {
        self.is_group.then_some(self.messages)
    }
}
