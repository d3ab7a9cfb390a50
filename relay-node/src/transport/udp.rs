//! A UDP socket that reads many datagrams by one system call (recvmmsg, GRO) and writes many of the same length
//! to one peer by another (GSO).

use quinn_udp::{BATCH_SIZE, RecvMeta, Transmit, UdpSocketState};
use std::io::{self, IoSliceMut};
use std::net::{SocketAddr, UdpSocket as StdSocket};
use std::task::{Context, Poll};
use tokio::io::Interest;
use tokio::net::UdpSocket;

/// What the kernel may buffer while the thread is busy, bytes: 2 MiB are some 20 ms at 100 MB/s.
const KERNEL_BUFFER_BYTES: usize = 2 * 1024 * 1024;

/// Most system calls for reading in one turn, so that what is read is also answered.
const READS_PER_TURN: usize = 4;

/// Bytes of one GSO write: below the 64 KiB of a UDP datagram's length field.
const MAX_WRITE_BYTES: usize = 60_000;

/// A bound UDP socket with its buffers.
pub struct Socket {
    io: UdpSocket,
    state: UdpSocketState,
    local: SocketAddr,
    buffers: Vec<Vec<u8>>,
    write: Write,
}

/// Datagrams for one peer, joined for one system call.
#[derive(Default)]
struct Write {
    bytes: Vec<u8>,
    segment: usize,
    to: Option<(SocketAddr, SocketAddr)>,
    /// A shorter datagram ends the run.
    closed: bool,
}

impl Socket {
    /// Takes a socket that was bound before, inside the runtime that will use it.
    pub fn new(socket: StdSocket) -> io::Result<Self> {
        let state = UdpSocketState::new((&socket).into())?;
        // The kernel's own limit may be lower: then that is what we have.
        let _ = state.set_recv_buffer_size((&socket).into(), KERNEL_BUFFER_BYTES);
        let _ = state.set_send_buffer_size((&socket).into(), KERNEL_BUFFER_BYTES);
        let local = socket.local_addr()?;
        // With GRO one buffer may get many datagrams.
        let buffers = vec![vec![0; 65_536]; BATCH_SIZE];
        Ok(Self {
            io: UdpSocket::from_std(socket)?,
            state,
            local,
            buffers,
            write: Write::default(),
        })
    }

    /// The address it is bound to.
    pub fn local(&self) -> SocketAddr {
        self.local
    }

    /// Ready when there may be something to read.
    pub(crate) fn poll_readable(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.io.poll_recv_ready(context)
    }

    /// Hands what has arrived to `take` (datagram, from, to), up to a turn's worth.
    pub fn read(&mut self, mut take: impl FnMut(&[u8], SocketAddr, SocketAddr)) -> io::Result<()> {
        for _ in 0..READS_PER_TURN {
            let mut metas = [RecvMeta::default(); BATCH_SIZE];
            let mut slices: Vec<IoSliceMut<'_>> = self
                .buffers
                .iter_mut()
                .map(|buffer| IoSliceMut::new(buffer))
                .collect();
            let socket = &self.io;
            let state = &self.state;
            let received = socket.try_io(Interest::READABLE, || {
                state.recv(socket.into(), &mut slices, &mut metas)
            });
            let count = match received {
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                // A peer's port was closed (ICMP): nothing to do with the others.
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => continue,
                Err(error) => return Err(error),
            };
            for (meta, buffer) in metas.iter().zip(&self.buffers).take(count) {
                let local = match meta.dst_ip.filter(|_| self.local.ip().is_unspecified()) {
                    Some(ip) => SocketAddr::new(ip.to_canonical(), self.local.port()),
                    None => self.local,
                };
                let remote = SocketAddr::new(meta.addr.ip().to_canonical(), meta.addr.port());
                let stride = meta.stride.max(1);
                let received = buffer.get(..meta.len).unwrap_or_default();
                received
                    .chunks(stride)
                    .for_each(|datagram| take(datagram, remote, local));
            }
            if count < BATCH_SIZE {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Queues a datagram; what is queued goes out with the last one of [`Socket::flush`] at the latest.
    pub async fn send(&mut self, datagram: &[u8], source: SocketAddr, destination: SocketAddr) {
        let write = &self.write;
        let joins = write.to == Some((source, destination))
            && !write.closed
            && datagram.len() <= write.segment
            && write.bytes.len() + datagram.len() <= MAX_WRITE_BYTES
            && write.bytes.len() / write.segment < self.state.max_gso_segments();
        if !joins {
            self.flush().await;
            self.write.to = Some((source, destination));
            self.write.segment = datagram.len();
        }
        self.write.bytes.extend_from_slice(datagram);
        self.write.closed = datagram.len() < self.write.segment;
    }

    /// Writes what is queued.
    pub async fn flush(&mut self) {
        let Some((source, destination)) = self.write.to.take() else {
            return;
        };
        let transmit = Transmit {
            destination: self.kernel_address(destination),
            ecn: None,
            contents: &self.write.bytes,
            segment_size: (self.write.bytes.len() > self.write.segment).then_some(self.write.segment),
            src_ip: self.local.ip().is_unspecified().then_some(source.ip()),
        };
        loop {
            let sent = self.io.try_io(Interest::WRITABLE, || {
                self.state.try_send((&self.io).into(), &transmit)
            });
            match sent {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if self.io.writable().await.is_err() {
                        break;
                    }
                }
                // A datagram that can't be sent is a datagram lost: SCTP and DTLS send it again.
                _ => break,
            }
        }
        self.write.bytes.clear();
        self.write.closed = false;
    }

    /// A dual-stack socket knows IPv4 addresses by their mapped form (RFC 4291 §2.5.5.2).
    fn kernel_address(&self, address: SocketAddr) -> SocketAddr {
        match (self.local, address) {
            (SocketAddr::V6(_), SocketAddr::V4(v4)) => {
                SocketAddr::new(v4.ip().to_ipv6_mapped().into(), v4.port())
            }
            _ => address,
        }
    }
}
