//! One data channel to a relay ([`Peer`], without sockets or clock), and the sockets under it (`sockets`).

mod answer;
mod certificate;
mod channel;
mod framing;
mod sockets;

pub(crate) use answer::relay_addresses;
pub use certificate::Identity;
pub use channel::Peer;
pub(crate) use sockets::Sockets;
