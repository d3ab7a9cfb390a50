//! A key that somebody has to vouch for.

use streamchain_protocol::Address;
use streamchain_protocol::ids::Seq;
use streamchain_protocol::signed::PublicKey;
use streamchain_protocol::time::UnixSec;

/// A key that signed for an author who is not the key: somebody must vouch for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct KeyUse {
    pub author: Address,
    pub key: PublicKey,
    /// The seconds of the group's first and last message.
    pub times: (UnixSec, UnixSec),
    /// The group's last message.
    pub seq: Seq,
    pub messages: u64,
}
