//! The StreamChain relay: carries live messages between browsers over WebRTC data channels, and hands them to
//! the edge in batches.
//!
//! [`core`] is the relay itself, without sockets, clock or HTTP; the other modules are thin shells around it:
//! [`worker`] is a shard's thread, [`run`] starts and ends them all.
//!
//! Networks that let no UDP through are served by [`ice_tcp`] and [`turn`], whose sockets are in
//! [`turn_front`].

pub mod addresses;
pub mod audit;
pub mod bench;
pub mod certificate;
pub mod cli;
pub mod client;
pub mod connections;
pub mod core;
pub mod framing;
pub mod ice_tcp;
pub mod loopback_edge;
pub mod metrics;
pub mod rebuild;
pub mod run;
pub mod side;
pub mod socket;
pub mod stream_io;
pub mod turn;
pub mod turn_front;
pub mod turn_run;
pub mod uplink;
pub mod verify;
pub mod worker;
