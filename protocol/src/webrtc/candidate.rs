//! ICE candidates of a relay (RFC 8445).

use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// An address that clients can reach: it becomes an ICE host candidate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Candidate {
    /// The transport protocol.
    pub transport: Transport,
    /// The IPv4 or IPv6 address.
    pub address: IpAddr,
    /// The UDP or TCP port.
    pub port: u16,
}

/// How a candidate is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// Datagrams over UDP.
    Udp,
    /// Passive ICE-TCP (RFC 6544).
    Tcp,
}

/// Returns whether an address may be a candidate (RFC 8445 §5.1.1.1): an address of one host, the same for every client.
/// Link-local IPv6 addresses need a zone, which candidates do not have. Site-local ones, and those that hold an IPv4
/// address, are forbidden.
pub fn can_be_reached(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(ip) => !(ip.is_unspecified() || ip.is_multicast() || ip.is_broadcast()),
        IpAddr::V6(ip) => {
            // fe80::/10 and fec0::/10.
            let local = ip.segments()[0] & 0xFF80 == 0xFE80;
            let holds_ipv4 = ip.to_ipv4().is_some() && !ip.is_loopback();
            !(local || holds_ipv4 || ip.is_multicast())
        }
    }
}
