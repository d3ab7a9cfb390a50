//! STUN and TURN (RFC 8489, RFC 8656) for clients whose network lets them reach the relay in no other way.
//!
//! - [`message`], [`attributes`], [`writer`]: the codec.
//! - [`server`]: the machine; [`allocation`], [`allocations`], [`nonce`], [`strangers`] are its parts.
//! - [`limits`]: every bound.

pub mod allocation;
pub mod allocations;
pub mod attributes;
pub mod client;
pub mod limits;
pub mod message;
pub mod nonce;
mod requests;
pub mod server;
pub mod strangers;
pub mod writer;

#[cfg(test)]
mod fuzz_tests;
#[cfg(test)]
pub(crate) mod scene_tests;
