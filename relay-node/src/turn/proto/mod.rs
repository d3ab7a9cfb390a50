//! STUN messages and ChannelData, as bytes.

pub(crate) mod attributes;
pub(crate) mod message;
pub(crate) mod writer;
