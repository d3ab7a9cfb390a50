//! TURN over UDP.

use super::hub::Hub;
use crate::transport::packet::MAX_PACKET_BYTES;
use crate::turn::server::client::{Client, Transport};
use std::net::SocketAddr;
use std::rc::Rc;
use tokio::net::UdpSocket;

/// Datagrams that are taken in one turn, so that others get theirs in between.
const BURST: usize = 64;

/// Reads one socket until it fails.
pub(super) async fn serve(hub: Rc<Hub>, socket: Rc<UdpSocket>) {
    let Ok(server) = socket.local_addr() else { return };
    // One byte more than is taken: a longer datagram is cut there, and is then too long.
    let mut buffer = vec![0; MAX_PACKET_BYTES + 1];
    loop {
        if socket.readable().await.is_err() {
            return;
        }
        for _ in 0..BURST {
            match socket.try_recv_from(&mut buffer) {
                Ok((length, from)) => {
                    let address = SocketAddr::new(from.ip().to_canonical(), from.port());
                    let client = Client {
                        transport: Transport::Udp,
                        address,
                        server,
                    };
                    hub.handle_client(client, buffer.get(..length).unwrap_or_default());
                }
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => break,
                // An ICMP answer to something that was sent: it says nothing about the socket.
                Err(_) => {}
            }
        }
        tokio::task::yield_now().await;
    }
}
