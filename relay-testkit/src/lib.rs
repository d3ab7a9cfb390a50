//! What relays are tested and measured with: clients without sockets, an edge on loopback, and benches.
//!
//! For development only: nothing of it is in the relay.

#![warn(unreachable_pub)]

pub mod bench;
mod client;
mod loopback_edge;
pub mod sessions;
mod signing;

pub use client::{Client, Invitation};
pub use loopback_edge::{Kept, LoopbackEdge, stream_id};
pub use signing::{GroupSigner, SignedFrame, SigningKey, Verified, verify_records};
pub use streamchain_client::peer::Identity;
