//! Who a packet is from.

use std::net::SocketAddr;
use streamchain_protocol::util::Network;

/// How a client reaches the TURN server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Transport {
    /// `turn:…?transport=udp`.
    Udp,
    /// `turn:…?transport=tcp`.
    Tcp,
    /// `turns:…?transport=tcp`.
    Tls,
}

impl Transport {
    /// Whether bytes come as a stream, so that ChannelData is padded (RFC 8656 §12.5).
    pub(crate) fn is_stream(self) -> bool {
        self != Self::Udp
    }
}

/// RFC 8656's 5-tuple: an allocation belongs to one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Client {
    pub transport: Transport,
    /// The client's address, as the server sees it (an IPv4 address never as a mapped IPv6 one).
    pub address: SocketAddr,
    /// Which of the server's addresses it came to.
    pub server: SocketAddr,
}

impl Client {
    /// What quotas per address count by.
    pub(crate) fn network(&self) -> Network {
        Network::of(self.address.ip())
    }
}
