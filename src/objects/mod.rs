//! The Durable Objects: thin shells over the machines of `streamchain-edge-core` and `streamchain-chain`.
//!
//! What always holds: an object's truth is in its storage alone, and one step of a machine is one transaction
//! there; so a crash between two steps loses nothing, and the next request or alarm goes on.

pub mod account;
pub mod anchorer;
pub mod audit;
pub mod call;
pub mod limits;
pub mod listener;
pub mod relays;
pub mod stream;
pub mod watchdog;

use worker::Error;

/// An error of a machine or of the configuration, as the runtime takes errors.
fn to_error(error: impl std::fmt::Display) -> Error {
    Error::RustError(error.to_string())
}
