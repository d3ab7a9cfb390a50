//! What clients publish: a message, or a signed group.

use streamchain_protocol::B256;
use streamchain_protocol::limits::MAX_PAYLOAD_BYTES;
use streamchain_protocol::signed::{MAX_GROUP_BYTES, Signature};

/// What a *publish* or a *group* brings.
#[derive(Debug, Clone, Copy)]
pub(super) struct Publication<'a> {
    /// The number of its first message.
    pub producer_seq: u64,
    pub payloads: &'a [&'a [u8]],
    /// `previous` and the signature of a group; `None` for a message of no group.
    pub signed: Option<(B256, Signature)>,
}

impl Publication<'_> {
    pub(super) fn bytes(&self) -> usize {
        self.payloads.iter().map(|payload| payload.len()).sum()
    }

    /// Most payload bytes that it may have.
    pub(super) fn max_bytes(&self) -> usize {
        match self.signed {
            Some(_) => MAX_GROUP_BYTES,
            None => MAX_PAYLOAD_BYTES,
        }
    }

    /// What *accepted* says of a group's size.
    pub(super) fn count(&self) -> Option<u64> {
        self.signed.map(|_| self.payloads.len() as u64)
    }

    pub(super) fn messages(&self) -> u64 {
        self.payloads.len() as u64
    }
}
