//! The TURN server's sockets: one thread that listens on UDP, TCP and TLS, and feeds [`TurnServer`].
//!
//! What always holds: a client that does not read, or sends half a packet and no more, costs a bounded queue
//! and is closed after seconds; packets for a full queue are dropped, as a network would.

mod hub;
mod stream;
mod tls;
mod udp;

use crate::transport::connections::Connections;
use crate::transport::packet::{RelayPacket, TurnInbox};
use crate::turn::server::{Counts, Settings, TurnServer};
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, UdpSocket};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

pub(crate) use hub::ToShards;
pub(crate) use tls::server_config;

use hub::Hub;

/// How often the TURN server reports to the supervisor.
const REPORT_INTERVAL: Duration = Duration::from_secs(1);

/// How often the counts are logged, if they changed.
const LOG_INTERVAL: Duration = Duration::from_secs(60);

/// What the sockets are made from.
pub(crate) struct FrontConfig {
    pub settings: Settings,
    /// Where UDP and TCP are listened on.
    pub listen: Vec<SocketAddr>,
    /// Where TLS is listened on, and with what.
    pub tls: Option<(Vec<SocketAddr>, Arc<rustls::ServerConfig>)>,
    /// How many TCP and TLS connections there may be.
    pub connections_max: usize,
    /// Random bytes that sign nonces.
    pub nonce_key: [u8; 32],
    /// Random; see [`TurnServer::new`].
    pub seed: u64,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct TurnReport {
    pub allocations: usize,
    /// What it counted since its start.
    pub counts: Counts,
    /// TCP and TLS connections that there are.
    pub connections: usize,
    /// Those that were refused since the start.
    pub connections_refused: u64,
}

/// Sockets that are bound and not served yet.
pub(crate) struct Front {
    reports: watch::Sender<TurnReport>,
    config: FrontConfig,
    udp: Vec<std::net::UdpSocket>,
    tcp: Vec<std::net::TcpListener>,
    tls: Vec<std::net::TcpListener>,
    from_relay: mpsc::Receiver<RelayPacket>,
}

impl Front {
    /// Binds all sockets, so that a taken port is known at the start.
    pub(crate) fn bind(config: FrontConfig) -> io::Result<(Self, TurnInbox)> {
        let (inbox, from_relay) = TurnInbox::new();
        let tls_addresses = config.tls.as_ref().map_or(&[][..], |(addresses, _)| addresses);
        let udp: io::Result<_> = config.listen.iter().map(bind_udp).collect();
        let tcp: io::Result<_> = config.listen.iter().map(bind_tcp).collect();
        let tls: io::Result<_> = tls_addresses.iter().map(bind_tcp).collect();
        let (udp, tcp, tls) = (udp?, tcp?, tls?);
        let front = Self {
            reports: watch::Sender::default(),
            config,
            udp,
            tcp,
            tls,
            from_relay,
        };
        Ok((front, inbox))
    }

    /// The addresses that UDP, TCP and TLS are listened on, with the ports that the system chose.
    pub(crate) fn addresses(&self) -> io::Result<[Vec<SocketAddr>; 3]> {
        let udp: Result<_, _> = self.udp.iter().map(std::net::UdpSocket::local_addr).collect();
        let tcp: Result<_, _> = self.tcp.iter().map(std::net::TcpListener::local_addr).collect();
        let tls: Result<_, _> = self.tls.iter().map(std::net::TcpListener::local_addr).collect();
        Ok([udp?, tcp?, tls?])
    }

    /// How it is, about once a second.
    pub(crate) fn reports(&self) -> watch::Receiver<TurnReport> {
        self.reports.subscribe()
    }

    /// Serves until every [`TurnInbox`] is gone. Blocks its thread.
    pub(crate) fn serve(self, to_shards: ToShards) -> io::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        tokio::task::LocalSet::new().block_on(&runtime, self.run(to_shards))
    }

    async fn run(self, to_shards: ToShards) -> io::Result<()> {
        let Self {
            reports,
            config,
            udp,
            tcp,
            tls,
            from_relay,
        } = self;
        let hub = Rc::new(Hub::new(
            TurnServer::new(config.settings, config.nonce_key, config.seed),
            to_shards,
        ));
        for socket in udp {
            let socket = Rc::new(UdpSocket::from_std(socket)?);
            hub.udp.borrow_mut().insert(socket.local_addr()?, socket.clone());
            tokio::task::spawn_local(udp::serve(hub.clone(), socket));
        }
        let connections = Connections::new(config.connections_max);
        for listener in tcp {
            let listener = TcpListener::from_std(listener)?;
            tokio::task::spawn_local(stream::serve(hub.clone(), listener, connections.clone(), None));
        }
        for listener in tls {
            let listener = TcpListener::from_std(listener)?;
            let acceptor = config.tls.as_ref().map(|(_, tls)| tls.clone().into());
            tokio::task::spawn_local(stream::serve(
                hub.clone(),
                listener,
                connections.clone(),
                acceptor,
            ));
        }
        tokio::task::spawn_local(report(hub.clone(), connections, reports));
        hub.take_from_relay(from_relay).await;
        Ok(())
    }
}

fn bind_udp(address: &SocketAddr) -> io::Result<std::net::UdpSocket> {
    let socket = std::net::UdpSocket::bind(address)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

fn bind_tcp(address: &SocketAddr) -> io::Result<std::net::TcpListener> {
    let listener = std::net::TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Reports to the supervisor, and logs now and then what was counted.
async fn report(hub: Rc<Hub>, connections: Connections, reports: watch::Sender<TurnReport>) {
    let mut last = TurnReport::default();
    let mut logged = Instant::now();
    loop {
        tokio::time::sleep(REPORT_INTERVAL).await;
        let now = {
            let server = hub.server.borrow();
            TurnReport {
                allocations: server.allocations(),
                counts: server.counts(),
                connections: connections.open(),
                connections_refused: connections.refused(),
            }
        };
        reports.send_replace(now);
        if now.counts != last.counts && logged.elapsed() >= LOG_INTERVAL {
            let Counts {
                allocations: made,
                refused,
                dropped,
                relayed,
            } = now.counts;
            let TurnReport {
                allocations,
                connections,
                connections_refused,
                ..
            } = now;
            tracing::info!(
                allocations,
                made,
                refused,
                dropped,
                relayed,
                connections,
                connections_refused,
                "turn"
            );
            last = now;
            logged = Instant::now();
        }
    }
}

#[cfg(test)]
mod hostile_tests;
#[cfg(test)]
mod tests;
