//! The Ethereum side of StreamChain, without a network, a clock or a random source.
//!
//! What always holds:
//! - an intent is saved before its effect and a cursor after it, so a machine that is dropped between any two
//!   commands and made anew from its saved rows goes on without loss and without doubling;
//! - what is *anchored* is what the listener saw as an event, never what the [`sender`] hoped.
//!
//! Both machines have one shape: the owner calls `next_command` until it gives `None`, does what each command says,
//! and hands the outcome back; `poll_timeout` tells when to come again. Times are Unix milliseconds, amounts of
//! money wei, block ranges half-open unless a name says otherwise.

pub mod abi;
pub mod costs;
pub mod endpoints;
pub mod fees;
pub mod listener;
pub mod personal;
pub mod retry;
pub mod row;
pub mod rpc;
pub mod sender;
pub mod tx;
pub mod undeployed;
