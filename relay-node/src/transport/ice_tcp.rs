//! ICE over TCP (RFC 6544), passive: for clients whose network lets no UDP through.
//!
//! What always holds: a connection whose first packet is no STUN check is closed at once, and one that the
//! shard has not answered after [`FIRST_PACKET_MS`] as well, so that a connection that stays has a session whose
//! token and integrity were checked.

use crate::core::Path;
use crate::core::stun::is_stun;
use crate::transport::connections::{Connections, FIRST_PACKET_MS, deadline_ms};
use crate::transport::packet::IngressPacket;
use crate::transport::rfc4571::{Framing, StreamReader, count};
use crate::transport::tcp_io::{MAX_QUEUE, READ_BYTES, accept, write_packets};
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};

/// One shard's connections. Lives in the shard's thread.
pub(crate) struct IceTcp {
    open: Rc<RefCell<HashMap<(SocketAddr, SocketAddr), Line>>>,
}

/// Where packets for one connection go.
#[derive(Clone)]
struct Line {
    queue: mpsc::Sender<Vec<u8>>,
    answered: Rc<Cell<bool>>,
}

impl IceTcp {
    /// Begins to take connections; inside the `LocalSet` of the shard's thread.
    pub(crate) fn start(
        listeners: Vec<std::net::TcpListener>,
        connections: &Connections,
        to_shard: &mpsc::Sender<IngressPacket>,
    ) -> io::Result<Self> {
        let open: Rc<RefCell<HashMap<_, Line>>> = Rc::default();
        for listener in listeners {
            listener.set_nonblocking(true)?;
            let (listener, connections) = (TcpListener::from_std(listener)?, connections.clone());
            let (open, to_shard) = (open.clone(), to_shard.clone());
            tokio::task::spawn_local(async move {
                loop {
                    let (stream, remote, permit) = accept(&listener, &connections).await;
                    let (open, to_shard) = (open.clone(), to_shard.clone());
                    tokio::task::spawn_local(async move {
                        if let Err(error) = converse(&open, &to_shard, stream, remote).await {
                            tracing::debug!(client = %remote, %error, "ICE-TCP connection closed");
                        }
                        drop(permit);
                    });
                }
            });
        }
        Ok(Self { open })
    }

    /// Sends a packet from `local` to `remote`; drops it when there is no such connection, or its queue is full.
    pub(crate) fn send(&self, local: SocketAddr, remote: SocketAddr, packet: &[u8]) {
        if let Some(line) = self.open.borrow().get(&(local, remote)) {
            line.answered.set(true);
            let _ = line.queue.try_send(count(packet));
        }
    }
}

async fn converse(
    open: &RefCell<HashMap<(SocketAddr, SocketAddr), Line>>,
    to_shard: &mpsc::Sender<IngressPacket>,
    stream: TcpStream,
    remote: SocketAddr,
) -> io::Result<()> {
    let local = stream.local_addr()?;
    let local = SocketAddr::new(local.ip().to_canonical(), local.port());
    let (reader, writer) = stream.into_split();
    let (queue, packets) = mpsc::channel(MAX_QUEUE);
    let line = Line {
        queue,
        answered: Rc::default(),
    };
    open.borrow_mut().insert((local, remote), line.clone());
    let path = Path::tcp(remote, local);
    let result = tokio::select! {
        result = read_packets(reader, path, to_shard, &line.answered) => result,
        result = write_packets(writer, packets) => result,
    };
    open.borrow_mut().remove(&(local, remote));
    result
}

async fn read_packets(
    mut stream: impl AsyncRead + Unpin,
    path: Path,
    to_shard: &mpsc::Sender<IngressPacket>,
    answered: &Cell<bool>,
) -> io::Result<()> {
    let opened = Instant::now();
    let now_ms = || u64::try_from(opened.elapsed().as_millis()).unwrap_or(u64::MAX);
    let mut buffer = vec![0; READ_BYTES];
    let mut packets = StreamReader::new(Framing::Counted);
    let mut last_packet_ms = None;
    loop {
        let (now, was_answered) = (now_ms(), answered.get());
        let mut until = deadline_ms(last_packet_ms, 0, packets.waiting_since_ms(), false, now);
        if !was_answered {
            until = until.min(FIRST_PACKET_MS);
        }
        let wait = Duration::from_millis(until.saturating_sub(now));
        let Ok(read) = timeout(wait, stream.read(&mut buffer)).await else {
            // The answer may have come meanwhile: then there is another deadline.
            if answered.get() != was_answered {
                continue;
            }
            return Err(io::ErrorKind::TimedOut.into());
        };
        let length = read?;
        if length == 0 {
            return Ok(());
        }
        let now = now_ms();
        packets.push(buffer.get(..length).unwrap_or_default(), now);
        while let Some(packet) = packets.next_packet(now).map_err(io::Error::other)? {
            if last_packet_ms.is_none() && !is_stun(packet) {
                return Err(io::Error::other("the first packet is no STUN check"));
            }
            last_packet_ms = Some(now);
            // A full inbox drops, as a network would.
            let _ = to_shard.try_send(IngressPacket {
                path,
                packet: packet.to_vec(),
            });
        }
        // The shard's turn, before the next bytes.
        tokio::task::yield_now().await;
    }
}

#[cfg(test)]
#[path = "ice_tcp_tests.rs"]
mod tests;
