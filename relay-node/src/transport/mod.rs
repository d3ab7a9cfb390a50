//! How packets reach a shard and leave it: sockets, connections and their framing.

pub(crate) mod connections;
pub(crate) mod ice_tcp;
pub(crate) mod packet;
pub(crate) mod rfc4571;
pub(crate) mod tcp_ingress;
pub(crate) mod tcp_io;
pub(crate) mod udp;
