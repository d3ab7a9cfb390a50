//! The StreamChain relay: carries live messages between browsers over WebRTC data channels, and hands them to
//! the edge in batches.
//!
//! [`core`] is the relay itself, without sockets, clock or HTTP; the other modules are thin shells around it:
//! [`worker`] is a shard's thread, [`run`] starts and ends them all.

pub mod bench;
pub mod certificate;
pub mod cli;
pub mod client;
pub mod core;
pub mod loopback_edge;
pub mod run;
pub mod socket;
pub mod uplink;
pub mod verify;
pub mod worker;
