//! One data channel to a relay ([`Peer`], without sockets or clock), and the sockets under it ([`Sockets`]).

mod answer;
mod certificate;
mod channel;
mod framing;
mod sockets;

pub use answer::{RelayAddresses, relay_addresses};
pub use certificate::Identity;
pub use channel::Peer;
pub use sockets::{Sockets, SocketsError};
