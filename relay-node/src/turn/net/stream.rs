//! TURN over TCP and TLS.

use super::hub::Hub;
use crate::transport::connections::{Connections, FIRST_PACKET_MS, Permit, deadline_ms};
use crate::transport::rfc4571::{Framing, StreamReader};
use crate::transport::tcp_io::{MAX_QUEUE, READ_BYTES, accept, write_packets};
use crate::turn::server::client::{Client, Transport};
use std::io;
use std::rc::Rc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, split};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

pub(super) async fn serve(
    hub: Rc<Hub>,
    listener: TcpListener,
    connections: Connections,
    tls: Option<TlsAcceptor>,
) {
    let Ok(server) = listener.local_addr() else { return };
    loop {
        let (stream, address, permit) = accept(&listener, &connections).await;
        let transport = if tls.is_some() {
            Transport::Tls
        } else {
            Transport::Tcp
        };
        let client = Client {
            transport,
            address,
            server,
        };
        tokio::task::spawn_local(converse(hub.clone(), stream, client, tls.clone(), permit));
    }
}

async fn converse(
    hub: Rc<Hub>,
    stream: impl AsyncRead + AsyncWrite + Unpin,
    client: Client,
    tls: Option<TlsAcceptor>,
    _permit: Permit,
) {
    let opened_ms = hub.uptime_ms();
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
    let (sender, queue) = mpsc::channel(MAX_QUEUE);
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
        let now_ms = hub.uptime_ms();
        let in_use = hub.server.borrow().has_allocation(&client, hub.now());
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
        let now_ms = hub.uptime_ms();
        packets.push(buffer.get(..length).unwrap_or_default(), now_ms);
        while let Some(packet) = packets.next_packet(now_ms).map_err(io::Error::other)? {
            last_packet_ms = Some(now_ms);
            hub.handle_client(client, packet);
        }
    }
}

#[cfg(test)]
#[path = "slow_tests.rs"]
mod slow_tests;
