//! What every part of StreamChain must agree on, and nothing that does I/O.
//!
//! No clock, no randomness, no sockets and no `worker` in here: time comes in as `now_ms` or `now_s`
//! arguments and random bytes as arrays, so that the relay, the edge (wasm) and the tests run the same code.
//!
//! Everything that arrives from outside is parsed once, at the border, into a type that can't be wrong
//! ([`ids`], [`wire`], [`auth`], [`webrtc`], [`proof`]); every parser has a bound in [`limits`].

pub mod auth;
pub mod ids;
pub mod limits;
pub mod proof;
pub mod stream_settings;
pub mod util;
pub mod webrtc;
pub mod wire;

pub use alloy_primitives::{Address, B256, Bytes, keccak256};
