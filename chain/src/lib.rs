//! The Ethereum side of StreamChain, without a network, a clock or a random source.
//!
//! What always holds:
//! - an intent is saved before its effect and a cursor after it, so a machine that is dropped between any two
//!   commands and restored from its saved rows goes on without loss and without doubling;
//! - what is *anchored* is what the listener saw as an event, never what the [`anchorer`] sent.
//!
//! The machines have one shape: the owner calls `next_command` until it returns `None`, does what each command says,
//! and hands the outcome back; `poll_timeout` says when to come again. Times are Unix milliseconds, amounts of
//! money wei, block ranges half-open unless a name says otherwise.

pub mod abi;
pub mod anchorer;
pub mod authors;
mod backoff;
pub mod batcher;
pub mod costs;
pub mod ethereum;
pub mod journal;
pub mod listener;
mod machine;
pub mod rounds;

pub use machine::{Command, Machine};
