//! Between which addresses, and how, a datagram travels.

use std::net::SocketAddr;
use str0m::error::IceError;
use str0m::net::{Protocol, TcpType};
use str0m::{Candidate, RtcError};
use streamchain_protocol::util::Network;

/// Where a peer's datagrams come from. The protocol is a part of it: the same address may also be reached by
/// TCP, or stand for a client behind a TURN server.
pub(crate) type Peer = (Protocol, SocketAddr);

/// The path of a datagram that came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Path {
    /// Whether the datagram came over UDP or in an ICE-TCP connection.
    pub protocol: Protocol,
    /// The client's address, or its relayed address if it came through the TURN server.
    pub remote: SocketAddr,
    /// The address of this relay that the datagram came to.
    pub local: SocketAddr,
    /// Whose shares it counts to. A relayed address says nothing of it: there it is the network of the TURN client.
    pub network: Network,
    /// Whether the client has shown on the way here that it reads what is sent to its address, as TCP's handshake and the
    /// TURN server's nonce do. The source of a UDP datagram may be anybody's.
    pub is_proven: bool,
}

impl Path {
    /// The path of a UDP datagram.
    pub fn udp(remote: SocketAddr, local: SocketAddr) -> Self {
        Self {
            protocol: Protocol::Udp,
            remote,
            local,
            network: Network::of(remote.ip()),
            is_proven: false,
        }
    }

    /// The path of a packet in an ICE-TCP connection.
    pub(crate) fn tcp(remote: SocketAddr, local: SocketAddr) -> Self {
        Self {
            protocol: Protocol::Tcp,
            is_proven: true,
            ..Self::udp(remote, local)
        }
    }

    /// The path of a packet from a TURN client in `network`, whose relayed address is `relayed`.
    pub(crate) fn relayed(relayed: SocketAddr, local: SocketAddr, network: Network) -> Self {
        Self {
            network,
            is_proven: true,
            ..Self::udp(relayed, local)
        }
    }

    /// The peer at the other end of the path.
    pub fn peer(&self) -> Peer {
        (self.protocol, self.remote)
    }

    /// Our end as the local ICE candidate that it must belong to: RFC 8445, and RFC 6544 for TCP, where we are
    /// passive.
    pub fn candidate(&self) -> Result<Candidate, RtcError> {
        let refused = |error: IceError| RtcError::RemoteSdp(error.to_string());
        match self.protocol {
            Protocol::Udp => Candidate::host(self.local, "udp").map_err(refused),
            _ => {
                let builder = Candidate::builder()
                    .tcp()
                    .host(self.local)
                    .tcptype(TcpType::Passive);
                builder.build().map_err(refused)
            }
        }
    }
}
