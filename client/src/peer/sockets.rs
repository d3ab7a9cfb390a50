//! The sockets of one peer connection: UDP, one for each family of IP addresses, and one ICE-TCP connection.

use super::framing::{take_packet, write_packet};
use std::future::pending;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use tokio::io::Interest;
use tokio::net::{TcpStream, UdpSocket};

/// Largest datagram that is read, bytes.
const MAX_DATAGRAM_BYTES: usize = 2_048;

/// Bytes that may wait for a slow TCP connection; above, packets are dropped as a full network would.
const MAX_TCP_WAITING_BYTES: usize = 256 * 1024;

/// Why sockets can't be used.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct SocketsError(#[from] io::Error);

#[derive(Debug)]
struct TcpPath {
    stream: TcpStream,
    local: SocketAddr,
    remote: SocketAddr,
    received: Vec<u8>,
    waiting: Vec<u8>,
}

/// The sockets of a peer connection.
#[derive(Debug, Default)]
pub(crate) struct Sockets {
    v4: Option<(SocketAddr, UdpSocket)>,
    v6: Option<(SocketAddr, UdpSocket)>,
    tcp: Option<TcpPath>,
    buffer: Vec<u8>,
}

/// The address from which this machine reaches `remote`; nothing is sent.
fn source_for(remote: SocketAddr) -> io::Result<IpAddr> {
    let any: IpAddr = match remote {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let probe = std::net::UdpSocket::bind((any, 0))?;
    probe.connect(remote)?;
    Ok(probe.local_addr()?.ip())
}

/// A socket from which `remote` is reached, and its address.
fn socket_for(remote: SocketAddr) -> io::Result<(SocketAddr, UdpSocket)> {
    let socket = std::net::UdpSocket::bind((source_for(remote)?, 0))?;
    socket.set_nonblocking(true)?;
    Ok((socket.local_addr()?, UdpSocket::from_std(socket)?))
}

async fn readable(socket: Option<&(SocketAddr, UdpSocket)>) {
    match socket {
        Some((_, socket)) => {
            let _ = socket.readable().await;
        }
        None => pending().await,
    }
}

impl Sockets {
    /// Returns no sockets.
    pub(crate) fn new() -> Self {
        Self {
            buffer: vec![0; MAX_DATAGRAM_BYTES],
            ..Self::default()
        }
    }

    /// Opens the UDP sockets from which these addresses of a relay are reached; returns the sockets' own addresses. An address
    /// that this machine has no route to is passed over.
    pub(crate) fn open_udp(&mut self, remotes: &[SocketAddr]) -> Vec<SocketAddr> {
        let mut opened = Vec::new();
        for remote in remotes {
            let place = if remote.is_ipv4() {
                &mut self.v4
            } else {
                &mut self.v6
            };
            if place.is_some() {
                continue;
            }
            if let Ok((local, socket)) = socket_for(*remote) {
                *place = Some((local, socket));
                opened.push(local);
            }
        }
        opened
    }

    /// Adds an ICE-TCP connection; returns its own address.
    pub(crate) fn add_tcp(&mut self, stream: TcpStream) -> Result<SocketAddr, SocketsError> {
        let (local, remote) = (stream.local_addr()?, stream.peer_addr()?);
        let _ = stream.set_nodelay(true);
        self.tcp = Some(TcpPath {
            stream,
            local,
            remote,
            received: Vec::new(),
            waiting: Vec::new(),
        });
        Ok(local)
    }

    /// Waits until something may be read, or the TCP connection takes more.
    pub(crate) async fn ready(&self) {
        let tcp = async {
            let Some(tcp) = &self.tcp else {
                return pending().await;
            };
            let interest = match tcp.waiting.is_empty() {
                true => Interest::READABLE,
                false => Interest::READABLE | Interest::WRITABLE,
            };
            let _ = tcp.stream.ready(interest).await;
        };
        tokio::select! {
            () = readable(self.v4.as_ref()) => {}
            () = readable(self.v6.as_ref()) => {}
            () = tcp => {}
        }
    }

    /// Hands each packet that has arrived to `take`, with where it came from and to, until `take` returns false.
    pub(crate) fn receive(&mut self, mut take: impl FnMut(&[u8], SocketAddr, SocketAddr) -> bool) {
        for (local, socket) in [&self.v4, &self.v6].into_iter().flatten() {
            while let Ok((length, source)) = socket.try_recv_from(&mut self.buffer) {
                let packet = self.buffer.get(..length).unwrap_or_default();
                if !take(packet, source, *local) {
                    return;
                }
            }
        }
        let Some(tcp) = &mut self.tcp else { return };
        if !tcp.read(&mut self.buffer, &mut take) {
            self.tcp = None;
        }
    }

    /// Sends a packet from `source`; one that can't be sent is dropped, as networks do.
    pub(crate) fn send(&mut self, packet: &[u8], source: SocketAddr, remote: SocketAddr) {
        if let Some(tcp) = self
            .tcp
            .as_mut()
            .filter(|tcp| tcp.local == source && tcp.remote == remote)
        {
            if tcp.waiting.len() < MAX_TCP_WAITING_BYTES {
                write_packet(packet, &mut tcp.waiting);
            }
            return tcp.flush();
        }
        let sockets = [&self.v4, &self.v6];
        if let Some((_, socket)) = sockets.into_iter().flatten().find(|(local, _)| *local == source) {
            let _ = socket.try_send_to(packet, remote);
        }
    }

    /// Writes what the TCP connection did not take before.
    pub(crate) fn flush(&mut self) {
        if let Some(tcp) = &mut self.tcp {
            tcp.flush();
        }
    }
}

impl TcpPath {
    /// Returns whether the connection goes on.
    fn read(
        &mut self,
        buffer: &mut [u8],
        take: &mut impl FnMut(&[u8], SocketAddr, SocketAddr) -> bool,
    ) -> bool {
        loop {
            match self.stream.try_read(buffer) {
                Ok(0) => return false,
                Ok(length) => self
                    .received
                    .extend_from_slice(buffer.get(..length).unwrap_or_default()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return true,
                Err(_) => return false,
            }
            loop {
                match take_packet(&mut self.received) {
                    Ok(Some(packet)) => {
                        take(&packet, self.remote, self.local);
                    }
                    Ok(None) => break,
                    Err(_) => return false,
                }
            }
        }
    }

    fn flush(&mut self) {
        while !self.waiting.is_empty()
            && let Ok(length) = self.stream.try_write(&self.waiting)
        {
            self.waiting.drain(..length);
        }
    }
}
