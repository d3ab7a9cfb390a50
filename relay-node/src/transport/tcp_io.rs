//! What every listener for TCP connections does: admits them within bounds, and writes packets to them.

use crate::transport::connections::{Connections, Permit, WRITE_MS};
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

/// Packets that wait for one client to take them: about a window of 128 KiB of full packets. What does not fit
/// is dropped, as a network would.
pub(crate) const MAX_QUEUE: usize = 96;

/// Bytes read at once: a few packets.
pub(crate) const READ_BYTES: usize = 4_096;

/// Bytes written at once: one TLS record.
const WRITE_BYTES: usize = 16 * 1_024;

/// How long to wait before the next connection is accepted when the process has no file descriptor left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The next connection that there is room for. Others are closed before a byte of them is read.
pub(crate) async fn accept(
    listener: &TcpListener,
    connections: &Connections,
) -> (TcpStream, SocketAddr, Permit) {
    loop {
        let Ok((stream, from)) = listener.accept().await else {
            sleep(ACCEPT_PAUSE).await;
            continue;
        };
        if let Some(permit) = connections.admit(from.ip().to_canonical()) {
            let _ = stream.set_nodelay(true);
            let from = SocketAddr::new(from.ip().to_canonical(), from.port());
            return (stream, from, permit);
        }
    }
}

/// Writes what comes until the queue's other end is gone, several packets at once when they wait. An error when
/// the client does not take them in time.
pub(crate) async fn write_packets(
    mut stream: impl AsyncWrite + Unpin,
    mut queue: mpsc::Receiver<Vec<u8>>,
) -> io::Result<()> {
    let mut bytes = Vec::new();
    while let Some(packet) = queue.recv().await {
        bytes.clear();
        bytes.extend(packet);
        while bytes.len() < WRITE_BYTES
            && let Ok(packet) = queue.try_recv()
        {
            bytes.extend(packet);
        }
        let write = async {
            stream.write_all(&bytes).await?;
            stream.flush().await
        };
        timeout(Duration::from_millis(WRITE_MS), write)
            .await
            .map_err(|_| io::ErrorKind::TimedOut)??;
    }
    Ok(())
}
