//! TURN over TCP and TLS.

use super::{Hub, STREAM_QUEUE_MAX};
use crate::connections::{Connections, FIRST_PACKET_MS, Permit, WRITE_MS, deadline_ms};
use crate::framing::{Framing, StreamReader};
use crate::turn::client::{Client, Transport};
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, split};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

/// Bytes read at once: a few packets.
const READ_BYTES: usize = 4_096;

/// Bytes written at once: one TLS record.
const WRITE_BYTES: usize = 16 * 1_024;

/// How long to wait before the next connection is taken when the system has no file left for it.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Takes connections for ever.
pub(super) async fn serve(
    hub: Rc<Hub>,
    listener: TcpListener,
    connections: Connections,
    tls: Option<TlsAcceptor>,
) {
    let Ok(server) = listener.local_addr() else { return };
    loop {
        let (stream, from) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(_) => {
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let address = SocketAddr::new(from.ip().to_canonical(), from.port());
        // Without a permit the connection is closed here, before a byte of it is read.
        let Some(permit) = connections.admit(address.ip()) else { continue };
        let transport = if tls.is_some() { Transport::Tls } else { Transport::Tcp };
        let client = Client { transport, address, server };
        tokio::task::spawn_local(converse(hub.clone(), stream, client, tls.clone(), permit));
    }
}

async fn converse(
    hub: Rc<Hub>,
    stream: TcpStream,
    client: Client,
    tls: Option<TlsAcceptor>,
    _permit: Permit,
) {
    let _ = stream.set_nodelay(true);
    let opened_ms = hub.now_ms();
    let result = match tls {
        None => exchange(&hub, stream, client, opened_ms).await,
        Some(acceptor) => {
            match timeout(Duration::from_millis(FIRST_PACKET_MS), acceptor.accept(stream)).await {
                Ok(Ok(stream)) => exchange(&hub, stream, client, opened_ms).await,
                Ok(Err(error)) => Err(error),
                Err(_) => Err(io::ErrorKind::TimedOut.into()),
            }
        }
    };
    if let Err(error) = result {
        tracing::debug!(client = %client.address, %error, "turn connection closed");
    }
}

/// Reads and writes until one of them ends; the client's allocation ends with it.
async fn exchange(
    hub: &Hub,
    stream: impl AsyncRead + AsyncWrite,
    client: Client,
    opened_ms: u64,
) -> io::Result<()> {
    let (reader, writer) = split(stream);
    let (sender, queue) = mpsc::channel(STREAM_QUEUE_MAX);
    hub.streams.borrow_mut().insert(client, sender);
    let result = tokio::select! {
        result = read_packets(hub, reader, client, opened_ms) => result,
        result = write_packets(writer, queue) => result,
    };
    hub.streams.borrow_mut().remove(&client);
    hub.server.borrow_mut().handle_closed(&client);
    result
}

async fn read_packets(
    hub: &Hub,
    mut stream: impl AsyncRead + Unpin,
    client: Client,
    opened_ms: u64,
) -> io::Result<()> {
    let mut buffer = vec![0; READ_BYTES];
    let mut packets = StreamReader::new(Framing::Turn);
    let mut last_packet_ms = None;
    loop {
        let now_ms = hub.now_ms();
        let in_use = hub.server.borrow().has_allocation(&client, now_ms);
        let waiting = packets.waiting_since_ms();
        let until_ms = deadline_ms(last_packet_ms, opened_ms, waiting, in_use, now_ms);
        let wait = Duration::from_millis(until_ms.saturating_sub(now_ms));
        let Ok(read) = timeout(wait, stream.read(&mut buffer)).await else {
            if in_use && waiting.is_none() {
                continue;
            }
            return Err(io::ErrorKind::TimedOut.into());
        };
        let length = read?;
        if length == 0 {
            return Ok(());
        }
        let now_ms = hub.now_ms();
        packets.push(&buffer[..length], now_ms);
        while let Some(packet) = packets.next_packet(now_ms).map_err(io::Error::other)? {
            last_packet_ms = Some(now_ms);
            hub.handle_client(client, packet);
        }
    }
}

async fn write_packets(
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
        timeout(Duration::from_millis(WRITE_MS), write).await.map_err(|_| io::ErrorKind::TimedOut)??;
    }
    Ok(())
}
