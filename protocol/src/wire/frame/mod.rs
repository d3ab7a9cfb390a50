//! The frames on the data channel: CBOR arrays `[kind, …]`, specified in docs/PROTOCOL.md.
//!
//! A data-channel message holds one or more frames, one after the other (RFC 8742). A kind that is not known
//! is ignored; a known kind that is malformed is an error, and the session that sent it is closed.

mod channel_limits;
mod client;
mod error_code;
mod group_parts;
mod items;
pub mod kind;
mod relay;
mod signed_group;

pub use channel_limits::ChannelLimits;
pub use client::{Abilities, ClientFrame};
pub use error_code::ErrorCode;
pub use relay::RelayFrame;
pub use signed_group::SignedGroup;

/// The data channel's label.
pub const CHANNEL_LABEL: &str = "streamchain";
/// The data channel's subprotocol (RFC 8832).
pub const CHANNEL_PROTOCOL: &str = "streamchain.v1";
/// The subprotocol of a further data channel of a connection, whose first frame is *join*.
pub const JOIN_PROTOCOL: &str = "streamchain.join.v1";

#[cfg(test)]
mod tests;
