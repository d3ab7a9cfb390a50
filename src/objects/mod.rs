//! The Durable Objects: thin shells over the machines of `streamchain-edge-core` and `streamchain-chain`.
//!
//! What always holds: an object's truth is in its storage alone, and one step of a machine is one transaction
//! there; so a crash between two steps loses nothing, and the next request or alarm goes on.

pub(crate) mod account;
pub(crate) mod anchorer;
pub(crate) mod archiver;
pub(crate) mod audit;
pub(crate) mod batcher;
mod chain_machine;
pub(crate) mod limits;
pub(crate) mod listener;
mod notify;
pub(crate) mod relays;
pub(crate) mod stream;
mod turn_service;
pub(crate) mod watchdog;
pub(crate) mod webhooks;

use worker::Error;

/// An error of a machine or of the configuration, as the runtime takes errors.
fn to_error(error: impl std::fmt::Display) -> Error {
    Error::RustError(error.to_string())
}
