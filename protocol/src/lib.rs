//! What every part of StreamChain must agree on, and nothing that does I/O.
//!
//! What always holds:
//! - No clock, no randomness, no sockets and no `worker`: time and random bytes are arguments, so that the relay, the
//!   edge (wasm) and the tests run the same code.
//! - Everything that arrives from outside is parsed once, at the border, into a type that cannot be wrong; every parser
//!   has a bound in [`limits`].
//! - A module imports only what stands before it in this order: [`limits`], [`util`], [`ids`], [`time`],
//!   [`pattern`], [`signed`], `omitted`, `record`, `retention`, [`stream_settings`], `stored_record`, [`webrtc`], [`auth`], [`proof`], [`archive`],
//!   [`wire`].

pub mod archive;
pub mod auth;
pub mod ids;
pub mod limits;
mod omitted;
pub mod pattern;
pub mod proof;
mod record;
mod retention;
pub mod signed;
mod stored_record;
pub mod stream_settings;
pub mod time;
pub mod util;
pub mod webrtc;
pub mod wire;

pub use alloy_primitives::{Address, B256, Bytes, keccak256};
