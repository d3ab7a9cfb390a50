//! Whether anybody listens at another relay's port.
//!
//! What always holds: only a refusal counts as a closed port. A host that says nothing, or a firewall before it, is told from a relay
//! that lives by its silence alone.

use super::limits::PORT_ANSWER_TIMEOUT;
use std::io::{ErrorKind, Result};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use tokio::net::UdpSocket;
use tokio::time::timeout;

/// What is sent: no QUIC packet begins like this, so that who listens drops it.
const NO_PACKET: [u8; 1] = [0];

/// Whether the host at this address refuses what comes to the port.
pub(super) async fn is_closed(address: SocketAddr) -> bool {
    let tried = timeout(PORT_ANSWER_TIMEOUT, try_port(address)).await;
    matches!(tried, Ok(Err(error)) if error.kind() == ErrorKind::ConnectionRefused)
}

/// Fails once the host refuses; otherwise nothing comes back.
async fn try_port(address: SocketAddr) -> Result<usize> {
    let any: IpAddr = match address {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    // A socket that is connected learns of refusals; the one of all links would not.
    let socket = UdpSocket::bind((any, 0)).await?;
    socket.connect(address).await?;
    socket.send(&NO_PACKET).await?;
    socket.recv(&mut [0; 1]).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_port_is_closed_once_nobody_listens_there() {
        let listener = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        assert!(!is_closed(address).await, "who listens is silent");
        drop(listener);
        assert!(is_closed(address).await);
    }
}
