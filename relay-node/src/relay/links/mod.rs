//! Links between relays: QUIC connections (RFC 9000) that carry the frames of [`crate::core`] to other relays.
//!
//! One connection for each pair of relays, and on it one bidirectional stream for each stream that one of them follows; either
//! relay may have opened the connection. Both show their link certificates. Who follows knows the leader's fingerprint from the
//! edge; the leader finds the follower's in the ticket that each stream begins with.
//!
//! What always holds:
//! - Nothing of a stranger reaches a shard: a stream's first frame shows a ticket that was signed with this relay's key, for the certificate of
//!   this connection, or the stream ends. A connection that has shown none has few streams, little memory and little time.
//! - No shard waits for a link. What waits for a link is bounded in bytes; a link whose other end does not read ends.
//! - A link that ends is reported to its shard once, behind all of its frames, unless the shard ended it.

mod endpoint;
mod event;
mod limits;
mod link;
pub(crate) mod options;
mod patience;
mod peers;
mod port;
mod queue;
mod shard_side;
mod status;
#[cfg(test)]
mod tests;
mod tls;

pub(crate) use endpoint::{Endpoint, EndpointConfig};
pub(crate) use shard_side::RelayLinks;
pub(crate) use status::LinkStatus;
