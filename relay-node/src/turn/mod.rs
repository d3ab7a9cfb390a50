//! STUN and TURN (RFC 8489, RFC 8656) for clients whose network lets them reach the relay in no other way.
//!
//! - [`proto`]: the codec.
//! - [`server`]: the machine, without sockets or a clock.
//! - [`net`]: its sockets and its thread.
//! - [`setup`]: what a relay starts of it, by its [`options`].

pub(crate) mod net;
pub(crate) mod options;
pub(crate) mod proto;
pub(crate) mod server;
pub(crate) mod setup;
