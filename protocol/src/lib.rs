//! What every part of StreamChain must agree on, and nothing that does I/O.
//!
//! No clock, no randomness, no sockets and no `worker` in here: time comes in as `now_ms` or `now_s`
//! arguments and random bytes as arrays, so that the relay, the edge (wasm) and the tests run the same code.
//!
//! Everything that arrives from outside is parsed once, at the border, into a type that can't be wrong
//! ([`ids`], [`frame`], [`token`], [`sdp`], [`batch`], [`receipt`]); every parser has a bound in [`limits`].

pub mod access;
pub mod account;
pub mod audit;
pub mod batch;
pub mod cbor;
pub mod directory;
pub mod frame;
pub mod ice_servers;
pub mod ids;
pub mod json;
pub mod keys;
pub mod limits;
pub mod log;
pub mod mailbox;
pub mod merkle;
pub mod policies;
pub mod rate;
pub mod receipt;
pub mod rights;
pub mod sdp;
pub mod settings;
pub mod siwe;
pub mod sorted;
pub mod token;
pub mod turn_credentials;
pub mod turn_service;
pub mod uplink;

pub use alloy_primitives::{Address, B256, Bytes, keccak256};
