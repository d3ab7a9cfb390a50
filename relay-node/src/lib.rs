//! The StreamChain relay: carries live messages between browsers over WebRTC data channels, and hands them to
//! the edge in batches.
//!
//! The modules, each of which imports only those above it:
//! - `core`: the relay without sockets, clock or HTTP.
//! - `transport`: UDP sockets and ICE-TCP connections.
//! - `turn`: the TURN server.
//! - `relay`: the process: a thread for each shard, the edge client, the supervisor.
//! - `commands`: what the program does beside running a relay.
//! - `cli`: the command line.
//!
//! The library exports [`run`] for the program, the commands for `streamchain`, and what `relay-testkit` and the tests drive a shard by.

mod cli;
mod commands;
mod core;
mod error_text;
mod random;
mod relay;
mod transport;
mod turn;

pub use crate::core::dtls::crypto_provider;
pub use crate::core::peer_connection::SessionConfig;
pub use crate::core::{
    Answer, Command, EdgeError, GroupKey, Kept, LinkMessage, LinkPeer, Load, Lookup, Memory, Now, Path, Rate,
    Rates, Request, Shard, ShardConfig, Ticket,
};
pub use cli::{CheckCommand, RelayCommand, run};
pub use commands::authors::AuthorKey;
pub use error_text::printable;
pub use relay::clock::now;
pub use relay::edge_client::EdgeClient;
pub use relay::shard_links::ShardLinks;
pub use relay::shard_thread::{Order, Report, ShardThread};
pub use transport::tcp_ingress::TcpIngressSetup;
pub use transport::udp::Socket;

/// Certificates for DTLS, as a relay makes and announces its own.
pub mod certificate {
    pub use crate::relay::certificate::{fingerprint, make};
}

/// Bounds that tests and load clients reckon with.
pub mod limits {
    pub use crate::core::limits::{MAX_OPENING_REPEATS, MAX_PENDING_BYTES, RATE_BURST_MS};
}

/// Entry points for `streamchain-fuzz`: the parsers that read what strangers send.
#[cfg(feature = "fuzzing")]
pub mod fuzzing {
    pub use crate::core::link::fuzzing::link_frames;
    pub use crate::transport::fuzzing::tcp_framing;
    pub use crate::turn::fuzzing::{is_granted, signed_turn_requests, stun_message, turn_request};
}
