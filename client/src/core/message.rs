//! A message as readers get it.

use streamchain_protocol::Address;
use streamchain_protocol::ids::Seq;
use streamchain_protocol::time::UnixMs;
use streamchain_protocol::wire::Omitted;

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
}
